//! What the user has decided beforehand: words never changed, and changes always made.
//!
//! Protect beats confusion beats model:
//!
//! 1. The bytes of every protected word are frozen, like those the caller froze.
//! 2. Between frozen bytes, every `wrong` becomes its `right`: the leftmost match first, of
//!    several there the longest, none overlapping another.
//! 3. The model reads the text with these changes in place, for better context, and what was
//!    written is frozen too. Its corrections are moved back to bytes of the original.
//!
//! Words are compared byte by byte: case and width count, and nothing is normalised.

mod lists;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;

use aho_corasick::{AhoCorasick, Input, MatchKind};

use super::{Correction, Passage};
use crate::Error;

/// The user's own decisions. The default is that nothing was decided.
#[derive(Clone, Debug, Default)]
pub struct Decisions {
    protected: Option<AhoCorasick>,
    confusions: Option<Confusions>,
}

#[derive(Clone, Debug)]
struct Confusions {
    wrong: AhoCorasick,
    /// By the number of the pattern in `wrong`.
    right: Vec<String>,
}

impl Decisions {
    /// Reads the files of protected words and of confusions. Both are UTF-8, with or without a
    /// byte order mark, lines ending in LF or CR LF; blank lines are skipped, and so is
    /// everything from a `#` that opens a line or follows white space.
    ///
    /// * A line of a `protect` file is a word that is never changed.
    /// * A line of a `confusion` file is `wrong right`, set apart by white space (U+3000 counts).
    ///   A third field is accepted where it is a number, the frequency of pycorrector's older
    ///   files, and ignored. `wrong wrong` protects the word. The last line of the last file
    ///   that holds a `wrong` decides on it.
    ///
    /// # Errors
    /// One line that names file and line, for a file that cannot be read or is not as above.
    pub fn read(protect: &[PathBuf], confusion: &[PathBuf]) -> Result<Decisions, Error> {
        let mut protected = BTreeSet::new();
        for path in protect {
            lists::read_words(path, &mut protected)?;
        }
        let mut confusions = BTreeMap::new();
        for path in confusion {
            lists::read_confusions(path, &mut confusions)?;
        }
        confusions.retain(|wrong, right| {
            let decided_to_stay = wrong == right;
            if decided_to_stay {
                protected.insert(wrong.clone());
            }
            !decided_to_stay
        });
        let mut decisions = Decisions::default();
        let refuse = |error: aho_corasick::BuildError| {
            let path = protect.iter().chain(confusion).next().cloned().unwrap_or_default();
            Error::new(&path, format!("too many words: {error}"), "decide on fewer")
        };
        if !protected.is_empty() {
            // Overlapping occurrences count: each of them must stay whole.
            decisions.protected = Some(AhoCorasick::new(&protected).map_err(refuse)?);
        }
        if !confusions.is_empty() {
            let (wrong, right): (Vec<String>, Vec<String>) = confusions.into_iter().unzip();
            let mut builder = AhoCorasick::builder();
            let wrong = builder.match_kind(MatchKind::LeftmostLongest).build(&wrong);
            decisions.confusions = Some(Confusions { wrong: wrong.map_err(refuse)?, right });
        }
        Ok(decisions)
    }

    /// Has `examine` find corrections in the passages as they read after the user's decisions,
    /// and returns these with the user's own, in order, in bytes of the passages.
    pub(super) fn around(
        &self,
        passages: &[Passage],
        examine: impl FnOnce(&[Passage]) -> Result<Vec<Vec<Correction>>, Error>,
    ) -> Result<Vec<Vec<Correction>>, Error> {
        let decided: Vec<Decided> = passages.iter().map(|&passage| self.decide(passage)).collect();
        let read: Vec<Passage> = decided.iter().map(Decided::passage).collect();
        let found = examine(&read)?;
        Ok(decided.iter().zip(found).map(|(decided, found)| decided.with(found)).collect())
    }

    fn decide<'a>(&self, Passage { text, frozen }: Passage<'a>) -> Decided<'a> {
        let mut frozen = frozen.to_vec();
        self.protect(text, &mut frozen);
        let mut decided = Decided { original: text, text: text.into(), frozen, swaps: Vec::new() };
        if let Some(confusions) = &self.confusions {
            confusions.replace_in(&mut decided);
        }
        if !decided.swaps.is_empty() {
            // A change may have completed a protected word.
            self.protect(&decided.text, &mut decided.frozen);
        }
        decided
    }

    /// Adds to `frozen` every protected word of `text`, and leaves it sorted and disjoint.
    fn protect(&self, text: &str, frozen: &mut Vec<Range<usize>>) {
        if let Some(protected) = &self.protected {
            let mut words: Vec<Range<usize>> = Vec::new();
            // Matches come by their ends; merged at once, however many nest.
            for found in protected.find_overlapping_iter(text) {
                let mut word = found.range();
                while let Some(last) = words.pop_if(|last| last.end >= word.start) {
                    word.start = word.start.min(last.start);
                }
                words.push(word);
            }
            frozen.append(&mut words);
        }
        frozen.retain_mut(|range| {
            range.end = range.end.min(text.len());
            range.start < range.end
        });
        frozen.sort_unstable_by_key(|range| range.start);
        frozen.dedup_by(|next, kept| {
            let touches = next.start <= kept.end;
            if touches {
                kept.end = kept.end.max(next.end);
            }
            touches
        });
    }
}

impl Confusions {
    fn replace_in(&self, decided: &mut Decided) {
        let original = decided.original;
        let mut text = String::new();
        let (mut gap, mut copied) = (0, 0);
        let end = original.len()..original.len();
        for frozen in decided.frozen.iter().chain([&end]) {
            for found in self.wrong.find_iter(Input::new(original).range(gap..frozen.start)) {
                text.push_str(&original[copied..found.start()]);
                let start = text.len();
                text.push_str(&self.right[found.pattern()]);
                decided.swaps.push(Swap { wrong: found.range(), right: start..text.len() });
                copied = found.end();
            }
            gap = frozen.end;
        }
        if decided.swaps.is_empty() {
            return;
        }
        text.push_str(&original[copied..]);
        let swaps = &decided.swaps;
        for range in &mut decided.frozen {
            let moved = |at: usize| moved(at, swaps, |swap| (swap.wrong.end, swap.right.end));
            *range = moved(range.start)..moved(range.end);
        }
        decided.frozen.extend(swaps.iter().map(|swap| swap.right.clone()));
        decided.text = text.into();
    }
}

/// A passage as the model reads it.
struct Decided<'a> {
    original: &'a str,
    text: Cow<'a, str>,
    /// Bytes of `text`, sorted and disjoint.
    frozen: Vec<Range<usize>>,
    swaps: Vec<Swap>,
}

/// A decided change. Neither side is empty.
struct Swap {
    /// Bytes of the original.
    wrong: Range<usize>,
    /// Bytes of the text that is read.
    right: Range<usize>,
}

impl Decided<'_> {
    fn passage(&self) -> Passage<'_> {
        Passage { text: &self.text, frozen: &self.frozen }
    }

    /// The decided changes and those found in the text that was read.
    fn with(&self, mut found: Vec<Correction>) -> Vec<Correction> {
        if self.swaps.is_empty() {
            return found;
        }
        for correction in &mut found {
            let moved = |at: usize| moved(at, &self.swaps, |swap| (swap.right.end, swap.wrong.end));
            correction.span = moved(correction.span.start)..moved(correction.span.end);
        }
        found.extend(self.swaps.iter().map(|swap| Correction {
            span: swap.wrong.clone(),
            wrong: self.original[swap.wrong.clone()].to_owned(),
            right: Some(self.text[swap.right.clone()].to_owned()),
            detection: 1.0,
            confidence: 1.0,
            alternatives: Vec::new(),
        }));
        found.sort_by_key(|correction| correction.span.start);
        found
    }
}

/// The place of byte `at`, outside all swaps, on their other side: as far behind the last swap
/// before it. `ends` says where a swap ends, on this side and on the other.
fn moved(at: usize, swaps: &[Swap], ends: impl Fn(&Swap) -> (usize, usize)) -> usize {
    match swaps[..swaps.partition_point(|swap| ends(swap).0 <= at)].last().map(ends) {
        Some((here, there)) => at - here + there,
        None => at,
    }
}
