//! Checkpoints: what torch writes is read bit for bit, and what lies is refused in one line.

mod archives;
pub mod files;
mod foreign;
mod golden;
mod headers;
mod pickles;
mod windows;

use std::path::{Path, PathBuf};

use zhengzi_runtime::{Checkpoint, CheckpointError};

pub fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/checkpoint").join(name)
}

/// A checkpoint read to the last number: names, shapes, values as bits.
type Everything = Vec<(String, Vec<usize>, Vec<u32>)>;

/// Opens a file and reads all of it; an error is checked to be one clear line.
fn read(path: &Path) -> Result<Everything, String> {
    let read = || -> Result<Everything, CheckpointError> {
        let checkpoint = Checkpoint::open(path)?;
        checkpoint
            .tensors()
            .map(|tensor| {
                let values = tensor.to_f32()?;
                assert_eq!(values.len(), tensor.len());
                let bits = values.iter().map(|value| value.to_bits()).collect();
                Ok((tensor.name().to_owned(), tensor.shape().to_vec(), bits))
            })
            .collect()
    };
    read().map_err(|error| {
        let line = error.to_string();
        assert!(!line.contains(['\n', '\r', '\0', '\u{1b}']), "more than one line: {line:?}");
        let file = path.file_name().unwrap().to_str().unwrap();
        assert!(line.contains(file) || path.is_dir(), "does not name the file: {line}");
        line
    })
}

/// Writes `bytes` to a file of that name and reads it.
fn read_bytes(name: &str, bytes: &[u8]) -> Result<Everything, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    read(&path)
}

/// Asserts that `bytes` are refused with a line that says each of `parts`.
#[track_caller]
fn refused(bytes: &[u8], parts: &[&str]) {
    match read_bytes("lie.bin", bytes) {
        Ok(_) => panic!("accepted what should be refused with {parts:?}"),
        Err(line) => {
            for part in parts {
                assert!(line.contains(part), "{part:?} is not in: {line}");
            }
        }
    }
}
