//! The bytes of a model file, mapped into memory or read, and kept alive by whoever uses them.
//!
//! All `unsafe` of the checkpoint readers is here: the map, the view of its bytes as `f32`, and
//! the word to the kernel that a range may leave memory. The map is private and read-only, but
//! the file is not ours. What becomes of it while it is mapped:
//!
//! ```text
//! removed, or replaced by renaming   nothing: the map holds the file that was opened
//! written to in place                [`MappedFile::check`] says so before results are believed
//! shortened                          the same; and who touches a lost page first, ends the
//!                                    program with a line (`lost_pages.rs`)
//! ```

use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use memmap2::{Mmap, MmapMut};

use crate::error::{CheckpointError, nearest};
#[cfg(unix)]
use crate::lost_pages::Listed;

#[cfg(target_endian = "big")]
compile_error!("weights are used where they lie in the file, little-endian");

/// How the bytes of a model file come into memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// By a map: each page when it is touched, and none twice in memory.
    #[default]
    Mapped,
    /// All of them at once, into memory of our own: then the file may change.
    Read,
}

/// An open model file: its path for messages, its bytes for use.
pub(crate) struct MappedFile {
    path: PathBuf,
    bytes: Bytes,
}

enum Bytes {
    Mapped {
        // First, so that it is dropped before the map is.
        #[cfg(unix)]
        _listed: Option<Listed>,
        map: Mmap,
        file: File,
        opened: Stamp,
    },
    Read(Mmap),
    Static(&'static [u8]),
    #[cfg(fuzzing)]
    Owned(Vec<u8>),
}

/// What tells that a file was written to. (Not the time of its status: to give a file another name,
/// or none, changes that.)
#[derive(PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
}

/// Systems tell the time of a change in steps of up to 16 ms.
const STEP: Duration = Duration::from_millis(20);

impl Stamp {
    fn of(file: &File) -> io::Result<Stamp> {
        let metadata = file.metadata()?;
        Ok(Stamp { length: metadata.len(), modified: metadata.modified().ok() })
    }

    /// A stamp that no later change has: of a file that was changed just now, another change in the
    /// same step would not be seen, so the rest of it is waited for. `None` if that change came.
    fn at_rest(file: &File) -> io::Result<Option<Stamp>> {
        let stamp = Stamp::of(file)?;
        let age = stamp.modified.and_then(|modified| modified.elapsed().ok());
        let Some(rest) = age.and_then(|age| STEP.checked_sub(age)) else { return Ok(Some(stamp)) };
        thread::sleep(rest);
        Ok((Stamp::of(file)? == stamp).then_some(stamp))
    }
}

impl MappedFile {
    /// Maps or reads a regular, non-empty file.
    pub(crate) fn open(path: &Path, access: Access) -> Result<Arc<MappedFile>, CheckpointError> {
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
        let bytes = match access {
            Access::Mapped => map(path, file)?,
            Access::Read => Bytes::Read(read(path, file)?),
        };
        Ok(Arc::new(MappedFile { path: path.to_owned(), bytes }))
    }

    /// The same over bytes compiled into the program; `name` stands for the path.
    pub(crate) fn from_static(name: &str, bytes: &'static [u8]) -> Arc<MappedFile> {
        Arc::new(MappedFile { path: PathBuf::from(name), bytes: Bytes::Static(bytes) })
    }

    /// The same over bytes that nothing else holds.
    #[cfg(fuzzing)]
    pub(crate) fn from_bytes(path: &Path, bytes: Vec<u8>) -> Arc<MappedFile> {
        Arc::new(MappedFile { path: path.to_owned(), bytes: Bytes::Owned(bytes) })
    }

    /// Where the file lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// All of it.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped { map, .. } | Bytes::Read(map) => map,
            Bytes::Static(bytes) => bytes,
            #[cfg(fuzzing)]
            Bytes::Owned(bytes) => bytes,
        }
    }

    /// How its bytes came into memory; those of the program are mapped.
    pub(crate) fn access(&self) -> Access {
        match self.bytes {
            Bytes::Mapped { .. } | Bytes::Static(_) => Access::Mapped,
            Bytes::Read(_) => Access::Read,
            #[cfg(fuzzing)]
            Bytes::Owned(_) => Access::Read,
        }
    }

    /// An error if the file was written to since it was mapped: what was read of it may be of two
    /// files. Costs a system call, so that it can be asked of every result.
    pub(crate) fn check(&self) -> Result<(), CheckpointError> {
        match &self.bytes {
            Bytes::Mapped { file, opened, .. }
                if Stamp::of(file).is_ok_and(|now| now == *opened) =>
            {
                Ok(())
            }
            Bytes::Mapped { .. } => {
                Err(self.error("was changed while it was in use").hint(CHANGED))
            }
            Bytes::Read(_) | Bytes::Static(_) => Ok(()),
            #[cfg(fuzzing)]
            Bytes::Owned(_) => Ok(()),
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
        if let Bytes::Mapped { map, .. } = &self.bytes
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

/// What to do about a file that changed.
pub(crate) const CHANGED: &str =
    "run it again; replace model files by renaming, never in place, or take --no-mmap";

fn map(path: &Path, file: File) -> Result<Bytes, CheckpointError> {
    let fail = |error: io::Error| {
        let error = CheckpointError::new(path, format!("cannot be mapped: {error}"));
        error.hint("it takes as much address space as it is long: see ulimit -v")
    };
    let opened = Stamp::at_rest(&file).map_err(fail)?.ok_or_else(|| being_written(path))?;
    // SAFETY: private and read-only: nothing here changes the bytes. Another process may; the
    // readers check each number at the moment of use, so a change gives other values, never an
    // access outside the map. What becomes of lost pages stands at this file's head.
    let map = unsafe { Mmap::map(&file) }.map_err(fail)?;
    if map.len() as u64 != opened.length {
        return Err(being_written(path));
    }
    Ok(Bytes::Mapped {
        #[cfg(unix)]
        _listed: Listed::new(path, &file, &map),
        map,
        file,
        opened,
    })
}

/// Into pages of their own, so that numbers and panels are aligned as in a map.
fn read(path: &Path, mut file: File) -> Result<Mmap, CheckpointError> {
    let before = Stamp::at_rest(&file)
        .map_err(|error| cannot_open(path, &error))?
        .ok_or_else(|| being_written(path))?;
    let length = before.length;
    let fail = |error: io::Error| {
        let what = format!("{length} bytes cannot be read into memory: {error}");
        CheckpointError::new(path, what).hint("leave out --no-mmap, or allow more memory")
    };
    let whole = usize::try_from(length).map_err(|_| fail(io::ErrorKind::FileTooLarge.into()))?;
    let mut bytes = MmapMut::map_anon(whole).map_err(fail)?;
    match file.read_exact(&mut bytes) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(being_written(path));
        }
        Err(error) => return Err(fail(error)),
    }
    match Stamp::of(&file).map_err(fail)? == before {
        true => bytes.make_read_only().map_err(fail),
        false => Err(being_written(path)),
    }
}

fn being_written(path: &Path) -> CheckpointError {
    CheckpointError::new(path, "was written to while it was opened").hint("wait until it is whole")
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
