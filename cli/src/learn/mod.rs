//! The loop of every command that trains: steps, a log, checkpoints, a look at held-out lines.

mod bar;
mod folder;
pub mod log;
mod plan;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use zhengzi_model::config::Fill;
use zhengzi_model::tokenizer::Tokenizer;
use zhengzi_model::training::{Corpus, Course, Fault, Origin, Run, Task, Words};

use crate::args::{HeldOut, LearningArgs, able_terminal};
use crate::message;
use crate::progress::Progress;
use bar::Bar;
use folder::Folder;
use log::Log;
use plan::Clock;
pub use plan::Plan;

/// Under which the state says when its second stage began, and how long the run has taken.
const STAGE: &str = "zhengzi.stage_began";
const SECONDS: &str = "zhengzi.seconds";

/// All that a command brings to the loop.
pub struct Work<'a> {
    /// The pair that learns.
    pub run: Run,
    /// From what.
    pub course: Box<dyn Course + 'a>,
    /// Where it comes from.
    pub origin: &'a Origin,
    /// What its generator is asked for in the end, if that is not as before.
    pub fill: Option<Fill>,
    /// How long, and how fast.
    pub plan: Plan,
    /// What the run is begun with.
    pub head: Map<String, Value>,
    /// What is done where the generator has learned alone and the discriminator joins it, and whenever a run in its second stage
    /// is taken up (then `false` is told).
    pub second_stage: Box<SecondStage<'a>>,
}

/// Changes how a run learns.
pub type SecondStage<'a> = dyn Fn(&mut Run, bool) + 'a;

/// Learns, to the end.
pub fn learn(args: &LearningArgs, work: Work) -> Result<(), Box<dyn Error>> {
    let Work { mut run, mut course, origin, fill, plan, head, second_stage } = work;
    let (folder, log) = Folder::open(&args.out, args.resume, &head, &mut run)?;
    folder.write_texts(origin, fill)?;
    course.pass_over(run.steps);
    let note = |key: &str| folder.notes.get(key).and_then(|note| note.parse::<f64>().ok());
    let clock = Clock::after(note(SECONDS).unwrap_or(0.0));
    let began = note(STAGE).map(|step| step as u64);
    if began.is_some() {
        second_stage(&mut run, false);
    }
    let shown = io::stderr().is_terminal() && able_terminal();
    let bar = Bar::new(shown);
    let saved = (run.steps > 0).then_some(run.steps);
    let mut state = Loop { folder, log, bar, clock, began, saved };
    if run.steps > 0 {
        message::say(format_args!("goes on behind step {}", run.steps));
    }
    let (start, started) = (plan.progress(run.steps, &state.clock), Instant::now());
    loop {
        let progress = plan.progress(run.steps, &state.clock);
        if progress >= 1.0 {
            break;
        }
        if state.began.is_none() && progress >= plan.alone {
            state.began = Some(run.steps);
            second_stage(&mut run, plan.alone > 0.0);
        }
        let alone = state.began.is_none();
        let rate = plan.rate(run.steps - state.began.unwrap_or(0), progress);
        let tasks = course.tasks(run.steps, alone);
        let (figures, norm) = run.step(&tasks, rate).map_err(|fault| state.told(&fault))?;
        let tokens = tokens(&tasks);
        let mut line = Map::new();
        line.insert("step".into(), run.steps.into());
        line.insert("epoch".into(), course.epoch().into());
        line.insert("tokens".into(), tokens.into());
        line.insert("rate".into(), json!(rate));
        line.insert("norm".into(), json!(norm));
        line.append(&mut log::figures(&figures));
        line.insert("seconds".into(), json!((state.clock.seconds() * 1e3).round() / 1e3));
        state.log.line(&Value::Object(line))?;
        let done = plan.progress(run.steps, &state.clock);
        let left = started.elapsed().as_secs_f64() * (1.0 - done).max(0.0) / (done - start);
        let left = Duration::try_from_secs_f64(left).ok();
        state.bar.step(run.steps, tokens, figures, left, done);
        if run.steps.is_multiple_of(plan.every) && done < 1.0 {
            state.checkpoint(&mut run, &*course)?;
        }
    }
    if state.saved != Some(run.steps) {
        state.checkpoint(&mut run, &*course)?;
    }
    drop(state);
    message::say(format_args!("{}: done, after {} steps", args.out.display(), run.steps));
    Ok(())
}

/// What lives as long as the loop.
struct Loop {
    folder: Folder,
    log: Log,
    bar: Bar,
    clock: Clock,
    /// The step at which the discriminator began to learn.
    began: Option<u64>,
    /// That of the last checkpoint.
    saved: Option<u64>,
}

impl Loop {
    /// Held-out lines, the log, the files: in this order, so that what a state stands for is there before it.
    fn checkpoint(&mut self, run: &mut Run, course: &dyn Course) -> Result<(), String> {
        let tasks = course.held_out(self.began.is_none());
        let mut said = format!("step {}", run.steps);
        if !tasks.is_empty() {
            let figures = run.ask(&tasks);
            let mut line = Map::new();
            line.insert("validated".into(), run.steps.into());
            line.append(&mut log::figures(&figures));
            self.log.line(&Value::Object(line))?;
            said += &format!(": {}", bar::said([figures].iter()));
        }
        self.log.sync()?;
        let mut notes = BTreeMap::from([(SECONDS.into(), self.clock.seconds().to_string())]);
        if let Some(began) = self.began {
            notes.insert(STAGE.into(), began.to_string());
        }
        self.folder.checkpoint(run, notes)?;
        self.saved = Some(run.steps);
        let speed = self.bar.speed().unwrap_or_default();
        self.bar.suspend(|| message::say(format_args!("{said}: {speed:.0} tokens/s")));
        Ok(())
    }

    /// What is said where numbers fail.
    fn told(&self, fault: &Fault) -> String {
        let place = fault.tensor.as_deref().unwrap_or("a loss");
        let kept = match self.saved {
            Some(step) => format!("the checkpoint of step {step} is whole"),
            None => "there is no checkpoint yet".to_owned(),
        };
        let step = fault.step;
        format!("numbers fail at step {step}, first in {place}: {kept}: try a lower --rate")
    }
}

/// Every token of a batch counts once, in however many tasks it is read.
fn tokens(tasks: &[Task]) -> usize {
    let read = |task: &&Task| !matches!(task.words, Words::Told(_));
    let all: usize = tasks.iter().filter(read).map(|task| task.batch.tokens()).sum();
    if all > 0 { all } else { tasks.iter().map(|task| task.batch.tokens()).sum() }
}

/// Positions are learned: a sentence cannot be longer than there are.
pub fn check_length(args: &LearningArgs, origin: &Origin) -> Result<(), String> {
    let halves = [&origin.generator, &origin.discriminator];
    let most = halves.map(|half| half.config.max_positions).into_iter().min().unwrap_or(0);
    match args.length {
        length if length > most => Err(format!(
            "--length {length}: the config says max_position_embeddings {most}: take no more than that"
        )),
        _ => Ok(()),
    }
}

/// The corpus of a command, and what the head of its log says of it.
pub fn corpus(
    files: &[PathBuf],
    args: &LearningArgs,
    tokenizer: &Tokenizer,
    head: &mut Map<String, Value>,
) -> Result<Corpus, Box<dyn Error>> {
    let shown = io::stderr().is_terminal() && able_terminal();
    let mut progress = Progress::new(None, shown);
    let (share, file) = match args.held_out() {
        HeldOut::Share(share) => (share, None),
        HeldOut::File(path) => (0.0, Some(path)),
    };
    let mut read = |files: &[PathBuf], share| {
        let told = |bytes| progress.advance(bytes, 0);
        Corpus::read(files, tokenizer, args.length, (share, args.seed), told)
    };
    let mut corpus = read(files, share)?;
    if let Some(path) = file {
        corpus.held = read(&[path], 0.0)?.sentences;
    }
    drop(progress);
    if corpus.sentences.is_empty() {
        return Err("all lines are held out: give more text, or a smaller --validate".into());
    }
    let Corpus { sentences, held } = &corpus;
    let print = format!("{:016x}{:016x}", sentences.fingerprint(), held.fingerprint());
    let of = json!({
        "sentences": sentences.len(), "tokens": sentences.tokens(), "held_out": held.len(),
        "fingerprint": print,
    });
    head.insert("corpus".into(), of);
    message::say(format_args!(
        "{} sentences of {} tokens, and {} held out",
        sentences.len(),
        sentences.tokens(),
        held.len()
    ));
    Ok(corpus)
}
