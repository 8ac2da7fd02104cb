//! A unified diff that `git apply` and `patch -p1` take: hunks with three lines of context.
//!
//! A line is replaced by a line, so both sides of a hunk begin and end at the same numbers,
//! and the new line can stand directly below the old one. A hunk's heading tells its
//! length: the hunk is kept, in a temporary file where it is large, until it ends.

use std::collections::VecDeque;
use std::io::{self, Write};

use zhengzi_model::corrector::{Correction, apply};

use super::spool::Spool;
use super::{Examined, Paint, Place, Report, name};
use crate::input::{Defect, Source};

/// What would change; nothing of a source in which nothing would.
#[derive(Default)]
pub struct Diff {
    color: bool,
    /// Whether the names of this source have been written.
    headed: bool,
    /// Unchanged lines since the last change that are in no hunk yet: at most [`CONTEXT`].
    before: VecDeque<Vec<u8>>,
    hunk: Option<Hunk>,
    /// A line that was not examined and may go on.
    unread: Option<Vec<u8>>,
}

impl Diff {
    /// With `color` as git has it, changed characters reversed.
    pub fn new(color: bool) -> Diff {
        Diff { color, ..Diff::default() }
    }
}

impl Report for Diff {
    fn examined(&mut self, out: &mut dyn Write, line: &Examined) -> io::Result<()> {
        self.end_unread(out, line.place.source)?;
        if line.corrections.iter().any(changes) {
            self.changed(line)
        } else {
            self.unchanged(out, line.place.source, [line.text.as_bytes(), line.terminator].concat())
        }
    }

    fn unread(
        &mut self,
        out: &mut dyn Write,
        place: Place,
        bytes: &[u8],
        _: Defect,
    ) -> io::Result<()> {
        self.end_unread(out, place.source)?;
        self.unread = Some(bytes.to_vec());
        Ok(())
    }

    fn unread_part(&mut self, _: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
        self.unread.get_or_insert_default().extend(bytes);
        Ok(())
    }

    fn end_of(&mut self, out: &mut dyn Write, source: &Source) -> io::Result<()> {
        self.end_unread(out, source)?;
        self.end_hunk(out, source)?;
        self.before.clear();
        self.headed = false;
        Ok(())
    }
}

/// Unchanged lines around a change.
const CONTEXT: usize = 3;

/// A hunk that may still grow.
struct Hunk {
    /// The line that it begins with, from 1.
    start: u64,
    /// How many lines it has on either side.
    lines: u64,
    /// How many of them have been unchanged since the last change.
    unchanged: usize,
    body: Spool,
}

impl Diff {
    fn changed(&mut self, line: &Examined) -> io::Result<()> {
        let start = line.place.line - self.before.len() as u64;
        let hunk = self.hunk.get_or_insert_with(|| Hunk::new(start));
        for unchanged in self.before.drain(..) {
            hunk.push_unchanged(&unchanged)?;
        }
        hunk.lines += 1;
        hunk.unchanged = 0;
        let new = apply(line.text, line.corrections);
        let (old, new) = match self.color {
            true => highlighted(line),
            false => (format!("-{}", line.text), format!("+{new}")),
        };
        hunk.push(old.as_bytes(), line.terminator)?;
        hunk.push(new.as_bytes(), line.terminator)
    }

    fn unchanged(&mut self, out: &mut dyn Write, source: &Source, line: Vec<u8>) -> io::Result<()> {
        if let Some(hunk) = self.hunk.as_mut().filter(|hunk| hunk.unchanged < CONTEXT) {
            return hunk.push_unchanged(&line);
        }
        if self.before.len() == CONTEXT {
            // The next change is too far away to share context with the last one.
            self.end_hunk(out, source)?;
            self.before.pop_front();
        }
        self.before.push_back(line);
        Ok(())
    }

    fn end_unread(&mut self, out: &mut dyn Write, source: &Source) -> io::Result<()> {
        match self.unread.take() {
            Some(line) => self.unchanged(out, source, line),
            None => Ok(()),
        }
    }

    fn end_hunk(&mut self, out: &mut dyn Write, source: &Source) -> io::Result<()> {
        let Some(hunk) = self.hunk.take() else { return Ok(()) };
        if !self.headed {
            for (mark, side) in [("---", 'a'), ("+++", 'b')] {
                let heading = format!("{mark} {}", name::in_diff(side, source));
                writeln!(out, "{}", Paint::Heading.on(self.color, &heading))?;
            }
            self.headed = true;
        }
        let range = match hunk.lines {
            1 => hunk.start.to_string(),
            lines => format!("{},{lines}", hunk.start),
        };
        writeln!(out, "{}", Paint::Hunk.on(self.color, &format!("@@ -{range} +{range} @@")))?;
        hunk.body.pour(out)
    }
}

impl Hunk {
    fn new(start: u64) -> Hunk {
        Hunk { start, lines: 0, unchanged: 0, body: Spool::new() }
    }

    fn push_unchanged(&mut self, line: &[u8]) -> io::Result<()> {
        self.lines += 1;
        self.unchanged += 1;
        self.body.write_all(b" ")?;
        self.push(line, if line.ends_with(b"\n") { b"\n" } else { b"" })
    }

    /// A line of the hunk; `content` may have its terminator with it.
    fn push(&mut self, content: &[u8], terminator: &[u8]) -> io::Result<()> {
        let content = content.strip_suffix(terminator).unwrap_or(content);
        let end = match terminator {
            b"" => b"\n\\ No newline at end of file\n",
            terminator => terminator,
        };
        self.body.write_all(content)?;
        self.body.write_all(end)
    }
}

/// Whether a correction is more than a suspicion.
fn changes(correction: &Correction) -> bool {
    correction.right.as_ref().is_some_and(|right| *right != correction.wrong)
}

/// Both sides of a line in the colours of git, what differs reversed.
fn highlighted(line: &Examined) -> (String, String) {
    let side = |replacement: fn(&Correction) -> &str| {
        let mut corrections = line.corrections.to_vec();
        corrections.retain(changes);
        for correction in &mut corrections {
            correction.right = Some(format!("\x1b[7m{}\x1b[27m", replacement(correction)));
        }
        apply(line.text, &corrections)
    };
    let old = side(|correction| &correction.wrong);
    let new = side(|correction| correction.right.as_deref().unwrap_or_default());
    (Paint::Removed.on(true, &format!("-{old}")), Paint::Added.on(true, &format!("+{new}")))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{correction, written};
    use super::*;

    /// The diff of a file of which some lines hold 新, which should be 心.
    fn diff(lines: &[&str]) -> String {
        let source = Source::File("a.txt".into());
        let (mut report, mut out) = (Diff::new(false), Vec::new());
        for (line, number) in lines.iter().zip(1..) {
            let text = line.trim_end_matches(['\r', '\n']);
            let found: Vec<Correction> = text
                .contains('新')
                .then(|| correction(text, "新", Some("心")))
                .into_iter()
                .collect();
            let place = Place { source: &source, line: number };
            let terminator = &line.as_bytes()[text.len()..];
            let line = Examined { place, text, terminator, corrections: &found };
            report.examined(&mut out, &line).unwrap();
        }
        report.end_of(&mut out, &source).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_change_has_three_lines_around_it() {
        let lines = ["1\n", "2\n", "3\n", "4\r\n", "新5\r\n", "6\n", "7\n", "8\n", "9\n"];
        let expected = "--- a/a.txt\n+++ b/a.txt\n@@ -2,7 +2,7 @@\n \
                        2\n 3\n 4\r\n-新5\r\n+心5\r\n 6\n 7\n 8\n";
        assert_eq!(diff(&lines), expected);
    }

    #[test]
    fn six_lines_between_changes_join_their_hunks_and_seven_part_them() {
        let mut lines = vec!["新\n"];
        lines.extend(["好\n"; 6]);
        lines.push("新");
        let joined = diff(&lines);
        assert_eq!(joined.matches("@@ -").count(), 1);
        assert!(joined.contains("@@ -1,8 +1,8 @@\n-新\n+心\n 好\n"), "{joined}");
        let end = "-新\n\\ No newline at end of file\n+心\n\\ No newline at end of file\n";
        assert!(joined.ends_with(end), "{joined}");
        lines.insert(1, "好\n");
        let parted = diff(&lines);
        assert!(parted.contains("@@ -1,4 +1,4 @@\n"), "{parted}");
        assert!(parted.contains("@@ -6,4 +6,4 @@\n"), "{parted}");
        assert_eq!(parted.matches("--- ").count(), 1);
    }

    #[test]
    fn one_line_alone_has_a_range_without_a_length() {
        assert!(diff(&["新\n"]).contains("@@ -1 +1 @@\n-新\n+心\n"));
    }

    #[test]
    fn nothing_is_said_where_nothing_changes() {
        assert_eq!(diff(&["好\n"; 20]), "");
        assert_eq!(written(&mut Diff::new(true), "新", &[correction("新", "新", None)]), "");
        assert_eq!(written(&mut Diff::new(true), "新", &[correction("新", "新", Some("新"))]), "");
    }

    #[test]
    fn colour_marks_the_characters_that_change() {
        let found = [correction("天新", "天", None), correction("天新", "新", Some("心"))];
        let expected = "\x1b[1m--- a/目录/a.txt\x1b[0m\n\x1b[1m+++ b/目录/a.txt\x1b[0m\n\
                        \x1b[36m@@ -7 +7 @@\x1b[0m\n\
                        \x1b[31m-天\x1b[7m新\x1b[27m\x1b[0m\r\n\
                        \x1b[32m+天\x1b[7m心\x1b[27m\x1b[0m\r\n";
        assert_eq!(written(&mut Diff::new(true), "天新", &found), expected);
    }

    #[test]
    fn a_line_in_parts_is_context_like_others() {
        let source = Source::File("a.txt".into());
        let (mut report, mut out) = (Diff::new(false), Vec::new());
        let place = Place { source: &source, line: 1 };
        report.unread(&mut out, place, b"\xff", Defect::TooLong).unwrap();
        report.unread_part(&mut out, b"\0").unwrap();
        report.unread_part(&mut out, b"\r\n").unwrap();
        let found = [correction("新", "新", Some("心"))];
        let place = Place { source: &source, line: 2 };
        let line = Examined { place, text: "新", terminator: b"\n", corrections: &found };
        report.examined(&mut out, &line).unwrap();
        let place = Place { source: &source, line: 3 };
        report.unread(&mut out, place, b"\xfe", Defect::NotUtf8 { at: 0 }).unwrap();
        report.end_of(&mut out, &source).unwrap();
        let mut expected = b"--- a/a.txt\n+++ b/a.txt\n@@ -1,3 +1,3 @@\n \xff\0\r\n".to_vec();
        expected.extend("-新\n+心\n ".as_bytes());
        expected.extend(b"\xfe\n\\ No newline at end of file\n");
        assert_eq!(out, expected);
    }
}
