//! A stand-in for the model, and every way a line can go.

use super::*;
use crate::report::{CorrectedText, Findings, Json};
use std::fs;
use std::path::PathBuf;
use zhengzi_model::corrector::Alternative;

/// Stands in for the model: 新 should be 心, wherever it is. Refuses batches past the bounds.
fn examine(passages: &[Passage]) -> Result<Vec<Vec<Correction>>, zhengzi_model::Error> {
    let lines = passages.len();
    let bytes: usize = passages.iter().map(|passage| passage.text.len()).sum();
    assert!((1..=BATCH_LINES).contains(&lines), "{lines} lines");
    assert!(bytes < BATCH_BYTES + crate::input::LINE_LIMIT, "{bytes} bytes");
    let correction = |(start, wrong): (usize, &str)| Correction {
        span: start..start + wrong.len(),
        wrong: wrong.to_owned(),
        right: Some("心".to_owned()),
        detection: 0.9,
        confidence: 0.8,
        alternatives: Vec::new(),
    };
    let texts = passages.iter().map(|passage| passage.text);
    Ok(texts.map(|text| text.match_indices("新").map(correction).collect()).collect())
}

fn run(sources: &[Source], task: Task, report: Box<dyn Report>) -> (Vec<u8>, ExitCode) {
    let mut out = Vec::new();
    let mut examine = examine;
    let mut stream = Stream::new(sources, task, report, &mut examine, &mut out);
    stream.manner.quiet = true;
    let status =
        stream.run(Lines::of(sources, false).unwrap()).expect("writing to memory succeeds");
    (out, status)
}

/// A file that goes away with its test.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn holding(name: &str, bytes: &[u8]) -> TemporaryFile {
        let name = format!("zhengzi-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, bytes).expect("the temporary folder takes a file");
        TemporaryFile(path)
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Random bytes in which lines, errors and every kind of defect are frequent.
fn random_text(mut seed: u64, length: usize) -> Vec<u8> {
    let pieces: [&[u8]; 12] = [
        "新".as_bytes(),
        "情很好".as_bytes(),
        "\u{feff}".as_bytes(),
        "𠀀e\u{301}".as_bytes(),
        b"\n",
        b"\n",
        b"\r\n",
        b"\r",
        b"\t ",
        b"\0",
        b"\xff",
        b"\xe6\x96",
    ];
    let mut text = Vec::new();
    while text.len() < length {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        text.extend(pieces[(seed >> 33) as usize % pieces.len()]);
    }
    text
}

/// What `correct` promises, said in one line per line.
fn expected(text: &[u8]) -> Vec<u8> {
    let line = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => text.replace('新', "心").into_bytes(),
        _ => bytes.to_vec(),
    };
    text.split_inclusive(|&byte| byte == b'\n').flat_map(line).collect()
}

#[test]
fn every_byte_outside_corrections_survives() {
    for seed in 0..300 {
        let text = random_text(seed, (seed * seed) as usize);
        let file = TemporaryFile::holding(&format!("survives-{seed}"), &text);
        let report = Box::new(CorrectedText { color: false });
        let (out, _) = run(&[Source::File(file.0.clone())], Task::Correct, report);
        assert!(out == expected(&text), "seed {seed}");
    }
}

#[test]
fn a_line_past_the_limit_goes_by_untouched_between_others() {
    let mut text = "新\n".as_bytes().to_vec();
    text.extend("新".repeat(crate::input::LINE_LIMIT).as_bytes());
    text.extend("\n新".as_bytes());
    let file = TemporaryFile::holding("long", &text);
    let report = Box::new(CorrectedText { color: false });
    let (out, _) = run(&[Source::File(file.0.clone())], Task::Correct, report);
    let length = text.len();
    assert_eq!(out.len(), length);
    assert!(out.starts_with("心\n新".as_bytes()) && out.ends_with("新\n心".as_bytes()));
    assert!(out[4..length - 3] == text[4..length - 3]);
}

#[test]
fn json_has_an_object_for_every_line_of_every_source() {
    let text = random_text(5, 20_000);
    let file = TemporaryFile::holding("json", &text);
    let sources = [Source::File(file.0.clone()), Source::Texts(vec!["新".into()])];
    let (out, _) = run(&sources, Task::Correct, Box::new(Json));
    let objects: Vec<serde_json::Value> = out
        .split_inclusive(|&byte| byte == b'\n')
        .map(|line| serde_json::from_slice(line).expect("an object per line"))
        .collect();
    let lines = text.split_inclusive(|&byte| byte == b'\n').count();
    assert_eq!(objects.len(), lines + 1);
    for (index, object) in objects[..lines].iter().enumerate() {
        assert_eq!(object["line"], index + 1);
        assert!(object["error"].is_string() || object["source"].is_string());
    }
    assert!(objects[lines]["path"].is_null());
    assert_eq!((&objects[lines]["line"], &objects[lines]["target"]), (&1.into(), &"心".into()));
}

#[test]
fn the_status_tells_what_happened() {
    let clean = Source::Texts(vec!["好".into()]);
    let wrong = Source::Texts(vec!["新".into()]);
    let missing = Source::File("no such folder/no such file".into());
    let status = |sources: &[&Source], task| {
        let sources: Vec<Source> = sources.iter().copied().cloned().collect();
        format!("{:?}", run(&sources, task, Box::new(Findings { color: false })).1)
    };
    let code = |code: u8| format!("{:?}", ExitCode::from(code));
    assert_eq!(status(&[&clean], Task::Detect), code(0));
    assert_eq!(status(&[&clean, &wrong], Task::Detect), code(1));
    assert_eq!(status(&[&wrong], Task::Correct), code(0));
    assert_eq!(status(&[&missing, &wrong], Task::Detect), code(2));
}

/// Of 新情 it is sure where a 天 stands before it, and has its doubts elsewhere.
fn examine_with_doubts(passages: &[Passage]) -> Result<Vec<Vec<Correction>>, zhengzi_model::Error> {
    let mut found = examine(passages)?;
    for (passage, found) in passages.iter().zip(&mut found) {
        for correction in found {
            let is_sure = passage.text[..correction.span.start].ends_with('天');
            correction.right = correction.right.take().filter(|_| is_sure);
            correction.alternatives =
                vec![Alternative { text: "心".to_owned(), probability: 0.5 }];
        }
    }
    Ok(found)
}

#[test]
fn a_document_is_decided_as_a_whole_and_no_further() {
    let many = "好\n".repeat(3 * BATCH_LINES);
    let text = format!("我新情\n{many}天新情\r\n");
    let file = TemporaryFile::holding("document", text.as_bytes());
    let sources = [Source::File(file.0.clone()), Source::Texts(vec!["我新情".into()])];
    let mut out = Vec::new();
    let mut examine = examine_with_doubts;
    let report = Box::new(CorrectedText { color: false });
    let mut stream = Stream::new(&sources, Task::Correct, report, &mut examine, &mut out);
    stream.by_document = true;
    stream.run(Lines::of(&sources, false).unwrap()).expect("writing to memory succeeds");
    assert!(out == format!("我心情\n{many}天心情\r\n我新情\n").as_bytes());
}

#[test]
fn a_long_source_is_several_documents() {
    let many = "好\n".repeat(DOCUMENT.1);
    let text = format!("我新情\n{many}天新情\n我新情");
    let file = TemporaryFile::holding("documents", text.as_bytes());
    let sources = [Source::File(file.0.clone())];
    let mut out = Vec::new();
    let mut examine = examine_with_doubts;
    let report = Box::new(CorrectedText { color: false });
    let mut stream = Stream::new(&sources, Task::Correct, report, &mut examine, &mut out);
    stream.by_document = true;
    stream.run(Lines::of(&sources, false).unwrap()).expect("writing to memory succeeds");
    assert!(out == format!("我新情\n{many}天心情\n我心情").as_bytes());
}
