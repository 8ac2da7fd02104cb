//! Models in folders: a sound one works as the one inside does; each damage is told in one
//! line that names the file and the remedy, with status 2 and nothing on standard output.

use std::fs;
use std::path::PathBuf;

use half::bf16;
use tempfile::TempDir;

use super::{run, zhengzi};

const HALVES: [&str; 2] = ["discriminator", "generator"];

/// The model that is compiled in, laid out as Hugging Face does.
fn model(precision: &str) -> TempDir {
    let model = tempfile::tempdir().unwrap();
    let whole = model.path().join("whole");
    let arguments = ["convert", "--layout", "hf", "--precision", precision, "-o"];
    let output = run(zhengzi().args(arguments).arg(&whole), b"");
    assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b""[..]));
    for half in HALVES {
        fs::rename(whole.join(half), model.path().join(half)).unwrap();
    }
    fs::remove_dir(whole).unwrap();
    model
}

/// Runs `correct` with a model of which one file was damaged.
#[track_caller]
fn refused(file: &str, damage: impl FnOnce(PathBuf), parts: &[&str]) {
    let model = model("bf16");
    damage(model.path().join(file));
    let arguments = ["correct", "-t", "我们因该早点出发", "--model"];
    let output = run(zhengzi().args(arguments).arg(model.path()), b"");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(2), &b""[..]), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    let path = model.path().join(file).display().to_string();
    assert!(stderr.starts_with(&format!("zhengzi: {path}: ")), "should name {path}: {stderr}");
    for part in parts {
        assert!(stderr.contains(part), "should say {part:?}: {stderr}");
    }
}

/// Replaces the last number of a tensor.
fn overwrite_end_of(path: PathBuf, tensor: &str, with: bf16) {
    let mut bytes = fs::read(&path).unwrap();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let end = header + metadata.info(tensor).unwrap().data_offsets.1;
    bytes[end - 2..end].copy_from_slice(&with.to_le_bytes());
    fs::write(path, bytes).unwrap();
}

fn replace(path: PathBuf, from: &str, to: &str) {
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from));
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn a_folder_answers_as_the_model_inside() {
    let model = model("f32");
    let correct = |option: &[&str]| {
        let arguments =
            ["correct", "--precision", "f32", "--format", "json", "-t", "我们因该早点出发"];
        let output = run(zhengzi().args(arguments).args(option), b"");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let inside = correct(&[]);
    assert!(inside.contains("我们应该早点出发"), "{inside}");
    assert_eq!(correct(&["--model", model.path().to_str().unwrap()]), inside);
    let [detector, generator] =
        HALVES.map(|half| model.path().join(half).to_str().unwrap().to_owned());
    assert_eq!(correct(&["--detector", &detector, "--generator", &generator]), inside);
    // A half by its weights file, with the other half from within.
    let file = format!("{detector}/model.safetensors");
    assert_eq!(correct(&["--detector", &file]), inside);
}

#[test]
fn inspect_of_a_folder_with_two_models_names_both() {
    let model = model("f32");
    let output = run(zhengzi().arg("inspect").arg(model.path()), b"");
    let expected = format!(
        "zhengzi: {}: the folder holds no model: models lie below it, in discriminator/ and \
         generator/: name one of these\n",
        model.path().display()
    );
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
    assert!(output.stdout.is_empty());
}

#[test]
fn a_weight_that_is_no_number_is_refused_with_its_tensor() {
    // The last matrix of all, so that nothing was skipped.
    let last = "electra.encoder.layer.3.output.dense.weight";
    for not_finite in [bf16::NAN, bf16::INFINITY, bf16::NEG_INFINITY] {
        let damage = |path| overwrite_end_of(path, last, not_finite);
        let parts = [last, "not a finite", "get another copy"];
        refused("discriminator/model.safetensors", damage, &parts);
    }
    for tensor in ["generator_lm_head.bias", "electra.embeddings.word_embeddings.weight"] {
        let damage = |path| overwrite_end_of(path, tensor, bf16::NAN);
        refused("generator/model.safetensors", damage, &[tensor, "not a finite"]);
    }
}

#[test]
fn heads_that_do_not_divide_hidden_are_refused() {
    refused(
        "discriminator/config.json",
        |path| replace(path, "\"num_attention_heads\": 4", "\"num_attention_heads\": 3"),
        &["num_attention_heads 3 does not divide hidden_size 256", "came with the weights"],
    );
}

#[test]
fn a_shape_that_is_not_the_configs_is_refused() {
    refused(
        "generator/model.safetensors",
        |path| {
            let config = path.with_file_name("config.json");
            replace(config, "\"intermediate_size\": 512", "\"intermediate_size\": 640");
        },
        &["electra.encoder.layer.0.intermediate.dense.weight", "[512, 128]", "[640, 128]"],
    );
}

#[test]
fn a_vocabulary_that_is_one_line_short_is_refused() {
    refused(
        "discriminator/vocab.txt",
        |path| replace(path, "[unused9215]\n", ""),
        &["9215 tokens", "vocab_size 9216", "came with the weights"],
    );
}

#[test]
fn a_missing_vocabulary_is_named() {
    refused(
        "generator/vocab.txt",
        |path| fs::remove_file(path).unwrap(),
        &["belongs beside the model", "copy the vocab.txt"],
    );
}

#[test]
fn a_missing_config_is_named() {
    refused(
        "generator/config.json",
        |path| fs::remove_file(path).unwrap(),
        &["cannot read the config", "a model folder holds config.json"],
    );
}

#[test]
fn weights_that_were_cut_short_are_refused() {
    refused(
        "generator/model.safetensors",
        |path| {
            let file = fs::OpenOptions::new().write(true).open(path).unwrap();
            file.set_len(file.metadata().unwrap().len() - 1).unwrap();
        },
        &["cut short", "download it again"],
    );
}

#[test]
fn a_pointer_of_git_lfs_is_told_from_weights() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9016250\n";
    refused(
        "discriminator/model.safetensors",
        |path| fs::write(path, pointer).unwrap(),
        &["Git LFS pointer", "git lfs pull"],
    );
}

#[test]
fn a_web_page_is_told_from_weights() {
    refused(
        "generator/model.safetensors",
        |path| fs::write(path, "<!doctype html>\n<title>404</title>\n").unwrap(),
        &["is a web page", "download the file itself"],
    );
}
