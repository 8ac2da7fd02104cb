//! `calibrate`: what it writes is what the corrector then decides by.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use super::{run, zhengzi};
use crate::corrector::forged;
use crate::electra::weights::{Head, Tensor};

/// A hundred sentences with one error each, of a few patterns, and some without.
fn pairs() -> String {
    let wrong = ["今天新情很好", "少先队员因该为老人让坐", "他门都来了", "我们在也不去了"];
    let right = ["今天心情很好", "少先队员应该为老人让座", "他们都来了", "我们再也不去了"];
    let days = ["今天", "昨天", "明天", "去年", "后来", "那时"];
    let mut text = String::new();
    for (i, day) in days.iter().cycle().take(120).enumerate() {
        let k = i % wrong.len();
        text += &format!("{day}{}，第{i}次\t{day}{}，第{i}次\n", wrong[k], right[k]);
    }
    text
}

fn calibrated(args: &[&str], folder: &Path) -> Output {
    run(zhengzi().current_dir(folder).arg("calibrate").args(args), b"")
}

#[test]
fn a_calibration_is_written_and_decides() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pairs.tsv"), pairs()).unwrap();
    let args = ["-o", "c.json", "--plot", "curve.svg", "pairs.tsv"];
    let out = calibrated(&args, folder.path());
    let said = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    for column in ["margin", "precision", "false alarms", "balanced"] {
        assert!(said.contains(column), "{said}");
    }
    let curve = fs::read_to_string(folder.path().join("curve.svg")).unwrap();
    assert!(curve.starts_with("<svg ") && curve.contains("balanced"), "{curve}");

    let text = fs::read_to_string(folder.path().join("c.json")).unwrap();
    let written: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(written["zhengzi.calibration"], 1);
    assert!(written["fitted_on"].as_str().unwrap().contains("pairs.tsv"), "{text}");

    // What it says is obeyed: a margin that nothing reaches, and one that everything does.
    let corrected = |margin: f64| {
        let mut changed = written.clone();
        changed["margins"]["balanced"] = margin.into();
        fs::write(folder.path().join("m.json"), changed.to_string()).unwrap();
        let args = ["correct", "--calibration", "m.json", "-t", "他门都来了"];
        let out = run(zhengzi().current_dir(folder.path()).args(args), b"");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    };
    assert_eq!(corrected(99.0), "他门都来了\n");
    assert_ne!(corrected(-99.0), "他门都来了\n");
}

#[test]
fn a_model_carries_its_calibration_beside_it_and_in_a_file_of_convert() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let done = |args: &[&str]| {
        let out = run(zhengzi().args(args), b"");
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        out
    };
    done(&["convert", "-o", &at("pair"), "--layout", "hf"]);
    let file = at("pair/discriminator/zhengzi-calibration.json");
    let inside = fs::read_to_string(&file).unwrap();
    let mut timid: serde_json::Value = serde_json::from_str(&inside).unwrap();
    timid["margins"]["balanced"] = 99.into();
    fs::write(&file, timid.to_string()).unwrap();
    done(&["convert", &at("pair"), "-o", &at("pair.safetensors")]);
    for (model, whose) in
        [("pair", "zhengzi-calibration.json"), ("pair.safetensors", "that in the model file")]
    {
        let args = ["correct", "-v", "--model", &at(model), "-t", "少先队员因该为老人让坐"];
        let out = done(&args);
        assert_eq!(String::from_utf8(out.stdout).unwrap(), "少先队员因该为老人让坐\n", "{model}");
        let said = String::from_utf8(out.stderr).unwrap();
        assert!(said.contains("calibration: ") && said.contains(whose), "{said}");
    }
}

/// A token classifier of so many labels, in a folder below `folder`, with the vocabulary of the embedded
/// model. It gives the characters that are wrong in [`pairs`] the logit −3 and all others −9: it is never
/// sure, and yet always right.
fn classifier(folder: &Path, labels: usize) -> PathBuf {
    let pair = folder.join(format!("pair-{labels}"));
    let out = run(zhengzi().args(["convert", "--layout", "hf", "-o"]).arg(&pair), b"");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let vocabulary = fs::read_to_string(pair.join("generator/vocab.txt")).unwrap();
    let words: Vec<&str> = vocabulary.lines().collect();
    // Two kinds of tokens, two directions that LayerNorm leaves as they are.
    let wrong = |word: &str| ["新", "因", "坐", "门", "在"].contains(&word);
    let direction = |word: &&str| if wrong(word) { [1.0, -1.0] } else { [-1.0, 1.0] };
    let direction = |word: &&str| [direction(word), [0.0; 2], [0.0; 2], [0.0; 2]].concat();
    // LayerNorm makes ±1 of the first dimension ±2: 1.5 · ±2 − 6.
    let logit = [[0.0; 8], [1.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]];
    let values = |tensor: &Tensor| {
        Some(match &*tensor.name {
            name if name.ends_with("LayerNorm.weight") => vec![1.0; 8],
            name if name.ends_with("word_embeddings.weight") => {
                words.iter().flat_map(direction).collect()
            }
            "classifier.weight" => logit[2 - labels..].concat(),
            "classifier.bias" => [0.0, -6.0][2 - labels..].to_vec(),
            _ => vec![0.0; tensor.shape.iter().product()],
        })
    };
    let made = folder.join(format!("classifier-{labels}"));
    let config = forged::config(words.len(), 8, "").replace("24", "64");
    forged::write(&made, &config, &words, Head::Classifier(labels), values);
    made
}

#[test]
fn a_fine_tuned_detector_is_calibrated_and_then_corrects() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pairs.tsv"), pairs()).unwrap();
    for labels in [1, 2] {
        let detector = classifier(folder.path(), labels);
        let detector = ["--detector", detector.to_str().unwrap()];
        let corrected = |more: &[&str]| {
            let args = [&["correct", "-t", "那天他门都来了"], &detector[..], more].concat();
            let out = run(zhengzi().current_dir(folder.path()).args(args), b"");
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            String::from_utf8(out.stdout).unwrap()
        };
        // The numbers of another pair do not fit it: nothing that it says reaches their threshold.
        assert_eq!(corrected(&[]), "那天他门都来了\n", "{labels}");
        let out =
            calibrated(&[&detector[..], &["-o", "c.json", "pairs.tsv"]].concat(), folder.path());
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        assert_eq!(corrected(&["--calibration", "c.json"]), "那天他们都来了\n", "{labels}");
        let text = fs::read_to_string(folder.path().join("c.json")).unwrap();
        let written: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(written["threshold"].as_f64().unwrap() < 0.05, "{text}");
    }
}
