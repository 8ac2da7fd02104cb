//! Text in, corrections out.
//!
//! ```text
//! calibration  the numbers by which all below decide, fitted for a pair of networks
//! decisions    what the user decided: frozen words, changes made before anything is read
//! detector     windows of the line → the discriminator → which characters look replaced
//! candidates   for each of them: characters near in sound or shape, and the generator's own
//! prior        how frequent a character is, as the generator sees it
//! script       of these, the ones that a simplified or traditional line can hold
//! scorer       generator, discriminator and similarity against the original: does a change win?
//! rounds       put the best on trial, read again, take back what does not win, look for more
//! repeats      what won once in a document is made wherever the same word is suspected
//! compat       pycorrector's algorithm, kept for comparison
//! trace        either policy's account of what it saw and did
//! attention    where the heads of the networks look
//! ```
//!
//! `docs/correction.md` tells why, with figures. Nothing here changes a text: a [`Correction`] says which bytes should become what.

mod attention;
pub mod calibration;
mod candidates;
mod compat;
mod decisions;
mod detector;
mod filler;
pub mod fitting;
mod prior;
mod reading;
mod repeats;
mod rounds;
pub mod scorer;
mod script;
mod segmenter;
pub mod similarity;
mod trace;

use std::ops::{AddAssign, Range};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use zhengzi_runtime::{Checkpoint, Cpu, Need};

use crate::Error;
use crate::electra::{Generator, memory};
use crate::pair::{ModelPaths, Pair};
pub use attention::{AttentionMap, Network};
use calibration::{Calibration, Mode, Origin};
use candidates::Candidates;
pub use decisions::Decisions;
pub use detector::Detector;
pub use filler::{Blank, Filler};
use prior::Prior;
pub use repeats::settle;
pub use script::Script;
pub use similarity::Similarity;
use trace::Trace;
pub use trace::{Considered, Explanation, Standing, Suspicion, Token, Verdict, Verification};

/// Which algorithm corrects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Whole sentences as context, evidence weighed, changes verified.
    #[default]
    Default,
    /// pycorrector's.
    Compat,
}

/// How to correct. Where an option is `None` the policy has its own default.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The algorithm.
    pub policy: Policy,
    /// How readily a text is changed; no matter to `compat`.
    pub mode: Mode,
    /// The file of numbers to decide by, where it is not the model's own.
    pub calibration: Option<PathBuf>,
    /// A character whose probability of being replaced reaches this is looked at, in [0, 1].
    pub threshold: Option<f32>,
    /// By how much a change must win against the original, in natural log-odds, whatever the mode.
    pub margin: Option<f32>,
    /// How many of the generator's own proposals are candidates beside the similar characters.
    pub top_k: usize,
    /// How often, at most, a sentence is read for corrections.
    pub rounds: usize,
    /// The script that the text is meant to be in; no matter to `compat`.
    pub script: Script,
    /// What the user decided beforehand.
    pub decisions: Arc<Decisions>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            policy: Policy::Default,
            mode: Mode::Balanced,
            calibration: None,
            threshold: None,
            margin: None,
            top_k: 5,
            rounds: 2,
            script: Script::Auto,
            decisions: Arc::default(),
        }
    }
}

/// A text, usually a line, and what of it must stay.
#[derive(Clone, Copy, Debug)]
pub struct Passage<'a> {
    /// All of it is context.
    pub text: &'a str,
    /// Bytes of `text` that stay as they are, sorted and disjoint. A range may lie anywhere: a
    /// character of which it holds a byte is never a suspect.
    pub frozen: &'a [Range<usize>],
}

impl<'a> From<&'a str> for Passage<'a> {
    fn from(text: &'a str) -> Passage<'a> {
        Passage { text, frozen: &[] }
    }
}

impl Passage<'_> {
    /// Whether `span` holds a frozen byte.
    fn is_frozen(&self, span: &Range<usize>) -> bool {
        let next = self.frozen.partition_point(|frozen| frozen.end <= span.start);
        self.frozen.get(next).is_some_and(|frozen| frozen.start < span.end)
    }
}

/// One proposed change, or one suspicion where `right` is `None`.
///
/// A suspicion is what [`Detector::detect`] has to say, or what [`Corrector::examine`] leaves open.
#[derive(Clone, Debug, PartialEq)]
pub struct Correction {
    /// Bytes of the source text.
    pub span: Range<usize>,
    /// What stands there.
    pub wrong: String,
    /// What should stand there.
    pub right: Option<String>,
    /// The discriminator's probability that the character was replaced.
    pub detection: f32,
    /// How sure the corrector is of `right`, 0 to 1; of the suspicion where there is none.
    pub confidence: f32,
    /// What was considered, best first.
    pub alternatives: Vec<Alternative>,
}

impl Correction {
    fn suspicion(text: &str, span: Range<usize>, logit: f32) -> Correction {
        Correction {
            wrong: text[span.clone()].to_owned(),
            span,
            right: None,
            detection: probability(logit),
            confidence: probability(logit),
            alternatives: Vec::new(),
        }
    }
}

/// Where time went, added up over all calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages {
    /// Cutting texts into tokens.
    pub tokenizer: Duration,
    /// Reading tokens for what was replaced; the second reading, which verifies, included.
    pub discriminator: Duration,
    /// Filling masks.
    pub generator: Duration,
    /// Weighing candidates.
    pub scoring: Duration,
    /// What the networks had to read.
    pub tokens: Tokens,
}

/// Tokens, `[CLS]` and `[SEP]` not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Of the texts.
    pub text: u64,
    /// Read by the discriminator, the second readings included.
    pub discriminator: u64,
    /// Read by the generator.
    pub generator: u64,
}

impl AddAssign for Tokens {
    fn add_assign(&mut self, other: Tokens) {
        self.text += other.text;
        self.discriminator += other.discriminator;
        self.generator += other.generator;
    }
}

impl Tokens {
    /// Tokens read for each token of text: what a policy costs, whatever the machine.
    /// `None` where there was no text.
    pub fn cost(&self) -> Option<f64> {
        let read = self.discriminator + self.generator;
        (self.text > 0).then(|| read as f64 / self.text as f64)
    }

    /// What was added since it was `before`.
    pub fn since(self, before: Tokens) -> Tokens {
        Tokens {
            text: self.text - before.text,
            discriminator: self.discriminator - before.discriminator,
            generator: self.generator - before.generator,
        }
    }
}

/// A candidate for a place.
#[derive(Clone, Debug, PartialEq)]
pub struct Alternative {
    /// The token.
    pub text: String,
    /// The generator's probability for it.
    pub probability: f32,
}

/// Finds wrong characters and says what should stand there.
pub struct Corrector {
    detector: Detector,
    generator: Generator,
    candidates: Candidates,
    prior: Prior,
    calibration: Calibration,
    origin: Origin,
}

impl Corrector {
    /// Loads a discriminator and a generator that share one vocabulary.
    pub fn open(paths: &ModelPaths, settings: Settings, cpu: &Cpu) -> Result<Corrector, Error> {
        // To read the table takes about as long as to open a small model: side by side.
        _ = std::thread::Builder::new().spawn(Similarity::builtin);
        let (tokenizer, discriminator, generator) = Pair::resolve(paths)?.load(cpu)?;
        let named = settings.calibration.as_deref();
        let (calibration, origin) = Calibration::find(named, discriminator.checkpoint())?;
        let detector = Detector::new(tokenizer, discriminator, settings);
        let (candidates, prior) = (Candidates::default(), Prior::default());
        Ok(Corrector { detector, generator, candidates, prior, calibration, origin })
    }

    /// Whether it decides by numbers at all: `compat` does not.
    pub fn weighs(&self) -> bool {
        self.detector.settings.policy == Policy::Default
    }

    /// By which numbers it decides, and where they came from.
    pub fn calibration(&self) -> (&Calibration, &Origin) {
        (&self.calibration, &self.origin)
    }

    /// The probability from which a character is a suspect.
    fn threshold(&self) -> f32 {
        self.detector.settings.threshold.unwrap_or(self.calibration.threshold)
    }

    /// The files of the discriminator's and the generator's weights.
    pub fn checkpoints(&self) -> [&Checkpoint; 2] {
        [self.detector.checkpoint(), self.generator.checkpoint()]
    }

    /// What it takes in memory, at most.
    pub fn memory(&self, cpu: &Cpu) -> Need {
        let [detector, generator] = self.checkpoints();
        memory::need(&[(detector, "discriminator"), (generator, "generator")], cpu)
    }

    /// Where the time of all calls so far went.
    pub fn stages(&self) -> Stages {
        self.detector.stages()
    }

    /// The corrections of every passage, in order and never overlapping.
    pub fn correct(&mut self, passages: &[Passage]) -> Result<Vec<Vec<Correction>>, Error> {
        let mut found = self.examine(passages)?;
        found.iter_mut().for_each(|found| found.retain(|correction| correction.right.is_some()));
        Ok(found)
    }

    /// The same, and among them each suspect that nothing was decided of, with its best candidates:
    /// [`settle`] decides these by the rest of the document.
    pub fn examine(&mut self, passages: &[Passage]) -> Result<Vec<Vec<Correction>>, Error> {
        let decisions = Arc::clone(&self.detector.settings.decisions);
        decisions.around(passages, |passages| match self.detector.settings.policy {
            Policy::Default => rounds::correct(self, passages),
            Policy::Compat => compat::correct(self, passages),
        })
    }

    /// The same, and why.
    pub fn explain(&mut self, passages: &[Passage]) -> Result<Vec<Explanation>, Error> {
        self.detector.trace = Trace::of(passages.len());
        let corrections = self.correct(passages);
        let trace = std::mem::take(&mut self.detector.trace);
        Ok(trace.finish(corrections?))
    }

    /// Every character of `text` that could be wrong, and how likely the discriminator, which
    /// reads the text whole, thinks that; `right` is `None`.
    pub fn opinions(&mut self, text: &str) -> Result<Vec<Correction>, Error> {
        Ok(self.detector.above(0.0, &[text.into()])?.remove(0))
    }
}

/// The text with its corrections in place.
pub fn apply(text: &str, corrections: &[Correction]) -> String {
    let mut corrected = String::with_capacity(text.len());
    let mut end = 0;
    for correction in corrections {
        corrected.push_str(&text[end..correction.span.start]);
        corrected.push_str(correction.right.as_deref().unwrap_or(&correction.wrong));
        end = correction.span.end;
    }
    corrected.push_str(&text[end..]);
    corrected
}

/// The only character of `text`.
pub(crate) fn single(text: &str) -> Option<char> {
    let mut chars = text.chars();
    chars.next().filter(|_| chars.next().is_none())
}

/// 1 / (1 + e⁻ᶻ)
fn probability(z: f32) -> f32 {
    1.0 / (1.0 + (-z).exp())
}
