//! `evaluate`: figures of sentences of our own, in both forms of input and both of output.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{run, zhengzi};

/// The model corrects 新 to 心 in the first, and leaves the others alone.
const PAIRS: &str = "\u{feff}今天新情很好\t今天心情很好\r\n\r\n今天天气很好\t今天天气很好\r\n\
                     他慢慢的走\t他慢慢地走\r\n我我去学校\t我去学校";

/// What was written to standard output, of a run that succeeded in a folder with these files.
fn evaluated(files: &[(&str, &str)], args: &[&str]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let output = run(zhengzi().arg("evaluate").args(args).current_dir(&folder), b"");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""));
    (folder, String::from_utf8(output.stdout).unwrap())
}

fn objects(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn json_has_the_promised_keys_and_figures() {
    let args = ["--format", "json", "pairs.tsv", "clean.tsv"];
    let files = [("pairs.tsv", PAIRS), ("clean.tsv", "今天天气很好\t今天天气很好\n")];
    let objects = objects(&evaluated(&files, &args).1);
    let [pairs, clean] = &objects[..] else { panic!("{objects:?}") };
    let counts = ["sentences", "erroneous", "unequal"].map(|key| pairs[key].as_u64().unwrap());
    assert_eq!((&pairs["file"], counts), (&"pairs.tsv".into(), [4, 3, 1]));
    for level in ["strict", "loose", "character"] {
        for half in ["detection", "correction"] {
            let measures = &pairs[level][half];
            assert_eq!(measures["precision"], 1.0, "{level} {half}");
            assert_eq!(measures["recall"], 1.0 / 3.0, "{level} {half}");
            assert_eq!(measures["f1"], 0.5, "{level} {half}");
            assert!(clean[level][half]["f1"].is_null());
        }
    }
    assert_eq!(pairs["false_alarm_rate"], 0.0);
    assert_eq!(pairs["accuracy"], 0.5);
    assert!(pairs["sentences_per_second"].as_f64().unwrap() > 0.0);
    assert_eq!((&pairs["version"], &pairs["policy"]), (&1.into(), &"default".into()));
    assert!(pairs["model"]["generator"].is_string() && pairs["threshold"].is_null());
}

#[test]
fn the_form_of_sighan_gives_the_same_figures_as_pairs() {
    let input = "(NID=B1-1)\t今天新情很好\n(NID=B1-2)\t今天天气很好\n(NID=B1-3)\t𠀀慢慢的走\n";
    let truth = "B1-3, 4, 地\r\nB1-1, 3, 心\r\nB1-2, 0\r\n";
    let pairs = "今天新情很好\t今天心情很好\n今天天气很好\t今天天气很好\n𠀀慢慢的走\t𠀀慢慢地走\n";
    let files = [("input.txt", input), ("truth.txt", truth), ("pairs.tsv", pairs)];
    let args = ["--truth", "truth.txt", "--format", "json", "input.txt", "pairs.tsv"];
    let mut objects = objects(&evaluated(&files, &args).1);
    for object in &mut objects {
        for key in ["file", "seconds", "sentences_per_second"] {
            assert!(object.as_object_mut().unwrap().remove(key).is_some());
        }
    }
    assert_eq!((objects.len(), &objects[0]), (2, &objects[1]));
    assert_eq!(objects[0]["strict"]["correction"]["recall"], 0.5);
}

#[test]
fn ignored_confusions_are_no_errors() {
    let args = ["--ignore", "的地得", "--format", "json", "pairs.tsv"];
    let objects = objects(&evaluated(&[("pairs.tsv", PAIRS)], &args).1);
    assert_eq!((&objects[0]["erroneous"], &objects[0]["accuracy"]), (&2.into(), &0.75.into()));
    assert_eq!(objects[0]["ignore"], "的地得");
}

#[test]
fn a_dump_has_every_failure_with_probabilities() {
    let args = ["--dump", "dump.jsonl", "--threshold", "0.99", "a|文.tsv"];
    let pairs =
        "今天新情很好，\t今天心情很好。\n今天天气很好\t今天天气很好\n我我去学校\t我去学校\n";
    let (folder, _) = evaluated(&[("a|文.tsv", pairs)], &args);
    let dump = objects(&fs::read_to_string(folder.path().join("dump.jsonl")).unwrap());
    let [missed, shorter] = &dump[..] else { panic!("{dump:?}") };
    assert_eq!((&missed["line"], &missed["outcome"]), (&1.into(), &"missed".into()));
    assert_eq!(
        (&missed["expected"], &missed["got"]),
        (&"今天心情很好。".into(), &missed["source"])
    );
    let places = &missed["missed"];
    assert_eq!((&places[0]["wrong"], &places[0]["right"]), (&"新".into(), &"心".into()));
    assert_eq!(places[0]["char"], serde_json::json!([2, 3]));
    assert!((0.05..0.99).contains(&places[0]["detection"].as_f64().unwrap()), "{places}");
    assert_eq!(places[0]["alternatives"].as_array().unwrap().len(), 5);
    assert!(places[1]["detection"].is_null(), "punctuation is never suspected: {places}");
    assert_eq!((&shorter["line"], &shorter["missed"][0]["right"]), (&3.into(), &"".into()));
}

#[test]
fn a_dump_has_false_alarms_with_what_was_considered() {
    let args = ["--dump", "-", "--format", "json", "pairs.tsv"];
    let (_, out) = evaluated(&[("pairs.tsv", "今天新情很好\t今天新情很好\n")], &args);
    let objects = objects(&out);
    assert_eq!(
        (&objects[0]["outcome"], &objects[0]["got"]),
        (&"false-alarm".into(), &"今天心情很好".into())
    );
    let correction = &objects[0]["corrections"][0];
    assert!(correction["confidence"].is_f64() && correction["alternatives"][0]["text"].is_string());
    assert_eq!(objects[1]["false_alarm_rate"], 1.0);
}

#[test]
fn tables_are_aligned_and_markdown() {
    let files = [("a|文.tsv", PAIRS), ("b.tsv", "今天天气很好\t今天天气很好\n")];
    let out = evaluated(&files, &["a|文.tsv", "b.tsv"]).1;
    let tables: Vec<Vec<&str>> = out
        .split("\n\n")
        .map(|part| part.lines().filter(|l| l.starts_with('|')).collect())
        .collect();
    let tables: Vec<_> = tables.into_iter().filter(|table| !table.is_empty()).collect();
    assert_eq!(tables.len(), 3, "{out}");
    for table in &tables {
        // A head, a rule, two files, their mean; 文 is two cells wide.
        assert_eq!(table.len(), 5, "{out}");
        let width = |row: &str| row.chars().count() + row.matches('文').count();
        assert!(table.iter().all(|row| width(row) == width(table[0])), "{out}");
        let cells = |row: &str| row.replace("\\|", "").matches('|').count();
        assert!(table.iter().all(|row| cells(row) == cells(table[0])), "{out}");
        assert!(table[2].starts_with("| a\\|文 ") && table[4].starts_with("| mean "), "{out}");
    }
    assert!(tables[0][2].contains("100.0 / 33.3 / 50.0"), "{out}");
    assert!(tables[1][3].contains(" – ") && tables[1][4].contains("100.0 / 33.3 / 50.0"), "{out}");
    assert!(out.ends_with("\na|文.tsv: sides of unequal length: 1\n"), "{out}");
}

#[test]
fn a_file_that_is_not_text_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("gbk.tsv"), b"a\tb\n\xd6\xd0\t\xb9\xfa\n").unwrap();
    for (name, said) in [
        ("gbk.tsv", "zhengzi: gbk.tsv: line 2: not UTF-8: save it as UTF-8\n"),
        (".", "zhengzi: .: Is a directory (os error 21): name a text file of sentences\n"),
    ] {
        let output = run(zhengzi().args(["evaluate", name]).current_dir(&folder), b"");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(2), &b""[..]));
        if cfg!(unix) || name != "." {
            assert_eq!(stderr, said);
        }
    }
}

#[test]
fn a_dump_that_cannot_be_written_is_told_before_anything_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pairs.tsv"), PAIRS).unwrap();
    let to = Path::new("no folder").join("dump.jsonl");
    let args = ["evaluate", "pairs.tsv", "--dump"];
    let output = run(zhengzi().args(args).arg(&to).current_dir(&folder), b"");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(2), &b""[..]), "{stderr}");
    assert!(stderr.starts_with(&format!("zhengzi: {}: ", to.display())), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}
