//! SARIF 2.1.0 (OASIS, Static Analysis Results Interchange Format): one JSON document with
//! one run, for code scanning and the viewers of editors.
//!
//! The run says that its columns count code points (`columnKind`). They count from 1,
//! `endColumn` is exclusive, and a byte order mark counts for nothing (§3.30.2).

mod objects;

use std::io::{self, Write};

use zhengzi_model::corrector::Correction;

use super::json::JsonArray;
use super::spool::Spool;
use super::{Examined, Place, RULE, Report, message};
use crate::input::{Defect, Source};
use objects::*;

/// A result for each finding, written as it comes; what could not be examined is told at
/// the end, and kept until then.
pub struct Sarif {
    results: JsonArray,
    notifications: JsonArray,
    notified: Spool,
    failed: bool,
}

impl Sarif {
    /// A document that has not begun.
    pub fn new() -> Sarif {
        Sarif {
            results: JsonArray::default(),
            notifications: JsonArray::default(),
            notified: Spool::new(),
            failed: false,
        }
    }

    fn notify(&mut self, level: &'static str, location: Location, text: String) -> io::Result<()> {
        let notification = Notification { locations: [location], level, message: Text::new(text) };
        self.notifications.push(&mut self.notified, &notification)
    }
}

impl Report for Sarif {
    fn start(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let tool = serde_json::to_string(&Tool { driver: DRIVER })?;
        write!(
            out,
            "{{\"$schema\":\"{SCHEMA}\",\"version\":\"2.1.0\",\"runs\":[{{\"tool\":{tool},"
        )?;
        out.write_all(b"\"defaultEncoding\":\"utf-8\",\"columnKind\":\"unicodeCodePoints\",")?;
        out.write_all(b"\"results\":[")
    }

    fn examined(&mut self, out: &mut dyn Write, line: &Examined) -> io::Result<()> {
        let mut ruler = line.editor_ruler();
        for (occurrence, correction) in line.corrections.iter().enumerate() {
            let [start, end] = ruler.span(&correction.span).char.map(|point| point + 1);
            let region = Region {
                start_line: line.place.line,
                start_column: Some(start),
                end_line: line.place.line,
                end_column: Some(end),
            };
            let artifact = ArtifactLocation::of(line.place.source);
            let fix = correction.right.as_deref().map(|right| Fix {
                artifact_changes: [ArtifactChange {
                    artifact_location: artifact.clone(),
                    replacements: [Replacement {
                        deleted_region: region,
                        inserted_content: Content { text: right },
                    }],
                }],
            });
            let result = Outcome {
                rule_id: RULE,
                rule_index: 0,
                level: "warning",
                message: Text::new(message(correction)),
                locations: [Location::new(artifact, Some(region))],
                partial_fingerprints: Fingerprints {
                    finding: fingerprint(line.text, occurrence, correction),
                },
                fixes: fix.into_iter().collect(),
                properties: Probabilities {
                    detection: hundredths(correction.detection),
                    confidence: hundredths(correction.confidence),
                },
            };
            self.results.push(out, &result)?;
        }
        Ok(())
    }

    fn unread(
        &mut self,
        _: &mut dyn Write,
        place: Place,
        _: &[u8],
        defect: Defect,
    ) -> io::Result<()> {
        let region = Region {
            start_line: place.line,
            start_column: None,
            end_line: place.line,
            end_column: None,
        };
        let location = Location::new(ArtifactLocation::of(place.source), Some(region));
        self.notify("warning", location, format!("not examined: {defect}"))
    }

    fn failed(&mut self, source: &Source, error: &io::Error) -> io::Result<()> {
        self.failed = true;
        let location = Location::new(ArtifactLocation::of(source), None);
        self.notify("error", location, format!("not read to its end: {error}"))
    }

    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let successful = !self.failed;
        write!(out, "],\"invocations\":[{{\"executionSuccessful\":{successful},")?;
        out.write_all(b"\"toolExecutionNotifications\":[")?;
        std::mem::replace(&mut self.notified, Spool::new()).pour(out)?;
        out.write_all(b"]}]}]}\n")
    }
}

/// Stays the same where the line moves, or the file: the line, what was found in it, and
/// which of its findings this is.
fn fingerprint(line: &str, occurrence: usize, correction: &Correction) -> String {
    let mut crc = crc32fast::Hasher::new();
    let right = correction.right.as_deref().unwrap_or_default();
    for part in [line, &correction.wrong, right, &occurrence.to_string()] {
        crc.update(part.as_bytes());
        crc.update(b"\n");
    }
    format!("{:08x}", crc.finalize())
}

/// Runs on different processors differ in the last digits; their documents need not.
fn hundredths(probability: f32) -> f64 {
    (f64::from(probability) * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::super::testing::{correction, written, written_from};
    use super::*;

    const HEAD: &str = r#""defaultEncoding":"utf-8","columnKind":"unicodeCodePoints","results":["#;

    #[test]
    fn a_result_counts_code_points_and_says_how_to_fix_it() {
        let text = "𠀀e\u{301}新情";
        let document = written(&mut Sarif::new(), text, &[correction(text, "新", Some("心"))]);
        let (head, result) = document.split_once(HEAD).unwrap();
        assert!(head.starts_with(r#"{"$schema":"https://docs.oasis-open.org/sarif/"#), "{head}");
        let region = r#"{"startLine":7,"startColumn":4,"endLine":7,"endColumn":5}"#;
        let artifact = r#"{"uri":"%E7%9B%AE%E5%BD%95/a.txt"}"#;
        let expected = [
            "\n{\"ruleId\":\"wrong-character\",\"ruleIndex\":0,\"level\":\"warning\",",
            "\"message\":{\"text\":\"“新” may be wrong: did you mean “心”?\"},\"locations\":[",
            "{\"physicalLocation\":{\"artifactLocation\":",
            artifact,
            ",\"region\":",
            region,
            "}}],\"partialFingerprints\":{\"finding/v1\":\"",
            &fingerprint(text, 0, &correction(text, "新", Some("心"))),
            "\"},\"fixes\":[{\"artifactChanges\":[{\"artifactLocation\":",
            artifact,
            ",\"replacements\":[{\"deletedRegion\":",
            region,
            ",\"insertedContent\":{\"text\":\"心\"}}]}]}],",
            "\"properties\":{\"detection\":0.97,\"confidence\":0.91}}],",
            "\"invocations\":[{\"executionSuccessful\":true,\"toolExecutionNotifications\":[]}]}]}\n",
        ];
        assert_eq!(result, expected.concat());
    }

    #[test]
    fn a_fingerprint_knows_the_line_the_finding_and_its_number_but_not_the_place() {
        let found = [correction("新新", "新", None), correction("新新", "新", Some("心"))];
        let print = |line, occurrence, which: usize| fingerprint(line, occurrence, &found[which]);
        assert_eq!(print("新新", 0, 0), print("新新", 0, 0));
        let prints =
            [print("新新", 0, 0), print("新新", 1, 0), print("新", 0, 0), print("新新", 0, 1)];
        for (index, print) in prints.iter().enumerate() {
            assert!(!prints[..index].contains(print), "{prints:?}");
        }
    }

    #[test]
    fn what_was_not_examined_is_told_and_what_could_not_be_read_is_a_failure() {
        let (mut sarif, mut out) = (Sarif::new(), Vec::new());
        let source = Source::Stdin;
        sarif.start(&mut out).unwrap();
        let place = Place { source: &source, line: 3 };
        sarif.unread(&mut out, place, b"\xff", Defect::NotUtf8 { at: 0 }).unwrap();
        sarif.failed(&source, &io::Error::other("no {luck}")).unwrap();
        sarif.finish(&mut out).unwrap();
        let document: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let invocation = &document["runs"][0]["invocations"][0];
        assert_eq!(invocation["executionSuccessful"], false);
        let [unread, failed] = [0, 1].map(|at| &invocation["toolExecutionNotifications"][at]);
        assert_eq!(unread["level"], "warning");
        assert_eq!(unread["message"]["text"], "not examined: not UTF-8 at byte 0");
        let place = &unread["locations"][0]["physicalLocation"];
        assert_eq!(place["region"], serde_json::json!({"startLine": 3, "endLine": 3}));
        assert_eq!(place["artifactLocation"]["uri"], "stdin");
        assert_eq!(failed["level"], "error");
        assert_eq!(failed["message"]["text"], "not read to its end: no {{luck}}");
    }

    #[test]
    fn what_is_no_file_has_a_name_that_is_explained() {
        let found = [correction("新", "新", None)];
        let document = written_from(&mut Sarif::new(), &Source::Texts(Vec::new()), "新", &found);
        let artifact = r#"{"uri":"text","description":{"text":"texts of the command line"}}"#;
        assert!(document.contains(artifact), "{document}");
        assert!(!document.contains("fixes"), "{document}");
    }
}
