//! Reads the files of protected words and of confusions, as `Decisions::read` describes them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::Error;

/// Adds the words of a `--protect` file.
pub(super) fn read_words(path: &Path, words: &mut BTreeSet<String>) -> Result<(), Error> {
    read_lines(path, |line| {
        words.insert(line.to_owned());
        Ok(())
    })
}

/// Adds the pairs of a `--confusion` file; later ones take the place of earlier ones.
pub(super) fn read_confusions(
    path: &Path,
    confusions: &mut BTreeMap<String, String>,
) -> Result<(), Error> {
    read_lines(path, |line| {
        let mut fields = line.split_whitespace();
        let (wrong, right) = match (fields.next(), fields.next(), fields.next()) {
            (Some(wrong), Some(right), None) => (wrong, right),
            (Some(wrong), Some(right), Some(third)) if is_frequency(third) => (wrong, right),
            (Some(wrong), None, _) => return Err((format!("{wrong} stands alone"), PAIR)),
            _ => return Err(("more than two words".to_owned(), PAIR)),
        };
        match fields.next() {
            Some(_) => Err(("more than two words and a number".to_owned(), PAIR)),
            None => {
                confusions.insert(wrong.to_owned(), right.to_owned());
                Ok(())
            }
        }
    })
}

fn is_frequency(field: &str) -> bool {
    field.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

const PAIR: &str = "write a wrong word, a space, and the right one";

/// What is wrong with a line, and what to do.
type Complaint = (String, &'static str);

/// Hands every line that says something to `each`, without comment and surrounding white space.
fn read_lines(
    path: &Path,
    mut each: impl FnMut(&str) -> Result<(), Complaint>,
) -> Result<(), Error> {
    const UTF8: &str = "save it as UTF-8";
    let bytes = fs::read(path)
        .map_err(|error| Error::new(path, error.to_string(), "name a text file of words"))?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count() + 1;
        Error::new(path, format!("line {line}: not UTF-8"), UTF8)
    })?;
    for (index, line) in text.lines().enumerate() {
        // Files put together hold a byte order mark further down, too.
        let line = without_comment(line.trim_start_matches('\u{feff}')).trim();
        let result = match line.chars().find(|&c| c.is_control() && c != '\t') {
            _ if line.is_empty() => Ok(()),
            Some(c) => Err((format!("the control character U+{:04X}", c as u32), "take it out")),
            None => each(line),
        };
        result.map_err(|(what, hint)| {
            Error::new(path, format!("line {}: {what}", index + 1), hint)
        })?;
    }
    Ok(())
}

/// The line up to a `#` that opens it or follows white space; `C#` is a word.
fn without_comment(line: &str) -> &str {
    let opens =
        |&(at, _): &(usize, &str)| line[..at].chars().next_back().is_none_or(char::is_whitespace);
    let comment = line.match_indices('#').find(opens);
    comment.map_or(line, |(at, _)| &line[..at])
}
