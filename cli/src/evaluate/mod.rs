//! `evaluate`: runs the corrector over test sets and writes what that is worth. The figures
//! themselves are `zhengzi_model::evaluation`'s.

mod dump;
mod table;

use std::error::Error;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde::Serialize;
use zhengzi_model::corrector::{Corrector, Passage, Tokens, apply, settle};
use zhengzi_model::evaluation::{Figures, Funnel, Outcome, Score, TestSet};

use crate::args::{Answer, DecisionArgs, EvaluateArgs, able_terminal};
use crate::inspect::say_loaded;
use crate::progress::Progress;
use crate::report::{JSON_VERSION, write_json};
use crate::stream::BATCH_LINES;
use dump::{Dump, Failure};

/// Runs the command. Every file has been read before the model is opened, and nothing is
/// written before all of them have been measured, but for the dump.
pub fn run(args: &EvaluateArgs) -> Result<ExitCode, Box<dyn Error>> {
    let sets = TestSet::read(&args.files, &args.truth)?;
    let (paths, settings, cpu) = (args.model.paths(), args.decision.settings()?, args.cpu.cpu()?);
    let mut corrector = Corrector::open(&paths, settings, &cpu)?;
    if args.verbose {
        say_loaded(&corrector.checkpoints(), &corrector.memory(&cpu), &cpu);
    }
    let mut dump = args.dump.as_deref().map(|to| Dump::create(to, args, &cpu)).transpose()?;
    let bytes = sets.iter().flat_map(|set| &set.pairs).map(|pair| pair.wrong.len() as u64).sum();
    let free = args.dump.as_ref().is_none_or(|to| to != "-");
    let shown = io::stderr().is_terminal() && able_terminal() && free;
    let mut progress = Progress::new(Some(bytes), shown);
    let mut measured = Vec::with_capacity(sets.len());
    for set in &sets {
        let mut funnel = args.funnel.then(Funnel::default);
        let before = corrector.stages().tokens;
        let (score, time) =
            measure(&mut corrector, set, args, &mut funnel, &mut dump, &mut progress)?;
        let tokens = corrector.stages().tokens.since(before);
        measured.push(Measured { set, figures: score.figures(), score, tokens, funnel, time });
    }
    drop(progress);
    if let Some(dump) = &mut dump {
        dump.finish()?;
    }
    let models = corrector.checkpoints().map(|model| model.path().to_string_lossy().into_owned());
    let mut out = BufWriter::new(io::stdout().lock());
    match args.format {
        Answer::Plain => table::write(&mut out, args, &models, &measured)?,
        Answer::Json => measured.iter().try_for_each(|one| json(&mut out, args, &models, one))?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// A test set and what came out of it.
struct Measured<'a> {
    set: &'a TestSet,
    score: Score,
    figures: Figures,
    /// What the networks had to read.
    tokens: Tokens,
    /// How far the wrong characters came, if that was asked for.
    funnel: Option<Funnel>,
    /// What the corrector took, without reading files and loading the model.
    time: Duration,
}

impl Measured<'_> {
    fn sentences_per_second(&self) -> f64 {
        self.score.sentences() as f64 / self.time.as_secs_f64()
    }
}

fn measure(
    corrector: &mut Corrector,
    set: &TestSet,
    args: &EvaluateArgs,
    funnel: &mut Option<Funnel>,
    dump: &mut Option<Dump>,
    progress: &mut Progress,
) -> Result<(Score, Duration), Box<dyn Error>> {
    let mut found = Vec::with_capacity(set.pairs.len());
    let mut time = Duration::ZERO;
    for pairs in set.pairs.chunks(BATCH_LINES) {
        let lines: Vec<Passage> = pairs.iter().map(|pair| pair.wrong.as_str().into()).collect();
        let begin = Instant::now();
        match funnel {
            None if args.document => found.extend(corrector.examine(&lines)?),
            None => found.extend(corrector.correct(&lines)?),
            Some(funnel) => {
                let told = corrector.explain(&lines)?;
                pairs.iter().zip(&told).for_each(|(pair, told)| funnel.add(pair, told));
                found.extend(told.into_iter().map(|told| told.corrections));
            }
        }
        time += begin.elapsed();
        let bytes: usize = pairs.iter().map(|pair| pair.wrong.len()).sum();
        progress.advance(bytes as u64, pairs.len() as u64);
    }
    if args.document {
        let mut rest = &mut found[..];
        for pairs in set.documents() {
            let (found, others) = rest.split_at_mut(pairs.len());
            rest = others;
            let texts: Vec<&str> = pairs.iter().map(|pair| &*pair.wrong).collect();
            settle(&texts, found);
        }
    }
    let mut score = Score::new(args.ignore.as_deref().unwrap_or_default());
    for (pair, corrections) in set.pairs.iter().zip(&found) {
        let got = apply(&pair.wrong, corrections);
        let outcome = score.add(pair, &got);
        let is_right = matches!(outcome, Outcome::Kept | Outcome::Corrected);
        if let (Some(dump), false) = (&mut *dump, is_right) {
            let missed = &score.missed(pair, &got);
            let (path, got) = (&*set.path, got.as_str());
            dump.write(corrector, &Failure { path, pair, outcome, got, corrections, missed })?;
        }
    }
    Ok((score, time))
}

fn json(
    out: &mut impl Write,
    args: &EvaluateArgs,
    [discriminator, generator]: &[String; 2],
    measured: &Measured,
) -> io::Result<()> {
    let object = JsonFigures {
        version: JSON_VERSION,
        file: measured.set.path.to_string_lossy().into_owned(),
        sentences: measured.score.sentences(),
        erroneous: measured.score.erroneous(),
        unequal: measured.score.unequal(),
        figures: &measured.figures,
        cost: measured.tokens.cost(),
        funnel: measured.funnel,
        sentences_per_second: measured.sentences_per_second(),
        seconds: measured.time.as_secs_f64(),
        ignore: args.ignore.as_deref(),
        document: args.document,
        model: JsonModel { discriminator, generator },
        decision: &args.decision,
    };
    write_json(out, &object)
}

#[derive(Serialize)]
struct JsonFigures<'a> {
    version: u32,
    file: String,
    sentences: usize,
    erroneous: usize,
    unequal: usize,
    #[serde(flatten)]
    figures: &'a Figures,
    /// Tokens read for each token of text.
    cost: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    funnel: Option<Funnel>,
    sentences_per_second: f64,
    seconds: f64,
    ignore: Option<&'a str>,
    document: bool,
    model: JsonModel<'a>,
    #[serde(flatten)]
    decision: &'a DecisionArgs,
}

#[derive(Serialize)]
struct JsonModel<'a> {
    discriminator: &'a str,
    generator: &'a str,
}
