//! The bytes of a model file, mapped into memory and kept alive by whoever uses them.
//!
//! All `unsafe` of the checkpoint readers is here: the map, the view of its bytes as `f32`, and
//! the word to the kernel that a range may leave memory. The map is private and read-only. One
//! thing no map can promise: if another process shortens the file while it is mapped, touching
//! the lost pages ends the program (SIGBUS). Replace model files by renaming, never in place.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;

use crate::error::{CheckpointError, nearest};

#[cfg(target_endian = "big")]
compile_error!("weights are used where they lie in the file, little-endian");

/// An open model file: its path for messages, its bytes for use.
pub(crate) struct MappedFile {
    path: PathBuf,
    bytes: Bytes,
}

enum Bytes {
    Mapped(Mmap),
    Static(&'static [u8]),
}

impl MappedFile {
    /// Maps a regular, non-empty file.
    pub(crate) fn open(path: &Path) -> Result<Arc<MappedFile>, CheckpointError> {
        let fail = |what: &str, hint: &str| Err(CheckpointError::new(path, what).hint(hint));
        // Asked before opening: to open a pipe is to wait for its writer.
        match fs::metadata(path) {
            Err(error) => return Err(cannot_open(path, &error)),
            Ok(m) if m.is_dir() => return fail("is a folder", "name a model file"),
            Ok(m) if !m.is_file() => {
                return fail("is not a regular file", "a model is mapped: copy it to a file first");
            }
            Ok(m) if m.len() == 0 => return fail("is empty", "download or copy it again"),
            Ok(_) => {}
        }
        let file = File::open(path).map_err(|error| cannot_open(path, &error))?;
        // SAFETY: private and read-only: nothing here changes the bytes. Another process may; the
        // readers check each number at the moment of use, so a change gives other values, never an
        // access outside the map. A file cut short meanwhile is the limit stated at this file's head.
        let map = unsafe { Mmap::map(&file) }
            .map_err(|error| CheckpointError::new(path, format!("cannot be mapped: {error}")))?;
        Ok(Arc::new(MappedFile { path: path.to_owned(), bytes: Bytes::Mapped(map) }))
    }

    /// The same over bytes compiled into the program; `name` stands for the path.
    pub(crate) fn from_static(name: &str, bytes: &'static [u8]) -> Arc<MappedFile> {
        Arc::new(MappedFile { path: PathBuf::from(name), bytes: Bytes::Static(bytes) })
    }

    /// Where the file lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// All of it.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped(map) => map,
            Bytes::Static(bytes) => bytes,
        }
    }

    /// An error about this file.
    pub(crate) fn error(&self, what: impl Into<String>) -> CheckpointError {
        CheckpointError::new(&self.path, what)
    }

    /// The bytes of `range` as `f32`, if they lie on a 4-byte boundary and make up whole numbers.
    pub(crate) fn as_f32(&self, range: Range<usize>) -> Option<&[f32]> {
        let bytes = self.bytes().get(range)?;
        // SAFETY: every bit pattern is an f32, and `align_to` itself sees to bounds and alignment.
        let (before, values, after) = unsafe { bytes.align_to::<f32>() };
        (before.is_empty() && after.is_empty()).then_some(values)
    }

    /// The same as `u32`.
    pub(crate) fn as_u32(&self, range: Range<usize>) -> Option<&[u32]> {
        let bytes = self.bytes().get(range)?;
        // SAFETY: as for `as_f32`.
        let (before, words, after) = unsafe { bytes.align_to::<u32>() };
        (before.is_empty() && after.is_empty()).then_some(words)
    }

    /// Tells the kernel that `range` was copied and its pages may go: they come back from the
    /// file if they are read again. Without this, a copied file counts twice in memory.
    pub(crate) fn release(&self, range: Range<usize>) {
        // Whole blocks inside the range only, of the largest page size in use (64 KiB on some
        // arm64): the pages at its ends hold the neighbours, which may yet be needed.
        const BLOCK: usize = 64 << 10;
        let (start, end) = (range.start.next_multiple_of(BLOCK), range.end / BLOCK * BLOCK);
        #[cfg(unix)]
        if let Bytes::Mapped(map) = &self.bytes
            && start < end
            && end <= map.len()
        {
            // SAFETY: the range lies inside the map (checked above). The map is a private one of
            // a file and was never written to, so a dropped page is read from the file again:
            // no reader, now or later, sees other bytes for it. A refusal costs only memory.
            let _ = unsafe {
                map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, end - start)
            };
        }
        #[cfg(not(unix))]
        let _ = (start, end);
    }
}

/// Why a path cannot be opened, and the names near to it that could.
fn cannot_open(path: &Path, error: &io::Error) -> CheckpointError {
    match error.kind() {
        io::ErrorKind::NotFound => {
            let error = CheckpointError::new(path, "does not exist");
            match near_names(path) {
                names if names.is_empty() => error.hint("check the path"),
                names => error.hint(format!("did you mean {}?", names.join(" or "))),
            }
        }
        io::ErrorKind::PermissionDenied => {
            CheckpointError::new(path, "may not be read").hint("check its permissions and owner")
        }
        _ => CheckpointError::new(path, format!("cannot be opened: {error}")),
    }
}

/// Files beside `path` that are spelled nearly like it, or that look like models.
fn near_names(path: &Path) -> Vec<String> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // A folder may be huge: the first thousand names are enough for a hint.
    let names: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .take(1000)
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let wanted = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
    let mut near: Vec<String> = nearest(wanted, names.iter().map(String::as_str))
        .filter(|(_, distance)| *distance <= 1 + wanted.len() / 4)
        .map(|(name, _)| name.to_owned())
        .into_iter()
        .collect();
    for name in names {
        let model = [".bin", ".safetensors", ".pt", ".pth"].iter().any(|end| name.ends_with(end));
        if model && near.len() < 3 && !near.contains(&name) {
            near.push(name);
        }
    }
    near
}
