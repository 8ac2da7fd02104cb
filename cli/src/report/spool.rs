//! Output that cannot be written yet.

use std::io::{self, Read, Seek, Write};

use tempfile::{SpooledData, SpooledTempFile};

/// What waits: in memory, or in a temporary file without a name where it is much.
pub struct Spool {
    file: SpooledTempFile,
}

impl Spool {
    pub fn new() -> Spool {
        Spool { file: SpooledTempFile::new(IN_MEMORY) }
    }

    /// Writes out all that has waited.
    pub fn pour(self, out: &mut dyn Write) -> io::Result<()> {
        let mut file = match self.file.into_inner() {
            SpooledData::InMemory(bytes) => return out.write_all(bytes.get_ref()),
            SpooledData::OnDisk(file) => file,
        };
        file.rewind().map_err(not_kept)?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            match file.read(&mut buffer).map_err(not_kept)? {
                0 => return Ok(()),
                length => out.write_all(&buffer[..length])?,
            }
        }
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes).map_err(not_kept)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes that may wait in memory.
const IN_MEMORY: usize = 8 << 20;

/// Whoever reads “standard output: no space left” should not look for it there.
fn not_kept(error: io::Error) -> io::Error {
    let folder = std::env::temp_dir();
    io::Error::other(format!(
        "keeping output in {} until it is complete: {error}",
        folder.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_in_comes_out_from_memory_and_from_a_file() {
        for length in [0, 1, IN_MEMORY, IN_MEMORY + 1] {
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let (mut spool, mut out) = (Spool::new(), Vec::new());
            bytes.chunks(1000).for_each(|chunk| spool.write_all(chunk).unwrap());
            spool.pour(&mut out).unwrap();
            assert!(out == bytes, "{length} bytes");
        }
    }
}
