//! Does a change win? The evidence for a candidate c in the place of o, and its weight.
//!
//! A suspected character has rivals: keep o, or change it to one of its candidates. Each is
//! given a score, keeping has the score 0, and the probability of a change is taken to be
//! exp(score) over the sum of all: a conditional logit model. The score of a change is
//! linear in what the networks and the similarity table say:
//!
//! | term | what it is |
//! |---|---|
//! | 1 | that this is a change |
//! | chosen | ln g(c): the generator's log-probability of c at the masked place |
//! | original | ln g(o): the same of the character that stands there |
//! | suspicion | the discriminator's logit that o was replaced |
//! | sound, shape | nearness of c and o, 0 to 1 |
//!
//! When the changes of a sentence have been applied and the discriminator has read it again,
//! its opinion of the new character is one more piece of evidence: the verified score.
//!
//! The weights were fitted by `model/examples/fit_scorer.rs` on spelling pairs that no
//! evaluation set holds.

/// What speaks for a candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evidence {
    /// ln g(c).
    pub chosen: f32,
    /// ln g(o).
    pub original: f32,
    /// The discriminator's logit at the place, before the change.
    pub suspicion: f32,
    /// Nearness in sound.
    pub sound: f32,
    /// Nearness in shape.
    pub shape: f32,
}

/// Number of terms of a score.
pub const TERMS: usize = 6;

/// One weight a term of the score.
pub type Weights = [f32; TERMS];

/// What an explanation calls them.
pub const NAMES: [&str; TERMS] =
    ["change", "ln g(candidate)", "ln g(original)", "suspicion", "sound", "shape"];

/// Fitted; see the top.
pub const WEIGHTS: Weights = [-6.82, 0.68, -0.296, 0.251, 5.401, 2.969];

/// Number of terms of a verified score.
pub const VERIFICATION_TERMS: usize = 4;

/// What an explanation calls them.
pub const VERIFICATION_NAMES: [&str; VERIFICATION_TERMS] =
    ["change", "score", "logit before", "logit after"];

/// Fitted; see the top.
pub const VERIFICATION_WEIGHTS: [f32; VERIFICATION_TERMS] = [-2.994, 0.279, -0.044, -0.939];

impl Evidence {
    /// What [`Weights`] multiply.
    pub fn terms(&self) -> [f32; TERMS] {
        [1.0, self.chosen, self.original, self.suspicion, self.sound, self.shape]
    }

    /// What [`score`] is the sum of.
    pub fn parts(&self, weights: &Weights) -> Vec<Part> {
        parts(&NAMES, &self.terms(), weights)
    }
}

/// A part of a score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// What is weighed.
    pub name: &'static str,
    /// How much of it there is.
    pub value: f32,
    /// How much each of it counts.
    pub weight: f32,
}

impl Part {
    /// What it adds to the score.
    pub fn product(&self) -> f32 {
        self.weight * self.value
    }
}

/// The score of a change, in natural log-odds against keeping.
pub fn score(weights: &Weights, evidence: &Evidence) -> f32 {
    dot(weights, &evidence.terms())
}

/// What the verification's weights multiply: the score of the change, and the discriminator's
/// logits at the place before and after it.
pub fn verification_terms(score: f32, before: f32, after: f32) -> [f32; VERIFICATION_TERMS] {
    [1.0, score, before, after]
}

/// The score of a change after the discriminator has read the corrected sentence.
pub fn verified(score: f32, before: f32, after: f32) -> f32 {
    dot(&VERIFICATION_WEIGHTS, &verification_terms(score, before, after))
}

/// What [`verified`] is the sum of.
pub fn verification_parts(score: f32, before: f32, after: f32) -> Vec<Part> {
    let terms = verification_terms(score, before, after);
    parts(&VERIFICATION_NAMES, &terms, &VERIFICATION_WEIGHTS)
}

fn parts(names: &[&'static str], terms: &[f32], weights: &[f32]) -> Vec<Part> {
    let terms = names.iter().zip(terms).zip(weights);
    terms.map(|((&name, &value), &weight)| Part { name, value, weight }).collect()
}

fn dot<const N: usize>(weights: &[f32; N], terms: &[f32; N]) -> f32 {
    weights.iter().zip(terms).map(|(weight, term)| weight * term).sum()
}
