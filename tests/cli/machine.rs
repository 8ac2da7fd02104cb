//! The answer depends on the text alone: not on instruction set, threads or batching.

use std::fs;
use std::process::Command;

use zhengzi_kernels::Isa;

use super::{run, zhengzi};

/// With and without wrong characters, of several lengths. The last fills two windows, with
/// few places for the model to doubt.
fn sentences() -> Vec<String> {
    let mut sentences: Vec<String> = [
        "我们因该早点出发",
        "这件事跟你没有观系",
        "Hello",
        "我门明天去爬山，他门也去。",
        "",
        "我以经会了",
        "这个问提很难",
        "今天天气很好，我们一起去公园散步吧！",
    ]
    .map(str::to_owned)
    .into();
    sentences.push(format!("我门明天去爬山{}我以经会了", " a".repeat(560)));
    sentences
}

fn stdout(command: &mut Command) -> String {
    let output = run(command, b"");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*stderr), (Some(0), ""));
    String::from_utf8(output.stdout).unwrap()
}

/// As JSON, where no number hides behind two decimals; `path` and `line` are left out.
fn objects(stdout: &str) -> Vec<serde_json::Value> {
    let mut objects: Vec<serde_json::Value> =
        stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for object in &mut objects {
        let fields = object.as_object_mut().unwrap();
        assert!(fields.remove("path").is_some() && fields.remove("line").is_some());
    }
    objects
}

#[test]
fn every_instruction_set_corrects_alike() {
    // The scalar kernels explain themselves and take their time.
    let sentences = &sentences()[..5];
    let mut texts = Vec::new();
    for isa in Isa::available() {
        let mut command = zhengzi();
        command.args(["correct", "--isa", isa.level().name()]);
        for sentence in sentences {
            command.args(["-t", sentence]);
        }
        texts.push((isa.level(), stdout(&mut command)));
    }
    let (_, first) = &texts[0];
    assert!(first.contains("我们应该早点出发\n"), "{first}");
    for (level, text) in &texts {
        assert_eq!(text, first, "{level} and {}", texts[0].0);
    }
}

#[test]
fn the_number_of_threads_changes_no_digit() {
    let with = |threads| {
        let mut command = zhengzi();
        command.args(["correct", "--format", "json", "--threads", threads]);
        for sentence in sentences() {
            command.args(["-t", &sentence]);
        }
        objects(&stdout(&mut command))
    };
    let one = with("1");
    assert!(one.iter().any(|object| object["source"] != object["target"]));
    for threads in ["2", "3"] {
        assert_eq!(with(threads), one, "{threads} threads");
    }
}

#[test]
fn lines_correct_each_other_in_no_batch() {
    let sentences = sentences();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.txt");
    fs::write(&path, sentences.join("\n") + "\n").unwrap();
    let correct = || {
        let mut command = zhengzi();
        command.args(["correct", "--format", "json"]);
        command
    };
    let together = objects(&stdout(correct().arg(&path)));
    let apart: Vec<_> =
        sentences.iter().flat_map(|text| objects(&stdout(correct().args(["-t", text])))).collect();
    assert!(together.iter().any(|object| object["source"] != object["target"]));
    assert_eq!(together, apart);
}
