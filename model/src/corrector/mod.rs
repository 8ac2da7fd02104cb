//! Text in, corrections out.
//!
//! ```text
//! detector     windows of the line → the discriminator → which characters look replaced
//! candidates   for each of them: characters near in sound or shape, and the generator's own
//! scorer       generator, discriminator and similarity against the original: does a change win?
//! rounds       put the best on trial, read again, take back what does not win, look for more
//! compat       pycorrector's algorithm, kept for comparison
//! ```
//!
//! `docs/correction.md` tells why, with figures. Nothing here changes a text: a [`Correction`] says which bytes should become what.

mod candidates;
mod compat;
mod detector;
mod filler;
pub mod fitting;
mod reading;
mod rounds;
pub mod scorer;
mod segmenter;
pub mod similarity;

use std::ops::Range;
use std::sync::Arc;

use zhengzi_runtime::{Checkpoint, Cpu};

use crate::Error;
use crate::electra::Generator;
use crate::pair::{ModelPaths, Pair, check_same_vocabulary};
use candidates::Candidates;
pub use detector::Detector;
pub use filler::{Blank, Filler};
pub use similarity::Similarity;

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
    /// A character whose probability of being replaced reaches this is looked at, in [0, 1].
    pub threshold: Option<f32>,
    /// By how much a change must win against the original, in natural log-odds.
    pub margin: Option<f32>,
    /// How many of the generator's own proposals are candidates beside the similar characters.
    pub top_k: usize,
    /// How often, at most, a sentence is read for corrections.
    pub rounds: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { policy: Policy::Default, threshold: None, margin: None, top_k: 5, rounds: 2 }
    }
}

/// One proposed change, or one suspicion where `right` is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct Correction {
    /// Bytes of the source text.
    pub span: Range<usize>,
    /// What stands there.
    pub wrong: String,
    /// What should stand there; `None` from [`Detector::detect`].
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
}

impl Corrector {
    /// Loads a discriminator and a generator that share one vocabulary.
    pub fn open(paths: &ModelPaths, settings: Settings, cpu: &Cpu) -> Result<Corrector, Error> {
        let (detector, generator) = Pair::resolve(paths)?.both()?;
        let (tokenizer, discriminator) = detector.load_discriminator(cpu)?;
        let (other, generator) = generator.load_generator(cpu)?;
        check_same_vocabulary(
            (&tokenizer, discriminator.checkpoint()),
            (&other, generator.checkpoint()),
        )?;
        let detector = Detector::new(Arc::new(tokenizer), discriminator, settings);
        Ok(Corrector { detector, generator, candidates: Candidates::default() })
    }

    /// The files of the discriminator's and the generator's weights.
    pub fn checkpoints(&self) -> [&Checkpoint; 2] {
        [self.detector.checkpoint(), self.generator.checkpoint()]
    }

    /// The corrections of every line, in order and never overlapping.
    pub fn correct(&mut self, lines: &[&str]) -> Result<Vec<Vec<Correction>>, Error> {
        match self.detector.settings.policy {
            Policy::Default => rounds::correct(self, lines),
            Policy::Compat => compat::correct(self, lines),
        }
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
fn single(text: &str) -> Option<char> {
    let mut chars = text.chars();
    chars.next().filter(|_| chars.next().is_none())
}

/// 1 / (1 + e⁻ᶻ)
fn probability(z: f32) -> f32 {
    1.0 / (1.0 + (-z).exp())
}
