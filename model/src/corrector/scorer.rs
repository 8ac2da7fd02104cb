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
//! | prior | ln g₀(o) − ln g₀(c): the same of both where the generator is told nothing |
//! | suspicion | the discriminator's logit that o was replaced |
//! | sound, shape | nearness of c and o, 0 to 1 |
//!
//! When the changes of a sentence have been applied and the discriminator has read it again,
//! the change has a hearing: a logistic model of what is known by then, [`Hearing`].
//!
//! | term | what it is |
//! |---|---|
//! | change | that this is a change |
//! | score | the first score |
//! | ahead | by how much that is ahead of the next candidate's, at most 6: c has no rival |
//! | logit before, after | the discriminator's at the place: for o, for c in its stead |
//! | line before | the mean of its logits over the window, before: is all of this text strange to it? |
//!
//! The weights are part of a [calibration](super::calibration).

/// What speaks for a candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evidence {
    /// ln g(c).
    pub chosen: f32,
    /// ln g(o).
    pub original: f32,
    /// ln g₀(o) − ln g₀(c).
    pub prior: f32,
    /// The discriminator's logit at the place, before the change.
    pub suspicion: f32,
    /// Nearness in sound.
    pub sound: f32,
    /// Nearness in shape.
    pub shape: f32,
}

/// Number of terms of a score.
pub const TERMS: usize = 7;

/// One weight a term of the score.
pub type Weights = [f32; TERMS];

/// What an explanation calls them.
pub const NAMES: [&str; TERMS] =
    ["change", "ln g(candidate)", "ln g(original)", "prior", "suspicion", "sound", "shape"];

/// What speaks for a change that stands in the sentence, once the discriminator has read it again.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Hearing {
    /// The first score.
    pub score: f32,
    /// That, less the score of the next candidate, at most [`Hearing::FAR_AHEAD`].
    pub ahead: f32,
    /// The discriminator's logit at the place before the change.
    pub before: f32,
    /// The same after it.
    pub after: f32,
    /// The mean of its logits over the window, before.
    pub line: f32,
}

/// Number of terms of a verified score.
pub const VERIFICATION_TERMS: usize = 6;

/// One weight a term of the verified score.
pub type VerificationWeights = [f32; VERIFICATION_TERMS];

/// What an explanation calls them.
pub const VERIFICATION_NAMES: [&str; VERIFICATION_TERMS] =
    ["change", "score", "ahead", "logit before", "logit after", "line before"];

impl Evidence {
    /// What [`Weights`] multiply.
    pub fn terms(&self) -> [f32; TERMS] {
        let Evidence { chosen, original, prior, suspicion, sound, shape } = *self;
        [1.0, chosen, original, prior, suspicion, sound, shape]
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

impl Hearing {
    /// As far ahead as counts: where there is no other candidate, too.
    pub const FAR_AHEAD: f32 = 6.0;

    /// What [`VerificationWeights`] multiply.
    pub fn terms(&self) -> [f32; VERIFICATION_TERMS] {
        let Hearing { score, ahead, before, after, line } = *self;
        [1.0, score, ahead, before, after, line]
    }

    /// What [`verified`] is the sum of.
    pub fn parts(&self, weights: &VerificationWeights) -> Vec<Part> {
        parts(&VERIFICATION_NAMES, &self.terms(), weights)
    }
}

/// The score of a change after the discriminator has read the corrected sentence.
pub fn verified(weights: &VerificationWeights, hearing: &Hearing) -> f32 {
    dot(weights, &hearing.terms())
}

fn parts(names: &[&'static str], terms: &[f32], weights: &[f32]) -> Vec<Part> {
    let terms = names.iter().zip(terms).zip(weights);
    terms.map(|((&name, &value), &weight)| Part { name, value, weight }).collect()
}

fn dot<const N: usize>(weights: &[f32; N], terms: &[f32; N]) -> f32 {
    weights.iter().zip(terms).map(|(weight, term)| weight * term).sum()
}
