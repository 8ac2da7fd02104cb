//! A file that is written at once or not at all: beside its place first, then in it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tempfile::{Builder, NamedTempFile};

use crate::interrupt;

/// How a temporary file or folder that stayed behind is known.
pub const PREFIX: &str = ".zhengzi-";

/// Writes `path` anew. An old file of that name is there until the new one is whole.
pub fn write(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<NamedTempFile>) -> io::Result<()>,
) -> io::Result<()> {
    // What a link points to is replaced, not the link.
    let path = fs::canonicalize(path).unwrap_or(path.to_owned());
    let mut builder = Builder::new();
    builder.prefix(PREFIX).suffix(".tmp");
    readable(&mut builder, 0o666);
    let file = builder.tempfile_in(folder_of(&path))?;
    interrupt::unfinished(file.path());
    let mut out = BufWriter::new(file);
    content(&mut out)?;
    out.flush()?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    interrupt::finish(|| file.persist(&path).map_err(|error| error.error))?;
    // The name is on the disk when its folder is. Not every system lets a folder be opened.
    _ = File::open(folder_of(&path)).and_then(|folder| folder.sync_all());
    Ok(())
}

/// What a new file or folder may be used for, as the umask has it, instead of by its owner alone.
#[cfg(unix)]
pub fn readable(builder: &mut Builder, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    builder.permissions(fs::Permissions::from_mode(mode));
}

#[cfg(not(unix))]
pub fn readable(_: &mut Builder, _: u32) {}

/// The folder that a file is in, or is to be in.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
