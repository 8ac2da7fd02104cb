//! `verify` on the command line: lines, JSON, statuses; and `correct`, `detect` and `fill` with a weight
//! that is no number, of which nothing half done comes out.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::{run, zhengzi};

/// The model inside as folders of Hugging Face's, in f32.
fn model() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    let output = run(zhengzi().args(["convert", "--layout", "hf", "-o"]).arg(&model), b"");
    assert_eq!(output.status.code(), Some(0));
    (folder, model)
}

/// Status, standard output and standard error.
fn verify(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = run(zhengzi().arg("verify").args(arguments), b"");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Puts a number into a tensor.
fn put(path: &Path, tensor: &str, element: usize, value: f32) {
    let mut bytes = fs::read(path).unwrap();
    let (header, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let at = 8 + header + metadata.info(tensor).unwrap().data_offsets.0 + 4 * element;
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    fs::write(path, bytes).unwrap();
}

#[test]
fn the_model_inside_passes() {
    let (status, out, err) = verify(&[]);
    assert_eq!((status, &err[..]), (Some(0), ""));
    let starts =
        ["ok: embedded model: structure: panels in int8", "not checked: embedded model: SHA-256"];
    let starts = starts.iter().chain(&[
        "ok: embedded model: numbers: ",
        "ok: embedded model: panels: ",
        "ok: embedded model: names and shapes: ",
        "ok: embedded model: vocabulary: 9216 tokens",
    ]);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 6, "{out}");
    lines.iter().zip(starts).for_each(|(line, start)| assert!(line.starts_with(start), "{line}"));
}

#[test]
fn a_damaged_model_is_told_in_lines_and_in_json_with_status_2() {
    let (_folder, model) = model();
    let path = model.to_str().unwrap();
    assert_eq!(verify(&[path]).0, Some(0));
    let weights = model.join("generator/model.safetensors");
    put(&weights, "generator_predictions.dense.weight", 7, f32::NAN);
    fs::remove_file(model.join("discriminator/vocab.txt")).unwrap();

    let (status, out, err) = verify(&[path, "--detector", path]);
    assert_eq!(status, Some(2));
    let failed: Vec<&str> = out.lines().filter(|line| line.starts_with("failed: ")).collect();
    let [line] = failed[..] else { panic!("{out}") };
    let start = format!(
        "failed: numbers: {}: element 7 is not a finite f32 number at byte ",
        weights.display()
    );
    assert!(line.starts_with(&start), "{line}");
    assert!(
        line.contains("(tensor generator_predictions.dense.weight): the file is damaged"),
        "{line}"
    );
    assert!(out.contains("vocabulary: no vocab.txt is beside it: put it there\n"), "{out}");
    let mut lines = err.lines();
    assert_eq!(lines.next().unwrap(), format!("zhengzi: {path}: 1 of 10 checks failed"));
    // What was asked for besides is no model: the folder holds two.
    assert!(lines.next().unwrap().contains("name one of these"), "{err}");

    let (status, out, _) = verify(&["--format", "json", path]);
    assert_eq!((status, out.lines().count()), (Some(2), 1));
    let object: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&object["version"], &object["model"], &object["ok"]),
        (&1.into(), &path.into(), &false.into())
    );
    let checks = object["checks"].as_array().unwrap();
    let failed: Vec<&Value> = checks.iter().filter(|check| check["verdict"] == "failed").collect();
    let [check] = failed[..] else { panic!("{out}") };
    assert_eq!(
        (check["check"].as_str(), check["file"].as_str()),
        (Some("numbers"), weights.to_str())
    );
    let fault = &check["faults"][0];
    assert_eq!(fault["tensor"], "generator_predictions.dense.weight");
    assert!(fault["byte"].as_u64().unwrap() > 8 && fault["hint"].is_string(), "{fault}");
    assert!(checks.iter().all(|check| check["verdict"] == "failed" || check["note"].is_string()));
}

#[test]
fn chinese_is_spoken_where_the_locale_is() {
    let output = run(zhengzi().arg("verify").env("LC_ALL", "zh_CN.UTF-8"), b"");
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(
        out.lines().all(|line| line.starts_with("通过: ") || line.starts_with("未检查: ")),
        "{out}"
    );
    for line in out.lines() {
        let words = line.split(": ").last().unwrap();
        assert!(!words.contains(" tensors") && !words.contains(" tokens"), "{line}");
    }
}

/// A weight that only one character reads: what was answered before it is as it always is, the
/// line of that character and all that is with it does not come out.
#[test]
fn a_weight_that_is_no_number_stops_before_anything_half_done_is_written() {
    let (_folder, model) = model();
    let text: String =
        (0..400).map(|i| if i == 300 { "我们早点出发\n" } else { "我们因该出发\n" }).collect();
    let correct = |arguments: &[&str]| {
        let model = ["--precision", "f32", "--model", model.to_str().unwrap()];
        run(zhengzi().args(arguments).args(model), text.as_bytes())
    };
    let sound = correct(&["correct"]);
    assert_eq!(sound.status.code(), Some(0));
    let vocabulary = fs::read_to_string(model.join("discriminator/vocab.txt")).unwrap();
    let row = vocabulary.lines().position(|token| token == "早").unwrap();
    let tensor = "electra.embeddings.word_embeddings.weight";
    let weights = model.join("discriminator/model.safetensors");
    put(&weights, tensor, 128 * row + 3, f32::INFINITY);

    let output = correct(&["correct"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(2), 1), "{stderr}");
    let start =
        format!("zhengzi: {}: non-finite output at the embeddings: element ", weights.display());
    assert!(stderr.starts_with(&start) && stderr.contains(tensor), "{stderr}");
    assert!(sound.stdout.starts_with(&output.stdout), "{} bytes came out", output.stdout.len());
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(out.lines().count() <= 300 && (out.is_empty() || out.ends_with('\n')), "{out}");

    let output = correct(&["detect"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(!String::from_utf8(output.stdout).unwrap().contains(":301:"));
    // As JSON, whole objects only.
    let output = correct(&["correct", "--format", "json"]);
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(out.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{out}");

    put(
        &model.join("generator/model.safetensors"),
        "generator_predictions.dense.weight",
        0,
        f32::NAN,
    );
    let output = correct(&["fill", "今天[MASK]情很好"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(2), &b""[..]));
    assert!(stderr.contains("non-finite output at the head: element 0 "), "{stderr}");
}
