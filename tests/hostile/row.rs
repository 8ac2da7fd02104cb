//! A row of the matrix: counts its inputs, and holds each answer against the promise.
//!
//! A refusal is one line that names the file and gives the reason, and it costs little memory,
//! whatever the file declares. Each row ends by stating how many inputs it tried, so that the
//! page on reliability is no estimate.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use zhengzi_model::electra::{Config, Discriminator};
use zhengzi_runtime::{Checkpoint, CheckpointError};

use crate::allocations;

/// Bytes that reading a hostile file may hold at once, over and above the file.
const MEMORY: usize = 16 << 20;

pub struct Row {
    name: &'static str,
    folder: TempDir,
    inputs: usize,
    refused: usize,
    memory: usize,
    limit: usize,
}

/// A checkpoint as far as its tensors tell: names, shapes, values as bits.
pub type Everything = Vec<(String, Vec<usize>, Vec<u32>)>;

impl Row {
    pub fn new(name: &'static str) -> Row {
        let folder = tempfile::tempdir().unwrap();
        Row { name, folder, inputs: 0, refused: 0, memory: 0, limit: MEMORY }
    }

    /// The same, where so many bytes are to be expected.
    pub fn within(self, limit: usize) -> Row {
        Row { limit, ..self }
    }

    /// Where the next file is written: one name for all of them.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("model.bin")
    }

    /// Reads a file of these bytes to its last number.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Everything, String> {
        let path = self.path();
        write_settled(&path, bytes);
        self.read_file(&path)
    }

    pub fn read_file(&mut self, path: &Path) -> Result<Everything, String> {
        self.opened(path, everything)
    }

    /// Loads the discriminator in a file of these bytes: what it holds, if it does.
    pub fn load(&mut self, bytes: &[u8], config: &Config) -> Result<Everything, String> {
        let path = self.path();
        write_settled(&path, bytes);
        self.opened(&path, |path| {
            let checkpoint = Arc::new(Checkpoint::open(path).map_err(|error| error.to_string())?);
            let cpu = crate::electra::best();
            Discriminator::load(Arc::clone(&checkpoint), config, &cpu)
                .map_err(|error| error.to_string())?;
            values(&checkpoint).map_err(|error| error.to_string())
        })
    }

    /// Asserts that the bytes are refused with a line that has one of `reasons` in it.
    #[track_caller]
    pub fn refuse(&mut self, what: &str, bytes: &[u8], reasons: &[&str]) {
        let read = self.read(bytes);
        self.expect(what, read, reasons);
    }

    /// Asserts that an answer is a refusal for one of these reasons.
    #[track_caller]
    pub fn expect<T>(&mut self, what: &str, answer: Result<T, String>, reasons: &[&str]) {
        match answer {
            Ok(_) => panic!("{} {what}: accepted, not refused with {reasons:?}", self.name),
            Err(line) => {
                let has_reason = reasons.iter().any(|reason| line.contains(reason));
                assert!(has_reason, "{} {what}: none of {reasons:?} in: {line}", self.name);
            }
        }
    }

    /// Counts an input whose answer was had in another way.
    pub fn count<T>(&mut self, answer: &Result<T, String>) {
        self.inputs += 1;
        if let Err(line) = answer {
            assert!(!line.contains(['\n', '\r', '\0', '\u{1b}']), "more than one line: {line:?}");
            self.refused += 1;
        }
    }

    /// Ends the row: so many inputs, no fewer, were tried.
    #[track_caller]
    pub fn end(self, inputs: usize) {
        let Row { name, refused, memory, .. } = self;
        assert_eq!(self.inputs, inputs, "{name} did not try what it should");
        let kib = memory.div_ceil(1 << 10);
        eprintln!("{name}: {inputs} inputs, {refused} refused, at most {kib} KiB on the heap");
    }

    /// Reads, counts, and checks the form of a refusal and the memory that it took.
    fn opened<T>(
        &mut self,
        path: &Path,
        read: impl FnOnce(&Path) -> Result<T, String>,
    ) -> Result<T, String> {
        let (answer, memory) = allocations::peak(|| read(path));
        self.count(&answer);
        if let Err(line) = &answer {
            let named = path.file_name().unwrap().to_string_lossy();
            assert!(line.contains(&*named), "does not name the file: {line}");
            assert!(memory < self.limit, "{} bytes for: {line}", memory);
            self.memory = self.memory.max(memory);
        }
        answer
    }
}

/// Reads all that a checkpoint holds.
pub fn everything(path: &Path) -> Result<Everything, String> {
    let read = || values(&Checkpoint::open(path)?);
    read().map_err(|error| error.to_string())
}

fn values(checkpoint: &Checkpoint) -> Result<Everything, CheckpointError> {
    let read = checkpoint.tensors().map(|tensor| {
        let bits = tensor.to_f32()?.iter().map(|value| value.to_bits()).collect();
        Ok((tensor.name().to_owned(), tensor.shape().to_vec(), bits))
    });
    read.collect()
}

/// Dates a file back: one that was written to just now is waited for when it is opened, up to
/// 20 ms, and here there are tens of thousands.
pub fn settle(file: &File) {
    file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
}

fn write_settled(path: &Path, bytes: &[u8]) {
    let mut file = File::create(path).unwrap();
    file.write_all(bytes).unwrap();
    settle(&file);
}
