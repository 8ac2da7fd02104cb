//! `-w`: a file is replaced at once or not at all.
//!
//! The corrected text goes into a temporary file in the same folder, which takes the name of
//! the old one when it is complete and on the disk: whenever the power fails, one of the two
//! is there. Until the first correction nothing is written, so that a file without any is not
//! touched and a folder need not be writable. A symbolic link stays one; what it points to
//! is replaced. A second hard link keeps the old text.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::interrupt;

/// How a temporary file that stayed behind is known (after a power cut, say).
const PREFIX: &str = ".zhengzi-";

/// Replaces one file after the other.
pub struct InPlace {
    backup: Option<OsString>,
    file: io::Result<Replacement>,
}

/// The file that is being read.
struct Replacement {
    /// Where the bytes are: symbolic links were followed.
    path: PathBuf,
    /// What the file was like when it was opened.
    opened: Metadata,
    /// Bytes that have gone by without a correction before them.
    passed: u64,
    /// From the first correction on.
    new: Option<BufWriter<NamedTempFile>>,
}

impl InPlace {
    /// `backup` is what is added to the name of the old file, where it is to be kept.
    pub fn new(backup: Option<OsString>) -> InPlace {
        InPlace { backup, file: Err(io::ErrorKind::NotFound.into()) }
    }

    /// The next file. What is wrong with it is told at its end.
    pub fn begin(&mut self, path: &Path, opened: Metadata) {
        self.file = Replacement::of(path, opened);
    }

    /// Bytes that stay.
    pub fn unchanged(&mut self, bytes: &[u8]) {
        self.go_on(|file| match &mut file.new {
            Some(new) => new.write_all(bytes),
            None => {
                file.passed += bytes.len() as u64;
                Ok(())
            }
        });
    }

    /// What stands now where something else stood.
    pub fn changed(&mut self, bytes: &[u8]) {
        self.go_on(|file| file.replacement()?.write_all(bytes));
    }

    /// The end of the file; `whole` is false where it was not read to its end. Tells
    /// whether the file was replaced.
    pub fn end(&mut self, whole: bool) -> io::Result<bool> {
        let file = std::mem::replace(&mut self.file, Err(io::ErrorKind::NotFound.into()));
        if !whole {
            // That was told already; what was written is dropped.
            return interrupt::finish(|| {
                drop(file);
                Ok(false)
            });
        }
        file?.finish(self.backup.as_ref())
    }

    fn go_on(&mut self, step: impl FnOnce(&mut Replacement) -> io::Result<()>) {
        if let Ok(file) = &mut self.file
            && let Err(error) = step(file)
        {
            self.file = Err(error);
        }
    }
}

impl Replacement {
    fn of(path: &Path, opened: Metadata) -> io::Result<Replacement> {
        if !opened.is_file() {
            return Err(io::Error::other("is not a regular file: -w leaves it alone"));
        }
        if opened.permissions().readonly() {
            return Err(io::Error::other("is read-only: -w leaves it alone"));
        }
        Ok(Replacement { path: fs::canonicalize(path)?, opened, passed: 0, new: None })
    }

    /// The new file, with everything before the first correction in it.
    fn replacement(&mut self) -> io::Result<&mut BufWriter<NamedTempFile>> {
        if self.new.is_none() {
            let file = tempfile::Builder::new()
                .prefix(PREFIX)
                .suffix(".tmp")
                .tempfile_in(folder(&self.path))
                .map_err(|error| io::Error::other(format!("cannot write beside it: {error}")))?;
            interrupt::unfinished(file.path());
            let mut new = BufWriter::new(file);
            let copied = io::copy(&mut File::open(&self.path)?.take(self.passed), &mut new)?;
            if copied != self.passed {
                return Err(changed_meanwhile());
            }
            self.new = Some(new);
        }
        Ok(self.new.as_mut().expect("it was made just now"))
    }

    fn finish(self, backup: Option<&OsString>) -> io::Result<bool> {
        let Some(new) = self.new else { return Ok(false) };
        let new = new.into_inner().map_err(io::IntoInnerError::into_error)?;
        keep_owner_and_mode(new.as_file(), &self.opened)?;
        new.as_file().sync_all()?;
        interrupt::finish(|| {
            let kept =
                backup.map(|suffix| keep_old(&self.path, &self.opened, suffix)).transpose()?;
            let replace = || match has_changed(&self.opened, &fs::metadata(&self.path)?) {
                true => Err(changed_meanwhile()),
                false => new.persist(&self.path).map(drop).map_err(|error| error.error),
            };
            replace().inspect_err(|_| {
                // Nothing was replaced: there is no old file to keep.
                _ = kept.map(fs::remove_file);
            })
        })?;
        // The name is on the disk when its folder is. Not every system lets a folder be opened.
        _ = File::open(folder(&self.path)).and_then(|folder| folder.sync_all());
        Ok(true)
    }
}

/// Gives the file as it was a second name; where it has several already, or its system knows no second
/// names, a copy of it, complete before it has its name. The name.
fn keep_old(path: &Path, opened: &Metadata, suffix: &OsString) -> io::Result<PathBuf> {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    let name = PathBuf::from(name);
    let kept = match has_other_names(opened) {
        false => fs::hard_link(path, &name),
        true => Err(io::ErrorKind::Unsupported.into()),
    };
    let kept = match kept {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => copy_old(path, &name),
        linked_or_there => linked_or_there,
    };
    kept.map_err(|error| {
        let name = name.display();
        io::Error::other(match error.kind() {
            io::ErrorKind::AlreadyExists => format!(
                "{name} is there already: move it away, or name another suffix with --backup="
            ),
            _ => format!("cannot keep the old text as {name}: {error}"),
        })
    })?;
    Ok(name)
}

fn copy_old(path: &Path, name: &Path) -> io::Result<()> {
    let copy = tempfile::Builder::new().prefix(PREFIX).suffix(".tmp").tempfile_in(folder(path))?;
    fs::copy(path, copy.path())?;
    copy.as_file().sync_all()?;
    copy.persist_noclobber(name).map(drop).map_err(|error| error.error)
}

/// Whether who writes to the file under another name would write to what is kept.
fn has_other_names(opened: &Metadata) -> bool {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::nlink(opened) > 1;
    #[cfg(not(unix))]
    {
        let _ = opened;
        true
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

#[cfg(unix)]
fn keep_owner_and_mode(file: &File, old: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        fchown(file, Some(old.uid()), Some(old.gid())).map_err(|error| {
            io::Error::other(format!("cannot keep its owner: {error}: left as it was"))
        })?;
    }
    file.set_permissions(old.permissions())
}

#[cfg(not(unix))]
fn keep_owner_and_mode(file: &File, old: &Metadata) -> io::Result<()> {
    file.set_permissions(old.permissions())
}

/// Whether somebody else has written to the file, or put another one in its place.
fn has_changed(opened: &Metadata, now: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if (opened.dev(), opened.ino()) != (now.dev(), now.ino()) {
            return true;
        }
    }
    opened.len() != now.len() || opened.modified().ok() != now.modified().ok()
}

fn changed_meanwhile() -> io::Error {
    io::Error::other("was changed by another program meanwhile: left as it is")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn what_is_kept_of_a_file_with_two_names_is_a_copy() {
        let (folder, path, mut in_place) = begun(Some(".old"));
        fs::hard_link(&path, folder.path().join("b.txt")).unwrap();
        in_place.begin(&path, fs::metadata(&path).unwrap());
        in_place.changed(b"new");
        assert!(in_place.end(true).unwrap());
        fs::write(folder.path().join("b.txt"), b"later").unwrap();
        assert_eq!(fs::read(folder.path().join("a.txt.old")).unwrap(), b"one\ntwo\nthree");
        assert_eq!(names(&folder), ["a.txt", "a.txt.old", "b.txt"]);
    }

    /// A file of its own folder, begun to be replaced with its first line changed.
    fn begun(backup: Option<&str>) -> (tempfile::TempDir, PathBuf, InPlace) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        fs::write(&path, b"one\ntwo\nthree").unwrap();
        let mut in_place = InPlace::new(backup.map(OsString::from));
        in_place.begin(&path, fs::metadata(&path).unwrap());
        in_place.unchanged(b"one\n");
        in_place.changed(b"TWO\n");
        in_place.unchanged(b"three");
        (folder, path, in_place)
    }

    fn names(folder: &tempfile::TempDir) -> Vec<String> {
        let entries = fs::read_dir(folder.path()).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<String> =
            entries.map(|entry| name(entry).into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_came_before_the_first_correction_is_there_too() {
        let (folder, path, mut in_place) = begun(Some(".old"));
        assert!(in_place.end(true).unwrap());
        assert_eq!(fs::read(path).unwrap(), b"one\nTWO\nthree");
        assert_eq!(fs::read(folder.path().join("a.txt.old")).unwrap(), b"one\ntwo\nthree");
        assert_eq!(names(&folder), ["a.txt", "a.txt.old"]);
    }

    #[test]
    fn a_file_that_was_not_read_to_its_end_stays() {
        let (folder, path, mut in_place) = begun(None);
        assert!(!in_place.end(false).unwrap());
        assert_eq!(fs::read(path).unwrap(), b"one\ntwo\nthree");
        assert_eq!(names(&folder), ["a.txt"]);
    }

    #[test]
    fn what_another_program_wrote_meanwhile_stays() {
        type Change = fn(&Path);
        let longer: Change = |path| fs::write(path, b"one\ntwo\nthree\nfour").unwrap();
        let another: Change = |path| {
            fs::rename(path, path.with_extension("moved")).unwrap();
            fs::write(path, b"one\ntwo\nTHREE").unwrap();
        };
        for change in [longer, another] {
            let (folder, path, mut in_place) = begun(Some(".old"));
            change(&path);
            let written = fs::read(&path).unwrap();
            let error = in_place.end(true).unwrap_err().to_string();
            assert!(error.contains("changed by another program"), "{error}");
            assert_eq!(fs::read(&path).unwrap(), written);
            let is_ours = |name: &String| name.starts_with(PREFIX) || name.ends_with(".old");
            assert!(!names(&folder).iter().any(is_ours));
        }
    }

    #[test]
    fn a_file_that_went_away_is_not_made_again() {
        let (folder, path, mut in_place) = begun(None);
        fs::remove_file(&path).unwrap();
        assert!(in_place.end(true).is_err());
        assert_eq!(names(&folder), [""; 0]);
    }
}
