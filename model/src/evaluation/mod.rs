//! How good corrections are, by the measures that the literature and pycorrector use.
//!
//! ```text
//! pairs        files of sentences and what they should be
//! sighan       the same in the two files of SIGHAN's shared tasks
//! edits        where two texts differ
//! sentence     strict and loose figures: a whole sentence is right or it is not
//! character    figures by single characters
//! measures     precision, recall, F1
//! funnel       how far wrong characters come on their way through the corrector
//! figures      all of these, and their means over test sets
//! ```
//!
//! Each file says its definitions at its top; `docs/evaluation.md` has them with sources.

mod character;
mod edits;
mod figures;
mod funnel;
mod measures;
mod pairs;
mod sentence;
mod sighan;

use std::ops::Range;

use character::Characters;
use edits::{Edit, edits};
pub use figures::Figures;
pub use funnel::Funnel;
pub use measures::{Level, Measures};
pub use pairs::{Pair, TestSet};
use sentence::Sentences;

/// What a corrector made of one sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was wrong and nothing was changed.
    Kept,
    /// Nothing was wrong and something was changed.
    FalseAlarm,
    /// Something was wrong and nothing was changed.
    Missed,
    /// Other places were changed than the wrong ones.
    Misplaced,
    /// The wrong places were changed, but not to what should stand there.
    Miscorrected,
    /// The sentence is as it should be.
    Corrected,
}

/// A place that is wrong and was left as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// Bytes of the sentence as written.
    pub span: Range<usize>,
    /// What should stand there.
    pub right: String,
}

/// Counts over a test set.
#[derive(Clone, Debug, Default)]
pub struct Score {
    ignored: Vec<char>,
    unequal: usize,
    sentences: Sentences,
    characters: Characters,
}

impl Score {
    /// No sentence yet. A change of one of the characters `ignored` to another of them is taken
    /// for no change, in what should have been done and in what was done.
    pub fn new(ignored: &str) -> Score {
        Score { ignored: ignored.chars().collect(), ..Score::default() }
    }

    /// Counts a pair whose wrong side became `predicted`.
    pub fn add(&mut self, pair: &Pair, predicted: &str) -> Outcome {
        let meant = edits(&pair.wrong, &pair.right, &self.ignored);
        let made = edits(&pair.wrong, predicted, &self.ignored);
        self.unequal += usize::from(!pair.is_of_equal_length());
        self.characters.add(&meant, &made);
        let outcome = Outcome::of(&meant, &made);
        self.sentences.add(outcome);
        outcome
    }

    /// What is wrong in a pair whose wrong side became `predicted`, and was left alone.
    pub fn missed(&self, pair: &Pair, predicted: &str) -> Vec<Missed> {
        let meant = edits(&pair.wrong, &pair.right, &self.ignored);
        let made = edits(&pair.wrong, predicted, &self.ignored);
        let bytes = |place: usize| {
            pair.wrong.char_indices().nth(place).map_or(pair.wrong.len(), |(at, _)| at)
        };
        let left = meant.into_iter().filter(|edit| {
            made.iter().all(|m| m.place.end <= edit.place.start || edit.place.end <= m.place.start)
        });
        left.map(|edit| Missed {
            span: bytes(edit.place.start)..bytes(edit.place.end),
            right: edit.to,
        })
        .collect()
    }

    /// How many sentences were counted.
    pub fn sentences(&self) -> usize {
        self.sentences.all
    }

    /// In how many of them something is wrong.
    pub fn erroneous(&self) -> usize {
        self.sentences.erroneous
    }

    /// In how many of them the two sides differ in length. They count like any other.
    pub fn unequal(&self) -> usize {
        self.unequal
    }

    /// All figures.
    pub fn figures(&self) -> Figures {
        Figures {
            strict: self.sentences.strict(),
            loose: self.sentences.loose(),
            character: self.characters.level(),
            false_alarm_rate: self.sentences.false_alarm_rate(),
            accuracy: self.sentences.accuracy(),
            uncertainty: self.sentences.uncertainty(),
        }
    }
}

impl Outcome {
    fn of(meant: &[Edit], made: &[Edit]) -> Outcome {
        let places =
            |edits: &[Edit]| edits.iter().map(|edit| edit.place.clone()).collect::<Vec<_>>();
        match (meant, made) {
            ([], []) => Outcome::Kept,
            ([], _) => Outcome::FalseAlarm,
            (_, []) => Outcome::Missed,
            _ if meant == made => Outcome::Corrected,
            _ if places(meant) == places(made) => Outcome::Miscorrected,
            _ => Outcome::Misplaced,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The score of triples of what was written, what should be, and what was made of it.
    fn score(ignored: &str, triples: &[(&str, &str, &str)]) -> (Vec<Outcome>, Score) {
        let mut score = Score::new(ignored);
        let pair = |wrong: &str, right: &str| Pair {
            line: 1,
            wrong: wrong.to_owned(),
            right: right.to_owned(),
        };
        let outcomes = triples.iter().map(|(s, t, p)| score.add(&pair(s, t), p)).collect();
        (outcomes, score)
    }

    #[test]
    fn the_figures_are_those_counted_by_hand() {
        let (outcomes, score) = score(
            "",
            &[
                ("甲乙丙", "甲一丙", "甲一丙"), // 1 of 1 wrong characters
                ("甲乙丙", "甲乙丙", "假乙丙"),
                ("甲乙丙", "甲一丙", "甲二丙"),
                ("甲乙丙", "甲一三", "甲一丙"), // 1 of 2
                ("甲乙丙", "甲一丙", "甲乙丙"),
                ("甲乙丙", "甲乙丙", "甲乙丙"),
            ],
        );
        use Outcome::*;
        let expected = [Corrected, FalseAlarm, Miscorrected, Misplaced, Missed, Kept];
        assert_eq!(outcomes, expected);
        let figures = score.figures();
        // 6 sentences, 4 wrong, 4 changed, one of them a false alarm.
        assert_eq!(figures.strict.detection, Measures::of(2, 4, 4));
        assert_eq!(figures.strict.correction, Measures::of(1, 4, 4));
        assert_eq!(figures.loose.detection, Measures::of(2, 3, 4));
        assert_eq!(figures.loose.correction, Measures::of(1, 2, 4));
        // 5 wrong characters, 4 changed.
        assert_eq!(figures.character.detection, Measures::of(3, 4, 5));
        assert_eq!(figures.character.correction, Measures::of(2, 4, 5));
        assert_eq!(figures.false_alarm_rate, Some(0.5));
        assert_eq!(figures.accuracy, Some(2.0 / 6.0));
    }

    #[test]
    fn confusions_among_ignored_characters_count_on_neither_side() {
        let (outcomes, score) = score(
            "的地得",
            &[
                ("慢慢的走", "慢慢地走", "慢慢的走"), // nothing to do, nothing done
                ("慢慢的走", "慢慢的走", "慢慢得走"), // nothing done that counts
                ("慢慢的走", "慢慢地走", "慢慢都走"), // 的 to 都 counts
                ("慢慢的奏", "慢慢地走", "慢慢得走"), // 奏 to 走 counts
                ("是目得", "是目标", "是目的"),       // a wrong 得, not among themselves
            ],
        );
        use Outcome::*;
        assert_eq!(outcomes, [Kept, Kept, FalseAlarm, Corrected, Missed]);
        assert_eq!(score.erroneous(), 2);
        assert_eq!(score.figures().character.correction, Measures::of(1, 2, 2));
    }

    #[test]
    fn sentences_of_unequal_lengths_count_and_are_told() {
        let (outcomes, score) = score(
            "",
            &[
                ("我去去学校", "我去学校", "我去去学校"),
                ("我去去学校", "我去学校", "我去学校"), // by a list of confusions, say
                ("我去去学笑", "我去学校", "我去去学校"),
            ],
        );
        use Outcome::*;
        assert_eq!(outcomes, [Missed, Corrected, Misplaced]);
        assert_eq!((score.sentences(), score.unequal()), (3, 3));
        assert_eq!(score.figures().strict.correction, Measures::of(1, 2, 3));
    }

    #[test]
    fn missed_places_are_those_that_were_left_alone() {
        let pair = Pair { line: 1, wrong: "𠀀乙丙丁".into(), right: "一二丙四".into() };
        let missed = Score::new("").missed(&pair, "𠀀三三丁");
        let places: Vec<_> = missed.iter().map(|m| (m.span.clone(), &m.right[..])).collect();
        assert_eq!(places, [(0..4, "一"), (10..13, "四")]);
        assert_eq!(Score::new("丁四").missed(&pair, "𠀀三三丁").len(), 1);
    }
}
