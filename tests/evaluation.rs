//! The figures of evaluation are those of independent implementations of the definitions:
//! `golden/evaluation/definitions.py` wrote them.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use zhengzi_model::evaluation::{Figures, Pair, Score};

#[derive(Deserialize)]
struct Golden {
    groups: Vec<Group>,
    unequal: Unequal,
}

#[derive(Deserialize)]
struct Group {
    name: String,
    ignored: String,
    /// `source/right/made`, with spaces between.
    cases: String,
    figures: Value,
}

/// Where strings can only be compared whole.
#[derive(Deserialize)]
struct Unequal {
    cases: String,
    unequal: usize,
    strict_correction: Value,
    loose_correction: Value,
    false_alarm_rate: Value,
    accuracy: Value,
}

fn golden() -> Golden {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/evaluation/figures.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn scored(ignored: &str, cases: &str) -> (Score, Figures) {
    let mut score = Score::new(ignored);
    for (line, case) in (1..).zip(cases.split(' ')) {
        let [wrong, right, made] = case.split('/').collect::<Vec<_>>()[..] else {
            panic!("not a case: {case}");
        };
        score.add(&Pair { line, wrong: wrong.to_owned(), right: right.to_owned() }, made);
    }
    let figures = score.figures();
    (score, figures)
}

/// The same keys, and numbers that differ by rounding at most.
fn agrees(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours
                    .iter()
                    .all(|(key, value)| theirs.get(key).is_some_and(|other| agrees(value, other)))
        }
        (Value::Number(ours), Value::Number(theirs)) => {
            (ours.as_f64().unwrap() - theirs.as_f64().unwrap()).abs() < 1e-12
        }
        _ => ours.is_null() && theirs.is_null(),
    }
}

#[track_caller]
fn compare(name: &str, ours: impl serde::Serialize, theirs: &Value) {
    let ours = serde_json::to_value(ours).unwrap();
    assert!(agrees(&ours, theirs), "{name}\n  ours: {ours}\ntheirs: {theirs}");
}

#[test]
fn all_figures_are_those_of_independent_scorers() {
    let groups = golden().groups;
    assert!(groups.len() > 100, "the golden file is cut off");
    for Group { name, ignored, cases, figures } in groups {
        compare(&name, scored(&ignored, &cases).1, &figures);
    }
}

#[test]
fn the_cases_tell_strict_from_loose() {
    let differs = |group: &&Group| group.figures["strict"] != group.figures["loose"];
    assert!(golden().groups.iter().filter(differs).count() > 90);
}

#[test]
fn texts_of_unequal_length_count_as_whole_strings() {
    let theirs = golden().unequal;
    let (score, ours) = scored("", &theirs.cases);
    assert_eq!(score.unequal(), theirs.unequal);
    compare("strict", ours.strict.correction, &theirs.strict_correction);
    compare("loose", ours.loose.correction, &theirs.loose_correction);
    compare("false alarms", ours.false_alarm_rate, &theirs.false_alarm_rate);
    compare("accuracy", ours.accuracy, &theirs.accuracy);
}
