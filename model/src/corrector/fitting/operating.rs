//! What each margin finds and alarms, and the margin that each mode takes.
//!
//! A margin trades precision for recall. On pairs that nothing was fitted on, the corrector is run with
//! each margin of [`MARGINS`]; a mode takes
//!
//! | mode | margin |
//! |---|---|
//! | careful | the lowest that changes at most 1 in 100 correct sentences |
//! | balanced | that of the greatest F1, of those that change at most 1 in 25 |
//! | eager | that of the greatest F2, where recall counts twice as much, of those that change at most 1 in 10 |

use super::BATCH;
use crate::Error;
use crate::corrector::{Corrector, Mode, Passage, apply};
use crate::evaluation::{Measures, Pair, Score};

/// What is tried, descending: natural log-odds.
pub(super) const MARGINS: [f32; 17] = [
    3.0, 2.5, 2.0, 1.75, 1.5, 1.25, 1.0, 0.75, 0.5, 0.25, 0.0, -0.25, -0.5, -0.75, -1.0, -1.5, -2.0,
];

/// Of correct sentences, the share that `careful` may change.
const CAREFUL: f64 = 1.0 / 100.0;

/// The same for `balanced`.
const BALANCED: f64 = 1.0 / 25.0;

/// The same for `eager`.
const EAGER: f64 = 1.0 / 10.0;

/// What the corrector did with one margin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The margin.
    pub margin: f32,
    /// Strict correction, by sentence; `None` where nothing was changed or nothing was wrong.
    pub correction: Measures,
    /// Of the correct sentences, the share that was changed.
    pub false_alarms: f64,
}

/// A point for each margin, margins descending.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// At least one.
    pub points: Vec<Point>,
}

impl Corrector {
    /// The curve over `pairs`.
    pub(super) fn curve(
        &mut self,
        pairs: &[Pair],
        done: &mut impl FnMut(usize),
    ) -> Result<Curve, Error> {
        let asked = self.detector.settings.margin;
        let mut points = Vec::with_capacity(MARGINS.len());
        for margin in MARGINS {
            self.detector.settings.margin = Some(margin);
            let mut score = Score::new("");
            for pairs in pairs.chunks(BATCH) {
                let lines: Vec<Passage> =
                    pairs.iter().map(|pair| pair.wrong.as_str().into()).collect();
                for (pair, corrections) in pairs.iter().zip(self.correct(&lines)?) {
                    score.add(pair, &apply(&pair.wrong, &corrections));
                }
                done(pairs.len());
            }
            let figures = score.figures();
            points.push(Point {
                margin,
                correction: figures.strict.correction,
                false_alarms: figures.false_alarm_rate.unwrap_or_default(),
            });
        }
        self.detector.settings.margin = asked;
        Ok(Curve { points })
    }
}

impl Curve {
    /// The point that a mode takes.
    pub fn chosen(&self, mode: Mode) -> Point {
        let within = |most: f64| self.points.iter().filter(move |point| point.false_alarms <= most);
        let greatest = |beta: f64| {
            move |a: &&Point, b: &&Point| {
                f_measure(&a.correction, beta).total_cmp(&f_measure(&b.correction, beta))
            }
        };
        let chosen = match mode {
            Mode::Careful => within(CAREFUL).next_back(),
            Mode::Balanced => within(BALANCED).max_by(greatest(1.0)),
            Mode::Eager => within(EAGER).max_by(greatest(2.0)),
        };
        // Where all of them alarm too often, the greatest margin does so the least.
        *chosen.unwrap_or(&self.points[0])
    }
}

/// (1 + β²) P R / (β² P + R); 0 where there is none.
fn f_measure(measures: &Measures, beta: f64) -> f64 {
    let (p, r) = (measures.precision.unwrap_or(0.0), measures.recall.unwrap_or(0.0));
    let weighted = beta * beta * p + r;
    if weighted == 0.0 { 0.0 } else { (1.0 + beta * beta) * p * r / weighted }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(margin: f32, precision: f64, recall: f64, false_alarms: f64) -> Point {
        let f1 = Some(2.0 * precision * recall / (precision + recall));
        let correction = Measures { precision: Some(precision), recall: Some(recall), f1 };
        Point { margin, correction, false_alarms }
    }

    #[test]
    fn each_mode_takes_its_margin() {
        let points = vec![
            point(2.0, 0.9, 0.1, 0.001),
            point(1.0, 0.8, 0.2, 0.004),
            point(0.0, 0.7, 0.3, 0.03),
            point(-1.0, 0.6, 0.5, 0.06),
            point(-2.0, 0.2, 0.55, 0.3),
        ];
        let curve = Curve { points };
        let margins = Mode::ALL.map(|mode| curve.chosen(mode).margin);
        assert_eq!(margins, [1.0, 0.0, -1.0]);
    }

    #[test]
    fn where_every_margin_alarms_too_often_the_greatest_is_taken() {
        let curve = Curve { points: vec![point(2.0, 0.5, 0.1, 0.2), point(1.0, 0.5, 0.2, 0.3)] };
        assert_eq!(curve.chosen(Mode::Careful).margin, 2.0);
        assert_eq!(curve.chosen(Mode::Balanced).margin, 2.0);
        assert_eq!(curve.chosen(Mode::Eager).margin, 2.0);
    }
}
