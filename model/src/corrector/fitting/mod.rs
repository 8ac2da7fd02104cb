//! Fits what decides for a pair of networks: `zhengzi calibrate`.
//!
//! ```text
//! choices      what the corrector saw in sentences whose right form is known
//! newton       the weights that make the right choices likeliest
//! operating    what each margin finds and alarms; a margin for each mode
//! ```
//!
//! Of every five pairs one is held out: the weights never see it, and the margins are chosen on it.
//! Both sides of a pair are read, for the right one teaches when to keep.

mod choices;
mod newton;
mod operating;

pub use operating::{Curve, Point};

use super::calibration::Mode;
use super::calibration::{Calibration, Margins};
use super::{Corrector, probability};
use crate::Error;
use crate::evaluation::Pair;

/// What a fit is told about.
#[derive(Clone, Debug, Default)]
pub struct Material {
    /// To fit on.
    pub fitted: Vec<Pair>,
    /// To choose margins on.
    pub held: Vec<Pair>,
}

impl Material {
    /// Every fifth of `pairs` is held out. Pairs of unequal length are left out: which character should
    /// stand where is not known of them.
    pub fn new(pairs: impl IntoIterator<Item = Pair>) -> Material {
        let mut material = Material::default();
        let equal = pairs.into_iter().filter(Pair::is_of_equal_length);
        for (i, pair) in equal.enumerate() {
            let right = Pair { wrong: pair.right.clone(), ..pair.clone() };
            let side = if i % 5 == 0 { &mut material.held } else { &mut material.fitted };
            side.extend((right.wrong != pair.wrong).then_some(right));
            side.push(pair);
        }
        material
    }
}

/// What came out of a fit.
#[derive(Clone, Debug)]
pub struct Fit {
    /// The numbers to decide by.
    pub calibration: Calibration,
    /// What each margin is worth on what was held out.
    pub curve: Curve,
    /// Characters that were suspects.
    pub suspects: usize,
    /// Those of them that are wrong and have the right character among their candidates.
    pub within_reach: usize,
    /// Changes that were on trial.
    pub trials: usize,
}

/// Sentences read at once.
const BATCH: usize = 64;

/// The share of characters that are suspects. Each costs a reading of what is around it: with so many
/// the networks read about two and a half tokens for a token of text.
const NOMINATED: f32 = 0.07;

/// The decimals of a weight: more say nothing.
const DECIMALS: f32 = 1000.0;

impl Corrector {
    /// Fits all numbers to `material` and goes on with them. `done` is told how many sentences were read,
    /// of [`Corrector::readings`].
    ///
    /// # Errors
    /// Those of a network.
    ///
    /// # Panics
    /// If nothing is held out, or what there is to fit on holds no character that could be wrong.
    pub fn calibrate(
        &mut self,
        material: &Material,
        mut done: impl FnMut(usize),
    ) -> Result<Fit, Error> {
        let Material { fitted, held } = material;
        assert!(!fitted.is_empty() && !held.is_empty(), "nothing to learn from");
        self.calibration.threshold = match self.detector.settings.threshold {
            Some(asked) => asked,
            None => {
                let mut logits = Vec::new();
                for pairs in fitted.chunks(BATCH) {
                    choices::logits(self, pairs, &mut logits)?;
                    done(pairs.len());
                }
                let at = ((logits.len() as f32 * NOMINATED) as usize).min(logits.len().max(1) - 1);
                let (_, logit, _) = logits.select_nth_unstable_by(at, |a, b| b.total_cmp(a));
                rounded([probability(*logit)])[0].clamp(1.0 / DECIMALS, 1.0 - 1.0 / DECIMALS)
            }
        };
        let mut first = Vec::new();
        for pairs in fitted.chunks(BATCH) {
            first.extend(choices::choices(self, pairs)?);
            done(pairs.len());
        }
        self.calibration.score = rounded(newton::fit(&first));
        let suspects = first.len();
        let within_reach = first.iter().filter(|choice| choice.truth.is_some()).count();
        drop(first);
        let mut second = Vec::new();
        for pairs in fitted.chunks(BATCH) {
            second.extend(choices::verifications(self, pairs)?);
            done(pairs.len());
        }
        self.calibration.verification = rounded(newton::fit(&second));
        let curve = self.curve(held, &mut done)?;
        self.calibration.margins = Margins {
            careful: curve.chosen(Mode::Careful).margin,
            balanced: curve.chosen(Mode::Balanced).margin,
            eager: curve.chosen(Mode::Eager).margin,
        };
        let calibration = self.calibration.clone();
        Ok(Fit { calibration, curve, suspects, within_reach, trials: second.len() })
    }

    /// Sentences that [`Corrector::calibrate`] reads in all.
    pub fn readings(&self, material: &Material) -> usize {
        let passes = 2 + usize::from(self.detector.settings.threshold.is_none());
        passes * material.fitted.len() + operating::MARGINS.len() * material.held.len()
    }
}

fn rounded<const N: usize>(weights: [f32; N]) -> [f32; N] {
    weights.map(|weight| (weight * DECIMALS).round() / DECIMALS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_is_held_out_and_both_sides_are_read_once() {
        let pair = |i: usize| Pair {
            line: i,
            wrong: format!("错{i}"),
            right: if i.is_multiple_of(2) { format!("对{i}") } else { format!("错{i}") },
        };
        let unequal = Pair { line: 0, wrong: "短".to_owned(), right: "长长".to_owned() };
        let material = Material::new((0..10).map(pair).chain([unequal]));
        // Pairs 0 and 5 are held out; 0 is wrong and has two sides.
        assert_eq!((material.held.len(), material.fitted.len()), (3, 8 + 4));
        let wrong = |pairs: &[Pair]| pairs.iter().filter(|pair| pair.wrong != pair.right).count();
        assert_eq!((wrong(&material.held), wrong(&material.fitted)), (1, 4));
    }
}
