//! What was wrong with a model file, where in it, and what to do: always one line.

use std::fmt;
use std::path::{Path, PathBuf};

/// `<file>: <what> at byte <n> (tensor <name>): <hint>`, on one line whatever the file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointError {
    /// The file.
    pub path: PathBuf,
    /// Byte offset in the file, where one is known.
    pub offset: Option<u64>,
    /// The tensor, where one is concerned: its name as the file spells it.
    pub tensor: Option<String>,
    /// What was wrong.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl CheckpointError {
    /// `what` was wrong with `path`.
    pub fn new(path: &Path, what: impl Into<String>) -> Self {
        CheckpointError {
            path: path.to_owned(),
            offset: None,
            tensor: None,
            what: what.into(),
            hint: None,
        }
    }

    /// The same, at byte `offset` of the file.
    pub fn at(self, offset: usize) -> Self {
        CheckpointError { offset: Some(offset as u64), ..self }
    }

    /// The same, about the tensor of that name.
    pub fn tensor(self, name: impl Into<String>) -> Self {
        CheckpointError { tensor: Some(name.into()), ..self }
    }

    /// The same, with what to do about it.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        CheckpointError { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", OneLine(&self.path.to_string_lossy()), OneLine(&self.what))?;
        if let Some(offset) = self.offset {
            write!(f, " at byte {offset}")?;
        }
        if let Some(tensor) = &self.tensor {
            write!(f, " (tensor {})", OneLine(tensor))?;
        }
        if let Some(hint) = &self.hint {
            write!(f, ": {}", OneLine(hint))?;
        }
        Ok(())
    }
}

impl std::error::Error for CheckpointError {}

/// The candidate that is spelled most like `wanted`, and how many letters apart they are.
pub(crate) fn nearest<'a>(
    wanted: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<(&'a str, usize)> {
    candidates
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| (candidate, edit_distance(wanted, candidate)))
        .min_by_key(|&(_, distance)| distance)
}

/// Levenshtein's distance in bytes, one row at a time; what is longer than any honest name is cut.
pub fn edit_distance(a: &str, b: &str) -> usize {
    let [a, b] = [a, b].map(|text| &text.as_bytes()[..text.len().min(LONGEST)]);
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// Text that came out of a file, made safe to print: control characters are escaped (a name
/// could hold a line break or a terminal command) and its length is bounded.
pub struct OneLine<'a>(pub &'a str);

/// Longer than any honest path or tensor name, short enough for a line.
const LONGEST: usize = 400;

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, c) in self.0.chars().enumerate() {
            // The second range turns text around (bidirectional controls, line separators).
            let hidden =
                c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            match c {
                _ if i == LONGEST => return write!(f, "…"),
                _ if hidden => write!(f, "{}", c.escape_unicode())?,
                _ => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_whatever_the_names_hold() {
        let error = CheckpointError::new(Path::new("a\nb.bin"), "wrong")
            .at(7)
            .tensor("x\u{1b}[2J\r\u{202e}y")
            .hint("mend it");
        assert_eq!(
            error.to_string(),
            r"a\u{a}b.bin: wrong at byte 7 (tensor x\u{1b}[2J\u{d}\u{202e}y): mend it"
        );
    }

    #[test]
    fn the_nearest_name_is_the_one_with_fewest_edits() {
        let names = ["encoder.layer.1.bias", "encoder.layer.0.bias", "classifier.bias"];
        assert_eq!(nearest("encoder.layer.0.bais", names.into_iter()), Some((names[1], 2)));
        assert_eq!((edit_distance("", "abc"), edit_distance("kitten", "sitting")), (3, 3));
    }

    #[test]
    fn a_name_of_a_megabyte_is_cut() {
        let error = CheckpointError::new(Path::new("f"), "no").tensor("名".repeat(1 << 20));
        assert!(error.to_string().chars().count() < LONGEST + 40);
    }
}
