//! The two files of SIGHAN's shared tasks on Chinese spelling check (Wu et al., 2013; Yu et al.,
//! 2014; Tseng et al., 2015, "Introduction to SIGHAN 2015 Bake-off for Chinese Spelling Check").
//!
//! The input has a numbered sentence a line, `(NID=A2-0011-1)<TAB>sentence`. The truth has for
//! each number the characters that are wrong and what should stand there, `A2-0011-1, 4, 座, 9, 再`,
//! or `A2-0023-1, 0` where nothing is wrong. Positions are code points of the sentence, from 1.
//! A truth that says what stands there already corrects nothing.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::pairs::{Pair, at, numbered_lines, text_of};
use crate::Error;

/// The lines of all truth files.
pub(super) struct Truths {
    by_number: HashMap<String, Truth>,
}

/// What is wrong in one sentence.
struct Truth {
    path: PathBuf,
    line: usize,
    /// Positions from 1 and what should stand there.
    labels: Vec<(usize, char)>,
    used: bool,
}

const INPUT: &str = "(NID=";
const TRUTH: &str = "write it as in `A2-0011-1, 4, 座, 9, 再` or `A2-0023-1, 0`";
const NEEDED: &str = "name its file of truths with --truth";

/// Whether a line is a numbered sentence.
pub(super) fn is_input(line: &str) -> bool {
    line.starts_with(INPUT)
}

impl Truths {
    pub fn read(paths: &[PathBuf]) -> Result<Truths, Error> {
        let mut by_number = HashMap::new();
        for path in paths {
            let text = text_of(path)?;
            let mut lines = numbered_lines(&text).peekable();
            if lines.peek().is_none() {
                return Err(Error::new(path, "holds no truths", TRUTH));
            }
            for (line, text) in lines {
                let (number, labels) =
                    parsed(text).ok_or_else(|| at(path, line, "not a truth", TRUTH))?;
                match by_number.entry(number.to_owned()) {
                    Entry::Vacant(free) => {
                        free.insert(Truth { path: path.clone(), line, labels, used: false });
                    }
                    Entry::Occupied(_) => {
                        let what = format!("a second truth of {number}");
                        return Err(at(path, line, what, "keep one of them"));
                    }
                }
            }
        }
        Ok(Truths { by_number })
    }

    /// A line of an input, corrected by its truth.
    pub fn pair(&mut self, path: &Path, line: usize, text: &str) -> Result<Pair, Error> {
        const NUMBER: &str = "write (NID=…), a tab and the sentence on each line";
        let numbered = text.strip_prefix(INPUT).and_then(|rest| rest.split_once(')'));
        let (number, wrong) =
            numbered.ok_or_else(|| at(path, line, "a sentence without its number", NUMBER))?;
        let wrong = wrong.trim_start_matches(['\t', ' ']);
        if self.by_number.is_empty() {
            return Err(at(path, line, "a sentence of SIGHAN", NEEDED));
        }
        let truth = self
            .by_number
            .get_mut(number)
            .ok_or_else(|| at(path, line, format!("no truth has the number {number}"), NEEDED))?;
        if std::mem::replace(&mut truth.used, true) {
            let what = format!("a second sentence with the number {number}");
            return Err(at(path, line, what, "keep one of them"));
        }
        Ok(Pair { line, wrong: wrong.to_owned(), right: truth.applied_to(wrong)? })
    }

    /// A truth without a sentence belongs to another input.
    pub fn check_all_used(&self) -> Result<(), Error> {
        let unused = self.by_number.iter().filter(|(_, truth)| !truth.used);
        match unused.min_by_key(|(_, truth)| (&truth.path, truth.line)) {
            None => Ok(()),
            Some((number, truth)) => {
                let what = format!("no sentence has the number {number}");
                Err(at(&truth.path, truth.line, what, "name the input that it belongs to"))
            }
        }
    }
}

impl Truth {
    fn applied_to(&self, sentence: &str) -> Result<String, Error> {
        let mut chars: Vec<char> = sentence.chars().collect();
        let length = chars.len();
        for &(position, right) in &self.labels {
            let place = chars.get_mut(position - 1).ok_or_else(|| {
                let what = format!("position {position} in a sentence of {length} characters");
                at(&self.path, self.line, what, "is it the truth of another input?")
            })?;
            *place = right;
        }
        Ok(chars.into_iter().collect())
    }
}

/// Number and labels of a line of truth.
fn parsed(line: &str) -> Option<(&str, Vec<(usize, char)>)> {
    let mut fields = line.split(',').map(str::trim);
    let number = fields.next().filter(|number| !number.is_empty())?;
    let fields: Vec<&str> = fields.collect();
    if fields == ["0"] {
        return Some((number, Vec::new()));
    }
    let (labels, rest) = fields.as_chunks::<2>();
    let label = |&[position, right]: &[&str; 2]| {
        let mut chars = right.chars();
        let right = chars.next().filter(|_| chars.next().is_none())?;
        Some((position.parse().ok().filter(|&position: &usize| position > 0)?, right))
    };
    let labels: Vec<(usize, char)> = labels.iter().map(label).collect::<Option<_>>()?;
    let distinct = labels.iter().map(|label| label.0).collect::<HashSet<_>>().len() == labels.len();
    (rest.is_empty() && !labels.is_empty() && distinct).then_some((number, labels))
}

#[cfg(test)]
mod tests {
    use super::super::pairs::tests::{pairs, read};
    use super::*;

    #[test]
    fn inputs_find_their_truths_in_whatever_file() {
        let inputs: [&[u8]; 3] = [
            "\u{feff}(NID=A2-1)\t𠀀乙丙丁\r\n\r\n(NID=A2-2)\t甲乙\r\n".as_bytes(),
            "甲\t乙\n".as_bytes(),
            "(NID=00001) 甲乙".as_bytes(),
        ];
        let truths: [&[u8]; 2] =
            ["00001, 1, 一\n".as_bytes(), "A2-2, 0\r\n\nA2-1,2,二, 4, 四\n".as_bytes()];
        let sets = read("sighan", &inputs, &truths).unwrap();
        assert_eq!(pairs(&sets[0]), [(1, "𠀀乙丙丁", "𠀀二丙四"), (3, "甲乙", "甲乙")]);
        assert_eq!(pairs(&sets[1]), [(1, "甲", "乙")]);
        assert_eq!(pairs(&sets[2]), [(1, "甲乙", "一乙")]);
    }

    #[test]
    fn input_and_truth_that_do_not_fit_are_told() {
        let input = "(NID=A)\t甲乙\n(NID=B)\t丙丁\n";
        for (input, truth, expected) in [
            (input, "A, 0\n", "input0: line 2: no truth has the number B"),
            (input, "A, 0\nB, 0\nC, 0\nD, 0\n", "truth0: line 3: no sentence has the number C"),
            (input, "A, 0\nB, 3, 一\n", "truth0: line 2: position 3 in a sentence of 2 characters"),
            (input, "A, 0\nA, 0\n", "truth0: line 2: a second truth of A"),
            ("(NID=A)\t甲\n(NID=A)\t甲\n", "A, 0\n", "input0: line 2: a second sentence with"),
            ("(NID=A)\t甲\n甲\t乙\n", "A, 0\n", "input0: line 2: a sentence without its number"),
            ("甲\t乙\n", "A, 0\n", "truth0: line 1: no sentence has the number A"),
            (input, "\n", "truth0: holds no truths"),
        ] {
            let error = read("misfits", &[input.as_bytes()], &[truth.as_bytes()]).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
        let error = read("alone", &[input.as_bytes()], &[]).unwrap_err();
        assert!(
            error.starts_with("input0: line 1: a sentence of SIGHAN: name its file"),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_truth_is_refused() {
        for line in [
            "A",
            ", 0",
            "A, 1",
            "A, 0, 甲",
            "A, 1, 甲乙",
            "A, 1, ",
            "A, 1, 甲, 2",
            "A, x, 甲",
            "A, 1, 甲, 1, 乙",
            "A, -1, 甲",
            "甲\t乙",
        ] {
            assert_eq!(parsed(line), None, "{line}");
        }
        assert_eq!(parsed("A, 3, 乙, 1, 甲"), Some(("A", vec![(3, '乙'), (1, '甲')])));
    }
}
