//! Lines on their way from the sources to the report, a batch at a time, never out of order.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use zhengzi_model::corrector::{Correction, Passage, apply};

use crate::in_place::InPlace;
use crate::input::{Defect, HELD_LIMIT, Item, Line, Lines, Source};
use crate::message;
use crate::progress::{Progress, sentences};
use crate::report::{Examined, Place, Report, findings};

/// A batch gives the model enough lines to be quick with, and little to wait for.
pub const BATCH_LINES: usize = 64;

/// The same in bytes, for input of long lines.
pub const BATCH_BYTES: usize = 256 << 10;

/// What is wanted of each line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// The corrected text.
    Correct,
    /// What would change.
    Check,
    /// Only where it is wrong.
    Detect,
}

impl Task {
    /// The exit status of work that was done.
    pub fn status(self, found: bool, failed: bool) -> ExitCode {
        match (failed, self) {
            (true, _) => ExitCode::from(2),
            (false, Task::Check | Task::Detect) if found => ExitCode::from(1),
            (false, _) => ExitCode::SUCCESS,
        }
    }
}

/// What the model finds in each of some passages.
pub type Examine<'a> =
    dyn FnMut(&[Passage]) -> Result<Vec<Vec<Correction>>, zhengzi_model::Error> + 'a;

/// What is said beside the report.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// Nothing of lines that could not be examined and of files that were written.
    pub quiet: bool,
    /// Each correction.
    pub verbose: bool,
}

/// How far the work has come, and what was found so far.
pub struct Stream<'a, W: Write> {
    pub sources: &'a [Source],
    pub task: Task,
    pub report: Box<dyn Report>,
    /// With `-w`, what becomes of the files themselves.
    pub in_place: Option<InPlace>,
    pub examine: &'a mut Examine<'a>,
    pub manner: Manner,
    pub progress: Progress,
    pub out: W,
    batch: Batch,
    /// Bytes so far of the line that goes by in parts.
    long: usize,
    /// What is to be said of it, if it is not refused before it ends.
    notice: Option<String>,
    /// Corrections in the source that is being written.
    changes: usize,
    /// Sentences that were read.
    pub sentences: u64,
    found: bool,
    failed: bool,
}

/// Items that wait until enough lines are among them.
#[derive(Default)]
struct Batch {
    items: Vec<Item>,
    lines: usize,
    bytes: usize,
}

impl<'a, W: Write> Stream<'a, W> {
    pub fn new(
        sources: &'a [Source],
        task: Task,
        report: Box<dyn Report>,
        examine: &'a mut Examine<'a>,
        out: W,
    ) -> Self {
        Stream {
            sources,
            task,
            report,
            in_place: None,
            examine,
            manner: Manner::default(),
            progress: Progress::new(None, false),
            out,
            batch: Batch::default(),
            long: 0,
            notice: None,
            changes: 0,
            sentences: 0,
            found: false,
            failed: false,
        }
    }

    /// Reads everything, and tells the exit status.
    pub fn run(&mut self, lines: Lines) -> Result<ExitCode, Box<dyn Error>> {
        self.report.start(&mut self.out)?;
        for item in lines {
            if !matches!(item, Item::MoreOfIt(_) | Item::Pause)
                && let Some(notice) = self.notice.take()
            {
                self.say(notice)?;
            }
            match item {
                Item::Line(line) => {
                    self.batch.lines += 1;
                    self.batch.bytes += line.bytes.len();
                    self.batch.items.push(Item::Line(line));
                    if self.batch.lines >= BATCH_LINES || self.batch.bytes >= BATCH_BYTES {
                        self.finish_batch()?;
                    }
                }
                Item::LongLine(line) => {
                    self.finish_batch()?;
                    self.long = line.bytes.len();
                    self.report_unread(&line, Defect::TooLong)?;
                    self.notice = self.notice(&line, Defect::TooLong);
                }
                Item::MoreOfIt(part) => self.pass_part(&part)?,
                Item::Begin { .. } | Item::End { .. } => self.batch.items.push(item),
                Item::Pause => {
                    self.finish_batch()?;
                    self.out.flush()?;
                }
            }
        }
        self.finish_batch()?;
        self.report.finish(&mut self.out)?;
        self.out.flush()?;
        Ok(self.task.status(self.found, self.failed))
    }

    /// Examines and reports the lines that have gathered.
    fn finish_batch(&mut self) -> Result<(), Box<dyn Error>> {
        let batch = std::mem::take(&mut self.batch);
        let passages: Vec<Passage> = batch
            .items
            .iter()
            .filter_map(|item| match item {
                Item::Line(line) => Some(Passage { text: line.text().ok()?, frozen: &line.frozen }),
                _ => None,
            })
            .collect();
        let found = match passages.is_empty() {
            true => Vec::new(),
            false => (self.examine)(&passages)?,
        };
        let mut found = found.into_iter();
        for item in &batch.items {
            match item {
                Item::Line(line) => match line.text() {
                    Ok(text) => {
                        let corrections = found.next().expect("the model answers for every line");
                        self.report_line(line, text, &corrections)?;
                    }
                    Err(defect) => self.pass_through(line, defect)?,
                },
                Item::Begin { source, metadata } => {
                    self.changes = 0;
                    if let (Some(in_place), Some(metadata), Some(path)) =
                        (&mut self.in_place, metadata, self.sources[*source].path())
                    {
                        in_place.begin(path, metadata.clone());
                    }
                }
                Item::End { source, result } => self.end_of(*source, result)?,
                Item::LongLine(_) | Item::MoreOfIt(_) | Item::Pause => {}
            }
        }
        Ok(())
    }

    fn report_line(
        &mut self,
        line: &Line,
        text: &str,
        corrections: &[Correction],
    ) -> io::Result<()> {
        let place = self.place(line);
        let examined = Examined { place, text, terminator: line.terminator(), corrections };
        self.found |= !corrections.is_empty();
        self.changes += corrections.len();
        let read = sentences(text);
        self.sentences += read;
        self.progress.advance(line.bytes.len() as u64, read);
        self.report.examined(&mut self.out, &examined)?;
        if let Some(in_place) = &mut self.in_place {
            match corrections.is_empty() {
                true => in_place.unchanged(&line.bytes),
                false => {
                    let corrected = apply(text, corrections);
                    let pieces = [corrected.as_bytes(), line.terminator()];
                    in_place.changed(&pieces.concat());
                }
            }
        }
        if self.manner.verbose && self.task != Task::Detect {
            findings(&examined, false).try_for_each(|finding| self.say(finding))?;
        }
        Ok(())
    }

    /// A line that cannot be examined goes out as it came in, and one line says why.
    fn pass_through(&mut self, line: &Line, defect: Defect) -> io::Result<()> {
        self.report_unread(line, defect)?;
        self.notice(line, defect).map_or(Ok(()), |notice| self.say(notice))
    }

    fn report_unread(&mut self, line: &Line, defect: Defect) -> io::Result<()> {
        let place = self.place(line);
        self.progress.advance(line.bytes.len() as u64, 0);
        self.report.unread(&mut self.out, place, &line.bytes, defect)?;
        if let Some(in_place) = &mut self.in_place {
            in_place.unchanged(&line.bytes);
        }
        Ok(())
    }

    fn notice(&self, line: &Line, defect: Defect) -> Option<String> {
        let fate = match self.task {
            Task::Correct if self.report.streams() => "passed through unchanged",
            _ => "not examined",
        };
        let notice = || format!("{}: {defect}; {fate}", self.place(line));
        (!self.manner.quiet).then(notice)
    }

    /// The next part of a long line: what has to be held somewhere is refused at some length.
    fn pass_part(&mut self, part: &Line) -> Result<(), Box<dyn Error>> {
        self.long += part.bytes.len();
        if self.long > HELD_LIMIT && !self.report.streams() {
            let place = self.place(part);
            return Err(format!(
                "{place}: a line of more than 64 MiB: only --format plain lets it through"
            )
            .into());
        }
        self.progress.advance(part.bytes.len() as u64, 0);
        self.report.unread_part(&mut self.out, &part.bytes)?;
        if let Some(in_place) = &mut self.in_place {
            in_place.unchanged(&part.bytes);
        }
        Ok(())
    }

    fn end_of(&mut self, source: usize, result: &io::Result<()>) -> io::Result<()> {
        let shown = &self.sources[source];
        if let Err(error) = result {
            self.report.failed(shown, error)?;
        }
        self.report.end_of(&mut self.out, shown)?;
        if let Err(error) = result {
            self.failed = true;
            self.say(format_args!("{shown}: {error}"))?;
        }
        let Some(in_place) = &mut self.in_place else { return Ok(()) };
        match in_place.end(result.is_ok()) {
            Ok(false) => Ok(()),
            Ok(true) if self.manner.quiet => Ok(()),
            Ok(true) => match self.changes {
                1 => self.say(format_args!("{shown}: 1 correction")),
                changes => self.say(format_args!("{shown}: {changes} corrections")),
            },
            Err(error) => {
                self.failed = true;
                self.say(format_args!("{shown}: {error}"))
            }
        }
    }

    fn place(&self, line: &Line) -> Place<'a> {
        Place { source: &self.sources[line.source], line: line.number }
    }

    /// On a terminal the text before a message should stand before it.
    fn say(&mut self, message: impl Display) -> io::Result<()> {
        self.out.flush()?;
        self.progress.suspend(|| message::say(message));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{CorrectedText, Findings, Json};
    use std::fs;
    use std::path::PathBuf;

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
}
