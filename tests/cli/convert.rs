//! `convert`: a file of panels answers as the model that it was made from, bit for bit; a damaged
//! one is refused in one line; and what was there before is never lost.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{run, zhengzi};

const TEXT: &str = "我们因该早点出发";

/// The model inside as folders of Hugging Face's, in f32, at `model` below.
fn original() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    convert(&["--layout", "hf"], &model);
    (folder, model)
}

#[track_caller]
fn convert(arguments: &[&str], to: &Path) {
    let output = run(zhengzi().arg("convert").args(arguments).arg("-o").arg(to), b"");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*stderr, &output.stdout[..]), (Some(0), "", &b""[..]));
}

/// Corrections of [`TEXT`] with all their digits.
#[track_caller]
fn answer(options: &[&str]) -> String {
    let arguments = ["correct", "--format", "json", "-t", TEXT];
    let output = run(zhengzi().args(arguments).args(options), b"");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_panel_file_answers_as_the_original_in_its_precision() {
    let (folder, model) = original();
    for precision in ["f32", "bf16", "int8"] {
        let file = folder.path().join(precision);
        convert(&[text(&model), "--precision", precision], &file);
        let expected = answer(&["--model", text(&model), "--precision", precision]);
        assert_eq!(answer(&["--model", text(&file), "--precision", precision]), expected);
        assert!(expected.contains("应该"), "{expected}");
        let inspected = run(zhengzi().arg("inspect").arg(&file), b"");
        let inspected = String::from_utf8(inspected.stdout).unwrap();
        assert!(inspected.contains(&format!("panels in {precision}")), "{inspected}");
        assert!(inspected.contains("discriminator and generator"), "{inspected}");
        // 128 × 9216 words, 512 positions, two types and a norm count once.
        assert!(inspected.contains("parameters  5,322,881 in"), "{inspected}");
    }
    // What was made for one precision runs in another.
    let [f32, int8] = ["f32", "int8"].map(|name| folder.path().join(name));
    let asked = ["--precision", "int8"];
    assert_eq!(
        answer(&[&["--model", text(&f32)], &asked[..]].concat()),
        answer(&["--model", text(&int8)])
    );
}

#[test]
fn what_is_in_panels_comes_out_of_them_again() {
    let (folder, model) = original();
    let (file, back) = (folder.path().join("file"), folder.path().join("back"));
    convert(&[text(&model), "--precision", "f32"], &file);
    convert(&[text(&file), "--layout", "hf"], &back);
    for half in ["discriminator", "generator"] {
        for name in ["config.json", "vocab.txt", "tokenizer_config.json", "model.safetensors"] {
            let [before, after] =
                [&model, &back].map(|m| fs::read(m.join(half).join(name)).unwrap());
            assert!(before == after, "{half}/{name}");
        }
    }
}

#[test]
fn a_half_by_itself_is_converted_too() {
    let (folder, model) = original();
    let halves = ["discriminator", "generator"].map(|half| folder.path().join(half));
    convert(&[text(&model.join("discriminator")), "--precision", "f32"], &halves[0]);
    convert(&["--generator", text(&model.join("generator")), "--precision", "f32"], &halves[1]);
    let [detector, generator] = halves.each_ref().map(|half| text(half));
    let both = answer(&["--detector", detector, "--generator", generator]);
    assert_eq!(both, answer(&["--model", text(&model), "--precision", "f32"]));
    let output = run(zhengzi().args(["fill", "今天[MASK]情很好", "--model", detector]), b"");
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        format!("zhengzi: {detector}: has no generator: name one with --generator\n")
    );
    let output = run(zhengzi().args(["fill", "今天[MASK]情很好", "--generator", detector]), b"");
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        format!(
            "zhengzi: {detector}: its metadata have no generator.config: give a file that holds \
             a generator, or convert it again\n"
        )
    );
}

#[test]
fn nothing_is_written_over_what_is_converted_and_nothing_is_left_behind() {
    let (folder, model) = original();
    let weights = model.join("generator/model.safetensors");
    let before = fs::read(&weights).unwrap();
    let output = run(zhengzi().args(["convert", text(&model), "-o", text(&weights)]), b"");
    assert_eq!(
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()),
        (
            Some(2),
            format!("zhengzi: {}: is what is converted: name another file\n", weights.display())
        )
    );
    assert!(fs::read(&weights).unwrap() == before);
    let missing = folder.path().join("missing/file");
    let output = run(zhengzi().args(["convert", text(&model), "-o", text(&missing)]), b"");
    assert_eq!(output.status.code(), Some(2));
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["model"]);
}

#[test]
fn panels_begin_at_a_line_and_a_file_that_shifts_them_is_copied() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    convert(&[], &path);
    let bytes = fs::read(&path).unwrap();
    let header = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    assert_eq!((8 + header) % 64, 0);
    let expected = answer(&["--model", text(&path)]);
    assert_eq!(answer(&[]), expected);
    for shift in [1, 2, 4] {
        let mut shifted = (header as u64 + shift).to_le_bytes().to_vec();
        shifted.extend(&bytes[8..8 + header]);
        shifted.extend(std::iter::repeat_n(b' ', shift as usize));
        shifted.extend(&bytes[8 + header..]);
        fs::write(&path, shifted).unwrap();
        assert_eq!(answer(&["--model", text(&path)]), expected, "{shift}");
    }
}

/// A file whose header and data were changed so must be refused in one line with these words.
#[track_caller]
fn refused(change: impl FnOnce(&mut Value, &mut Vec<u8>), parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    convert(&[], &path);
    let bytes = fs::read(&path).unwrap();
    let length = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let mut data = bytes[8 + length..].to_vec();
    change(&mut header, &mut data);
    let header = header.to_string();
    let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat();
    fs::write(&path, bytes).unwrap();
    let output = run(zhengzi().args(["correct", "-t", TEXT, "--model"]).arg(&path), b"");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(2), &b""[..]), "{stderr}");
    assert!(stderr.starts_with(&format!("zhengzi: {}: ", path.display())), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    for part in parts {
        assert!(stderr.contains(part), "should say {part:?}: {stderr}");
    }
}

const WORDS: &str = "shared.electra.embeddings.word_embeddings";

/// Where a tensor begins in the data.
fn begin(header: &Value, tensor: &str) -> usize {
    header[tensor]["data_offsets"][0].as_u64().unwrap() as usize
}

#[test]
fn metadata_that_are_missing_or_wrong_are_refused() {
    fn set(key: &str, value: Option<&str>) -> impl FnOnce(&mut Value, &mut Vec<u8>) {
        move |header, _| {
            let metadata = header["__metadata__"].as_object_mut().unwrap();
            metadata.remove(key);
            metadata.extend(value.map(|value| (key.to_owned(), json!(value))));
        }
    }
    refused(set("zhengzi.format", Some("2")), &["format \"2\"", "convert the model again"]);
    refused(set("zhengzi.precision", Some("int4")), &["no precision is called \"int4\""]);
    refused(set("zhengzi.precision", None), &["zhengzi.precision", "convert the model again"]);
    refused(set("vocab", None), &["its metadata have no vocab"]);
    refused(set("vocab", Some("[PAD]\n[UNK]\n")), &["no line reads [CLS]"]);
    refused(set("tokenizer_config", None), &["its metadata have no tokenizer_config"]);
    refused(set("discriminator.config", None), &["its metadata have no discriminator.config"]);
    refused(set("generator.config", Some("{")), &["not a model config"]);
    refused(set("generator.config", Some("{}")), &["9216 tokens", "vocab_size 30522"]);
}

#[test]
fn panels_that_are_missing_or_of_another_shape_are_refused() {
    let shape = |header: &mut Value, _: &mut Vec<u8>| {
        header[format!("{WORDS}.weight")]["shape"] = json!([32, 576, 16, 4]);
    };
    refused(shape, &["word_embeddings.weight", "[32, 576, 16, 4]", "[576, 32, 16, 4]"]);
    let dtype = |header: &mut Value, _: &mut Vec<u8>| {
        header[format!("{WORDS}.weight")]["dtype"] = json!("U8");
    };
    refused(dtype, &["word_embeddings.weight", "panels of u8 are not read"]);
    let name = |header: &mut Value, _: &mut Vec<u8>| {
        let tensors = header.as_object_mut().unwrap();
        let tensor = tensors.remove(&format!("{WORDS}.sum")).unwrap();
        tensors.insert("shared.other".into(), tensor);
    };
    refused(name, &["word_embeddings.sum", "missing"]);
    refused(|_, data| _ = data.pop(), &["past the", "cut short"]);
}

#[test]
fn scales_and_sums_that_cannot_be_are_refused() {
    let put = |tensor: String, value: [u8; 4]| {
        move |header: &mut Value, data: &mut Vec<u8>| {
            let at = begin(header, &tensor);
            data[at..at + 4].copy_from_slice(&value);
        }
    };
    let scale = format!("{WORDS}.scale");
    refused(put(scale.clone(), f32::NAN.to_le_bytes()), &[&scale, "not a finite"]);
    let sum = format!("{WORDS}.sum");
    refused(put(sum.clone(), i32::MIN.to_le_bytes()), &[&sum, "no sum of 128 bytes"]);
}
