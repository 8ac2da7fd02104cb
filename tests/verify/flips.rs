//! One bit turned, anywhere.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use zhengzi_kernels::{Isa, Precision};
use zhengzi_model::ModelPaths;
use zhengzi_model::convert::Conversion;
use zhengzi_runtime::verify::Subject;
use zhengzi_runtime::{Checkpoint, Cpu, DType};

use super::{faults, golden, said, sha256, verify};
use crate::electra::weights::ids;
use crate::hostile::row::settle;

/// A file whose bits are turned one at a time.
struct Flipped {
    path: PathBuf,
    bytes: Vec<u8>,
    file: File,
}

impl Flipped {
    fn new(path: &Path) -> Flipped {
        let file = OpenOptions::new().write(true).open(path).unwrap();
        Flipped { path: path.to_owned(), bytes: fs::read(path).unwrap(), file }
    }

    /// Whether `verify` finds something wrong when that bit is turned.
    fn is_caught(&mut self, bit: usize) -> bool {
        let (at, byte) = (bit / 8, self.bytes[bit / 8]);
        self.put(at, byte ^ (1 << (bit % 8)));
        let lines = faults(&verify(&self.path));
        self.put(at, byte);
        let name = self.path.file_name().unwrap().to_str().unwrap();
        for line in &lines {
            assert!(line.contains(name) && !line.contains('\n'), "bit {bit}: {line}");
        }
        !lines.is_empty()
    }

    fn put(&mut self, at: usize, byte: u8) {
        self.file.seek(SeekFrom::Start(at as u64)).unwrap();
        self.file.write_all(&[byte]).unwrap();
        settle(&self.file);
    }
}

/// A copy of a golden file, with the digests of `sums` beside it.
fn copy(name: &str, sums: bool) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let bytes = fs::read(golden(name)).unwrap();
    let name = name.rsplit_once('/').unwrap().1;
    fs::write(folder.path().join(name), &bytes).unwrap();
    if sums {
        let text = format!("{}  other.bin\n{} *{name}\n", "0".repeat(64), sha256(&bytes));
        fs::write(folder.path().join("SHA256SUMS"), text).unwrap();
    }
    let path = folder.path().join(name);
    (folder, path)
}

/// Where the data of each entry of a zip lies, read from its directory by the book (APPNOTE 4.3.12).
fn entries(bytes: &[u8]) -> Vec<Range<usize>> {
    let field = |at: usize, length: usize| {
        bytes[at..at + length].iter().rev().fold(0, |n, &byte| n << 8 | usize::from(byte))
    };
    let end = bytes.len() - 22;
    let (count, mut at) = (field(end + 10, 2), field(end + 16, 4));
    let mut ranges = Vec::new();
    for _ in 0..count {
        assert_eq!(&bytes[at..at + 4], b"PK\x01\x02");
        let local = field(at + 42, 4);
        let start = local + 30 + field(local + 26, 2) + field(local + 28, 2);
        ranges.push(start..start + field(at + 24, 4));
        at += 46 + field(at + 28, 2) + field(at + 30, 2) + field(at + 32, 2);
    }
    ranges
}

#[test]
fn every_bit_of_the_data_of_a_zip_is_watched_over() {
    for name in ["checkpoint/zip.bin", "checkpoint/views.bin"] {
        let (_folder, path) = copy(name, false);
        let mut file = Flipped::new(&path);
        let data = entries(&file.bytes);
        let (mut in_data, mut elsewhere, mut harmless) = (0, 0, 0);
        for bit in 0..8 * file.bytes.len() {
            let caught = file.is_caught(bit);
            if data.iter().any(|entry| entry.contains(&(bit / 8))) {
                assert!(caught, "{name}: bit {} of byte {} went unseen", bit % 8, bit / 8);
                in_data += 1;
            } else if caught {
                elsewhere += 1;
            } else {
                harmless += 1;
            }
        }
        eprintln!(
            "{name}: {in_data} bits of data, all caught; of the others {elsewhere} caught, {harmless} (dates, padding) not"
        );
        assert!(in_data >= 8000 && elsewhere > 0);
    }
}

#[test]
fn a_thousand_bits_of_larger_zips_are_watched_over() {
    for name in ["discriminator.zip.bin", "generator.zip.bin"] {
        let (_folder, path) = copy(&format!("electra/containers/{name}"), false);
        thousand(&path, 500);
    }
    // A trained model, where this checkout has one beside it.
    let model = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/models/tiny-zh/generator/pytorch_model.bin");
    if model.exists() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pytorch_model.bin");
        fs::copy(model, &path).unwrap();
        thousand(&path, 100);
    }
}

/// So many bits of the data of a zip.
fn thousand(path: &Path, count: usize) {
    let mut file = Flipped::new(path);
    let places: Vec<usize> = entries(&file.bytes).into_iter().flatten().collect();
    for draw in ids("bits", count, 8 * places.len()) {
        let draw = draw as usize;
        assert!(file.is_caught(8 * places[draw / 8] + draw % 8), "{}: {draw}", path.display());
    }
}

#[test]
fn with_sha256sums_every_bit_of_any_file_is_watched_over() {
    for name in ["legacy.bin", "plain.safetensors"] {
        let (_folder, path) = copy(&format!("checkpoint/{name}"), true);
        let mut file = Flipped::new(&path);
        assert!(said(&verify(&path), Subject::Sha256).starts_with("ok: "));
        for bit in 0..8 * file.bytes.len() {
            assert!(file.is_caught(bit), "{name}: bit {} of byte {}", bit % 8, bit / 8);
        }
    }
}

#[test]
fn a_zip_without_checksums_is_told_from_one_of_which_one_is_wrong() {
    let (_folder, path) = copy("checkpoint/zip.bin", false);
    let mut bytes = fs::read(&path).unwrap();
    let headers: Vec<usize> =
        (0..bytes.len()).filter(|&at| bytes[at..].starts_with(b"PK\x01\x02")).collect();
    let mut said_without = |header: usize| {
        bytes[header + 16..header + 20].fill(0);
        fs::write(&path, &bytes).unwrap();
        said(&verify(&path), Subject::Crc32)
    };
    let one = said_without(headers[1]);
    assert!(one.contains("where the directory says 00000000 at byte "), "{one}");
    let all = headers.iter().map(|&header| said_without(header)).last().unwrap();
    assert!(all.starts_with("not checked: the archive was written without checksums"), "{all}");
}

#[test]
fn the_tensor_of_a_damaged_entry_is_named() {
    let (_folder, path) = copy("checkpoint/zip.bin", false);
    let checkpoint = Checkpoint::open(&path).unwrap();
    let tensor = checkpoint.tensors().last().unwrap();
    let (name, at) = (tensor.stored_name().to_owned(), tensor.byte_offset() as usize);
    drop(checkpoint);
    let mut bytes = fs::read(&path).unwrap();
    bytes[at + 1] ^= 4;
    fs::write(&path, &bytes).unwrap();
    let line = said(&verify(&path), Subject::Crc32);
    let place = format!(" at byte {at} (tensor {name}): the file is damaged: download it again");
    assert!(line.contains("its CRC-32 is ") && line.ends_with(&place), "{line}");
}

/// The model inside as a panel file.
fn panels() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let cpu = Cpu::new(Isa::best(), 1).unwrap();
    let conversion = Conversion::open(&ModelPaths::default(), Precision::Int8, &cpu).unwrap();
    let path = folder.path().join("panels.safetensors");
    conversion.panels().write(&mut File::create(&path).unwrap()).unwrap();
    (folder, path)
}

#[test]
fn one_bit_of_an_int8_panel_makes_its_column_miss_its_sum() {
    let (_folder, path) = panels();
    let checkpoint = Checkpoint::open(&path).unwrap();
    let weights = checkpoint.tensors().filter(|tensor| tensor.dtype() == DType::I8);
    let places: Vec<(usize, usize)> =
        weights.map(|tensor| (tensor.byte_offset() as usize, tensor.len())).collect();
    drop(checkpoint);
    let mut file = Flipped::new(&path);
    for (i, draw) in ids("panels", 100, 1 << 30).into_iter().enumerate() {
        let (start, len) = places[i % places.len()];
        let bit = 8 * start + draw as usize % (8 * len);
        assert!(file.is_caught(bit), "bit {bit}");
    }
}

#[test]
fn a_byte_of_minus_128_is_refused_though_the_sum_agrees() {
    let (_folder, path) = panels();
    let checkpoint = Checkpoint::open(&path).unwrap();
    let weight = checkpoint.tensors().find(|tensor| tensor.dtype() == DType::I8).unwrap();
    let stem = weight.name().strip_suffix(".weight").unwrap();
    let at = weight.byte_offset() as usize;
    let sum = checkpoint.tensor(&format!("{stem}.sum")).unwrap().byte_offset() as usize;
    let name = weight.name().to_owned();
    drop(checkpoint);
    let mut bytes = fs::read(&path).unwrap();
    let old = i32::from(bytes[at] as i8);
    bytes[at] = 0x80;
    let column = i32::from_le_bytes(bytes[sum..sum + 4].try_into().unwrap()) - old - 128;
    bytes[sum..sum + 4].copy_from_slice(&column.to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    let lines = faults(&verify(&path));
    let expected =
        format!("holds 1 bytes of -128, which no conversion writes at byte {at} (tensor {name})");
    assert!(matches!(&lines[..], [line] if line.contains(&expected)), "{lines:?}");
}
