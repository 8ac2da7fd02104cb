//! Precision, recall, F1.
//!
//! Of what was found, `predicted` in number, and what was to be found, `actual` in number,
//! `hits` are the same:
//!
//! ```text
//! P = hits / predicted     R = hits / actual     F1 = 2PR / (P + R) = 2 hits / (predicted + actual)
//! ```
//!
//! Without anything to be found there is none of the three; with nothing found, no precision.

use serde::Serialize;

/// Fractions of 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Measures {
    /// How much of what was found is right.
    pub precision: Option<f64>,
    /// How much of what is wrong was found.
    pub recall: Option<f64>,
    /// Their harmonic mean.
    pub f1: Option<f64>,
}

/// What finding wrong characters and what correcting them is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Level {
    /// The places.
    pub detection: Measures,
    /// The places and what was written there.
    pub correction: Measures,
}

impl Measures {
    /// See the top.
    pub fn of(hits: usize, predicted: usize, actual: usize) -> Measures {
        if actual == 0 {
            return Measures::default();
        }
        Measures {
            precision: ratio(hits, predicted),
            recall: ratio(hits, actual),
            f1: ratio(2 * hits, predicted + actual),
        }
    }

    fn mean(sets: impl Iterator<Item = Measures> + Clone) -> Measures {
        let mean = |figure: fn(Measures) -> Option<f64>| mean(sets.clone().map(figure));
        Measures {
            precision: mean(|m| m.precision),
            recall: mean(|m| m.recall),
            f1: mean(|m| m.f1),
        }
    }
}

impl Level {
    /// The mean of each measure over the sets that have it.
    pub(super) fn mean(sets: impl Iterator<Item = Level> + Clone) -> Level {
        Level {
            detection: Measures::mean(sets.clone().map(|level| level.detection)),
            correction: Measures::mean(sets.map(|level| level.correction)),
        }
    }
}

/// `part / whole`.
pub(super) fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The arithmetic mean of those that there are.
pub(super) fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let (count, sum) = values.flatten().fold((0, 0.0), |(n, sum), value| (n + 1, sum + value));
    (count > 0).then(|| sum / f64::from(count))
}

/// Of the mean of independent figures with these uncertainties: √(∑ u²) / n.
pub(super) fn uncertainty_of_mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let (count, squares) = values.flatten().fold((0, 0.0), |(n, sum), u| (n + 1, sum + u * u));
    (count > 0).then(|| squares.sqrt() / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f1_is_the_harmonic_mean() {
        let Measures { precision, recall, f1 } = Measures::of(3, 4, 12);
        assert_eq!((precision, recall), (Some(0.75), Some(0.25)));
        assert_eq!(f1, Some(2.0 * 0.75 * 0.25 / (0.75 + 0.25)));
    }

    #[test]
    fn nothing_is_divided_by_nothing() {
        assert_eq!(Measures::of(0, 3, 0), Measures::default());
        let idle = Measures { precision: None, recall: Some(0.0), f1: Some(0.0) };
        assert_eq!(Measures::of(0, 0, 3), idle);
        assert_eq!(mean([None, None].into_iter()), None);
    }

    #[test]
    fn the_uncertainty_of_a_mean_shrinks_with_the_root_of_the_number() {
        let of_four =
            uncertainty_of_mean([Some(0.1), None, Some(0.1), Some(0.1), Some(0.1)].into_iter());
        assert!((of_four.unwrap() - 0.05).abs() < 1e-12);
    }
}
