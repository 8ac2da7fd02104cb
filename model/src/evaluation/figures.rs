//! What a score comes to, for one test set and as a mean over several.

use serde::Serialize;

use super::measures::{self, Level, uncertainty_of_mean};

/// What the counts come to, as fractions of 1; `None` where there is nothing to divide by.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// By sentence; precision is over all changed sentences.
    pub strict: Level,
    /// By sentence; precision leaves out sentences that were wrong and were changed wrongly.
    pub loose: Level,
    /// By character.
    pub character: Level,
    /// Of the sentences without an error, the share that was changed.
    pub false_alarm_rate: Option<f64>,
    /// Of all sentences, the share that came out as it should be.
    pub accuracy: Option<f64>,
    /// Half the width of the 95 % confidence interval of the F1 of strict correction.
    pub uncertainty: Option<f64>,
}

impl Figures {
    /// The mean of each figure over those test sets that have it, each set counting the same.
    pub fn mean(sets: &[Figures]) -> Figures {
        let mean = |figure: fn(&Figures) -> Option<f64>| measures::mean(sets.iter().map(figure));
        let level = |level: fn(&Figures) -> Level| Level::mean(sets.iter().map(level));
        Figures {
            strict: level(|set| set.strict),
            loose: level(|set| set.loose),
            character: level(|set| set.character),
            false_alarm_rate: mean(|set| set.false_alarm_rate),
            accuracy: mean(|set| set.accuracy),
            uncertainty: uncertainty_of_mean(sets.iter().map(|set| set.uncertainty)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Pair, Score};
    use super::*;

    fn figures(triples: &[(&str, &str, &str)]) -> Figures {
        let mut score = Score::new("");
        for &(wrong, right, made) in triples {
            score.add(&Pair { line: 1, wrong: wrong.into(), right: right.into() }, made);
        }
        score.figures()
    }

    #[test]
    fn a_mean_is_over_the_sets_that_have_the_figure() {
        let wrong = figures(&[("甲", "乙", "乙"), ("甲", "甲", "甲")]);
        let half = figures(&[("甲", "乙", "乙"), ("甲", "乙", "甲")]);
        let clean = figures(&[("甲", "甲", "乙")]);
        let mean = Figures::mean(&[wrong, half, clean]);
        assert_eq!(mean.strict.correction.recall, Some(0.75));
        assert_eq!(mean.false_alarm_rate, Some(0.5));
        assert_eq!(mean.accuracy, Some(0.5));
        assert_eq!(Figures::mean(&[]), Figures::default());
    }
}
