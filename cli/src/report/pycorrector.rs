//! What pycorrector's `correct` returns, a JSON object for each line: scripts that read it
//! keep working. Positions are its own: code points from 0.

use std::io::{self, Write};

use serde::Serialize;
use zhengzi_model::corrector::apply;

use super::{Examined, Place, Report, write_json};
use crate::input::Defect;
use crate::offset::Ruler;

/// `{"source":…,"target":…,"errors":[["新","心",2]]}`; `null` where nothing is proposed.
pub struct Pycorrector;

impl Report for Pycorrector {
    fn examined(&mut self, out: &mut dyn Write, line: &Examined) -> io::Result<()> {
        let mut ruler = Ruler::new(line.text);
        let errors = line.corrections.iter().map(|correction| {
            let position = ruler.at(correction.span.start).char;
            (correction.wrong.as_str(), correction.right.as_deref(), position)
        });
        let object = Answer {
            source: Some(line.text),
            target: Some(apply(line.text, line.corrections)),
            errors: errors.collect(),
            error: None,
        };
        write_json(out, &object)
    }

    fn unread(
        &mut self,
        out: &mut dyn Write,
        _: Place,
        _: &[u8],
        defect: Defect,
    ) -> io::Result<()> {
        let error = Some(defect.to_string());
        write_json(out, &Answer { source: None, target: None, errors: Vec::new(), error })
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    source: Option<&'a str>,
    target: Option<String>,
    /// Wrong, right, position.
    errors: Vec<(&'a str, Option<&'a str>, usize)>,
    /// Why the line was not examined; pycorrector has no such key, nor such lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::super::testing::{correction, written};
    use super::*;
    use crate::input::Source;

    #[test]
    fn positions_are_code_points_from_zero() {
        let text = "𠀀e\u{301}新情";
        let found = [correction(text, "新", Some("心"))];
        assert_eq!(
            written(&mut Pycorrector, text, &found),
            "{\"source\":\"𠀀e\u{301}新情\",\"target\":\"𠀀e\u{301}心情\",\
             \"errors\":[[\"新\",\"心\",3]]}\n"
        );
        assert_eq!(
            written(&mut Pycorrector, "新", &[correction("新", "新", None)]),
            "{\"source\":\"新\",\"target\":\"新\",\"errors\":[[\"新\",null,0]]}\n"
        );
    }

    #[test]
    fn a_line_that_was_not_examined_has_an_object_too() {
        let mut out = Vec::new();
        let place = Place { source: &Source::Stdin, line: 3 };
        Pycorrector.unread(&mut out, place, b"\xff\n", Defect::NotUtf8 { at: 0 }).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"source\":null,\"target\":null,\"errors\":[],\"error\":\"not UTF-8 at byte 0\"}\n"
        );
    }
}
