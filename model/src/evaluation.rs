//! How good corrections are: the strict sentence-level measure of the literature.
//!
//! A test set holds pairs `wrong<TAB>right` of equal length in characters. For each pair the
//! corrector changes some places of `wrong`. With
//!
//! - E the pairs in which something is wrong,
//! - A the pairs in which the corrector changed something,
//! - D ⊆ A ∩ E those where it changed exactly the wrong places,
//! - C ⊆ D those where, besides, it wrote the right characters,
//!
//! detection has precision |D|/|A| and recall |D|/|E|, correction |C|/|A| and |C|/|E|; F1 is
//! their harmonic mean. "Strict" because A counts every changed sentence (Xu et al., 2021,
//! "Read, Listen, and See", <https://arxiv.org/abs/2105.12306>, and its published scorer).
//! The false-alarm rate is the share of the pairs without an error that were changed.

use std::fmt;

use crate::corrector::{Correction, apply};

/// A sentence and what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// As written.
    pub wrong: String,
    /// As it should be; equal in number of characters.
    pub right: String,
}

impl Pair {
    /// The pairs of a `wrong<TAB>right` file, or the number of the first bad line and why.
    pub fn parse(text: &str) -> Result<Vec<Pair>, (usize, String)> {
        text.lines()
            .enumerate()
            .filter(|(_, line)| !line.is_empty())
            .map(|(i, line)| {
                let bad = |why: &str| (i + 1, why.to_owned());
                let (wrong, right) = line.split_once('\t').ok_or_else(|| bad("no tab"))?;
                match wrong.chars().count() == right.chars().count() {
                    true => Ok(Pair { wrong: wrong.to_owned(), right: right.to_owned() }),
                    false => Err(bad("the two sides differ in length")),
                }
            })
            .collect()
    }
}

/// Counts over a test set; see the top.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// All pairs.
    pub sentences: usize,
    /// |E|.
    pub erroneous: usize,
    /// |A|.
    pub changed: usize,
    /// |D|.
    pub detected: usize,
    /// |C|.
    pub corrected: usize,
    /// Pairs without an error that were changed.
    pub false_alarms: usize,
}

impl Score {
    /// Counts one pair with what the corrector made of its wrong side.
    pub fn add(&mut self, pair: &Pair, corrections: &[Correction]) {
        let predicted = apply(&pair.wrong, corrections);
        let places = |text: &str| -> Vec<usize> {
            let differs = pair.wrong.chars().zip(text.chars()).map(|(a, b)| a != b);
            differs.enumerate().filter_map(|(i, differs)| differs.then_some(i)).collect()
        };
        let is_wrong = pair.wrong != pair.right;
        let is_changed = pair.wrong != predicted;
        self.sentences += 1;
        self.erroneous += usize::from(is_wrong);
        self.changed += usize::from(is_changed);
        self.false_alarms += usize::from(is_changed && !is_wrong);
        if is_wrong && is_changed {
            self.detected += usize::from(places(&predicted) == places(&pair.right));
            self.corrected += usize::from(predicted == pair.right);
        }
    }

    /// Precision, recall and F1 of correction, in percent.
    pub fn correction(&self) -> [f64; 3] {
        self.measure(self.corrected)
    }

    /// Precision, recall and F1 of detection, in percent.
    pub fn detection(&self) -> [f64; 3] {
        self.measure(self.detected)
    }

    /// The share of correct sentences that were changed, in percent.
    pub fn false_alarm_rate(&self) -> f64 {
        percent(self.false_alarms, self.sentences - self.erroneous)
    }

    fn measure(&self, hits: usize) -> [f64; 3] {
        // F1 = 2PR / (P + R) = 2 hits / (changed + erroneous)
        [
            percent(hits, self.changed),
            percent(hits, self.erroneous),
            percent(2 * hits, self.changed + self.erroneous),
        ]
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([dp, dr, df], [cp, cr, cf]) = (self.detection(), self.correction());
        write!(
            f,
            "{:>6} | {dp:5.1} {dr:5.1} {df:5.1} | {cp:5.1} {cr:5.1} {cf:5.1} | {:5.1}",
            self.sentences,
            self.false_alarm_rate()
        )
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(wrong: &str, at: usize, right: &str) -> Correction {
        let (start, c) = wrong.char_indices().nth(at).unwrap();
        Correction {
            span: start..start + c.len_utf8(),
            wrong: c.to_string(),
            right: Some(right.to_owned()),
            detection: 1.0,
            confidence: 1.0,
            alternatives: Vec::new(),
        }
    }

    #[test]
    fn each_pair_is_counted_by_the_strict_definitions() {
        let pairs = Pair::parse("甲乙丙\t甲一丙\n甲乙丙\t甲乙丙\n甲乙丙\t甲一丙\n甲乙丙\t甲一三\n")
            .unwrap();
        let mut score = Score::default();
        score.add(&pairs[0], &[change("甲乙丙", 1, "一")]); // corrected
        score.add(&pairs[1], &[change("甲乙丙", 0, "假")]); // a false alarm
        score.add(&pairs[2], &[change("甲乙丙", 1, "二")]); // detected only
        score.add(&pairs[3], &[change("甲乙丙", 1, "一")]); // one of two: neither
        assert_eq!((score.erroneous, score.changed, score.detected, score.corrected), (3, 4, 2, 1));
        assert_eq!(score.false_alarm_rate(), 100.0);
        let [precision, recall, f1] = score.correction();
        assert!((precision - 25.0).abs() < 1e-9 && (recall - 100.0 / 3.0).abs() < 1e-9);
        assert!((f1 - 200.0 / 7.0).abs() < 1e-9);
    }

    #[test]
    fn a_bad_line_is_named() {
        assert_eq!(Pair::parse("甲\t乙\n甲乙\n").unwrap_err(), (2, "no tab".to_owned()));
        assert_eq!(Pair::parse("甲\t乙丙\n").unwrap_err().0, 1);
    }
}
