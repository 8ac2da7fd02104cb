//! A line for each finding, for the error lists of editors: Vim's `errorformat`
//! `%f:%l:%c: %m`, Emacs' compilation mode, `reviewdog -efm`.
//!
//! Columns count UTF-8 bytes from 1 (Vim's `%c`, `:help errorformat`; reviewdog's
//! `Position.column`), in the text as an editor holds it: without a byte order mark.

use std::io::{self, Write};

use super::{Examined, Finding, Report};

/// `path:line:column: 新→心 (0.41)`, and nothing else.
pub struct LinePerFinding;

impl Report for LinePerFinding {
    fn examined(&mut self, out: &mut dyn Write, line: &Examined) -> io::Result<()> {
        let mut ruler = line.editor_ruler();
        line.corrections.iter().try_for_each(|correction| {
            let column = ruler.at(correction.span.start).byte + 1;
            writeln!(out, "{}", Finding { place: line.place, column, correction, color: false })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{correction, written};
    use super::*;

    #[test]
    fn the_column_is_the_byte_that_a_finding_begins_with() {
        let text = "𠀀e\u{301}新情";
        let found = [correction(text, "新", Some("心"))];
        assert_eq!(written(&mut LinePerFinding, text, &found), "目录/a.txt:7:8: 新→心 (0.91)\n");
        let found = [correction(text, "新", None)];
        assert_eq!(written(&mut LinePerFinding, text, &found), "目录/a.txt:7:8: 新 (0.97)\n");
    }
}
