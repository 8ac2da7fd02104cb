//! The small files beside the weights: `config.json`, `vocab.txt`, `tokenizer_config.json`. Each is
//! read whole, but never more of it than any model needs: what lies there is not to be trusted.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Bytes of JSON: that of published models is a thousandth of it.
pub(crate) const JSON_LIMIT: usize = 4 << 20;

/// Reads a regular file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    // Asked before opening: to open a pipe is to wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    match bytes.len() <= limit {
        true => Ok(bytes),
        false => Err(io::Error::other(format!("longer than {limit} bytes"))),
    }
}
