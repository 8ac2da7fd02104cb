//! `--policy compat` against an independent replay of pycorrector's algorithm, correction for
//! correction (`golden/compat/replay.py`, with the same embedded model and table). The replay
//! computes with many digits, so f32 is asked for here.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use zhengzi_kernels::{Isa, Precision};
use zhengzi_model::ModelPaths;
use zhengzi_model::corrector::{Correction, Corrector, Passage, Policy, Settings};
use zhengzi_runtime::Cpu;

use super::forged;

/// Code point, wrong, right.
type Change = (usize, String, String);

#[test]
fn our_own_sentences_are_corrected_as_the_replay_corrects_them() {
    let sentences = golden();
    let own = sentences.iter().filter_map(|s| Some((s["text"].as_str()?.to_owned(), changes(s))));
    assert_eq!(compare(own.collect()), 100);
}

#[test]
fn evaluation_sentences_are_corrected_as_the_replay_corrects_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/eval");
    if !folder.exists() {
        return eprintln!("skipped: no ../shared/eval beside this checkout");
    }
    let mut files: HashMap<String, Vec<String>> = HashMap::new();
    let mut drawn = Vec::new();
    for sentence in golden() {
        let Some(name) = sentence["file"].as_str() else { continue };
        let lines = files.entry(name.to_owned()).or_insert_with(|| {
            let text = fs::read_to_string(folder.join(name)).unwrap();
            text.lines().map(str::to_owned).collect()
        });
        let line = &lines[sentence["line"].as_u64().unwrap() as usize - 1];
        drawn.push((line.split('\t').next().unwrap().to_owned(), changes(&sentence)));
    }
    assert_eq!(compare(drawn), 400);
}

/// 堪 is the eleventh token and the seventeenth character: who takes one for the other errs.
/// No trained model is asked, only the places: this discriminator flags every token, and this
/// generator proposes 看 wherever it is asked.
#[test]
fn a_correction_behind_latin_letters_lands_on_its_character() {
    let words = "看 我 用 iphone ##12 拍 的 照 片 很 好 堪";
    let (_folder, paths) = forged::model(words, "看");
    let text = "我用iPhone12拍的照片很好堪";
    let found = corrector(&paths).correct(&[text.into()]).unwrap().remove(0);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(change(text, &found[0]), (16, "堪".to_owned(), "看".to_owned()));
    assert_eq!(found[0].span, 32..35);
}

fn golden() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/compat/corrections.json");
    let file: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    file["sentences"].as_array().unwrap().clone()
}

fn changes(sentence: &Value) -> Vec<Change> {
    let one = |c: &Value| {
        let text = |i: usize| c[i].as_str().unwrap().to_owned();
        (c[0].as_u64().unwrap() as usize, text(1), text(2))
    };
    sentence["corrections"].as_array().unwrap().iter().map(one).collect()
}

fn corrector(paths: &ModelPaths) -> Corrector {
    let settings = Settings { policy: Policy::Compat, ..Settings::default() };
    let cpu = Cpu::new(Isa::best(), 2).unwrap().with_precision(Some(Precision::F32));
    Corrector::open(paths, settings, &cpu).unwrap()
}

fn change(text: &str, found: &Correction) -> Change {
    assert_eq!(found.wrong, text[found.span.clone()], "in {text}");
    let at = text[..found.span.start].chars().count();
    (at, found.wrong.clone(), found.right.clone().expect("a correction has a right form"))
}

/// How many sentences were compared.
fn compare(sentences: Vec<(String, Vec<Change>)>) -> usize {
    let texts: Vec<Passage> = sentences.iter().map(|(text, _)| text.as_str().into()).collect();
    let found = corrector(&ModelPaths::default()).correct(&texts).unwrap();
    assert_eq!(found.len(), texts.len());
    for ((text, expected), found) in sentences.iter().zip(&found) {
        let found: Vec<Change> = found.iter().map(|c| change(text, c)).collect();
        assert_eq!(&found, expected, "in {text}");
    }
    sentences.len()
}
