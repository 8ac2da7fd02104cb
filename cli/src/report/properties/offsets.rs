//! Places and what stands at them, over 10,000 random texts in each format.

use serde_json::Value;
use zhengzi_model::corrector::Correction;

use super::super::*;
use super::{Dice, Document, Row, written};

/// Of one finding: the file, its line's number and text, and what was found there.
type Expected<'a> = (String, u64, &'a str, &'a Correction);

#[test]
fn json_leads_to_the_finding_in_each_of_its_units() {
    let documents = ten_thousand_texts();
    let objects = json_lines(&written(&mut Json, &documents));
    assert_eq!(objects.len(), 10_000);
    let found = objects.iter().flat_map(|object| {
        let of_line = object["corrections"].as_array().unwrap().iter();
        of_line.map(move |correction| (object, correction))
    });
    each(found, &documents, |(object, correction), (path, line, text, expected)| {
        assert_eq!((text_of(&object["path"]), number(&object["line"]) as u64), (&*path, line));
        for (unit, cut) in [("byte", by_bytes as Cut), ("char", by_points), ("utf16", by_utf16)] {
            let [start, end] = [0, 1].map(|end| number(&correction[unit][end]));
            assert_eq!(cut(text, start, end), expected.wrong, "{unit}");
        }
        assert_eq!(correction["right"].as_str(), expected.right.as_deref());
    });
}

#[test]
fn pycorrector_counts_code_points_from_zero() {
    let documents = ten_thousand_texts();
    let objects = json_lines(&written(&mut Pycorrector, &documents));
    assert_eq!(objects.len(), 10_000);
    let found = objects.iter().flat_map(|object| object["errors"].as_array().unwrap());
    each(found, &documents, |error, (_, _, text, expected)| {
        let (wrong, start) = (text_of(&error[0]), number(&error[2]));
        assert_eq!(by_points(text, start, start + wrong.chars().count()), expected.wrong);
        assert_eq!((wrong, error[1].as_str()), (&*expected.wrong, expected.right.as_deref()));
    });
}

#[test]
fn rdjson_counts_bytes_from_one() {
    let documents = ten_thousand_texts();
    let document: Value =
        serde_json::from_slice(&written(&mut Rdjson::default(), &documents)).unwrap();
    let found = document["diagnostics"].as_array().unwrap();
    each(found, &documents, |diagnostic, (path, line, text, expected)| {
        assert_eq!(text_of(&diagnostic["location"]["path"]), path);
        let suggestion = diagnostic.get("suggestions").map(|suggestions| &suggestions[0]);
        for range in [Some(&diagnostic["location"]), suggestion].into_iter().flatten() {
            let [start, end] = ["start", "end"].map(|end| &range["range"][end]);
            assert_eq!([start, end].map(|end| number(&end["line"]) as u64), [line; 2]);
            let [start, end] = [start, end].map(|end| number(&end["column"]) - 1);
            assert_eq!(by_bytes(text, start, end), expected.wrong);
        }
        let right = suggestion.map(|suggestion| text_of(&suggestion["text"]));
        assert_eq!(right, expected.right.as_deref());
    });
}

#[test]
fn sarif_counts_code_points_from_one_without_a_byte_order_mark() {
    let documents = ten_thousand_texts();
    let document: Value = serde_json::from_slice(&written(&mut Sarif::new(), &documents)).unwrap();
    let run = &document["runs"][0];
    assert_eq!(run["columnKind"], "unicodeCodePoints");
    each(run["results"].as_array().unwrap(), &documents, |result, (path, line, text, expected)| {
        let place = &result["locations"][0]["physicalLocation"];
        let replacement =
            result.get("fixes").map(|fixes| &fixes[0]["artifactChanges"][0]["replacements"][0]);
        assert_eq!(text_of(&place["artifactLocation"]["uri"]), path);
        let deleted = replacement.map(|replacement| &replacement["deletedRegion"]);
        for region in [Some(&place["region"]), deleted].into_iter().flatten() {
            assert_eq!(["startLine", "endLine"].map(|key| number(&region[key]) as u64), [line; 2]);
            let [start, end] = ["startColumn", "endColumn"].map(|key| number(&region[key]) - 1);
            assert_eq!(by_points(as_edited(line, text), start, end), expected.wrong);
        }
        let inserted = replacement.map(|replacement| &replacement["insertedContent"]["text"]);
        assert_eq!(inserted.map(text_of), expected.right.as_deref());
    });
}

#[test]
fn github_counts_utf16_from_one_without_a_byte_order_mark() {
    let documents = ten_thousand_texts();
    let output = String::from_utf8(written(&mut Github, &documents)).unwrap();
    each(output.lines(), &documents, |command, (path, line, text, expected)| {
        let command = command.strip_prefix("::warning ").unwrap();
        let (properties, message) = command.split_once("::").unwrap();
        let property = |name: &str| {
            let mut properties = properties.split(',').map(|pair| pair.split_once('=').unwrap());
            properties.find(|(key, _)| *key == name).unwrap().1
        };
        assert_eq!((property("file"), property("line")), (&*path, &*line.to_string()));
        let [start, end] = ["col", "endColumn"].map(|key| property(key).parse::<usize>().unwrap());
        assert_eq!(by_utf16(as_edited(line, text), start - 1, end - 1), expected.wrong);
        let message = message.replace("%0D", "\r").replace("%25", "%");
        assert_eq!(message, super::super::message(expected));
    });
}

#[test]
fn a_line_per_finding_counts_bytes_and_plain_findings_count_code_points_from_one() {
    let documents = ten_thousand_texts();
    let mut formats: [(&mut dyn Report, Cut, bool); 2] =
        [(&mut LinePerFinding, by_bytes, true), (&mut Findings { color: false }, by_points, false)];
    for (report, cut, edited) in &mut formats {
        let output = String::from_utf8(written(*report, &documents)).unwrap();
        let lines = output.split_terminator('\n');
        each(lines, &documents, |shown, (path, line, text, expected)| {
            let [shown_path, shown_line, column, shown] =
                <[&str; 4]>::try_from(shown.splitn(4, ':').collect::<Vec<_>>()).unwrap();
            assert_eq!((shown_path, shown_line), (&*path, &*line.to_string()));
            let start = column.parse::<usize>().unwrap() - 1;
            let text = if *edited { as_edited(line, text) } else { text };
            let length = cut(text, start, usize::MAX).len() - expected.wrong.len();
            assert!(cut(text, start, usize::MAX).starts_with(&expected.wrong), "{length} after");
            let end = match &expected.right {
                Some(right) => format!(" {}→{right} (0.50)", expected.wrong),
                None => format!(" {} (0.75)", expected.wrong),
            };
            assert_eq!(shown, end);
        });
    }
}

/// A text between two places of some unit; to its end where the second is past it.
type Cut = fn(&str, usize, usize) -> String;

fn by_bytes(text: &str, start: usize, end: usize) -> String {
    text[start..end.min(text.len())].to_owned()
}

fn by_points(text: &str, start: usize, end: usize) -> String {
    text.chars().skip(start).take(end - start).collect()
}

fn by_utf16(text: &str, start: usize, end: usize) -> String {
    let units: Vec<u16> = text.encode_utf16().collect();
    String::from_utf16(&units[start..end]).unwrap()
}

/// A line as an editor has it.
fn as_edited(line: u64, text: &str) -> &str {
    match line {
        1 => text.trim_start_matches('\u{feff}'),
        _ => text,
    }
}

/// In 400 files, of which every other one begins with a byte order mark.
fn ten_thousand_texts() -> Vec<Document> {
    let mut dice = Dice(3);
    (0..400)
        .map(|number| {
            let mut rows: Vec<Row> = (0..25).map(|_| dice.row()).collect();
            let text = format!("\u{feff}a{}", dice.text(24));
            if number % 2 == 0 {
                rows[0] =
                    Row::Examined { corrections: dice.corrections(&text), text, terminator: "" };
            }
            Document { source: Source::File(format!("folder/{number}.txt").into()), rows }
        })
        .collect()
}

/// Compares what a format says of each finding with the finding.
fn each<T>(
    found: impl IntoIterator<Item = T>,
    documents: &[Document],
    compare: impl Fn(T, Expected),
) {
    let expected = documents.iter().flat_map(|Document { source, rows }| {
        rows.iter().zip(1..).flat_map(move |(row, line)| {
            let Row::Examined { text, corrections, .. } = row else { panic!("all are examined") };
            corrections.iter().map(move |one| (source.to_string(), line, text.as_str(), one))
        })
    });
    let (mut found, mut count) = (found.into_iter(), 0);
    for expected in expected {
        compare(found.next().expect("a finding is missing"), expected);
        count += 1;
    }
    assert!(found.next().is_none(), "there are more findings than were made");
    assert!(count > 10_000, "{count} findings");
}

fn json_lines(output: &[u8]) -> Vec<Value> {
    let lines = output.split_inclusive(|&byte| byte == b'\n');
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn number(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}
