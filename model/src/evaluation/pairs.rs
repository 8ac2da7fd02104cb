//! Test sets: files of sentences, each with what it should be.
//!
//! A line is `wrong<TAB>right`, or the file is the input of a shared task of SIGHAN (see
//! [`super::sighan`]). UTF-8, with or without a byte order mark, lines ending in LF or CR LF;
//! blank lines set documents apart.

use std::fs;
use std::path::{Path, PathBuf};

use super::sighan::{self, Truths};
use crate::Error;

/// A sentence and what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Where it stands in its file, from 1.
    pub line: usize,
    /// As written.
    pub wrong: String,
    /// As it should be.
    pub right: String,
}

/// The pairs of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestSet {
    /// The file.
    pub path: PathBuf,
    /// At least one.
    pub pairs: Vec<Pair>,
}

impl Pair {
    /// Whether the two sides have equally many characters (code points).
    pub fn is_of_equal_length(&self) -> bool {
        self.wrong.chars().count() == self.right.chars().count()
    }
}

impl TestSet {
    /// Reads test sets. `truths` are the files that tell what is wrong in those of them which
    /// are inputs of SIGHAN, in any order.
    ///
    /// # Errors
    /// One line that names file and line, for a file that cannot be read, is not as above or
    /// holds no sentence, for a sentence of SIGHAN without its truth, and for a truth without
    /// its sentence.
    pub fn read(files: &[PathBuf], truths: &[PathBuf]) -> Result<Vec<TestSet>, Error> {
        let mut truths = Truths::read(truths)?;
        let read = |path: &PathBuf| TestSet::read_one(path, &mut truths);
        let sets = files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        truths.check_all_used()?;
        Ok(sets)
    }

    /// The pairs between two blank lines each.
    pub fn documents(&self) -> impl Iterator<Item = &[Pair]> {
        self.pairs.chunk_by(|pair, next| pair.line + 1 == next.line)
    }

    fn read_one(path: &Path, truths: &mut Truths) -> Result<TestSet, Error> {
        let text = text_of(path)?;
        let mut lines = numbered_lines(&text).peekable();
        let pairs: Result<Vec<Pair>, Error> = match lines.peek() {
            None => return Err(Error::new(path, "holds no sentences", PAIR)),
            Some((_, line)) if sighan::is_input(line) => {
                lines.map(|(line, text)| truths.pair(path, line, text)).collect()
            }
            Some(_) => lines.map(|(line, text)| pair(path, line, text)).collect(),
        };
        Ok(TestSet { path: path.to_owned(), pairs: pairs? })
    }
}

const PAIR: &str = "write a sentence, a tab, and the sentence as it should be, on each line";

/// A line `wrong<TAB>right`.
fn pair(path: &Path, line: usize, text: &str) -> Result<Pair, Error> {
    match text.split('\t').collect::<Vec<_>>()[..] {
        [wrong, right] => Ok(Pair { line, wrong: wrong.to_owned(), right: right.to_owned() }),
        [_] => Err(at(path, line, "no tab", PAIR)),
        _ => Err(at(path, line, "more than one tab", PAIR)),
    }
}

/// The text of a file without its byte order mark.
pub(super) fn text_of(path: &Path) -> Result<String, Error> {
    let bytes = fs::read(path)
        .map_err(|error| Error::new(path, error.to_string(), "name a text file of sentences"))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        at(path, line, "not UTF-8", "save it as UTF-8")
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// The lines that are not blank, numbered from 1.
pub(super) fn numbered_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    // A tab alone is a pair of empty sentences: nothing to correct, nothing to count.
    (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty())
}

/// What is wrong with a line.
pub(super) fn at(path: &Path, line: usize, what: impl Into<String>, hint: &str) -> Error {
    Error::new(path, format!("line {line}: {}", what.into()), hint)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Files of this content in a folder of their own, and what reading them gives.
    pub fn read(name: &str, files: &[&[u8]], truths: &[&[u8]]) -> Result<Vec<TestSet>, String> {
        let folder = std::env::temp_dir().join(format!("zhengzi-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let write = |kind: &str, contents: &[&[u8]]| -> Vec<PathBuf> {
            let numbered = contents.iter().enumerate();
            let path = |(i, content): (usize, &&[u8])| {
                let path = folder.join(format!("{kind}{i}"));
                fs::write(&path, content).unwrap();
                path
            };
            numbered.map(path).collect()
        };
        let result = TestSet::read(&write("input", files), &write("truth", truths));
        fs::remove_dir_all(&folder).unwrap();
        let prefix = format!("{}{}", folder.display(), std::path::MAIN_SEPARATOR);
        result.map_err(|error| error.to_string().replace(&prefix, ""))
    }

    pub fn pairs(set: &TestSet) -> Vec<(usize, &str, &str)> {
        set.pairs.iter().map(|pair| (pair.line, &pair.wrong[..], &pair.right[..])).collect()
    }

    #[test]
    fn marks_line_ends_and_blank_lines_are_no_part_of_a_sentence() {
        let text = "\u{feff}甲乙\t甲一\r\n\n \r\n 丙\t 丙\n丁\t";
        let sets = read("marks", &[text.as_bytes()], &[]).unwrap();
        assert_eq!(pairs(&sets[0]), [(1, "甲乙", "甲一"), (4, " 丙", " 丙"), (5, "丁", "")]);
        let equal: Vec<bool> = sets[0].pairs.iter().map(Pair::is_of_equal_length).collect();
        assert_eq!(equal, [true, true, false]);
    }

    #[test]
    fn a_bad_file_is_told_with_its_line() {
        for (text, expected) in [
            (&b""[..], "input0: holds no sentences: write a sentence, a tab"),
            (b"\xef\xbb\xbf\r\n\n", "input0: holds no sentences: write a sentence, a tab"),
            (b"a\tb\nab\n", "input0: line 2: no tab: write a sentence, a tab"),
            (b"\na\tb\tc\n", "input0: line 2: more than one tab: write a sentence, a tab"),
            (b"a\tb\n\xd6\xd0\t\xb9\xfa\n", "input0: line 2: not UTF-8: save it as UTF-8"),
        ] {
            let error = read("bad", &[text], &[]).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
        let error = TestSet::read(&["no such file".into()], &[]).unwrap_err().to_string();
        assert!(error.starts_with("no such file: "), "{error}");
    }
}
