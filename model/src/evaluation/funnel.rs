//! Where wrong characters are lost on their way through the corrector.

use std::ops::AddAssign;

use serde::Serialize;

use super::Pair;
use crate::corrector::{Explanation, Verdict};

/// Wrong characters, and how many of them came how far; of sentences of equal length.
///
/// `candidates` ÷ `suspected` is the candidate oracle: what a perfect choice among the candidates would
/// reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Funnel {
    /// All of them.
    pub wrong: usize,
    /// That were looked at.
    pub suspected: usize,
    /// For which the right character was among the candidates.
    pub candidates: usize,
    /// For which it was the best of them.
    pub first: usize,
    /// That became what they should be.
    pub corrected: usize,
}

impl Funnel {
    /// Counts what became of the wrong side of `pair`.
    pub fn add(&mut self, pair: &Pair, told: &Explanation) {
        if !pair.is_of_equal_length() {
            return;
        }
        let places = pair.wrong.char_indices().zip(pair.right.chars());
        for ((at, _), right) in places.filter(|((_, wrong), right)| wrong != right) {
            self.wrong += 1;
            // A place may be looked at in several rounds: the last one decided.
            let mut looked = told.suspects.iter().filter(|suspicion| suspicion.span.start == at);
            let Some(last) = looked.rfind(|s| s.verdict != Verdict::Frozen) else {
                continue;
            };
            self.suspected += 1;
            let is_right = |text: &str| text.chars().eq([right]);
            let mut options = last.options.iter().filter(|option| option.is_eligible);
            let place = options.position(|option| is_right(&option.text));
            self.candidates += usize::from(place.is_some());
            self.first += usize::from(place == Some(0));
            let corrections = told.corrections.iter().filter(|made| made.span.start == at);
            let made = corrections.filter_map(|made| made.right.as_deref()).any(is_right);
            self.corrected += usize::from(made);
        }
    }
}

impl AddAssign for Funnel {
    fn add_assign(&mut self, other: Funnel) {
        self.wrong += other.wrong;
        self.suspected += other.suspected;
        self.candidates += other.candidates;
        self.first += other.first;
        self.corrected += other.corrected;
    }
}
