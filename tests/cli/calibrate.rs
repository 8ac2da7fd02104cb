//! `calibrate`: what it writes is what the corrector then decides by.

use std::fs;
use std::process::Output;

use super::{run, zhengzi};

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

fn calibrated(args: &[&str], folder: &std::path::Path) -> Output {
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
        let args = ["correct", "--calibration", "m.json", "-t", "少先队员因该为老人让坐"];
        let out = run(zhengzi().current_dir(folder.path()).args(args), b"");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    };
    assert_eq!(corrected(99.0), "少先队员因该为老人让坐\n");
    assert!(corrected(-99.0).starts_with("少先队员应该"), "{}", corrected(-99.0));
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
