//! C3 and C4: zip archives. Whatever two readers could understand in two ways is refused; whatever
//! torch and those who imitate it write is read, and holds the same numbers.

use super::Row;
use super::row::Everything;
use crate::checkpoint::files::{
    Entry, Tensor, entries, entry, state_dict, two_floats, zip, zip_with, zip64_with,
};
use crate::checkpoint::golden;

fn good() -> Vec<Entry> {
    entries(&state_dict(&[Tensor::default()]))
}

/// A change of the archive's storage, and what is to be said of it.
type Lie = (&'static str, fn(&mut Entry), &'static str);

const OF_ONE_ENTRY: [Lie; 37] = [
    ("deflated", |e| e.method = 8, "is compressed"),
    ("deflated further", |e| e.method = 9, "is compressed"),
    ("compressed by bzip2", |e| e.method = 12, "is compressed"),
    ("compressed by LZMA", |e| e.method = 14, "is compressed"),
    ("compressed by zstd", |e| e.method = 93, "is compressed"),
    ("compressed by xz", |e| e.method = 95, "is compressed"),
    ("encrypted by AES", |e| e.method = 99, "is compressed"),
    ("by no known method", |e| e.method = 0xffff, "is compressed"),
    ("4 GB in a kilobyte", |e| (e.method, e.sizes) = (8, Some((8, 0xffff_fff0))), "is compressed"),
    ("encrypted", |e| e.flags = 0x0001, "encrypted"),
    ("patched", |e| e.flags = 0x0020, "encrypted"),
    ("strongly encrypted", |e| e.flags = 0x0040, "encrypted"),
    ("with a masked header", |e| e.flags = 0x2000, "encrypted"),
    ("deflated by its own header", |e| e.local_method = Some(8), "by its own header"),
    ("encrypted by its own header", |e| e.local_flags = Some(1), "by its own header"),
    ("patched by its own header", |e| e.local_flags = Some(0x20), "by its own header"),
    ("another name inside", |e| e.local_name = Some(b"a/data/1".into()), "another name"),
    ("a longer name inside", |e| e.local_name = Some(b"a/data/00".into()), "another name"),
    ("no name inside", |e| e.local_name = Some(Vec::new()), "another name"),
    ("a byte less inside", |e| e.local_size = Some(7), "another size"),
    ("a byte more inside", |e| e.local_size = Some(9), "another size"),
    ("larger unpacked", |e| e.sizes = Some((8, 9)), "two different sizes"),
    ("smaller unpacked", |e| e.sizes = Some((9, 8)), "two different sizes"),
    ("one float", |e| e.sizes = Some((4, 4)), "belong to no entry"),
    ("no bytes", |e| e.sizes = Some((0, 0)), "belong to no entry"),
    ("up to the next header", |e| e.sizes = Some((9, 9)), "share bytes"),
    ("2 GiB", |e| e.sizes = Some((0x7fff_fff0, 0x7fff_fff0)), "past the end"),
    ("4 GiB, as if in zip64", |e| e.sizes = Some((u32::MAX, u32::MAX)), "zip"),
    ("past the file", |e| e.header = Some(0xffff_fff0), "outside the archive"),
    ("at byte 1", |e| e.header = Some(1), "no header"),
    ("where another is", |e| e.header = Some(0), "another name"),
    ("in another folder", |e| e.name = b"b/data/0".into(), "not in the folder"),
    ("in no folder", |e| e.name = b"data/0".into(), "not in the folder"),
    ("above", |e| e.name = b"../a/data/0".into(), "not in the folder"),
    ("at the root", |e| e.name = b"/a/data/0".into(), "not in the folder"),
    ("a name that is not text", |e| e.name = b"a/\xff".into(), "not UTF-8"),
    ("an empty name", |e| e.name = Vec::new(), "not in the folder"),
];

/// Other names in the folder are only names: nothing is unpacked, the storage is missing.
const MISNAMED: [&str; 6] =
    ["a/../data/0", "a/data/0\0", "a/data/1", "a/DATA/0", "a//data/0", "a/data/٠"];

/// Bytes of the end record, and what is to be said of them.
const OF_THE_END: [(&str, usize, &[u8], &str); 13] = [
    ("the second disk", 4, &[1, 0], "several"),
    ("a directory on the second disk", 6, &[1, 0], "several"),
    ("two entries here", 8, &[2, 0], "several"),
    ("four entries in all", 10, &[4, 0], "several"),
    ("an entry less", 8, &[2, 0, 2, 0], "directory"),
    ("an entry more", 8, &[4, 0, 4, 0], "directory"),
    ("no entry", 8, &[0; 4], "directory"),
    ("65,535 entries", 8, &[0xff; 4], "cannot hold 65535"),
    ("a directory of 4 GiB", 12, &[0xff; 4], "not where the end"),
    ("a directory of nothing", 12, &[0; 4], "not where the end"),
    ("a directory past the end", 16, &[0xff; 4], "not where the end"),
    ("a directory at the start", 16, &[0; 4], "not where the end"),
    ("a comment that is not there", 20, &[1, 0], "directory at its end is missing"),
];

/// A change of what zip64 tells: entries, size and start of the directory, and where the record is.
type WideLie = (&'static str, fn(&mut [u64; 4]), &'static str);

const OF_ZIP64: [WideLie; 8] = [
    ("an entry less", |told| told[0] = 2, "zip directory"),
    ("2⁴⁰ entries", |told| told[0] = 1 << 40, "cannot hold"),
    ("2⁶⁴ − 1 entries", |told| told[0] = u64::MAX, "cannot hold"),
    ("a directory of 2⁶⁴ − 1", |told| told[1] = u64::MAX, "not where the end"),
    ("a directory of petabytes", |told| told[1..3].fill(1 << 50), "not where the end"),
    ("a directory at 2⁶⁴ − 1", |told| told[2] = u64::MAX, "not where the end"),
    ("sums that wrap", |told| told[1] = 0u64.wrapping_sub(told[2]), "not where the end"),
    ("a record elsewhere", |told| told[3] = 0, "do not agree"),
];

#[test]
fn c3_an_archive_that_can_be_understood_in_two_ways_is_refused() {
    let mut row = Row::new("C3");
    for (what, change, reason) in OF_ONE_ENTRY {
        let mut archive = good();
        change(&mut archive[1]);
        row.refuse(what, &zip(&archive), &[reason]);
    }
    for name in MISNAMED.map(str::to_owned).into_iter().chain([format!("a/{}", "x".repeat(65_533))])
    {
        let mut archive = good();
        archive[1].name = name.into();
        row.refuse("misnamed", &zip(&archive), &["storage 0: has no entry"]);
    }
    for (what, at, bytes, reason) in OF_THE_END {
        let file = zip_with(&good(), |end| end[at..at + bytes.len()].copy_from_slice(bytes));
        row.refuse(what, &file, &[reason]);
    }
    for (what, change, reason) in OF_ZIP64 {
        row.refuse(what, &zip64_with(&good(), change), &[reason]);
    }
    for (what, file, reason) in whole_archives() {
        row.refuse(what, &file, &[reason]);
    }
    row.end(86);
}

/// Lies that are told by more than one record.
fn whole_archives() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let with = |more: Entry| zip(&[good(), vec![more]].concat());
    let without = |i: usize| {
        let mut archive = good();
        archive.remove(i);
        zip(&archive)
    };
    let whole = || zip(&good());
    let data = &state_dict(&[Tensor::default()]);
    // The storage lies, with a header of its own, inside the data of another entry.
    let inner = zip(&[entry("a/data/0", &two_floats())]);
    let inside = Entry { header: Some(37), ..entry("a/data/0", &two_floats()) };
    let quoted = zip(&[entry("a/outer", &inner), entry("a/data.pkl", data), inside]);
    let in_directory = {
        let mut archive = good();
        archive[1].sizes = Some((8 + 39 + 4, 8 + 39 + 4));
        archive.swap(1, 2);
        zip(&archive)
    };
    // zip64 in the directory only: sizes of 2⁶³ behind the all-ones of the small fields.
    let mut extra = b"\x01\0\x10\0".to_vec();
    extra.extend([(1u64 << 63).to_le_bytes(), (1u64 << 63).to_le_bytes()].concat());
    let mut giant = good();
    (giant[1].sizes, giant[1].extra) = (Some((u32::MAX, u32::MAX)), extra);
    let changed = |change: fn(&mut Entry)| {
        let mut archive = good();
        change(&mut archive[1]);
        archive
    };
    let half = zip(&changed(|e| e.data.truncate(4)));
    let promised = changed(|e| e.flags = 0x0008);
    let lied = changed(|e| (e.flags, e.descriptor) = (0x0008, vec![7; 12]));
    let gap = changed(|e| e.descriptor = vec![0; 16]);
    let flipped = |signature: &[u8]| {
        let mut file = whole();
        let at = file.windows(4).rposition(|bytes| bytes == signature).unwrap();
        file[at + 2] ^= 0x10;
        file
    };
    vec![
        ("a second data.pkl", with(entry("a/data.pkl", data)), "names an entry twice"),
        ("a second storage", with(good()[1].clone()), "names an entry twice"),
        ("a second version", with(good()[2].clone()), "names an entry twice"),
        ("a data.pkl elsewhere", with(entry("b/data.pkl", data)), "not in the folder"),
        ("half a storage", half, "has 4 bytes where the pickle says 8"),
        ("no descriptor", zip(&promised), "belong to no entry"),
        ("a descriptor of other sizes", zip(&lied), "belong to no entry"),
        ("bytes after the data", zip(&gap), "belong to no entry"),
        ("no data.pkl", without(0), "no data.pkl"),
        ("no storage", without(1), "storage 0: has no entry"),
        ("a storage of nobody", with(entry("a/data/7", b"")), "storage 7, which no tensor uses"),
        ("a storage in another entry", quoted, "share bytes"),
        ("a storage in the directory", in_directory, "past the end"),
        ("2⁶³ bytes", zip(&giant), "zip"),
        ("junk before it", [b"junk", &whole()[..]].concat(), "none of the formats"),
        ("a null behind it", [&whole()[..], b"\0"].concat(), "directory at its end is missing"),
        ("the same behind it", [whole(), whole()].concat(), "not where the end of the file says"),
        ("no end", whole()[..whole().len() - 22].to_vec(), "directory at its end is missing"),
        ("another mark at its end", flipped(b"PK\x05\x06"), "directory at its end is missing"),
        ("another mark in its directory", flipped(b"PK\x01\x02"), "zip directory"),
        ("another mark before data", flipped(b"PK\x03\x04"), "no header"),
    ]
}

#[test]
fn c4_what_torch_and_others_write_holds_the_same_numbers() {
    let mut row = Row::new("C4");
    // What PyTorch wrote: one state dict in every dress (`golden::holds` compares the numbers, too).
    let sorted = |mut read: Everything| {
        read.sort();
        read
    };
    let whole = sorted(row.read_file(&golden("zip.bin")).unwrap());
    let written = [
        "legacy.bin",
        "protocol4.bin",
        "parameters.bin",
        "f64.bin",
        "plain.safetensors",
        "shards-bin/pytorch_model.bin.index.json",
        "shards-safetensors/model.safetensors.index.json",
        "wrapped.bin",
        "parallel.bin",
        "lightning.bin",
        "gamma.bin",
        "training.bin",
        "training.legacy.bin",
        "torch-1.13/zip.bin",
        "torch-1.13/legacy.bin",
        "torch-2.0/zip.bin",
        "torch-2.0/legacy.bin",
    ];
    for name in written {
        let read = row.read_file(&golden(name)).map(sorted);
        assert!(read.as_ref() == Ok(&whole), "{name}");
    }
    for name in [
        "views.bin",
        "views.legacy.bin",
        "torch-1.13/views.bin",
        "torch-1.13/views.legacy.bin",
        "torch-2.0/views.bin",
        "torch-2.0/views.legacy.bin",
    ] {
        let read = row.read_file(&golden(name)).unwrap();
        assert!(whole.iter().all(|tensor| read.contains(tensor)), "{name}");
    }
    for (name, like) in [
        ("f16.bin", "f16.safetensors"),
        ("bf16.bin", "bf16.legacy.bin"),
        ("dtypes.bin", "dtypes.legacy.bin"),
        ("dtypes.bin", "dtypes.safetensors"),
        ("bare.bin", "bare.bin"),
    ] {
        let read = row.read_file(&golden(name)).map(sorted);
        assert!(read.is_ok() && read == row.read_file(&golden(like)).map(sorted), "{name} {like}");
    }

    // What others may write, around one tensor.
    let plain = row.read(&zip(&good())).unwrap();
    let dressed = |dress: fn(usize, &mut Entry)| {
        let mut archive = good();
        archive.iter_mut().enumerate().for_each(|(i, e)| dress(i, e));
        archive
    };
    let renamed = |folder: &str| {
        let mut archive = good();
        for e in &mut archive {
            e.name = [folder.as_bytes(), &e.name[1..]].concat();
        }
        zip(&archive)
    };
    let descriptor = |_: usize, e: &mut Entry| {
        e.flags = 0x0808;
        let length = (e.data.len() as u32).to_le_bytes();
        e.descriptor = [b"PK\x07\x08\0\0\0\0", &length[..], &length].concat();
    };
    let with = |name: &str, data: &[u8]| zip(&[good(), vec![entry(name, data)]].concat());
    let torch: Vec<Entry> = [
        &[entry("a/.format_version", b"1"), entry("a/.storage_alignment", b"64")][..],
        &dressed(descriptor),
        &[entry("a/byteorder", b"little"), entry("a/.data/serialization_id", b"0123")],
    ]
    .concat();
    for (what, file) in [
        ("sizes behind the data", zip(&dressed(descriptor))),
        ("sizes of 0 in the headers", zip(&dressed(|_, e| e.local_size = Some(0)))),
        ("sizes in the headers", zip(&dressed(|_, e| e.local_size = Some(e.data.len() as u32)))),
        ("all ones in the headers", zip(&dressed(|_, e| e.local_size = Some(u32::MAX)))),
        ("padding", zip(&dressed(|i, e| e.padding = vec![b'Z'; 4 + 13 * i]))),
        ("padding marked FB", zip(&dressed(|_, e| e.padding = b"FB\x04\0ZZZZ".into()))),
        ("a check sum that nobody checks here", zip(&dressed(|_, e| e.crc = 0x1234_5678))),
        ("names of UTF-8", zip(&dressed(|_, e| e.flags = 0x0800))),
        ("the flags of a fast compressor", zip(&dressed(|_, e| e.flags = 0x0006))),
        ("zip64", zip64_with(&good(), |_| {})),
        ("zip64 and descriptors", zip64_with(&dressed(descriptor), |_| {})),
        ("all that torch 2.9 adds", zip64_with(&torch, |_| {})),
        ("a byte order", with("a/byteorder", b"little")),
        ("a serialisation id", with("a/.data/serialization_id", b"0123")),
        ("another file in the folder", with("a/notes.txt", b"hello")),
        ("in the folder archive", renamed("archive")),
        ("in a Chinese folder", renamed("模型 v1.0")),
        ("in a folder of dots", renamed("..")),
        ("in a folder called data", renamed("data")),
        ("in a folder of 60,000 letters", renamed(&"x".repeat(60_000))),
        ("without a version", zip(&good()[..2])),
        ("storages first", zip(&[good()[1].clone(), good()[0].clone()])),
    ] {
        assert_eq!(row.read(&file).as_ref(), Ok(&plain), "{what}");
    }
    row.end(57);
}
