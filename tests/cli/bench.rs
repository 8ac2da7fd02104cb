//! `bench`: a row for each combination, of a model that has no vocabulary.

use std::fs;

use serde_json::Value;
use zhengzi_kernels::{Isa, Level};

use super::{run, zhengzi};

/// The network of the model inside, without what it needs for text.
fn network(half: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let pair = folder.path().join("pair");
    let output = run(zhengzi().args(["convert", "--layout", "hf", "-o"]).arg(&pair), b"");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    for name in ["config.json", "model.safetensors"] {
        fs::rename(pair.join(half).join(name), folder.path().join(name)).unwrap();
    }
    folder
}

fn rows(arguments: &[&str]) -> Vec<Value> {
    let output =
        run(zhengzi().args(["bench", "-o", "jsonl", "--seconds", "0"]).args(arguments), b"");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*stderr), (Some(0), ""));
    let stdout = String::from_utf8(output.stdout).unwrap();
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_combination_has_its_row_and_no_vocabulary_is_needed() {
    let folder = network("discriminator");
    let model = folder.path().to_str().unwrap();
    let lists =
        ["--threads", "1,2", "--batch", "1,3", "--length", "4,5", "--precision", "auto,f32"];
    let rows = rows(&[&["--detector", model][..], &lists].concat());
    let shape = |row: &Value| ["threads", "batch", "length"].map(|key| row[key].as_u64().unwrap());
    let shapes: Vec<_> = rows.iter().map(shape).collect();
    let half =
        [[1, 1, 4], [1, 1, 5], [1, 3, 4], [1, 3, 5], [2, 1, 4], [2, 1, 5], [2, 3, 4], [2, 3, 5]];
    assert_eq!(shapes, [half, half].concat());
    // Weights in f32 are multiplied as bf16 where the CPU has instructions for just that.
    let amx = Isa::new(Level::Amx).is_some();
    let (auto, f32) = rows.split_at(half.len());
    assert!(auto.iter().all(|row| row["precision"] == if amx { "bf16" } else { "f32" }));
    assert!(f32.iter().all(|row| row["precision"] == "f32"));
    for row in &rows {
        assert!(row["model"].as_str().unwrap().starts_with(model), "{row}");
        let number = |key: &str| row[key].as_f64().unwrap_or_else(|| panic!("{key} of {row}"));
        assert!(number("min_ms") > 0.0 && number("min_ms") <= number("median_ms"), "{row}");
        let tokens = number("batch") * number("length");
        let rate = number("tokens_per_s") * number("min_ms") / 1e3 / tokens;
        assert!((0.9..1.1).contains(&rate), "{row}");
        assert!(number("gflops") >= 0.0);
        assert_eq!(row["vmhwm_mb"].is_null(), !cfg!(target_os = "linux"));
    }
}

#[test]
fn what_is_named_is_measured_and_nothing_else() {
    let (discriminator, generator) = (network("discriminator"), network("generator"));
    let [discriminator, generator] =
        [&discriminator, &generator].map(|folder| folder.path().to_str().unwrap());
    let shape = ["--length", "3", "--threads", "1"];
    for (named, measured) in [
        (vec!["--detector", discriminator], vec![discriminator]),
        (vec!["--generator", generator], vec![generator]),
        (vec!["--model", discriminator], vec![discriminator]),
        (vec!["--model", generator], vec![generator]),
        (vec!["--model", discriminator, "--generator", generator], vec![discriminator, generator]),
    ] {
        let rows = rows(&[&named[..], &shape].concat());
        assert_eq!(rows.len(), measured.len(), "{named:?}");
        for (row, model) in rows.iter().zip(measured) {
            assert!(row["model"].as_str().unwrap().starts_with(model), "{named:?}: {row}");
        }
    }
}

#[test]
fn the_limits_of_the_machine_are_told_for_each_number_of_threads() {
    let rows = rows(&["--machine", "--threads", "1,2", "--isa", "scalar"]);
    for threads in [1, 2] {
        let of_them = rows.iter().filter(|row| row["threads"] == threads);
        let limits: Vec<_> = of_them.clone().map(|row| row["limit"].as_str().unwrap()).collect();
        let names = ["f32", "int8", "read L2", "read L3", "read DRAM", "fork and join"];
        assert_eq!(limits, names);
        let units: Vec<_> = of_them.clone().map(|row| row["unit"].as_str().unwrap()).collect();
        assert_eq!(units, ["Gop/s", "Gop/s", "GB/s", "GB/s", "GB/s", "µs"]);
        assert!(of_them.clone().all(|row| row["value"].as_f64().unwrap() >= 0.0));
    }
    assert_eq!(rows.len(), 12);
}

#[test]
fn a_profile_has_every_step_and_its_shares_are_a_whole() {
    for half in ["discriminator", "generator"] {
        let folder = network(half);
        let model = folder.path().to_str().unwrap();
        let rows = rows(&["--profile", "--model", model, "--length", "9", "--batch", "2"]);
        let steps: Vec<_> = rows.iter().map(|row| row["step"].as_str().unwrap()).collect();
        let layer = ["qkv", "attention", "attention output", "norm", "intermediate", "output"];
        assert_eq!(steps, [&["embedding"], &layer[..], &["head", "pass"]].concat());
        let (pass, steps) = rows.split_last().unwrap();
        assert!(pass["ms"].as_f64().unwrap() > 0.0 && pass["share"].is_null(), "{pass}");
        assert!(steps.iter().all(|row| row["ms"].as_f64().unwrap() > 0.0), "{steps:?}");
        let whole: f64 = steps.iter().map(|row| row["share"].as_f64().unwrap()).sum();
        assert!((whole - 1.0).abs() < 0.01, "{whole}");
    }
}
