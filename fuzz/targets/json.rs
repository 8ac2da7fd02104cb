//! The other JSON that is read: the first byte tells whether the rest is an index of shards, a
//! `tokenizer_config.json` or a request of `--input jsonl`.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use zhengzi_fuzz::properties::assert_one_line;
use zhengzi_model::tokenizer::Source;
use zhengzi_runtime::checkpoint::fuzzing;

#[path = "../../cli/src/service/request.rs"]
mod request;

/// Beside it lie the shards that a good index names.
static INDEX: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/checkpoint");
    folder.join("shards-safetensors/input.index.json")
});

fuzz_target!(|bytes: &[u8]| {
    let Some((which, json)) = bytes.split_first() else { return };
    match which % 3 {
        0 => index(json),
        1 => rules(json),
        _ => request(json),
    }
});

/// What opens holds what the index places, where it places it, and nothing else.
fn index(json: &[u8]) {
    let checkpoint = match fuzzing::open(&INDEX, json.to_vec()) {
        Ok(checkpoint) => checkpoint,
        Err(error) => return assert_one_line(&error),
    };
    // Twice the same name: the last is right, as for the reader. Values that nobody asks for may be no
    // UTF-8.
    let json = String::from_utf8_lossy(json);
    let index: serde_json::Value = serde_json::from_str(&json).expect("it opened");
    let map = index["weight_map"].as_object().expect("it opened");
    assert_eq!(map.len(), checkpoint.tensors().count());
    for tensor in checkpoint.tensors() {
        let file = tensor.path().file_name().and_then(|name| name.to_str());
        assert_eq!(map[tensor.stored_name()].as_str(), file);
        assert_eq!(tensor.path().parent(), INDEX.parent(), "a shard from elsewhere");
    }
}

/// What the rules say is what they say when they are written again.
fn rules(json: &[u8]) {
    let Ok(json) = str::from_utf8(json) else { return };
    match Source::new("", json, "tokenizer_config.json") {
        Ok(source) => {
            let again = Source::new("", &source.rules(), "again").expect("our own words");
            assert!(source == again);
        }
        Err(error) => assert_one_line(&error),
    }
}

/// An id comes back as it was spelt; a text is what any reader of JSON makes of it.
fn request(json: &[u8]) {
    let Ok(line) = str::from_utf8(json) else { return };
    let request = request::Request::parse(line);
    match request.text {
        Ok(text) => {
            assert!(!text.contains('\0'));
            let line = line.trim_start_matches('\u{feff}');
            if let Ok(asked) = serde_json::from_str::<serde_json::Value>(line) {
                assert_eq!(asked["text"].as_str(), Some(&*text));
            }
        }
        Err(error) => assert_one_line(&error),
    }
    if let Some(id) = request.id {
        assert!(line.contains(id.get()));
    }
}
