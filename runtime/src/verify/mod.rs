//! What can be said of a model file without running it, and what cannot: `zhengzi verify`.
//!
//! | check | zip | legacy | safetensors | int8 panels |
//! |---|---|---|---|---|
//! | structure: what the readers of `checkpoint/` prove | ● | ● | ● | ● |
//! | CRC-32 of each entry | ● | | | |
//! | SHA-256, where `SHA256SUMS` or the hub's cache tells it | ● | ● | ● | ● |
//! | numbers: no NaN, no infinity | ● | ● | ● | ● |
//! | panels: no byte −128, each column as its sum says | | | | ● |
//!
//! A CRC finds every change of up to 32 bits in a row, so any one bit; a sum any one bit of the bytes it is
//! of. Legacy files and safetensors carry neither: of their data only a digest from elsewhere can tell.

mod checksums;
mod digest;
mod numbers;
mod panels;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::mapped::MappedFile;
use crate::{Checkpoint, CheckpointError, Container, TensorView};
pub use digest::digest_of;

/// One thing that was looked at in one file.
#[derive(Debug)]
pub struct Check {
    /// The file.
    pub file: PathBuf,
    /// What was looked at.
    pub subject: Subject,
    /// What was found.
    pub verdict: Verdict,
}

/// What is looked at in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Headers, sizes and places: what must be right for the file to be read at all.
    Structure,
    /// The checksums that a zip archive carries.
    Crc32,
    /// The digest that somebody else tells.
    Sha256,
    /// NaN and infinity.
    Numbers,
    /// The bytes and sums of int8 panels.
    Panels,
    /// Names and shapes of the tensors, against the config.
    Network,
    /// The vocabulary, against the config.
    Vocabulary,
}

/// What was found.
#[derive(Debug)]
pub enum Verdict {
    /// It is right: what was seen.
    Passed(String),
    /// It is wrong: one error each.
    Failed(Vec<CheckpointError>),
    /// Nothing can be said: why, and what would help.
    Unchecked(String),
}

/// Hears how many bytes were read.
pub type Watch<'a> = &'a mut dyn FnMut(u64);

/// Bytes between two calls of a [`Watch`].
const STEP: usize = 1 << 20;

/// What to do about a file that is not as it was made.
const AGAIN: &str = "the file is damaged: download it again";

impl Subject {
    /// In a word or two.
    pub fn name(self) -> &'static str {
        match self {
            Subject::Structure => "structure",
            Subject::Crc32 => "CRC-32",
            Subject::Sha256 => "SHA-256",
            Subject::Numbers => "numbers",
            Subject::Panels => "panels",
            Subject::Network => "names and shapes",
            Subject::Vocabulary => "vocabulary",
        }
    }
}

impl Verdict {
    /// Passed, unless there are faults.
    pub fn of(faults: Vec<CheckpointError>, passed: impl FnOnce() -> String) -> Verdict {
        match faults.is_empty() {
            true => Verdict::Passed(passed()),
            false => Verdict::Failed(faults),
        }
    }
}

impl Checkpoint {
    /// Looks at every byte of every file. That it could be opened has proved their structure.
    pub fn verify(&self, watch: Watch) -> Vec<Check> {
        self.mapped().iter().flat_map(|file| self.verify_file(file, watch)).collect()
    }

    fn verify_file(&self, file: &Arc<MappedFile>, watch: Watch) -> Vec<Check> {
        let tensors: Vec<TensorView> =
            self.tensors().filter(|tensor| tensor.path() == file.path()).collect();
        let entries = checksums::entries(file);
        let mut checks = vec![(
            Subject::Structure,
            Verdict::Passed(self.structure(tensors.len(), entries.as_deref())),
        )];
        if let Some(entries) = &entries {
            checks.push((Subject::Crc32, checksums::check(file, entries, &tensors, watch)));
        }
        let own = entries.is_some();
        checks.push((Subject::Sha256, digest::check(file.path(), file.bytes(), own, watch)));
        checks.push((Subject::Numbers, numbers::check(&tensors, watch)));
        if let Some(verdict) = panels::check(self, &tensors, watch) {
            checks.push((Subject::Panels, verdict));
        }
        let file = file.path();
        let check = |(subject, verdict)| Check { file: file.to_owned(), subject, verdict };
        checks.into_iter().map(check).collect()
    }

    fn structure(&self, tensors: usize, entries: Option<&[checksums::Entry]>) -> String {
        match (entries, self.container(), self.panels()) {
            (Some(entries), ..) => {
                format!("torch zip, {tensors} tensors in {} entries", entries.len())
            }
            (_, Container::Legacy, _) => format!("torch legacy, {tensors} tensors"),
            (.., Some(precision)) => {
                format!("panels in {precision}, {tensors} tensors without gap or overlap")
            }
            _ => format!("safetensors, {tensors} tensors without gap or overlap"),
        }
    }
}

/// The one check that there is of a file that cannot be read, and its digest, where somebody tells one.
pub fn unreadable(error: CheckpointError, watch: Watch) -> Vec<Check> {
    let file = error.path.clone();
    let digest = digest_of(&file, watch);
    let structure =
        Check { file, subject: Subject::Structure, verdict: Verdict::Failed(vec![error]) };
    [structure].into_iter().chain(digest).collect()
}

/// Calls `read` with piece after piece of the bytes.
fn in_steps(bytes: &[u8], watch: Watch, mut read: impl FnMut(&[u8])) {
    for piece in bytes.chunks(STEP) {
        read(piece);
        watch(piece.len() as u64);
    }
}

/// The folder a file is in.
fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}
