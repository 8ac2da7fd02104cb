//! What was found, as text for people and as data for programs: one format a file.
//!
//! A [`Report`] is told every line of input in order and writes what its format makes of
//! it. Every format counts columns in the unit that its specification or its readers use;
//! [`crate::offset`] knows them all.

mod diff;
mod github;
mod json;
mod line;
mod name;
#[cfg(test)]
mod properties;
mod pycorrector;
mod rdjson;
mod sarif;
mod spool;
mod text;

use std::fmt;
use std::io::{self, Write};

use zhengzi_model::corrector::Correction;

use crate::input::{Defect, Source};
use crate::message::printable;
use crate::offset::Ruler;
pub use diff::Diff;
pub use github::Github;
pub use json::{
    JSON_VERSION, Json, JsonAlternative, JsonCorrection, json_alternatives, json_corrections,
    write_json,
};
pub use line::LinePerFinding;
pub use pycorrector::Pycorrector;
pub use rdjson::Rdjson;
pub use sarif::Sarif;
pub use text::{CorrectedText, Findings, Silence};

/// A line that was examined.
pub struct Examined<'a> {
    /// Where it stands.
    pub place: Place<'a>,
    /// The line without its terminator.
    pub text: &'a str,
    /// `\n`, `\r\n` or nothing.
    pub terminator: &'a [u8],
    /// What was found in it: sorted, never overlapping.
    pub corrections: &'a [Correction],
}

/// A line of a source: `path:line` in messages.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub source: &'a Source,
    /// From 1.
    pub line: u64,
}

/// One finding on one line: `path:line:column: 新→心 (0.91)`; without the arrow, and with the detector's probability, where nothing is proposed.
pub struct Finding<'a> {
    pub place: Place<'a>,
    /// From 1, in the unit of the format.
    pub column: usize,
    pub correction: &'a Correction,
    pub color: bool,
}

/// How the lines of the input become output.
pub trait Report {
    /// Before the first line of all.
    fn start(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    /// A line, and what was found in it.
    fn examined(&mut self, out: &mut dyn Write, line: &Examined) -> io::Result<()>;

    /// A line that was not examined, and why. Of one that is too long these are the first bytes.
    fn unread(
        &mut self,
        _out: &mut dyn Write,
        _place: Place,
        _bytes: &[u8],
        _defect: Defect,
    ) -> io::Result<()> {
        Ok(())
    }

    /// Further bytes of a line that was too long.
    fn unread_part(&mut self, _out: &mut dyn Write, _bytes: &[u8]) -> io::Result<()> {
        Ok(())
    }

    /// A source could not be read, or not to its end, and why.
    fn failed(&mut self, _: &Source, _error: &io::Error) -> io::Result<()> {
        Ok(())
    }

    /// No more lines come from this source.
    fn end_of(&mut self, _out: &mut dyn Write, _source: &Source) -> io::Result<()> {
        Ok(())
    }

    /// After the last line of all.
    fn finish(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    /// Whether a line of any length can go by in parts. Elsewhere there is an end to
    /// patience: [`crate::input::HELD_LIMIT`].
    fn streams(&self) -> bool {
        false
    }
}

/// The name of the one rule that there is, where a format asks for one.
const RULE: &str = "wrong-character";

/// The findings of a line, from left to right, columns in code points.
pub fn findings<'a>(line: &'a Examined, color: bool) -> impl Iterator<Item = Finding<'a>> {
    let mut ruler = Ruler::new(line.text);
    line.corrections.iter().map(move |correction| {
        let column = ruler.at(correction.span.start).char + 1;
        Finding { place: line.place, column, correction, color }
    })
}

impl<'a> Examined<'a> {
    /// Measures the line as an editor shows it.
    fn editor_ruler(&self) -> Ruler<'a> {
        match self.place.line {
            1 => Ruler::past_mark(self.text),
            _ => Ruler::new(self.text),
        }
    }
}

impl Place<'_> {
    /// The file; `None` for standard input and for texts of the command line.
    /// JSON has no bytes, only characters: what is not UTF-8 in a name becomes U+FFFD.
    fn path(&self) -> Option<String> {
        self.source.path().map(|path| path.to_string_lossy().into_owned())
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source, self.line)
    }
}

impl fmt::Display for Finding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { place, column, correction, color } = self;
        let source = Paint::Path.on(*color, &printable(&place.source.to_string()));
        let line = Paint::Line.on(*color, &place.line.to_string());
        let wrong = Paint::Wrong.on(*color, &correction.wrong);
        write!(f, "{source}:{line}:{column}: {wrong}")?;
        match &correction.right {
            Some(right) => {
                let right = Paint::Change.on(*color, right);
                write!(f, "→{right} ({:.2})", correction.confidence)
            }
            None => write!(f, " ({:.2})", correction.detection),
        }
    }
}

/// What other programs show of a finding.
fn message(correction: &Correction) -> String {
    let wrong = &correction.wrong;
    match &correction.right {
        Some(right) => format!("“{wrong}” may be wrong: did you mean “{right}”?"),
        None => format!("“{wrong}” may be wrong"),
    }
}

/// What of the output stands out on a terminal; the colours of ripgrep and git.
enum Paint {
    Path,
    Line,
    Wrong,
    Change,
    Heading,
    Hunk,
    Removed,
    Added,
}

impl Paint {
    fn on(self, color: bool, text: &str) -> String {
        let code = match self {
            Paint::Path => "35",     // magenta
            Paint::Line => "32",     // green
            Paint::Wrong => "1;31",  // bold red
            Paint::Change => "1;32", // bold green
            Paint::Heading => "1",
            Paint::Hunk => "36",    // cyan
            Paint::Removed => "31", // red
            Paint::Added => "32",   // green
        };
        match color {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod testing {
    use super::*;
    use zhengzi_model::corrector::Alternative;

    pub fn correction(text: &str, wrong: &str, right: Option<&str>) -> Correction {
        let start = text.find(wrong).unwrap();
        Correction {
            span: start..start + wrong.len(),
            wrong: wrong.to_owned(),
            right: right.map(str::to_owned),
            detection: 0.97,
            confidence: 0.91,
            alternatives: vec![Alternative { text: "心".to_owned(), probability: 0.1 }],
        }
    }

    /// All that is written of one line of a file.
    pub fn written(report: &mut dyn Report, text: &str, corrections: &[Correction]) -> String {
        written_from(report, &Source::File("目录/a.txt".into()), text, corrections)
    }

    /// All that is written of one line, the seventh of `source`.
    pub fn written_from(
        report: &mut dyn Report,
        source: &Source,
        text: &str,
        corrections: &[Correction],
    ) -> String {
        let mut out = Vec::new();
        let place = Place { source, line: 7 };
        report.start(&mut out).unwrap();
        let line = Examined { place, text, terminator: b"\r\n", corrections };
        report.examined(&mut out, &line).unwrap();
        report.end_of(&mut out, source).unwrap();
        report.finish(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }
}
