//! Doors for `fuzz/`, whose inputs are bytes and not files. They exist under `--cfg fuzzing` alone.

use std::path::Path;

use super::state_dict::StateDict;
use super::{Access, Checkpoint, pickle};
use crate::CheckpointError;
use crate::mapped::MappedFile;

/// [`Checkpoint::open`] of a file that holds `bytes` and would lie at `path`.
pub fn open(path: &Path, bytes: Vec<u8>) -> Result<Checkpoint, CheckpointError> {
    Checkpoint::of(MappedFile::from_bytes(path, bytes), Access::Mapped)
}

/// A pickle that passed.
pub struct Pickle {
    /// It in plain opcodes.
    pub value: Vec<u8>,
    /// The storages it speaks of, in plain opcodes.
    pub storages: Vec<u8>,
    /// Where it ended.
    pub end: usize,
    /// Whether it describes tensors.
    pub state_dict: Result<(), CheckpointError>,
}

/// The pass over a pickle at the start of `bytes`, and what is made of its value.
pub fn pickle(path: &Path, bytes: Vec<u8>) -> Result<Pickle, CheckpointError> {
    let file = MappedFile::from_bytes(path, bytes);
    let plain = pickle::transcode(&file, 0..file.bytes().len())?;
    let state_dict = StateDict::new(&file, 0, &plain).map(drop);
    let pickle::Plain { value, storages, end } = plain;
    Ok(Pickle { value, storages, end, state_dict })
}
