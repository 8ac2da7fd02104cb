//! Files cut short at every byte and with every bit turned: an error or other numbers, no panic.

use std::fs;
use std::io::{Seek, SeekFrom, Write};

use super::{golden, read, read_bytes};

const FILES: [&str; 3] = ["zip.bin", "legacy.bin", "plain.safetensors"];

#[test]
fn a_file_cut_at_any_byte_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in FILES.iter().chain(&["views.legacy.bin", "protocol4.bin", "training.bin"]) {
        let whole = fs::read(golden(name)).unwrap();
        let path = folder.path().join(name);
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(read(&path).is_err(), "{name} cut to {length} bytes was accepted");
        }
    }
}

#[test]
fn a_file_with_bytes_behind_its_end_is_refused() {
    for name in FILES {
        for tail in [&b"\0"[..], b"x", b"PK\x05\x06", &[0; 4096]] {
            let bytes = [&fs::read(golden(name)).unwrap(), tail].concat();
            assert!(read_bytes(name, &bytes).is_err(), "{name} with {} more bytes", tail.len());
        }
    }
}

#[test]
fn any_one_bit_turned_is_an_error_or_another_number() {
    let folder = tempfile::tempdir().unwrap();
    for name in FILES {
        let bytes = fs::read(golden(name)).unwrap();
        let path = folder.path().join(name);
        let whole = read(&golden(name)).unwrap();
        let (mut refused, mut same, mut other) = (0, 0, 0);
        fs::write(&path, &bytes).unwrap();
        let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        let mut put = |at: usize, byte: u8| {
            file.seek(SeekFrom::Start(at as u64)).unwrap();
            file.write_all(&[byte]).unwrap();
        };
        for bit in 0..bytes.len() * 8 {
            let (at, byte) = (bit / 8, bytes[bit / 8]);
            put(at, byte ^ (1 << (bit % 8)));
            match read(&path) {
                Err(_) => refused += 1,
                Ok(read) if read == whole => same += 1,
                Ok(_) => other += 1,
            }
            put(at, byte);
        }
        eprintln!("{name}: {refused} refused, {same} the same, {other} other names or numbers");
        assert!(refused > 0 && other > 0);
    }
}
