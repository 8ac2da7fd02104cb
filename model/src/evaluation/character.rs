//! Figures by character: every wrong character is one to be found, every changed one was found.
//!
//! Over all sentences, with T the edits that should be made and P those that were made,
//! correction hits are T ∩ P, detection hits the places that are in both; precision is over |P|,
//! recall over |T|. (Some papers divide hits of correction by hits of detection instead; that
//! figure says nothing of false alarms and is not given here.)

use super::edits::Edit;
use super::measures::{Level, Measures};

/// Counts of edits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Characters {
    /// |T|
    wrong: usize,
    /// |P|
    changed: usize,
    detected: usize,
    corrected: usize,
}

impl Characters {
    pub fn add(&mut self, meant: &[Edit], made: &[Edit]) {
        self.wrong += meant.len();
        self.changed += made.len();
        for edit in made {
            let twin = meant.binary_search_by_key(&edit.place.start, |other| other.place.start);
            let Ok(twin) = twin.map(|at| &meant[at]) else { continue };
            self.detected += usize::from(twin.place == edit.place);
            self.corrected += usize::from(twin == edit);
        }
    }

    pub fn level(&self) -> Level {
        let measures = |hits| Measures::of(hits, self.changed, self.wrong);
        Level { detection: measures(self.detected), correction: measures(self.corrected) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::edits::edits;
    use super::*;

    #[test]
    fn characters_of_all_sentences_are_counted_together() {
        let mut characters = Characters::default();
        for (source, right, made) in [
            ("甲乙丙丁", "一乙三四", "一二五丁"), // 3 wrong, 3 changed: 1 hit, 1 place
            ("甲乙", "甲乙", "甲二"),
            ("甲甲乙", "甲乙", "甲丙乙"), // the edits 1..2 to nothing and to 丙
        ] {
            characters.add(&edits(source, right, &[]), &edits(source, made, &[]));
        }
        let Level { detection, correction } = characters.level();
        assert_eq!(detection, Measures::of(3, 5, 4));
        assert_eq!(correction, Measures::of(1, 5, 4));
    }
}
