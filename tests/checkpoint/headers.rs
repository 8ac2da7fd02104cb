//! Lies of JSON: the header of safetensors and the index of shards.

use std::fs;

use safetensors::SafeTensors;

use super::files::safetensors as file;
use super::{golden, read, read_bytes, refused};

const GOOD: &str = r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;

#[test]
fn a_true_header_is_read_with_any_padding() {
    assert!(read_bytes("ok", &file(GOOD, &[0; 8])).is_ok());
    assert!(read_bytes("ok", &file(&format!("{GOOD}   "), &[0; 8])).is_ok());
    // Lengths whose first bytes are those of a pickle, of protocols 0, 2 and 4.
    for length in [0x80, 0x280, 0x480] {
        assert!(read_bytes("ok", &file(&format!("{GOOD:length$}"), &[0; 8])).is_ok(), "{length}");
    }
    let empty = r#"{"w":{"dtype":"F32","shape":[0,9],"data_offsets":[0,0]}}"#;
    assert!(read_bytes("ok", &file(empty, b"")).is_ok());
}

#[test]
fn lengths_that_lie_are_refused() {
    let mut bytes = file(GOOD, &[0; 8]);
    for length in [0, 1, 53, 55, 1 << 20, 100_000_001, u64::MAX / 2, u64::MAX - 7, u64::MAX] {
        bytes[..8].copy_from_slice(&length.to_le_bytes());
        refused(&bytes, &["at byte"]);
    }
    let long = format!("{GOOD}{}", " ".repeat(5 << 20));
    refused(&file(&long, &[0; 8]), &["is longer than"]);
}

#[test]
fn headers_that_lie_are_refused() {
    let one = |dtype: &str, shape: &str, offsets: &str| {
        format!(r#"{{"w":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    for (header, what) in [
        (one("F32", "[2]", "[0,9]"), "past the 8 bytes"),
        (one("F32", "[2]", "[0,4]"), "invalid shape"),
        (one("F32", "[2]", "[4,12]"), "past the 8 bytes"),
        (one("F32", "[2]", "[8,0]"), "not valid"),
        (one("F32", "[3]", "[0,8]"), "invalid shape"),
        (one("F32", "[-2]", "[0,8]"), "not valid"),
        (one("F32", "[2.0]", "[0,8]"), "not valid"),
        (one("F32", "[4611686018427387904,4]", "[0,8]"), "overflow"),
        (one("F32", "[18446744073709551616]", "[0,8]"), "not valid"),
        (one("F99", "[2]", "[0,8]"), "not valid"),
        (one("U16", "[4]", "[0,8]"), "its type U16 is not read"),
        (one("F8_E4M3", "[8]", "[0,8]"), "its type F8_E4M3 is not read"),
        (one("F32", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2]", "[0,8]"), "17 dimensions"),
        ("{".into(), "not valid"),
        ("{}".into(), "not valid"),
        ("{\"w\":[]}".into(), "not valid"),
        (format!("{GOOD}x"), "not valid"),
        (format!("{GOOD}\0"), "not valid"),
        (GOOD.replace('w', "\u{fffd}").replace('\u{fffd}', r"\ud800"), "not valid"),
        (format!("{}{}", "{\"w\":", "[".repeat(100_0000)), "not valid"),
    ] {
        refused(&file(&header, &[0; 8]), &[what]);
    }
    let mut not_utf8 = file(GOOD, &[0; 8]);
    not_utf8[10] = 0xff;
    refused(&not_utf8, &["not valid"]);
}

#[test]
fn a_name_given_twice_is_refused_though_the_crate_takes_the_last() {
    let twice = GOOD.replace('}', "").replacen('{', "", 1);
    let header = format!("{{{twice}}},{twice}}}}}");
    let bytes = file(&header, &[0; 8]);
    assert!(SafeTensors::deserialize(&bytes).is_ok(), "the crate has learnt to refuse it");
    refused(&bytes, &["names a tensor twice", "(tensor w)"]);
    let header = GOOD.replacen('{', r#"{"__metadata__":{},"__metadata__":{},"#, 1);
    refused(&file(&header, &[0; 8]), &["__metadata__ is there twice"]);
}

#[test]
fn offsets_at_the_end_of_sixty_four_bits_are_refused() {
    // Eight tensors, each of a possible size, that together end at 2⁶⁴ - 1.
    let step = 1u64 << 61;
    let entry = |i: u64| {
        let (start, end) = (i * step, ((i + 1) as u128 * step as u128 - u128::from(i == 7)) as u64);
        let size = end - start;
        format!(r#""t{i}":{{"dtype":"U8","shape":[{size}],"data_offsets":[{start},{end}]}}"#)
    };
    let header = format!("{{{}}}", (0..8).map(entry).collect::<Vec<_>>().join(","));
    refused(&file(&header, &[0; 8]), &["past the 8 bytes", "(tensor t0)"]);
}

#[test]
fn overlaps_gaps_and_bytes_left_over_are_refused() {
    let two = |a: &str, b: &str| {
        format!(
            r#"{{"a":{{"dtype":"U8","shape":[4],"data_offsets":{a}}},"b":{{"dtype":"U8","shape":[4],"data_offsets":{b}}}}}"#
        )
    };
    assert!(read_bytes("ok", &file(&two("[0,4]", "[4,8]"), &[0; 8])).is_ok());
    refused(&file(&two("[0,4]", "[2,6]"), &[0; 6]), &["not valid"]);
    refused(&file(&two("[0,4]", "[0,4]"), &[0; 4]), &["not valid"]);
    refused(&file(&two("[0,4]", "[5,9]"), &[0; 9]), &["not valid"]);
    refused(&file(&two("[1,5]", "[5,9]"), &[0; 9]), &["not valid"]);
    refused(&file(GOOD, &[0; 9]), &["not fully covered"]);
}

/// A folder with the golden shards and an index in which `from` is replaced.
#[track_caller]
fn lying_index(from: &str, to: &str, parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(golden("shards-bin")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    fs::write(folder.path().join("other.bin"), "version https://git-lfs.github.com/spec/v1\n")
        .unwrap();
    fs::write(folder.path().join("an_index.json"), "{}").unwrap();
    let path = folder.path().join("pytorch_model.bin.index.json");
    let index = fs::read_to_string(&path).unwrap();
    assert!(index.contains(from));
    fs::write(&path, index.replacen(from, to, 1)).unwrap();
    let line = zhengzi_runtime::Checkpoint::open(&path).err().expect("accepted").to_string();
    for part in parts {
        assert!(line.contains(part), "{part:?} is not in: {line}");
    }
}

#[test]
fn an_index_whose_shards_lie_elsewhere_is_refused() {
    let shard = "\"pytorch_model-00001-of-00002.bin\"";
    for name in [
        "../pytorch_model-00001-of-00002.bin",
        "/etc/passwd",
        "sub/pytorch_model.bin",
        "./pytorch_model-00001-of-00002.bin",
        "pytorch_model-00001-of-00002.bin/",
        "..",
        ".",
        "",
        r"..\\model.bin",
        r"C:model.bin",
        r"a\u0000b",
    ] {
        lying_index(shard, &format!("\"{name}\""), &["not a file of the same folder"]);
    }
}

#[test]
fn an_index_that_disagrees_with_its_shards_is_refused() {
    let (one, two) = ("00001-of-00002.bin\"", "00002-of-00002.bin\"");
    lying_index(one, two, &["does not place here", "word_embeddings"]);
    lying_index("LayerNorm.weight", "LayerNorm.gone", &["does not place here"]);
    lying_index(
        "{\n    \"electra",
        "{\"x\": \"pytorch_model-00001-of-00002.bin\", \"electra",
        &["does not hold it", "(tensor x)"],
    );
    lying_index(one, "00003-of-00002.bin\"", &["does not exist", "did you mean"]);
    lying_index("pytorch_model-00001-of-00002.bin", "other.bin", &["Git LFS pointer"]);
    lying_index("pytorch_model-00001-of-00002.bin", "an_index.json", &["an index where a shard"]);
}

#[test]
fn json_that_is_no_index_is_refused() {
    refused(br#"{"hidden_size": 256}"#, &["not an index of shards", "weight_map"]);
    refused(br#"{"weight_map": {}}"#, &["an index of no shards"]);
    refused(br#"{"weight_map": []}"#, &["not an index of shards"]);
    refused("{\"a\":".repeat(100_000).as_bytes(), &["not an index of shards"]);
}

#[test]
fn safetensors_are_preferred_where_a_folder_holds_both() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(golden("zip.bin"), folder.path().join("pytorch_model.bin")).unwrap();
    let opened = |folder: &std::path::Path| {
        let path = zhengzi_runtime::Checkpoint::open(folder).unwrap().path().to_owned();
        path.file_name().unwrap().to_str().unwrap().to_owned()
    };
    assert_eq!(opened(folder.path()), "pytorch_model.bin");
    fs::copy(golden("plain.safetensors"), folder.path().join("model.safetensors")).unwrap();
    assert_eq!(opened(folder.path()), "model.safetensors");
    assert!(read(folder.path()).is_ok());
}
