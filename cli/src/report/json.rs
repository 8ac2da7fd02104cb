//! JSON Lines: an object for each line of input.

use std::io::{self, Write};

use serde::Serialize;
use zhengzi_model::corrector::{Alternative, Correction, apply};

use super::{Examined, Place, Report};
use crate::input::Defect;
use crate::offset::{Ruler, Span};

/// A JSON object for each line of input, found fault with or not.
pub struct Json;

impl Report for Json {
    fn examined(&mut self, out: &mut dyn Write, line: &Examined) -> io::Result<()> {
        let object = JsonLine {
            version: JSON_VERSION,
            path: line.place.path(),
            line: line.place.line,
            source: line.text,
            target: apply(line.text, line.corrections),
            corrections: json_corrections(line.text, line.corrections),
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
}

/// Raised when a key changes its meaning or goes; new keys may come under the same number.
pub const JSON_VERSION: u32 = 1;

/// The object on a line of its own.
pub fn write_json(out: &mut dyn Write, object: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, object)?;
    out.write_all(b"\n")
}

/// The corrections of a text as JSON gives them, from left to right.
pub fn json_corrections<'a>(text: &str, corrections: &'a [Correction]) -> Vec<JsonCorrection<'a>> {
    let mut ruler = Ruler::new(text);
    corrections
        .iter()
        .map(|correction| JsonCorrection {
            wrong: &correction.wrong,
            right: correction.right.as_deref(),
            span: ruler.span(&correction.span),
            detection: correction.detection,
            confidence: correction.confidence,
            alternatives: json_alternatives(&correction.alternatives),
        })
        .collect()
}

/// An array inside a document, written as its elements come: the document's brackets are
/// its writer's, an element begins on a line of its own.
#[derive(Default)]
pub struct JsonArray {
    begun: bool,
}

impl JsonArray {
    /// One more element.
    pub fn push(&mut self, out: &mut dyn Write, element: &impl Serialize) -> io::Result<()> {
        out.write_all(if self.begun { b",\n" } else { b"\n" })?;
        self.begun = true;
        Ok(serde_json::to_writer(out, element)?)
    }
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
pub struct JsonCorrection<'a> {
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
    use super::super::testing::{correction, written};
    use super::*;
    use crate::input::Source;

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
