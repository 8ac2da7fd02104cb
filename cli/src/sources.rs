//! Which texts are meant: names on the command line, and with -r what lies below folders.

use std::collections::HashSet;
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;
use ignore::overrides::OverrideBuilder;

use crate::args::TextArgs;
use crate::input::Source;

/// Bytes at the start of a file that tell whether it is binary.
const SNIFFED: u64 = 8 << 10;

/// What to read, in order. A name that is not there is refused before anything is read:
/// most likely somebody typed a sentence. A file that is named twice is read once.
/// `backup` is what a backup's name ends in: below folders none is read.
pub fn sources(args: &TextArgs, backup: &OsStr) -> Result<Vec<Source>, Box<dyn Error>> {
    if !args.text.is_empty() {
        return Ok(vec![Source::Texts(args.text.clone())]);
    }
    let mut found = Found { backup: backup.to_owned(), ..Found::default() };
    match args.files.as_slice() {
        [] if args.recursive => found.below(Path::new("."), &args.glob)?,
        [] => return Ok(vec![Source::Stdin]),
        files => files.iter().try_for_each(|path| found.named(path, args))?,
    }
    Ok(found.sources)
}

#[derive(Default)]
struct Found {
    backup: OsString,
    sources: Vec<Source>,
    seen: HashSet<PathBuf>,
}

impl Found {
    /// What a name on the command line stands for.
    fn named(&mut self, path: &Path, args: &TextArgs) -> Result<(), Box<dyn Error>> {
        if path.as_os_str() == "-" {
            self.sources.push(Source::Stdin);
            return Ok(());
        }
        let shown = path.display();
        match fs::metadata(path) {
            Ok(found) if found.is_dir() && args.recursive => self.below(path, &args.glob),
            Ok(found) if found.is_dir() => {
                Err(format!("{shown}: is a folder: -r reads what lies in it").into())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(format!("{shown}: no such file: a text on the command line goes after -t")
                    .into())
            }
            // Any other trouble shows, and is told, when the file's turn comes.
            Ok(_) | Err(_) => {
                self.file(path.to_owned());
                Ok(())
            }
        }
    }

    /// The text files below a folder, by name; what .gitignore leaves out is left out
    /// whether or not the folder is a repository.
    fn below(&mut self, folder: &Path, globs: &[String]) -> Result<(), Box<dyn Error>> {
        let mut overrides = OverrideBuilder::new(folder);
        for glob in globs {
            overrides.add(glob).map_err(|error| format!("--glob {glob}: {error}"))?;
        }
        let walk = WalkBuilder::new(folder)
            .require_git(false)
            .overrides(overrides.build()?)
            .sort_by_file_name(|a, b| a.cmp(b))
            .build();
        for entry in walk {
            let entry = match entry {
                Ok(entry) => entry,
                // A folder that cannot be listed is told of when its turn comes; the rest is read.
                Err(error) => match place(&error) {
                    Some(path) => {
                        self.file(plain(path));
                        continue;
                    }
                    None => return Err(error.into()),
                },
            };
            let path = entry.path();
            let is_file = entry.file_type().is_some_and(|kind| kind.is_file());
            if is_file && !self.is_backup(path) && !is_binary(path) {
                self.file(plain(path));
            }
        }
        Ok(())
    }

    /// The old text that somebody kept is not to be corrected.
    fn is_backup(&self, path: &Path) -> bool {
        let name = path.as_os_str().as_encoded_bytes();
        let endings: [&[u8]; 3] = [self.backup.as_encoded_bytes(), b".bak", b"~"];
        endings.into_iter().any(|ending| !ending.is_empty() && name.ends_with(ending))
    }

    fn file(&mut self, path: PathBuf) {
        let identity = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        if self.seen.insert(identity) {
            self.sources.push(Source::File(path));
        }
    }
}

/// `-r .` means the names as they are typed: without `./`.
fn plain(path: &Path) -> PathBuf {
    path.strip_prefix("./").unwrap_or(path).to_owned()
}

/// The file or folder that an error of the walk is about.
fn place(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => {
            place(err)
        }
        _ => None,
    }
}

/// As git decides: a NUL among the first bytes. A file that cannot be read is not skipped
/// but read again, and then told of.
fn is_binary(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(SNIFFED).read_to_end(&mut start));
    read.is_ok() && memchr::memchr(0, &start).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Command};
    use clap::Parser;

    fn names(folder: &Path, args: &[&str]) -> Result<Vec<String>, String> {
        let args = args.iter().map(|arg| match arg.chars().next() {
            Some('-' | '*' | '!') => arg.into(),
            _ => folder.join(arg),
        });
        let args = ["zhengzi", "correct"].map(PathBuf::from).into_iter().chain(args);
        let Command::Correct(args) = Args::parse_from(args).command else { unreachable!() };
        let found = sources(&args.text, OsStr::new(".old")).map_err(|error| error.to_string())?;
        Ok(found
            .iter()
            .map(|source| match source.path() {
                Some(path) => path.strip_prefix(folder).unwrap().to_string_lossy().into_owned(),
                None => source.to_string(),
            })
            .collect())
    }

    #[test]
    fn folders_give_their_text_files_in_order_and_each_once() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        write("b.txt", b"b");
        write("a.md", b"a");
        write(".hidden", b"h");
        write("picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\r");
        write("ignored/c.txt", b"c");
        write(".gitignore", b"ignored/\n");
        write("deep/er/d.txt", b"d");
        for backup in ["a.md.bak", "b.txt~", "deep/er/d.txt.old"] {
            write(backup, b"old");
        }
        let names = |args: &[&str]| names(folder.path(), args);
        assert_eq!(names(&["-r", ""]).unwrap(), ["a.md", "b.txt", "deep/er/d.txt"]);
        assert_eq!(names(&["-r", "-g", "*.md", ""]).unwrap(), ["a.md"]);
        assert_eq!(names(&["-r", "-g", "!*.md", ""]).unwrap(), ["b.txt", "deep/er/d.txt"]);
        // What is named is read, whatever it is; and nothing is read twice.
        let all = ["-r", "ignored/c.txt", "deep/../b.txt", "b.txt", "", "-"];
        let expected = ["ignored/c.txt", "deep/../b.txt", "a.md", "deep/er/d.txt", "<stdin>"];
        assert_eq!(names(&all).unwrap(), expected);
        assert!(names(&[""]).unwrap_err().ends_with("is a folder: -r reads what lies in it"));
        assert!(names(&["-r", "e.txt"]).unwrap_err().contains("no such file"));
        assert!(names(&["-r", "-g", "*[", ""]).unwrap_err().starts_with("--glob *["));
    }
}
