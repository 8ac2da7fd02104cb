//! `finetune` of a tiny pair: each half learns its part, alone or with the other.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use super::pretrain::{folder, log, weights};
use super::{run, zhengzi};

/// A corpus with a pair that has seen it a little, and pairs of sentences.
fn pair() -> TempDir {
    let folder = folder();
    let args =
        ["pretrain", "config.json", "--corpus", "corpus.txt", "-o", "pair", "--threads", "1"];
    let more = ["--generator-size", "0.5", "--batch", "512", "--length", "32", "--rate", "0.003"];
    done(zhengzi().current_dir(&folder).args(args).args(more).args(["--steps", "100"]));
    let text = fs::read_to_string(folder.path().join("corpus.txt")).unwrap();
    let mut pairs = String::new();
    for (i, line) in text.lines().enumerate() {
        let wrong = match i % 4 {
            0 => line.replace('们', "心"),
            1 => line.replace('天', "山"),
            _ => line.to_owned(),
        };
        pairs += &format!("{wrong}\t{line}\n");
    }
    fs::write(folder.path().join("pairs.tsv"), pairs + "我们\t我们们\n").unwrap();
    folder
}

fn done(command: &mut Command) -> Output {
    let out = run(command, b"");
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
    out
}

fn finetune(folder: &Path, out: &str, more: &[&str]) -> Output {
    let args =
        ["finetune", "pair", "--batch", "512", "--length", "32", "--threads", "1", "-o", out];
    done(
        zhengzi()
            .current_dir(folder)
            .args(args)
            .args(["--rate", "0.003", "--validate", "0.1"])
            .args(more),
    )
}

fn last(log: &[Value], key: &str) -> f64 {
    let line = log.iter().rev().find(|line| line["validated"].is_u64());
    line.and_then(|line| line[key].as_f64()).unwrap_or(f64::NAN)
}

#[test]
fn errors_are_found_and_corrected_better_and_a_run_is_taken_up() {
    let folder = pair();
    let more = ["--pairs", "pairs.tsv", "--corpus", "corpus.txt", "--drawn", "0.02"];
    let first = finetune(folder.path(), "short", &[&more[..], &["--steps", "1"]].concat());
    let said = String::from_utf8(first.stderr).unwrap();
    assert!(said.contains("1 pairs of unequal length were left out"), "{said}");
    finetune(folder.path(), "tuned", &[&more[..], &["--steps", "150", "--every", "60"]].concat());
    let [before, after] = ["short", "tuned"].map(|name| log(&folder.path().join(name)));
    for key in ["generator_loss", "discriminator_loss"] {
        let [before, after] = [&before, &after].map(|log| last(log, key));
        assert!(after < 0.7 * before, "{key}: {before}, then {after}");
    }
    assert!(last(&after, "auc") > 0.9, "{}", last(&after, "auc"));
    // Another run of the same, which is said to go on and has nothing left to do.
    let resumed = [&more[..], &["--steps", "150", "--every", "60", "--resume"]].concat();
    let before = weights(&folder.path().join("tuned"));
    finetune(folder.path(), "tuned", &resumed);
    assert!(
        weights(&folder.path().join("tuned")) == before
            && log(&folder.path().join("tuned")) == after
    );
    done(zhengzi().current_dir(&folder).args([
        "correct",
        "--model",
        "tuned",
        "-t",
        "今天我心去爬山",
    ]));
}

#[test]
fn one_half_learns_alone_and_the_other_stays_bit_for_bit() {
    let folder = pair();
    let file = |run: &str, half: &str| {
        fs::read(folder.path().join(run).join(half).join("model.safetensors")).unwrap()
    };
    let fill = |run: &str| {
        let config =
            fs::read_to_string(folder.path().join(run).join("generator/config.json")).unwrap();
        serde_json::from_str::<Value>(&config).unwrap()["zhengzi_fill"].clone()
    };
    for (only, other, missing) in
        [("discriminator", "generator", "accuracy"), ("generator", "discriminator", "auc")]
    {
        let more = ["--pairs", "pairs.tsv", "--steps", "3", "--only", only, "--fill", "seen"];
        finetune(folder.path(), only, &more);
        assert!(file(only, other) == file("pair", other), "{other} changed");
        assert!(file(only, only) != file("pair", only), "{only} did not learn");
        let log = log(&folder.path().join(only));
        assert!(log[1].get(missing).is_none() && log[1]["step"] == 1, "{}", log[1]);
        let seen = if only == "generator" { "seen".into() } else { Value::Null };
        assert_eq!(fill(only), seen);
    }
}

#[test]
fn what_cannot_be_fine_tuned_is_refused() {
    let folder = folder();
    let shapes = ["generator", "discriminator"];
    for half in shapes {
        fs::create_dir_all(folder.path().join("shapes").join(half)).unwrap();
        let to = folder.path().join("shapes").join(half).join("config.json");
        fs::copy(folder.path().join("config.json"), to).unwrap();
    }
    fs::copy(folder.path().join("vocab.txt"), folder.path().join("shapes/vocab.txt")).unwrap();
    fs::write(folder.path().join("bad.tsv"), "没有制表符\n").unwrap();
    let args =
        ["finetune", "shapes", "--pairs", "bad.tsv", "--steps", "1", "--length", "32", "-o", "out"];
    let out = run(zhengzi().current_dir(&folder).args(args), b"");
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(2));
    assert_eq!(said, "zhengzi: shapes: has no weights: zhengzi pretrain makes some\n");
}
