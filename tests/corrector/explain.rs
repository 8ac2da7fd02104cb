//! An explanation is the account of a real run: what it says was decided is what `correct` does,
//! and the parts of a score add up to it.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use zhengzi_kernels::Isa;
use zhengzi_model::ModelPaths;
use zhengzi_model::corrector::{
    Corrector, Explanation, Filler, Passage, Policy, Settings, Standing, Verdict,
};
use zhengzi_runtime::Cpu;

#[test]
fn every_change_of_a_run_is_explained_and_nothing_else_is_called_one() {
    for policy in [Policy::Default, Policy::Compat] {
        let texts = texts();
        let passages: Vec<Passage> = texts.iter().map(|text| text.as_str().into()).collect();
        let corrections = corrector(policy).correct(&passages).unwrap();
        let explanations = corrector(policy).explain(&passages).unwrap();
        let mut changed = 0;
        for ((text, corrections), told) in texts.iter().zip(&corrections).zip(&explanations) {
            assert_eq!(&told.corrections, corrections, "{policy:?}: {text}");
            let mut verdicts: Vec<_> = told
                .suspects
                .iter()
                .filter(|suspect| suspect.verdict == Verdict::Changed)
                .map(|suspect| {
                    let chosen = suspect.options.iter().find(|option| option.is_eligible).unwrap();
                    (suspect.span.clone(), Some(chosen.text.clone()), suspect.probability)
                })
                .collect();
            verdicts.sort_by_key(|(span, ..)| span.start);
            let expected: Vec<_> = corrections
                .iter()
                .map(|c| (c.span.clone(), c.right.clone(), c.detection))
                .collect();
            assert_eq!(verdicts, expected, "{policy:?}: {text}");
            changed += verdicts.len();
        }
        assert!(changed > 5, "{policy:?} changed {changed}");
        // The corrector is asked again without a witness: nothing is left over.
        let mut corrector = corrector(policy);
        corrector.explain(&passages[..4]).unwrap();
        assert_eq!(corrector.correct(&passages[..9]).unwrap(), corrections[..9]);
    }
}

#[test]
fn the_parts_of_a_score_add_up_to_it() {
    let (mut scores, mut verified) = (0, 0);
    for told in explain(Policy::Default) {
        for suspect in &told.suspects {
            assert!(suspect.probability > told.threshold - 1e-6);
            for option in &suspect.options {
                let score = option.score.unwrap();
                let sum: f32 = option.parts.iter().map(|part| part.product()).sum();
                assert!((sum - score).abs() < 1e-4, "{sum} is not {score}: {option:?}");
                scores += 1;
            }
            assert!(suspect.options.windows(2).all(|pair| pair[0].score >= pair[1].score));
            if let Some(second) = &suspect.verification {
                let sum: f32 = second.parts.iter().map(|part| part.product()).sum();
                assert!((sum - second.score).abs() < 1e-4, "{second:?}");
                let wins = second.score >= told.margin.unwrap();
                assert_eq!(wins, suspect.verdict == Verdict::Changed, "{suspect:?}");
                verified += 1;
            } else {
                assert_ne!(suspect.verdict, Verdict::Changed);
                assert_ne!(suspect.verdict, Verdict::TakenBack);
            }
        }
    }
    assert!(scores > 100 && verified > 10, "{scores} scores, {verified} of them verified");
}

/// Nine masks and nothing else: what the generator expects in the middle are its odds of any two
/// characters.
#[test]
fn the_prior_is_what_the_generator_expects_where_it_is_told_nothing() {
    let cpu = Cpu::new(Isa::best(), 2).unwrap();
    let paths = ModelPaths::default();
    let mut filler = Filler::open(&paths, &cpu).unwrap();
    let blanks = filler.fill(&"[MASK]".repeat(9), usize::MAX).unwrap();
    let expected: HashMap<&str, f32> =
        blanks[4].alternatives.iter().map(|a| (a.text.as_str(), a.probability)).collect();
    let mut compared = 0;
    for told in explain(Policy::Default) {
        for suspect in &told.suspects {
            let original = &told.text[suspect.span.clone()];
            for option in &suspect.options {
                let odds = (expected[original] / expected[option.text.as_str()]).ln();
                let part = option.parts.iter().find(|part| part.name == "prior").unwrap();
                assert!((part.value - odds).abs() < 1e-3, "{original} {option:?}: {odds}");
                compared += 1;
            }
        }
    }
    assert!(compared > 100);
}

/// pycorrector's rule, read off the account alone.
#[test]
fn compat_says_which_of_the_five_may_take_the_place_and_whether_the_original_is_one() {
    let mut seen = Vec::new();
    for told in explain(Policy::Compat) {
        assert_eq!((told.threshold, told.margin), (0.5, None));
        for suspect in &told.suspects {
            let own = &told.text[suspect.span.clone()];
            assert_eq!(suspect.options.len(), 5);
            let expected = if suspect.options.iter().any(|option| option.text == own) {
                Verdict::Expected
            } else if suspect.options.iter().any(|option| option.is_eligible) {
                Verdict::Changed
            } else {
                Verdict::Unmatched
            };
            assert_eq!(suspect.verdict, expected, "{suspect:?}");
            seen.push(expected);
        }
    }
    for verdict in [Verdict::Expected, Verdict::Changed, Verdict::Unmatched] {
        assert!(seen.contains(&verdict), "no suspect was {verdict:?}");
    }
}

#[test]
fn a_frozen_character_that_looks_wrong_is_told_of_as_frozen() {
    let text = "公司的经理刚才知道公司的利闰增加了";
    let place = text.find('闰').unwrap();
    let frozen = place..place + 3;
    for policy in [Policy::Default, Policy::Compat] {
        let passage = Passage { text, frozen: std::slice::from_ref(&frozen) };
        let told = corrector(policy).explain(&[passage]).unwrap().remove(0);
        assert_eq!(told.corrections, []);
        let token = |c: char| {
            let at = text.find(c).unwrap();
            told.tokens.iter().find(|token| token.span.start == at).unwrap()
        };
        assert_eq!(token('闰').standing, Standing::Frozen);
        assert_eq!(token('公').standing, Standing::Open);
        let suspect = told.suspects.iter().find(|suspect| suspect.span.start == place);
        let suspect = suspect.expect("the discriminator takes 闰 for wrong");
        assert_eq!((suspect.verdict, &suspect.options[..]), (Verdict::Frozen, &[][..]));
    }
}

#[test]
fn a_text_without_han_characters_has_nothing_to_explain() {
    for policy in [Policy::Default, Policy::Compat] {
        let told = corrector(policy).explain(&["plain".into(), "".into()]).unwrap();
        assert!(told.iter().all(|told| told.tokens.is_empty() && told.suspects.is_empty()));
    }
}

fn explain(policy: Policy) -> Vec<Explanation> {
    let texts = texts();
    let passages: Vec<Passage> = texts.iter().map(|text| text.as_str().into()).collect();
    corrector(policy).explain(&passages).unwrap()
}

/// Our own sentences of the golden file of `compat`, and one with neighbours.
fn texts() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/compat/corrections.json");
    let file: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let sentences = file["sentences"].as_array().unwrap().iter();
    let mut texts: Vec<String> =
        sentences.filter_map(|sentence| Some(sentence["text"].as_str()?.to_owned())).collect();
    texts.push("少先队员因该为老人让坐，今天新情很好".to_owned());
    texts
}

fn corrector(policy: Policy) -> Corrector {
    let settings = Settings { policy, ..Settings::default() };
    let cpu = Cpu::new(Isa::best(), 2).unwrap();
    Corrector::open(&ModelPaths::default(), settings, &cpu).unwrap()
}
