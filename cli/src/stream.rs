//! Lines on their way from the sources to the report, a batch at a time, never out of order.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use zhengzi_model::corrector::{Correction, Passage, apply, settle};

use crate::in_place::InPlace;
use crate::input::{Defect, HELD_LIMIT, Item, Line, Lines, Source};
use crate::message;
use crate::progress::{Progress, sentences};
use crate::report::{Examined, Place, Report, findings};

/// A batch gives the model enough lines to be quick with, and little to wait for.
pub const BATCH_LINES: usize = 64;

/// The same in bytes, for input of long lines.
pub const BATCH_BYTES: usize = 256 << 10;

/// What a document is at most, in bytes and in lines: a longer source is several.
const DOCUMENT: (usize, usize) = (4 << 20, 64 << 10);

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
    /// Whether lines wait for the end of their source, where `examine` leaves suspicions to be settled.
    pub by_document: bool,
    pub examine: &'a mut Examine<'a>,
    pub manner: Manner,
    pub progress: Progress,
    pub out: W,
    batch: Batch,
    examined: Batch,
    /// What was found in those of its lines that are text.
    corrections: Vec<Vec<Correction>>,
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

impl Batch {
    fn has_reached(&self, (bytes, lines): (usize, usize)) -> bool {
        self.bytes >= bytes || self.lines >= lines
    }

    /// The lines that can be read.
    fn passages(&self) -> Vec<Passage<'_>> {
        let lines = self.items.iter().filter_map(|item| match item {
            Item::Line(line) => Some((line.text().ok()?, &line.frozen)),
            _ => None,
        });
        lines.map(|(text, frozen)| Passage { text, frozen }).collect()
    }
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
            by_document: false,
            examine,
            manner: Manner::default(),
            progress: Progress::new(None, false),
            out,
            batch: Batch::default(),
            examined: Batch::default(),
            corrections: Vec::new(),
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
                    if self.batch.has_reached((BATCH_BYTES, BATCH_LINES)) {
                        self.finish_batch()?;
                    }
                }
                Item::LongLine(line) => {
                    self.finish_document()?;
                    self.long = line.bytes.len();
                    self.report_unread(&line, Defect::TooLong)?;
                    self.notice = self.notice(&line, Defect::TooLong);
                }
                Item::MoreOfIt(part) => self.pass_part(&part)?,
                Item::Begin { .. } => self.batch.items.push(item),
                Item::End { .. } => {
                    self.batch.items.push(item);
                    if self.by_document {
                        self.finish_document()?;
                    }
                }
                Item::Pause if self.by_document => {}
                Item::Pause => {
                    self.finish_batch()?;
                    self.out.flush()?;
                }
            }
        }
        self.finish_document()?;
        self.report.finish(&mut self.out)?;
        self.out.flush()?;
        Ok(self.task.status(self.found, self.failed))
    }

    /// Examines the lines that have gathered, and reports them unless they are to wait.
    fn finish_batch(&mut self) -> Result<(), Box<dyn Error>> {
        let batch = std::mem::take(&mut self.batch);
        let passages = batch.passages();
        if !passages.is_empty() {
            self.corrections.extend((self.examine)(&passages)?);
        }
        for passage in passages {
            self.progress.advance(passage.text.len() as u64, sentences(passage.text));
        }
        self.examined.items.extend(batch.items);
        self.examined.lines += batch.lines;
        self.examined.bytes += batch.bytes;
        match self.by_document && !self.examined.has_reached(DOCUMENT) {
            true => Ok(()),
            false => self.report_examined(),
        }
    }

    /// Examines and reports all that waits.
    fn finish_document(&mut self) -> Result<(), Box<dyn Error>> {
        self.finish_batch()?;
        self.report_examined()
    }

    fn report_examined(&mut self) -> Result<(), Box<dyn Error>> {
        let batch = std::mem::take(&mut self.examined);
        let mut found = std::mem::take(&mut self.corrections);
        if self.by_document {
            let texts: Vec<&str> = batch.passages().iter().map(|passage| passage.text).collect();
            settle(&texts, &mut found);
        }
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
        self.sentences += sentences(text);
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
mod tests;
