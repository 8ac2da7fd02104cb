//! Plain text: the corrected text itself, or a line for each finding.

use std::io::{self, Write};

use zhengzi_model::corrector::apply;

use super::{Examined, Paint, Place, Report, findings};
use crate::input::Defect;

/// The text with its corrections; every other byte as it was.
pub struct CorrectedText {
    /// Whether what was changed stands out.
    pub color: bool,
}

impl Report for CorrectedText {
    fn examined(&mut self, out: &mut dyn Write, line: &Examined) -> io::Result<()> {
        let mut corrections = line.corrections.to_vec();
        for right in corrections.iter_mut().filter_map(|correction| correction.right.as_mut()) {
            *right = Paint::Change.on(self.color, right);
        }
        out.write_all(apply(line.text, &corrections).as_bytes())?;
        out.write_all(line.terminator)
    }

    fn unread(&mut self, out: &mut dyn Write, _: Place, bytes: &[u8], _: Defect) -> io::Result<()> {
        out.write_all(bytes)
    }

    fn unread_part(&mut self, out: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
        out.write_all(bytes)
    }

    fn streams(&self) -> bool {
        true
    }
}

/// Nothing at all: with `-w` the files are the answer.
pub struct Silence;

impl Report for Silence {
    fn examined(&mut self, _: &mut dyn Write, _: &Examined) -> io::Result<()> {
        Ok(())
    }

    fn streams(&self) -> bool {
        true
    }
}

/// A line for each finding, and nothing else.
pub struct Findings {
    /// Whether place and finding stand out.
    pub color: bool,
}

impl Report for Findings {
    fn examined(&mut self, out: &mut dyn Write, line: &Examined) -> io::Result<()> {
        findings(line, self.color).try_for_each(|finding| writeln!(out, "{finding}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{correction, written};
    use super::*;

    #[test]
    fn only_the_spans_of_corrections_change() {
        let text = "\u{feff}今天\t新情很好𠀀好堪 ";
        let found = [correction(text, "新", Some("心")), correction(text, "堪", Some("看"))];
        let plain = written(&mut CorrectedText { color: false }, text, &found);
        assert_eq!(plain, "\u{feff}今天\t心情很好𠀀好看 \r\n");
    }

    #[test]
    fn colour_surrounds_what_changed_and_leaves_escapes_of_the_text_alone() {
        let text = "\u{1b}[4m新情\u{1b}[0m";
        let found = [correction(text, "新", Some("心"))];
        let colored = written(&mut CorrectedText { color: true }, text, &found);
        assert_eq!(colored, "\u{1b}[4m\u{1b}[1;32m心\u{1b}[0m情\u{1b}[0m\r\n");
    }

    #[test]
    fn a_finding_is_one_line_with_its_column_in_code_points() {
        let text = "𠀀e\u{301}新情";
        let found = [correction(text, "新", None)];
        let line = written(&mut Findings { color: false }, text, &found);
        assert_eq!(line, "目录/a.txt:7:4: 新 (0.97)\n");
        assert_eq!(written(&mut Findings { color: false }, text, &[]), "");
    }
}
