//! Lies of the zip container: whatever two readers could understand in two ways is refused.

use super::files::{
    Entry, Tensor, entries, entry, state_dict, two_floats, zip, zip_with, zip64_with,
};
use super::{read_bytes, refused};

fn good() -> Vec<Entry> {
    entries(&state_dict(&[Tensor::default()]))
}

/// A good archive whose storage entry is changed.
#[track_caller]
fn lie(change: impl Fn(&mut Entry), parts: &[&str]) {
    let mut archive = good();
    change(&mut archive[1]);
    refused(&zip(&archive), parts);
}

#[test]
fn what_torch_may_write_is_accepted() {
    assert!(read_bytes("ok", &zip(&good())).is_ok());
    let mut archive = good();
    for e in &mut archive {
        e.flags = 0x0808;
        let length = (e.data.len() as u32).to_le_bytes();
        e.descriptor = [&[0; 4][..], &length, &length].concat();
        e.padding = b"FB\x04\0ZZZZ".to_vec();
        let renamed = String::from_utf8_lossy(&e.name).replacen("a/", "模型 v1.0/", 1);
        e.name = renamed.into_bytes();
    }
    archive.push(entry("模型 v1.0/byteorder", b"little"));
    archive.push(entry("模型 v1.0/.data/serialization_id", b"0123"));
    assert!(read_bytes("ok", &zip(&archive)).is_ok());
}

#[test]
fn compressed_and_encrypted_entries_are_refused() {
    for method in [8, 9, 12, 14, 93, 99, 0xffff] {
        lie(|e| e.method = method, &["zip entry a/data/0: is compressed", "zip -0"]);
    }
    for flags in [0x0001, 0x0020, 0x0040, 0x2000] {
        lie(|e| e.flags = flags, &["encrypted"]);
    }
    lie(|e| e.local_method = Some(8), &["by its own header"]);
    lie(|e| e.local_flags = Some(1), &["by its own header"]);
}

#[test]
fn an_entry_that_its_own_header_tells_otherwise_is_refused() {
    lie(|e| e.local_name = Some(b"a/data/1".to_vec()), &["another name"]);
    lie(|e| e.local_name = Some(b"a/data/00".to_vec()), &["another name"]);
    lie(|e| e.local_size = Some(7), &["another size"]);
    lie(|e| e.sizes = Some((8, 9)), &["two different sizes"]);
}

#[test]
fn zip_entry_past_the_end_is_refused() {
    lie(|e| e.sizes = Some((0x7fff_fff0, 0x7fff_fff0)), &["past the end"]);
    lie(|e| e.header = Some(0xffff_fff0), &["outside the archive"]);
    lie(|e| e.header = Some(1), &["no header"]);
}

#[test]
fn zip_entries_that_overlap_are_refused() {
    let mut archive = good();
    archive.push(Entry { header: Some(0), ..archive[0].clone() });
    archive[3].name = b"a/data/9".to_vec();
    refused(&zip(&archive), &["another name"]);
    // The storage inside the data of another entry, with a header of its own there.
    let inner = zip(&[entry("a/data/0", &two_floats())]);
    let outer = [entry("a/outer", &inner), entry("a/data.pkl", &state_dict(&[Tensor::default()]))];
    let mut archive = outer.to_vec();
    archive.push(Entry { header: Some(37), ..entry("a/data/0", &two_floats()) });
    let file = zip(&archive);
    assert_eq!(&file[37..41], b"PK\x03\x04");
    refused(&file, &["share bytes"]);
}

#[test]
fn names_given_twice_are_refused() {
    for twin in 0..3 {
        let mut archive = good();
        archive.push(archive[twin].clone());
        refused(&zip(&archive), &["names an entry twice"]);
    }
}

#[test]
fn entries_outside_the_common_folder_are_refused() {
    for name in ["b/data/0", "data/0", "../a/data/0", "/a/data/0"] {
        lie(|e| e.name = name.into(), &["not in the folder of the others"]);
    }
    lie(|e| e.name = b"a/\xff".to_vec(), &["not UTF-8"]);
    // Inside the folder any other name is only a name: the storage is then missing.
    for name in ["a/../data/0", "a/data/0\0", "a/data/1", "a/DATA/0"] {
        lie(|e| e.name = name.into(), &["storage 0: has no entry"]);
    }
    let long = format!("a/{}", "x".repeat(65_000));
    lie(|e| e.name = long.clone().into(), &["storage 0: has no entry"]);
}

#[test]
fn an_end_record_that_lies_is_refused() {
    let changes: [(usize, &[u8], &str); 9] = [
        (4, &[1, 0], "several"),
        (6, &[1, 0], "several"),
        (8, &[2, 0], "several"),
        (8, &[2, 0, 2, 0], "directory"),
        (8, &[4, 0, 4, 0], "directory"),
        (8, &[0xff, 0xff, 0xff, 0xff], "cannot hold 65535"),
        (12, &[0xff; 4], "not where the end"),
        (16, &[0xff; 4], "not where the end"),
        (20, &[1, 0], "directory at its end is missing"),
    ];
    for (at, bytes, what) in changes {
        let file = zip_with(&good(), |end| end[at..at + bytes.len()].copy_from_slice(bytes));
        refused(&file, &[what]);
    }
}

#[test]
fn a_zip64_end_that_lies_is_refused() {
    let zip64 = |entries: u64, size: u64, start: u64, record_at: Option<u64>| {
        zip64_with(&good(), |told| *told = [entries, size, start, record_at.unwrap_or(told[3])])
    };
    let plain = zip(&good());
    let end = &plain[plain.len() - 22..];
    let field = |at: usize| u64::from(u32::from_le_bytes(*end[at..].first_chunk().unwrap()));
    let (size, start) = (field(12), field(16));
    assert!(read_bytes("ok", &zip64(3, size, start, None)).is_ok());
    refused(&zip64(2, size, start, None), &["zip directory"]);
    refused(&zip64(1 << 40, size, start, None), &["cannot hold"]);
    refused(&zip64(u64::MAX, size, start, None), &["cannot hold"]);
    refused(&zip64(3, u64::MAX, start, None), &["not where the end"]);
    refused(&zip64(3, 1 << 50, 1 << 45, None), &["not where the end"]);
    refused(&zip64(3, size, u64::MAX, None), &["not where the end"]);
    refused(&zip64(3, size, start, Some(0)), &["do not agree"]);
}

#[test]
fn bytes_before_the_archive_are_refused() {
    let file = [b"junk".as_slice(), &zip(&good())].concat();
    assert!(read_bytes("lie.bin", &file).is_err());
    let twice = [zip(&good()), zip(&good())].concat();
    refused(&twice, &["not where the end of the file says"]);
}

#[test]
fn other_zip_archives_are_told_apart() {
    let mut archive = good();
    archive.push(entry("a/constants.pkl", b"\x80\x02)."));
    refused(&zip(&archive), &["TorchScript", "state_dict()"]);
    refused(&zip(&[entry("a/photo.jpg", b"x")]), &["no data.pkl", "unpack it"]);
    refused(&zip(&[]), &["an empty zip archive"]);
    let mut archive = good();
    archive.push(entry("a/byteorder", b"big"));
    refused(&zip(&archive), &["big-endian"]);
}

/// Whatever their name is, and though they are compressed, unlike what torch writes.
#[test]
fn packed_model_folders_are_told_by_their_entries() {
    let packed = |names: &[&str], parts: &[&str]| {
        let entries = names.iter().map(|name| Entry { method: 8, ..entry(name, b"x") });
        refused(
            &zip(&entries.collect::<Vec<_>>()),
            &[&["is an archive of a model"], parts].concat(),
        );
    };
    packed(&["electra/config.json", "electra/pytorch_model.bin"], &["lie.bin`", "folder electra"]);
    packed(&["vocab.txt", "model.safetensors"], &["lie.bin -d ", "give the folder ", "lie"]);
    // Two halves: the folder with both.
    let both = ["a/discriminator/pytorch_model.bin", "a/generator/pytorch_model.bin"];
    packed(&both, &["give the folder a"]);
    packed(&["discriminator/model.safetensors", "generator/model.safetensors"], &["lie.bin -d "]);
    packed(&["vocab.txt", "electra_base.index"], &["not PyTorch", "electra_base.index", "convert"]);
    packed(&["m/tf_model.h5", "m/config.json"], &["m/tf_model.h5"]);
    // Both kinds of weights: ours are there.
    packed(&["m/tf_model.h5", "m/pytorch_model.bin"], &["give the folder m"]);
    // torch's own, where a folder is called like weights.
    let archive = good().into_iter().map(|e| {
        let name = String::from_utf8_lossy(&e.name).replacen("a/", "pytorch_model.bin/", 1);
        Entry { name: name.into_bytes(), ..e }
    });
    assert!(read_bytes("ok", &zip(&archive.collect::<Vec<_>>())).is_ok());
}

#[test]
fn seventy_thousand_entries_are_refused() {
    let many: Vec<Entry> = (0..70_000).map(|i| entry(&format!("a/{i}"), b"")).collect();
    assert!(read_bytes("lie.bin", &zip(&many)).is_err());
}
