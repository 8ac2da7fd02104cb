//! Reviewdog Diagnostic Format: one JSON document, a `DiagnosticResult`, for
//! `reviewdog -f=rdjson`. Defined by reviewdog's `proto/rdf/reviewdog.proto`: lines and
//! columns from 1, columns in UTF-8 bytes of the line as it is in the file, ends exclusive.

use std::io::{self, Write};

use serde::Serialize;

use super::json::JsonArray;
use super::{Examined, RULE, Report, message, name};
use crate::offset::Ruler;

/// A diagnostic for each finding, written as it comes.
#[derive(Default)]
pub struct Rdjson {
    diagnostics: JsonArray,
}

impl Report for Rdjson {
    fn start(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let source = serde_json::to_string(&Tool { name: "zhengzi", url: REPOSITORY })?;
        write!(out, "{{\"source\":{source},\"severity\":\"WARNING\",\"diagnostics\":[")
    }

    fn examined(&mut self, out: &mut dyn Write, line: &Examined) -> io::Result<()> {
        let mut ruler = Ruler::new(line.text);
        for correction in line.corrections {
            let bytes = ruler.span(&correction.span).byte;
            let [start, end] =
                bytes.map(|byte| Position { line: line.place.line, column: byte + 1 });
            let range = Range { start, end };
            let suggestion = correction.right.as_deref().map(|text| Suggestion { range, text });
            let diagnostic = Diagnostic {
                message: message(correction),
                location: Location { path: name::plain(line.place.source), range },
                severity: "WARNING",
                code: Code { value: RULE },
                suggestions: suggestion.into_iter().collect(),
            };
            self.diagnostics.push(out, &diagnostic)?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"]}\n")
    }
}

/// Where this program comes from; empty where its package does not say.
const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

#[derive(Serialize)]
struct Tool {
    name: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    url: &'static str,
}

#[derive(Serialize)]
struct Diagnostic<'a> {
    message: String,
    location: Location,
    severity: &'static str,
    code: Code,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suggestions: Vec<Suggestion<'a>>,
}

#[derive(Serialize)]
struct Location {
    path: String,
    range: Range,
}

#[derive(Clone, Copy, Serialize)]
struct Range {
    start: Position,
    end: Position,
}

#[derive(Clone, Copy, Serialize)]
struct Position {
    line: u64,
    column: usize,
}

#[derive(Serialize)]
struct Code {
    value: &'static str,
}

#[derive(Serialize)]
struct Suggestion<'a> {
    range: Range,
    text: &'a str,
}

#[cfg(test)]
mod tests {
    use super::super::testing::{correction, written};
    use super::*;

    #[test]
    fn a_document_has_a_diagnostic_for_each_finding_in_bytes() {
        let text = "𠀀e\u{301}新情";
        let found = [correction(text, "新", Some("心")), correction(text, "情", None)];
        let expected = concat!(
            r#"{"source":{"name":"zhengzi"},"severity":"WARNING","diagnostics":["#,
            "\n",
            r#"{"message":"“新” may be wrong: did you mean “心”?","location":{"path":"目录/a.txt","#,
            r#""range":{"start":{"line":7,"column":8},"end":{"line":7,"column":11}}},"#,
            r#""severity":"WARNING","code":{"value":"wrong-character"},"suggestions":[{"range":"#,
            r#"{"start":{"line":7,"column":8},"end":{"line":7,"column":11}},"text":"心"}]},"#,
            "\n",
            r#"{"message":"“情” may be wrong","location":{"path":"目录/a.txt","#,
            r#""range":{"start":{"line":7,"column":11},"end":{"line":7,"column":14}}},"#,
            r#""severity":"WARNING","code":{"value":"wrong-character"}}]}"#,
            "\n",
        );
        assert_eq!(written(&mut Rdjson::default(), text, &found), expected);
    }

    #[test]
    fn a_document_of_nothing_is_complete() {
        let expected =
            "{\"source\":{\"name\":\"zhengzi\"},\"severity\":\"WARNING\",\"diagnostics\":[]}\n";
        assert_eq!(written(&mut Rdjson::default(), "好", &[]), expected);
    }
}
