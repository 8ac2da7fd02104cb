//! T3: what lies beside the weights: `config.json`, `vocab.txt`, `tokenizer_config.json`.

use std::fs::{self, File};
use std::path::Path;

use zhengzi_model::ModelPaths;
use zhengzi_model::corrector::{Detector, Settings};

use super::Row;
use crate::allocations;
use crate::checkpoint::golden;
use crate::electra::best;

const CONFIG: &str = r#"{"model_type":"electra","vocab_size":48,"embedding_size":12,"hidden_size":8,
"num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":20,"hidden_act":"gelu",
"max_position_embeddings":24,"type_vocab_size":2,"layer_norm_eps":1e-12}"#;

/// Forty-eight tokens.
fn vocabulary() -> String {
    let specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    let others = (0..43).map(|i| char::from_u32(0x4e00 + i).unwrap().to_string());
    specials.map(str::to_owned).into_iter().chain(others).map(|token| token + "\n").collect()
}

/// A folder with a discriminator of one layer, in which one file is another.
fn open(row: &mut Row, file: &str, write: &dyn Fn(&Path)) -> Result<(), String> {
    let folder = row.path().with_file_name("model");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).unwrap();
    let weights = golden("").join("../electra/containers/discriminator.safetensors");
    fs::copy(weights, folder.join("model.safetensors")).unwrap();
    fs::write(folder.join("config.json"), CONFIG).unwrap();
    fs::write(folder.join("vocab.txt"), vocabulary()).unwrap();
    write(&folder.join(file));
    let paths = ModelPaths { detector: Some(folder.clone()), ..ModelPaths::default() };
    let (opened, memory) =
        allocations::peak(|| Detector::open(&paths, Settings::default(), &best()).map(drop));
    let opened = opened.map_err(|error| error.to_string());
    row.count(&opened);
    if let Err(line) = &opened {
        let named = folder.to_string_lossy();
        assert!(line.contains(&*named), "does not name a file in the folder: {line}");
        assert!(line.chars().count() < 1_200, "a line of a thousand letters: {line}");
    }
    assert!(memory < 160 << 20, "{memory} bytes to read {file}");
    opened
}

#[test]
fn t3_a_config_that_cannot_be_is_refused() {
    let mut row = Row::new("T3, config");
    let plain = open(&mut row, "config.json", &|_| {});
    assert_eq!(plain, Ok(()));
    let with = |key: &str, value: &str| -> String {
        let mut config: serde_json::Value = serde_json::from_str(CONFIG).unwrap();
        config[key] = serde_json::Value::Null;
        config.to_string().replacen(&format!("\"{key}\":null"), &format!("\"{key}\":{value}"), 1)
    };
    let sizes = [
        "vocab_size",
        "embedding_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "max_position_embeddings",
        "type_vocab_size",
    ];
    let mut cases: Vec<(String, &str)> = Vec::new();
    for key in sizes {
        cases.push((with(key, "0"), "must be between 1 and"));
        cases.push((with(key, "1000000000"), "must be between 1 and"));
        cases.push((with(key, "18446744073709551616"), "not a model config"));
        cases.push((with(key, "-1"), "not a model config"));
        cases.push((with(key, "1.5"), "not a model config"));
        cases.push((with(key, "\"12\""), "not a model config"));
        // Possible, but not the size of these weights (or of this vocabulary).
        let other = if key == "num_attention_heads" { "3" } else { "40" };
        let told = match key {
            "vocab_size" => "48 tokens, where config.json says vocab_size 40",
            "num_attention_heads" => "3 does not divide hidden_size 8",
            "num_hidden_layers" => "a tensor is missing",
            _ => "the shape is",
        };
        cases.push((with(key, other), told));
    }
    let deep = 1_000_000;
    cases.extend([
        (with("num_attention_heads", "16"), "16 does not divide hidden_size 8"),
        (with("max_position_embeddings", "2"), "leaves no room"),
        (with("layer_norm_eps", "-1"), "layer_norm_eps"),
        (with("layer_norm_eps", "1"), "layer_norm_eps"),
        (with("layer_norm_eps", "1e400"), "not a model config"),
        (with("hidden_act", "\"mish\""), "is not supported"),
        (with("hidden_act", &format!("\"{}\"", "x".repeat(100_000))), "hidden_act \"xxx"),
        (with("hidden_act", r#""a\nb\u001b[31m""#), "is not supported"),
        (with("position_embedding_type", "\"relative_key\""), "is not supported"),
        (with("model_type", "\"bert\""), "model_type is \"bert\""),
        (with("model_type", "7"), "not a model config"),
        (CONFIG.replacen('{', "{\"hidden_size\":8,", 1), "duplicate field"),
        (CONFIG.replacen('{', "{\"model_type\":\"electra\",", 1), "duplicate field"),
        (CONFIG[..CONFIG.len() - 1].to_owned(), "not a model config"),
        (format!("{CONFIG}{CONFIG}"), "not a model config"),
        (format!("{CONFIG}\0"), "not a model config"),
        (CONFIG.replace('{', "["), "not a model config"),
        (String::new(), "not a model config"),
        ("null".into(), "not a model config"),
        ("[]".into(), ""),
        ("[".repeat(deep), "not a model config"),
        ("{\"a\":".repeat(700_000), "not a model config"),
        (with("architectures", &"[".repeat(deep)), "not a model config"),
        ("version https://git-lfs.github.com/spec/v1".into(), "not a model config"),
        ("\u{feff}".into(), "not a model config"),
        ("\u{feff}\u{feff}{}".into(), "not a model config"),
    ]);
    let refused = cases.len();
    for (json, reason) in cases {
        let opened = open(&mut row, "config.json", &|path| fs::write(path, &json).unwrap());
        row.expect(&json[..json.len().min(60)], opened, &[reason]);
    }
    // Dress that does no harm.
    let deep = format!("[{}]", "[]".repeat(3).replace("][", "],["));
    let accepted = [
        format!("\u{feff}{CONFIG}"),
        CONFIG.replace('\n', "\r\n"),
        format!("\n\t {CONFIG} \n\n"),
        with("directionality", "\"bidi\""),
        with("architectures", &deep),
        CONFIG.replacen('{', "{\"a\":1,\"a\":2,", 1),
    ];
    for json in &accepted {
        assert_eq!(open(&mut row, "config.json", &|path| fs::write(path, json).unwrap()), Ok(()));
    }
    row.end(1 + refused + accepted.len());
}

#[test]
fn t3_a_vocabulary_that_is_not_the_models_is_refused() {
    let mut row = Row::new("T3, vocabulary");
    let whole = vocabulary();
    let cases: [(&str, Vec<u8>, &str); 21] = [
        ("nothing", Vec::new(), "the file is empty"),
        ("a line less", whole.replacen("一\n", "", 1).into(), "47 tokens, where config.json says"),
        ("a line more", format!("{whole}龟\n").into(), "49 tokens, where config.json says"),
        ("an empty line more", format!("{whole}\n").into(), "49 tokens, where config.json says"),
        ("an empty line twice", format!("{whole}\n\n").into(), "both read \"\""),
        ("a token twice", format!("{whole}一\n").into(), "lines 6 and 49 both read"),
        ("[MASK] twice", format!("{whole}[MASK]\n").into(), "both read \"[MASK]\""),
        ("no [MASK]", whole.replacen("[MASK]", "[MASKS]", 1).into(), "no line reads [MASK]"),
        ("[mask]", whole.replacen("[MASK]", "[mask]", 1).into(), "no line reads [MASK]"),
        (
            "[MASK] and a space",
            whole.replacen("[MASK]", "[MASK] ", 1).into(),
            "no line reads [MASK]",
        ),
        ("no [CLS]", whole.replacen("[CLS]", "[X]", 1).into(), "no line reads [CLS]"),
        ("no [SEP]", whole.replacen("[SEP]", "[X]", 1).into(), "no line reads [SEP]"),
        ("no [UNK]", whole.replacen("[UNK]", "[X]", 1).into(), "no line reads [UNK]"),
        ("no [PAD]", whole.replacen("[PAD]", "[X]", 1).into(), "no line reads [PAD]"),
        ("not UTF-8", [whole.as_bytes(), b"\xff\n"].concat(), "not UTF-8 at byte"),
        (
            "UTF-16",
            format!("\u{feff}{whole}").encode_utf16().flat_map(u16::to_le_bytes).collect(),
            "not UTF-8",
        ),
        ("JSON", b"{\"[PAD]\":0}".to_vec(), "no line reads [PAD]"),
        ("a page", b"<!DOCTYPE html><html>".to_vec(), "a web page"),
        ("a pointer", b"version https://git-lfs.github.com/spec/v1\n".to_vec(), "git lfs pull"),
        ("a long line twice", format!("{0}\n{0}\n", "字".repeat(100_000)).into(), "both read"),
        ("five megabytes", "字\n".repeat(1_300_000).into(), "longer than 4194304 bytes"),
    ];
    let inputs = cases.len();
    for (what, bytes, reason) in cases {
        let opened = open(&mut row, "vocab.txt", &|path| fs::write(path, &bytes).unwrap());
        row.expect(what, opened, &[reason]);
    }
    for bytes in [whole.replace('\n', "\r\n"), format!("\u{feff}{whole}"), whole.trim_end().into()]
    {
        assert_eq!(open(&mut row, "vocab.txt", &|path| fs::write(path, &bytes).unwrap()), Ok(()));
    }
    row.end(inputs + 3);
}

#[test]
fn t3_rules_of_the_tokenizer_that_are_none_are_refused() {
    let mut row = Row::new("T3, rules");
    for (json, reason) in [
        ("{\"tokenize_chinese_chars\":false}", "tokenize_chinese_chars is false"),
        ("{\"do_lower_case\":\"yes\"}", "expected"),
        ("{\"do_lower_case\":1}", "expected"),
        ("{\"do_lower_case\":true,\"do_lower_case\":true}", "duplicate field"),
        ("{", "EOF"),
        ("", "EOF"),
        ("no", "expected"),
    ] {
        let write = |path: &Path| fs::write(path, json).unwrap();
        let opened = open(&mut row, "tokenizer_config.json", &write);
        row.expect(json, opened, &[reason]);
    }
    for json in ["{}", "\u{feff}{}", "{\"do_lower_case\":false}", "{\"strip_accents\":null}"] {
        let write = |path: &Path| fs::write(path, json).unwrap();
        assert_eq!(open(&mut row, "tokenizer_config.json", &write), Ok(()), "{json}");
    }
    row.end(11);
}

/// Files of a gigabyte (which take no room: they are holes) and such as never end.
#[test]
fn t3_files_beside_the_weights_are_not_read_past_what_any_model_needs() {
    let mut row = Row::new("T3, long files");
    let mut inputs = 0;
    for file in ["config.json", "vocab.txt", "tokenizer_config.json"] {
        let hole = |path: &Path| File::create(path).unwrap().set_len(1 << 30).unwrap();
        let opened = open(&mut row, file, &hole);
        row.expect(file, opened, &["longer than "]);
        let folder = |path: &Path| {
            let _ = fs::remove_file(path);
            fs::create_dir(path).unwrap();
        };
        let opened = open(&mut row, file, &folder);
        row.expect(file, opened, &["is not a regular file"]);
        inputs += 2;
        #[cfg(unix)]
        {
            let device = |path: &Path| {
                let _ = fs::remove_file(path);
                std::os::unix::fs::symlink("/dev/zero", path).unwrap();
            };
            let opened = open(&mut row, file, &device);
            row.expect(file, opened, &["is not a regular file"]);
            inputs += 1;
        }
    }
    for file in ["config.json", "vocab.txt"] {
        let opened = open(&mut row, file, &|path| fs::remove_file(path).unwrap());
        row.expect(file, opened, &["No such file", "cannot find"]);
        inputs += 1;
    }
    row.end(inputs);
}
