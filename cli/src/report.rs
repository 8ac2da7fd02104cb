//! What was found, as text for people and as JSON for programs.
//!
//! A [`Report`] is told every line of input in order and writes what its format makes of
//! it. A new format is a new struct here.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;
use zhengzi_model::corrector::{Alternative, Correction, apply};

use crate::input::{Defect, Source};
use crate::message::printable;
use crate::offset::{Ruler, Span};

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

/// One finding for people: `path:line:column: 新→心 (0.91)`, the column in code points
/// from 1; without the arrow, and with the detector's probability, where nothing is proposed.
pub struct Finding<'a> {
    pub place: Place<'a>,
    pub column: usize,
    pub correction: &'a Correction,
    pub color: bool,
}

/// How the lines of the input become output.
pub trait Report {
    /// A line, and what was found in it.
    fn examined(&mut self, out: &mut dyn Write, line: &Examined) -> io::Result<()>;

    /// A line that was not examined, and why. Of one that is too long these are the first bytes.
    fn unread(
        &mut self,
        out: &mut dyn Write,
        place: Place,
        bytes: &[u8],
        defect: Defect,
    ) -> io::Result<()>;

    /// Further bytes of a line that was too long.
    fn unread_part(&mut self, out: &mut dyn Write, bytes: &[u8]) -> io::Result<()>;
}

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

    fn unread(&mut self, _: &mut dyn Write, _: Place, _: &[u8], _: Defect) -> io::Result<()> {
        Ok(())
    }

    fn unread_part(&mut self, _: &mut dyn Write, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

/// A JSON object for each line of input, found fault with or not.
pub struct Json;

impl Report for Json {
    fn examined(&mut self, out: &mut dyn Write, line: &Examined) -> io::Result<()> {
        let mut ruler = Ruler::new(line.text);
        let corrections = line.corrections.iter().map(|correction| JsonCorrection {
            wrong: &correction.wrong,
            right: correction.right.as_deref(),
            span: ruler.span(&correction.span),
            detection: correction.detection,
            confidence: correction.confidence,
            alternatives: json_alternatives(&correction.alternatives),
        });
        let object = JsonLine {
            version: JSON_VERSION,
            path: line.place.path(),
            line: line.place.line,
            source: line.text,
            target: apply(line.text, line.corrections),
            corrections: corrections.collect(),
        };
        write_json(out, &object)
    }

    fn unread(
        &mut self,
        out: &mut dyn Write,
        place: Place,
        _: &[u8],
        defect: Defect,
    ) -> io::Result<()> {
        let (path, line, error) = (place.path(), place.line, defect.to_string());
        write_json(out, &JsonDefect { version: JSON_VERSION, path, line, error })
    }

    fn unread_part(&mut self, _: &mut dyn Write, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

/// The findings of a line, from left to right.
pub fn findings<'a>(line: &'a Examined, color: bool) -> impl Iterator<Item = Finding<'a>> {
    let mut ruler = Ruler::new(line.text);
    line.corrections.iter().map(move |correction| {
        let column = ruler.at(correction.span.start).char + 1;
        Finding { place: line.place, column, correction, color }
    })
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

/// What of the output stands out on a terminal; the colours of ripgrep and git.
enum Paint {
    Path,
    Line,
    Wrong,
    Change,
}

impl Paint {
    fn on(self, color: bool, text: &str) -> String {
        let code = match self {
            Paint::Path => "35",     // magenta
            Paint::Line => "32",     // green
            Paint::Wrong => "1;31",  // bold red
            Paint::Change => "1;32", // bold green
        };
        match color {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

/// Raised when a key changes its meaning or goes; new keys may come under the same number.
pub const JSON_VERSION: u32 = 1;

/// The object on a line of its own.
pub fn write_json(out: &mut dyn Write, object: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, object)?;
    out.write_all(b"\n")
}

/// The candidates as JSON gives them, best first.
pub fn json_alternatives(alternatives: &[Alternative]) -> Vec<JsonAlternative<'_>> {
    alternatives
        .iter()
        .map(|Alternative { text, probability }| JsonAlternative {
            text,
            probability: *probability,
        })
        .collect()
}

#[derive(Serialize)]
pub struct JsonAlternative<'a> {
    text: &'a str,
    probability: f32,
}

#[derive(Serialize)]
struct JsonLine<'a> {
    version: u32,
    path: Option<String>,
    line: u64,
    source: &'a str,
    target: String,
    corrections: Vec<JsonCorrection<'a>>,
}

#[derive(Serialize)]
struct JsonCorrection<'a> {
    wrong: &'a str,
    right: Option<&'a str>,
    #[serde(flatten)]
    span: Span,
    detection: f32,
    confidence: f32,
    alternatives: Vec<JsonAlternative<'a>>,
}

#[derive(Serialize)]
struct JsonDefect {
    version: u32,
    path: Option<String>,
    line: u64,
    error: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn correction(text: &str, wrong: &str, right: Option<&str>) -> Correction {
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

    fn written(report: &mut dyn Report, text: &str, corrections: &[Correction]) -> String {
        let mut out = Vec::new();
        let place = Place { source: &Source::File("目录/a.txt".into()), line: 7 };
        let line = Examined { place, text, terminator: b"\r\n", corrections };
        report.examined(&mut out, &line).unwrap();
        String::from_utf8(out).unwrap()
    }

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

    #[test]
    fn json_is_the_promised_object_with_its_keys_in_order() {
        let text = "𠀀\"新情";
        let found = [correction(text, "新", Some("心"))];
        let expected = concat!(
            r#"{"version":1,"path":"目录/a.txt","line":7,"source":"𠀀\"新情","target":"𠀀\"心情","#,
            r#""corrections":[{"wrong":"新","right":"心","byte":[5,8],"char":[2,3],"utf16":[3,4],"#,
            r#""detection":0.97,"confidence":0.91,"#,
            r#""alternatives":[{"text":"心","probability":0.1}]}]}"#,
            "\n"
        );
        assert_eq!(written(&mut Json, text, &found), expected);
    }

    #[test]
    fn json_of_a_suspicion_has_a_null_and_leaves_the_text() {
        let found = [correction("新情", "新", None)];
        let object: serde_json::Value =
            serde_json::from_str(&written(&mut Json, "新情", &found)).unwrap();
        assert_eq!(object["corrections"][0]["right"], serde_json::Value::Null);
        assert_eq!(object["target"], "新情");
    }

    #[test]
    fn json_brings_every_character_back_exactly() {
        let text: String = (0..0x11_0000).step_by(7).filter_map(char::from_u32).collect();
        let object: serde_json::Value =
            serde_json::from_str(&written(&mut Json, &text, &[])).unwrap();
        assert_eq!(object["source"], text.as_str());
        assert_eq!(object["target"], text.as_str());
    }

    #[test]
    fn json_of_a_defect_is_an_object_too() {
        let mut out = Vec::new();
        let place = Place { source: &Source::Stdin, line: 3 };
        Json.unread(&mut out, place, b"\xff\n", Defect::NotUtf8 { at: 0 }).unwrap();
        let expected =
            "{\"version\":1,\"path\":null,\"line\":3,\"error\":\"not UTF-8 at byte 0\"}\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
