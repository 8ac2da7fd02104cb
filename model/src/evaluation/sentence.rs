//! Figures by sentence. With
//!
//! - E the sentences in which something is wrong,
//! - A the sentences in which something was changed,
//! - F = A ∖ E the false alarms,
//! - D ⊆ A ∩ E those where exactly the wrong places were changed,
//! - C ⊆ D those where, besides, the right characters were written,
//!
//! detection (H = D) and correction (H = C) have
//!
//! ```text
//!            precision           recall
//! strict     |H| / |A|           |H| / |E|
//! loose      |H| / (|H| + |F|)   |H| / |E|
//! ```
//!
//! Strict is the measure of the literature since Xu et al. (2021), "Read, Listen, and See",
//! <https://arxiv.org/abs/2105.12306>, as in the scorer of their code. Loose is pycorrector's:
//! an erroneous sentence that was changed wrongly is a miss, and no wrong alarm besides, so that
//! its precision is never lower. (pycorrector has it for correction only.)

use super::Outcome;
use super::measures::{Level, Measures, ratio};

/// Counts of sentences; the letters are those of the top.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sentences {
    /// All of them.
    pub all: usize,
    /// |E|
    pub erroneous: usize,
    /// |A|
    pub changed: usize,
    /// |F|
    pub false_alarms: usize,
    /// |D|
    pub detected: usize,
    /// |C|
    pub corrected: usize,
}

impl Sentences {
    pub fn add(&mut self, outcome: Outcome) {
        use Outcome::*;
        self.all += 1;
        self.erroneous += usize::from(!matches!(outcome, Kept | FalseAlarm));
        self.changed += usize::from(!matches!(outcome, Kept | Missed));
        self.false_alarms += usize::from(outcome == FalseAlarm);
        self.detected += usize::from(matches!(outcome, Miscorrected | Corrected));
        self.corrected += usize::from(outcome == Corrected);
    }

    pub fn strict(&self) -> Level {
        self.level(|_| self.changed)
    }

    pub fn loose(&self) -> Level {
        self.level(|hits| hits + self.false_alarms)
    }

    fn level(&self, predicted: impl Fn(usize) -> usize) -> Level {
        let measures = |hits| Measures::of(hits, predicted(hits), self.erroneous);
        Level { detection: measures(self.detected), correction: measures(self.corrected) }
    }

    /// |F| over the sentences without an error.
    pub fn false_alarm_rate(&self) -> Option<f64> {
        ratio(self.false_alarms, self.all - self.erroneous)
    }

    /// |C| and the sentences without an error that stayed, over all.
    pub fn accuracy(&self) -> Option<f64> {
        let kept = self.all - self.erroneous - self.false_alarms;
        ratio(self.corrected + kept, self.all)
    }

    /// Half the width of the 95 % interval of strict correction's F1: another sample of as many
    /// sentences would hardly differ by more.
    ///
    /// F1 is a ratio of sums over sentences, ∑y / ∑x with y = 2·[in C] and x = [in A] + [in E],
    /// so that its variance is about ∑ (y − F1·x)² / (∑x)² (Cochran, Sampling Techniques,
    /// §2.11; the delta method). Too narrow where C holds only a handful.
    pub fn uncertainty(&self) -> Option<f64> {
        const Z: f64 = 1.959_963_985;
        let f1 = self.strict().correction.f1?;
        // (y − F1·x)² for a sentence in C; in A ∩ E but not in C; in one of A and E only.
        let both = self.changed - self.false_alarms;
        let squares = (self.corrected as f64) * (2.0 - 2.0 * f1).powi(2)
            + (both - self.corrected) as f64 * (2.0 * f1).powi(2)
            + (self.false_alarms + self.erroneous - both) as f64 * f1.powi(2);
        Some(Z * squares.sqrt() / (self.changed + self.erroneous) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_and_loose_differ_by_the_wrongly_changed_sentences_that_are_wrong() {
        let mut sentences = Sentences::default();
        let outcomes = [Outcome::Corrected, Outcome::Misplaced, Outcome::Miscorrected];
        outcomes.into_iter().for_each(|outcome| sentences.add(outcome));
        sentences.add(Outcome::FalseAlarm);
        assert_eq!(sentences.strict().correction, Measures::of(1, 4, 3));
        assert_eq!(sentences.loose().correction, Measures::of(1, 2, 3));
        assert_eq!(sentences.strict().detection, Measures::of(2, 4, 3));
        assert_eq!(sentences.loose().detection, Measures::of(2, 3, 3));
    }

    #[test]
    fn certainty_grows_with_the_root_of_the_number_of_sentences() {
        let of = |n: usize| Sentences {
            all: 40 * n,
            erroneous: 20 * n,
            changed: 10 * n,
            false_alarms: 3 * n,
            detected: 6 * n,
            corrected: 5 * n,
        };
        let (few, many) = (of(10).uncertainty().unwrap(), of(1000).uncertainty().unwrap());
        assert!((few / many - 10.0).abs() < 1e-9);
        // 2·5 / 30; 5 · (4/3)² + 2 · (2/3)² + 16 · (1/3)² = 104/9 a tenfold: √(1040/9) / 300.
        assert!((few - 1.959963985 * (1040.0f64 / 9.0).sqrt() / 300.0).abs() < 1e-9);
        assert_eq!(Sentences::default().uncertainty(), None);
    }
}
