//! C1 and C2: files cut short at every byte and with every bit turned: an error, or the same tensors,
//! or another number where the data was turned. No panic, and no tensor that took another's place.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zhengzi_model::electra::{Config, Discriminator};
use zhengzi_runtime::Checkpoint;

use super::row::{Everything, everything, settle};
use super::{Random, Row};
use crate::checkpoint::golden;

const TINY: [&str; 6] = [
    "zip.bin",
    "legacy.bin",
    "plain.safetensors",
    "views.legacy.bin",
    "protocol4.bin",
    "training.bin",
];

/// One discriminator of one layer, as PyTorch wrote it.
const MODELS: [&str; 3] =
    ["discriminator.zip.bin", "discriminator.legacy.bin", "discriminator.safetensors"];

#[test]
fn c1_a_file_cut_at_any_byte_is_refused() {
    let mut row = Row::new("C1");
    let files = TINY.map(golden).into_iter().chain(MODELS.map(model));
    let mut lengths = 0;
    for file in files {
        let path = row.path().with_file_name(file.file_name().unwrap());
        fs::copy(&file, &path).unwrap();
        let cut = OpenOptions::new().write(true).open(&path).unwrap();
        // Downwards, so that each is a cut of the one before.
        for length in (0..fs::metadata(&file).unwrap().len()).rev() {
            cut.set_len(length).unwrap();
            settle(&cut);
            let read = row.read_file(&path);
            assert!(read.is_err(), "{} cut to {length} bytes was accepted", file.display());
            lengths += 1;
        }
    }
    row.end(lengths);
}

#[test]
fn c1_a_file_with_bytes_behind_its_end_is_refused() {
    let mut row = Row::new("C1, longer");
    for file in TINY.map(golden).into_iter().chain(MODELS.map(model)) {
        for tail in [&b"\0"[..], b"x", b"PK\x05\x06", &[0; 4096]] {
            let bytes = [&fs::read(&file).unwrap(), tail].concat();
            let read = row.read(&bytes);
            assert!(read.is_err(), "{} with {} more bytes", file.display(), tail.len());
        }
    }
    row.end(36);
}

#[test]
fn c2_any_one_bit_turned_is_an_error_or_leaves_the_tensors_as_they_were_but_for_their_data() {
    let mut row = Row::new("C2, tiny files");
    let mut bits = 0;
    for name in &TINY[..3] {
        let mut turned = Turned::new(&row, &golden(name));
        let whole = everything(&golden(name)).unwrap();
        let (mut same, mut data, mut told) = (0, 0, 0);
        for bit in 0..8 * turned.length() {
            let read = turned.with(bit, |path| row.read_file(path));
            bits += 1;
            // Names, shapes and types belong to the model, which compares them with its config:
            // the next test. Here all of them are read as the file now tells them.
            match read {
                Err(_) => {}
                Ok(read) if read == whole => same += 1,
                Ok(read) if turned.in_data(bit) => {
                    assert_eq!(differences(&whole, &read), 1, "{name}, bit {bit}");
                    data += 1;
                }
                Ok(_) => told += 1,
            }
        }
        eprintln!("C2 {name}: {same} the same, {data} another number, {told} another description");
        assert!(same > 0 && data > 0);
    }
    row.end(bits);
}

#[test]
fn c2_a_bit_turned_in_a_model_is_an_error_or_another_number() {
    // One bit of each byte; all of them in the test below.
    model_bits(Row::new("C2, models"), |byte| Some(8 * byte + byte % 8));
}

#[test]
#[ignore = "just torture"]
fn c2_every_bit_turned_in_a_model_is_an_error_or_another_number() {
    for shift in 1..8 {
        model_bits(Row::new("C2, models, whole"), |byte| Some(8 * byte + (byte + shift) % 8));
    }
}

/// Turns the bits that are asked for, and loads the model.
fn model_bits(mut row: Row, bit: impl Fn(usize) -> Option<usize>) {
    let config = crate::electra::config("tiny discriminator");
    let cpu = crate::electra::best();
    let mut bits = 0;
    for name in MODELS {
        let whole: HashMap<_, _> = everything(&model(name))
            .unwrap()
            .into_iter()
            .map(|(name, shape, values)| (name, (shape, values)))
            .collect();
        let mut turned = Turned::new(&row, &model(name));
        for bit in (0..turned.length()).filter_map(&bit) {
            let loaded = turned.with(bit, |path| load(path, &config, &cpu));
            row.count(&loaded.as_ref().map_err(String::clone));
            bits += 1;
            let Ok(read) = loaded else { continue };
            let found: HashMap<_, _> =
                read.into_iter().map(|(name, shape, values)| (name, (shape, values))).collect();
            let in_data = turned.in_data(bit);
            let mut changed = 0;
            for (name, (shape, values)) in &whole {
                let Some((found_shape, found)) = found.get(name) else {
                    // A tensor that the network does without, or it would not have been loaded.
                    assert!(name.contains("position_ids"), "{name} is gone");
                    continue;
                };
                assert_eq!(found_shape, shape, "{name}");
                changed += found.iter().zip(values).filter(|(a, b)| a != b).count();
            }
            assert!(changed <= usize::from(in_data), "{name}: bit {bit} changed {changed} numbers");
        }
    }
    row.end(bits);
}

/// The real model, where this checkout has one beside it.
fn real() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/models/tiny-zh/discriminator/pytorch_model.bin");
    if !path.exists() {
        eprintln!("skipped: no ../shared/models/tiny-zh beside this checkout");
        return None;
    }
    Some(path)
}

#[test]
fn c1_and_c2_a_sample_of_a_real_model() {
    let Some(file) = real() else { return };
    cut_real(Row::new("C1, real model"), &file, 300, 300);
    turn_real(Row::new("C2, real model"), &file, 300);
}

#[test]
#[ignore = "just torture"]
fn c1_and_c2_a_real_model_whole() {
    let Some(file) = real() else { return };
    cut_real(Row::new("C1, real model, whole"), &file, usize::MAX, 10_000);
    turn_real(Row::new("C2, real model, whole"), &file, 10_000);
}

/// Cuts it at `described` bytes of its pickle and directory (or all) and at `anywhere` others.
fn cut_real(mut row: Row, file: &Path, described: usize, anywhere: usize) {
    let mut random = Random(1);
    let path = row.path();
    fs::copy(file, &path).unwrap();
    let cut = OpenOptions::new().write(true).open(&path).unwrap();
    let turned = Turned::new(&row, file);
    let mut lengths: Vec<usize> =
        (0..turned.length()).filter(|&byte| !turned.in_data(8 * byte)).collect();
    let all = lengths.len();
    while lengths.len() > described {
        let chosen = random.below(lengths.len());
        lengths.swap_remove(chosen);
    }
    lengths.extend((0..anywhere).map(|_| random.below(turned.length())));
    lengths.sort_unstable_by(|a, b| b.cmp(a));
    let inputs = lengths.len();
    for length in lengths {
        cut.set_len(length as u64).unwrap();
        settle(&cut);
        assert!(row.read_file(&path).is_err(), "cut to {length} bytes");
    }
    eprintln!("C1 real model: {all} bytes are description");
    row.end(inputs);
}

/// Turns bits anywhere: half of them in the description, which is a hundredth of the file.
fn turn_real(mut row: Row, file: &Path, count: usize) {
    let mut random = Random(2);
    let whole = everything(file).unwrap();
    let mut turned = Turned::new(&row, file);
    let described: Vec<usize> =
        (0..turned.length()).filter(|&byte| !turned.in_data(8 * byte)).collect();
    for i in 0..count {
        let byte = match i % 2 {
            0 => random.pick(&described),
            _ => random.below(turned.length()),
        };
        let bit = 8 * byte + random.below(8);
        if let Ok(read) = turned.with(bit, |path| row.read_file(path))
            && turned.in_data(bit)
        {
            assert!(differences(&whole, &read) <= 1, "bit {bit}");
        }
    }
    row.end(count);
}

/// How many numbers differ in tensors that are else the same.
fn differences(a: &Everything, b: &Everything) -> usize {
    assert_eq!(a.len(), b.len());
    let mut count = 0;
    for ((name, shape, values), (other_name, other_shape, others)) in a.iter().zip(b) {
        assert_eq!((name, shape), (other_name, other_shape));
        count += values.iter().zip(others).filter(|(a, b)| a != b).count();
    }
    count
}

fn model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/electra/containers").join(name)
}

fn load(path: &Path, config: &Config, cpu: &zhengzi_runtime::Cpu) -> Result<Everything, String> {
    let checkpoint = Arc::new(Checkpoint::open(path).map_err(|error| error.to_string())?);
    Discriminator::load(checkpoint, config, cpu).map_err(|error| error.to_string())?;
    everything(path)
}

/// A copy of a file, in which single bits are turned and turned back.
struct Turned {
    bytes: Vec<u8>,
    copy: fs::File,
    path: PathBuf,
    /// Which bytes are those of tensors.
    data: Vec<bool>,
}

impl Turned {
    fn new(row: &Row, file: &Path) -> Turned {
        let path = row.path().with_file_name("turned.bin");
        let bytes = fs::read(file).unwrap();
        fs::write(&path, &bytes).unwrap();
        let mut data = vec![false; bytes.len()];
        for tensor in Checkpoint::open(file).unwrap().tensors() {
            let start = tensor.byte_offset() as usize;
            data[start..start + tensor.bytes().len()].fill(true);
        }
        let copy = OpenOptions::new().write(true).open(&path).unwrap();
        Turned { bytes, copy, path, data }
    }

    fn length(&self) -> usize {
        self.bytes.len()
    }

    fn in_data(&self, bit: usize) -> bool {
        self.data[bit / 8]
    }

    fn with<T>(&mut self, bit: usize, work: impl FnOnce(&Path) -> T) -> T {
        let (at, byte) = (bit / 8, self.bytes[bit / 8]);
        let mut put = |byte: u8| {
            self.copy.seek(SeekFrom::Start(at as u64)).unwrap();
            self.copy.write_all(&[byte]).unwrap();
            settle(&self.copy);
        };
        put(byte ^ (1 << (bit % 8)));
        let result = work(&self.path);
        put(byte);
        result
    }
}
