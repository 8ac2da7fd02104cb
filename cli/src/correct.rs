//! `correct` and `detect`: opens the model, chooses the report, lets the text stream through.

use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Instant;

use zhengzi_model::corrector::{Corrector, Detector, Passage, Stages};
use zhengzi_runtime::{Checkpoint, Need};

use crate::args::{CorrectArgs, Format, Input, TextArgs, able_terminal};
use crate::in_place::InPlace;
use crate::input::{Lines, Source};
use crate::inspect::say_loaded;
use crate::message::say;
use crate::progress::Progress;
use crate::report::{self, Report};
use crate::service::Service;
use crate::sources::sources;
use crate::stream::{Examine, Manner, Stream, Task};

/// Runs `correct`.
pub fn correct(args: &CorrectArgs) -> Result<ExitCode, Box<dyn Error>> {
    let format = if args.diff { Format::Diff } else { args.text.output.format };
    let task = if args.check { Task::Check } else { Task::Correct };
    let in_place = args.write.then(|| args.backup.clone());
    Work { args: &args.text, task, format, in_place, document: args.document }.run()
}

/// Runs `detect`.
pub fn detect(args: &TextArgs) -> Result<ExitCode, Box<dyn Error>> {
    let format = args.output.format;
    if format == Format::Diff {
        return Err("detect proposes no change that a diff could show: \
                    try zhengzi correct --diff"
            .into());
    }
    Work { args, task: Task::Detect, format, in_place: None, document: false }.run()
}

/// What was asked for.
struct Work<'a> {
    args: &'a TextArgs,
    task: Task,
    format: Format,
    /// With `-w`; and what is then added to the name of the old file, where it is kept.
    in_place: Option<Option<OsString>>,
    /// Whether lines are to be decided together, whatever they come from.
    document: bool,
}

impl Work<'_> {
    /// Nothing is written before the model is open and every FILE is known to exist: a
    /// sentence typed in place of a file must not cost half an output.
    fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        let args = self.args;
        let backup = self.in_place.clone().flatten().unwrap_or_default();
        let sources = sources(args, &backup)?;
        if self.in_place.is_some() && sources.iter().any(|source| source.path().is_none()) {
            return Err("-w needs files: standard input cannot be written back".into());
        }
        let (paths, settings, cpu) =
            (args.model.paths(), args.decision.settings()?, args.cpu.cpu()?);
        let started = Instant::now();
        let loaded = |checkpoints: &[&Checkpoint], need: Need| {
            if args.output.verbose {
                say_loaded(checkpoints, &need, &cpu);
                say(format_args!("loaded in {:.0?}", started.elapsed()));
            }
            Instant::now()
        };
        if self.task == Task::Detect {
            let mut detector = Detector::open(&paths, settings, &cpu)?;
            let loaded = loaded(&[detector.checkpoint()], detector.memory(&cpu));
            let (status, sentences) = self.read(&sources, &mut |lines| detector.detect(lines))?;
            self.say_stages(loaded, sentences, detector.stages());
            return Ok(status);
        }
        let mut corrector = Corrector::open(&paths, settings, &cpu)?;
        let loaded = loaded(&corrector.checkpoints(), corrector.memory(&cpu));
        if args.output.verbose && corrector.weighs() {
            say(format_args!("calibration: {}", corrector.calibration().1));
        }
        let by_document = self.is_by_document(&sources);
        let mut examine = |lines: &[Passage]| match by_document {
            true => corrector.examine(lines),
            false => corrector.correct(lines),
        };
        let (status, sentences) = self.read(&sources, &mut examine)?;
        self.say_stages(loaded, sentences, corrector.stages());
        Ok(status)
    }

    /// Sends everything through the model; the exit status, and how many sentences it were.
    fn read<'a>(
        &self,
        sources: &'a [Source],
        examine: &'a mut Examine<'a>,
    ) -> Result<(ExitCode, u64), Box<dyn Error>> {
        let stdout = io::stdout().lock();
        let out: Box<dyn Write> = match self.in_place {
            None => Box::new(BufWriter::new(stdout)),
            Some(_) => Box::new(BufWriter::new(Unheard(stdout))),
        };
        if self.args.input == Input::Jsonl {
            if !matches!(self.format, Format::Plain | Format::Json) {
                return Err("--input jsonl is answered in JSON: leave --format out".into());
            }
            let mut service = Service::new(sources, self.task, examine, out);
            return Ok((service.run()?, service.sentences));
        }
        let mut stream = Stream::new(sources, self.task, self.report(), examine, out);
        stream.in_place = self.in_place.clone().map(InPlace::new);
        stream.by_document = self.is_by_document(sources);
        let output = &self.args.output;
        stream.manner = Manner { quiet: output.quiet, verbose: output.verbose };
        stream.progress = self.progress(sources);
        let status = stream.run(Lines::of(sources, self.args.markdown)?)?;
        Ok((status, stream.sentences))
    }

    /// What `--check` and `--diff` say of a file is what `-w` makes of it. Standard input may never end.
    fn is_by_document(&self, sources: &[Source]) -> bool {
        let shown = self.task == Task::Check || self.format == Format::Diff;
        let are_files = || sources.iter().all(|source| source.path().is_some());
        self.document || ((shown || self.in_place.is_some()) && are_files())
    }

    fn report(&self) -> Box<dyn Report> {
        let color = self.args.output.color.for_stdout();
        match (self.format, self.task) {
            (Format::Plain, _) if self.in_place.is_some() => Box::new(report::Silence),
            (Format::Plain, Task::Correct) => Box::new(report::CorrectedText { color }),
            (Format::Plain, Task::Check | Task::Detect) => Box::new(report::Findings { color }),
            (Format::Diff, _) => Box::new(report::Diff::new(color)),
            (Format::Line, _) => Box::new(report::LinePerFinding),
            (Format::Json, _) => Box::new(report::Json),
            (Format::Pycorrector, _) => Box::new(report::Pycorrector),
            (Format::Rdjson, _) => Box::new(report::Rdjson::default()),
            (Format::Sarif, _) => Box::new(report::Sarif::new()),
            (Format::Github, _) => Box::new(report::Github),
        }
    }

    /// Shown where the text itself does not already show how far the work is.
    fn progress(&self, sources: &[Source]) -> Progress {
        let files: Option<Vec<u64>> =
            sources.iter().map(|source| Some(fs::metadata(source.path()?).ok()?.len())).collect();
        let free = self.in_place.is_some() || !io::stdout().is_terminal();
        let typed = io::stdin().is_terminal() && files.is_none();
        let shown = io::stderr().is_terminal() && able_terminal() && free && !typed;
        Progress::new(files.map(|files| files.iter().sum()), shown && !self.args.output.quiet)
    }

    /// For -v: where the time went after the model was loaded.
    fn say_stages(&self, loaded: Instant, sentences: u64, stages: Stages) {
        if !self.args.output.verbose {
            return;
        }
        let all = loaded.elapsed();
        let rate = sentences as f64 / all.as_secs_f64();
        say(format_args!("sentences: {sentences} in {all:.2?}, {rate:.0} a second"));
        let Stages { tokenizer, discriminator, generator, .. } = stages;
        let rest = all.saturating_sub(tokenizer + discriminator + generator);
        say(format_args!(
            "tokenizer {tokenizer:.2?}, discriminator {discriminator:.2?}, \
             generator {generator:.2?}, everything else {rest:.2?}"
        ));
    }
}

/// Standard output beside `-w`: a reader that went away needs no more of the report, but
/// the files are still to be written.
struct Unheard<W>(W);

impl<W: Write> Write for Unheard<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(bytes.len()),
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.flush() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            flushed => flushed,
        }
    }
}
