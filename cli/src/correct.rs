//! `correct` and `detect`: text streams through the model, a batch of lines at a time.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use zhengzi_model::corrector::{Correction, Corrector, Detector, Passage};
use zhengzi_runtime::Checkpoint;

use crate::args::{Format, OutputArgs, TextArgs};
use crate::input::{Defect, Item, Line, Lines, Source};
use crate::inspect::say_loaded;
use crate::message;
use crate::report::{CorrectedText, Examined, Findings, Json, Place, Report, findings};

/// A batch gives the model enough lines to be quick with, and little to wait for.
const BATCH_LINES: usize = 64;

/// The same in bytes, for input of long lines.
const BATCH_BYTES: usize = 256 << 10;

/// What is wanted of each line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// The corrected text.
    Correct,
    /// Only where it is wrong.
    Detect,
}

/// Runs the command. Nothing is written before the model is open and every FILE is known
/// to exist: a sentence typed in place of a file must not cost half an output.
pub fn run(args: &TextArgs, task: Task) -> Result<ExitCode, Box<dyn Error>> {
    let sources = args.sources()?;
    let (paths, settings, cpu) = (args.model.paths(), args.settings(), args.cpu.cpu()?);
    let loaded = |checkpoints: &[&Checkpoint]| {
        if args.output.verbose {
            say_loaded(checkpoints, &cpu);
        }
    };
    let examine: Examine = match task {
        Task::Correct => {
            let mut corrector = Corrector::open(&paths, settings, &cpu)?;
            loaded(&corrector.checkpoints());
            Box::new(move |lines| corrector.correct(&passages(lines)))
        }
        Task::Detect => {
            let mut detector = Detector::open(&paths, settings, &cpu)?;
            loaded(&[detector.checkpoint()]);
            Box::new(move |lines| detector.detect(&passages(lines)))
        }
    };
    let color = args.output.color.for_stdout();
    let stream = Stream {
        sources: &sources,
        report: match (args.output.format, task) {
            (Format::Json, _) => Box::new(Json),
            (Format::Plain, Task::Correct) => Box::new(CorrectedText { color }),
            (Format::Plain, Task::Detect) => Box::new(Findings { color }),
        },
        examine,
        output: &args.output,
        task,
        out: BufWriter::new(io::stdout().lock()),
        batch: Vec::new(),
        batch_bytes: 0,
        found: false,
        failed: false,
    };
    stream.run()
}

/// What the model finds in each of some lines.
type Examine = Box<dyn FnMut(&[&str]) -> Result<Vec<Vec<Correction>>, zhengzi_model::Error>>;

/// Nothing of a line is frozen.
fn passages<'a>(lines: &[&'a str]) -> Vec<Passage<'a>> {
    lines.iter().map(|&line| line.into()).collect()
}

/// Lines on their way from the sources to the report, never out of order.
struct Stream<'a, W: Write> {
    sources: &'a [Source],
    examine: Examine,
    report: Box<dyn Report>,
    output: &'a OutputArgs,
    task: Task,
    out: W,
    batch: Vec<Line>,
    batch_bytes: usize,
    found: bool,
    failed: bool,
}

impl<'a, W: Write> Stream<'a, W> {
    fn run(mut self) -> Result<ExitCode, Box<dyn Error>> {
        for item in Lines::of(self.sources) {
            match item {
                Item::Line(line) => {
                    self.batch_bytes += line.bytes.len();
                    self.batch.push(line);
                    if self.batch.len() >= BATCH_LINES || self.batch_bytes >= BATCH_BYTES {
                        self.finish_batch()?;
                    }
                }
                Item::LongLine(line) => {
                    self.finish_batch()?;
                    self.pass_through(&line, Defect::TooLong)?;
                }
                Item::MoreOfIt(part) => self.report.unread_part(&mut self.out, &part.bytes)?,
                Item::Failed { source, error } => {
                    self.finish_batch()?;
                    self.failed = true;
                    self.say(format_args!("{}: {error}", self.sources[source]))?;
                }
                Item::Pause => {
                    self.finish_batch()?;
                    self.out.flush()?;
                }
            }
        }
        self.finish_batch()?;
        self.out.flush()?;
        Ok(match (self.failed, self.task) {
            (true, _) => ExitCode::from(2),
            (false, Task::Detect) if self.found => ExitCode::from(1),
            (false, _) => ExitCode::SUCCESS,
        })
    }

    /// Examines and reports the lines that have gathered.
    fn finish_batch(&mut self) -> Result<(), Box<dyn Error>> {
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        let texts: Vec<Result<&str, Defect>> = batch.iter().map(Line::text).collect();
        let examinable: Vec<&str> = texts.iter().copied().flatten().collect();
        let found = match examinable.is_empty() {
            true => Vec::new(),
            false => (self.examine)(&examinable)?,
        };
        let mut found = found.into_iter();
        for (line, text) in batch.iter().zip(texts) {
            match text {
                Ok(text) => {
                    let corrections = found.next().expect("the model answers for every line");
                    self.report_line(line, text, &corrections)?;
                }
                Err(defect) => self.pass_through(line, defect)?,
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
        let line = Examined { place, text, terminator: line.terminator(), corrections };
        self.found |= !corrections.is_empty();
        self.report.examined(&mut self.out, &line)?;
        if self.output.verbose && self.task == Task::Correct {
            findings(&line, false).try_for_each(|finding| self.say(finding))?;
        }
        Ok(())
    }

    /// A line that cannot be examined goes out as it came in, and one line says why.
    fn pass_through(&mut self, line: &Line, defect: Defect) -> io::Result<()> {
        let place = self.place(line);
        self.report.unread(&mut self.out, place, &line.bytes, defect)?;
        if self.output.quiet {
            return Ok(());
        }
        let fate = match self.task {
            Task::Correct => "passed through unchanged",
            Task::Detect => "not examined",
        };
        self.say(format_args!("{place}: {defect}; {fate}"))
    }

    fn place(&self, line: &Line) -> Place<'a> {
        Place { source: &self.sources[line.source], line: line.number }
    }

    /// On a terminal the text before a message should stand before it.
    fn say(&mut self, message: impl Display) -> io::Result<()> {
        self.out.flush()?;
        message::say(message);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Command};
    use clap::Parser;
    use std::{fs, path::PathBuf};

    /// Stands in for the model: 新 should be 心, wherever it is. Refuses batches past the bounds.
    fn examine(lines: &[&str]) -> Result<Vec<Vec<Correction>>, zhengzi_model::Error> {
        let bytes: usize = lines.iter().map(|line| line.len()).sum();
        assert!(!lines.is_empty() && lines.len() <= BATCH_LINES, "{} lines", lines.len());
        assert!(bytes < BATCH_BYTES + crate::input::LINE_LIMIT, "{bytes} bytes");
        let correction = |(start, wrong): (usize, &str)| Correction {
            span: start..start + wrong.len(),
            wrong: wrong.to_owned(),
            right: Some("心".to_owned()),
            detection: 0.9,
            confidence: 0.8,
            alternatives: Vec::new(),
        };
        Ok(lines.iter().map(|line| line.match_indices("新").map(correction).collect()).collect())
    }

    fn run(sources: &[Source], task: Task, report: Box<dyn Report>) -> (Vec<u8>, ExitCode) {
        let Command::Correct(args) = Args::parse_from(["zhengzi", "correct", "-q"]).command else {
            unreachable!("that was `correct`")
        };
        let mut out = Vec::new();
        let stream = Stream {
            sources,
            report,
            examine: Box::new(examine),
            output: &args.output,
            task,
            out: &mut out,
            batch: Vec::new(),
            batch_bytes: 0,
            found: false,
            failed: false,
        };
        let status = stream.run().expect("writing to memory succeeds");
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
