//! Why a model cannot be used: always one line that names the file and the remedy.

use std::fmt;
use std::path::{Path, PathBuf};

use zhengzi_runtime::{CheckpointError, OneLine};

use crate::tokenizer::TokenizerError;

/// What went wrong with a model, or with a file of the user's decisions.
#[derive(Debug)]
pub enum Error {
    /// The weights: container, tensors, shapes.
    Checkpoint(CheckpointError),
    /// The vocabulary.
    Tokenizer(TokenizerError),
    /// Anything else about a file: `config.json`, a missing folder, a list of words.
    Model {
        /// The file or folder.
        path: PathBuf,
        /// What was wrong, and where in it.
        what: String,
        /// What to do about it; empty where nothing helps.
        hint: String,
    },
}

impl Error {
    pub(crate) fn new(path: &Path, what: impl Into<String>, hint: impl Into<String>) -> Error {
        Error::Model { path: path.to_owned(), what: what.into(), hint: hint.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Checkpoint(error) => error.fmt(f),
            Error::Tokenizer(error) => error.fmt(f),
            Error::Model { path, what, hint } => {
                write!(f, "{}: {}", OneLine(&path.to_string_lossy()), OneLine(what))?;
                match hint.is_empty() {
                    true => Ok(()),
                    false => write!(f, ": {}", OneLine(hint)),
                }
            }
        }
    }
}

impl std::error::Error for Error {}

impl From<CheckpointError> for Error {
    fn from(error: CheckpointError) -> Error {
        Error::Checkpoint(error)
    }
}

impl From<TokenizerError> for Error {
    fn from(error: TokenizerError) -> Error {
        Error::Tokenizer(error)
    }
}
