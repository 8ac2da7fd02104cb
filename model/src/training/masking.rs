//! Which tokens the generator is asked about.
//!
//! Of each sentence's tokens a share is chosen, without repetition, but never a special one. What is chosen becomes `[MASK]`, but
//! for some that stay as they are, so that the generator also learns to look at words. Source:
//! google-research/electra, `pretrain_helpers.py` (15 % chosen, of these 15 % unchanged), which draws
//! places with repetition and then drops those drawn twice.

use super::random::Random;
use crate::electra::Batch;
use crate::tokenizer::Tokenizer;

/// How tokens are chosen.
#[derive(Clone, Debug)]
pub struct Masking {
    /// The share of a sentence's tokens, special ones included, that is chosen: at least one.
    pub rate: f64,
    /// The share of the chosen that stays as it is.
    pub unchanged: f64,
    /// The id of `[MASK]`.
    pub mask: u32,
    /// Ids that are never chosen: `[CLS]`, `[SEP]`, `[MASK]`, `[PAD]`.
    pub special: Vec<u32>,
}

/// A batch with masks in it.
#[derive(Clone, Debug)]
pub struct Masked {
    /// The tokens that the generator reads.
    pub batch: Batch,
    /// The chosen rows of the batch, ascending.
    pub rows: Vec<usize>,
    /// What stood there.
    pub targets: Vec<u32>,
}

impl Masking {
    /// With ELECTRA's share of unchanged tokens. `[UNK]` is not asked for either: nobody wants it for an answer.
    pub fn of(tokenizer: &Tokenizer, rate: f64) -> Masking {
        let t = tokenizer;
        let special = vec![t.pad(), t.unk(), t.cls(), t.sep(), t.mask()];
        Masking { rate, unchanged: 0.15, mask: t.mask(), special }
    }

    /// Chooses tokens of each sentence.
    pub fn mask(&self, batch: &Batch, random: &mut Random) -> Masked {
        let (mut ids, mut rows) = (batch.ids().to_vec(), Vec::new());
        for sentence in batch.offsets().windows(2) {
            let range = sentence[0]..sentence[1];
            let count = ((self.rate * range.len() as f64).round() as usize).max(1);
            let is_free = |&row: &usize| !self.special.contains(&batch.ids()[row]);
            let mut free: Vec<usize> = range.filter(is_free).collect();
            // Fisher & Yates, as far as needed.
            let count = count.min(free.len());
            for i in 0..count {
                let other = i + random.below(free.len() - i);
                free.swap(i, other);
            }
            let chosen = &mut free[..count];
            chosen.sort_unstable();
            for &mut row in chosen {
                rows.push(row);
                if random.uniform() >= self.unchanged {
                    ids[row] = self.mask;
                }
            }
        }
        let targets = rows.iter().map(|&row| batch.ids()[row]).collect();
        Masked { batch: with_ids(batch, &ids), rows, targets }
    }
}

/// The same sentences of other words.
pub(super) fn with_ids(batch: &Batch, ids: &[u32]) -> Batch {
    let mut other = Batch::new();
    batch.offsets().windows(2).for_each(|sentence| other.push(&ids[sentence[0]..sentence[1]]));
    other
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::random::Purpose;

    fn masking(rate: f64) -> Masking {
        Masking { rate, unchanged: 0.15, mask: 4, special: vec![0, 2, 3, 4] }
    }

    #[test]
    fn so_many_tokens_are_chosen_and_never_a_special_one() {
        let mut batch = Batch::new();
        batch.push(&[2, 10, 11, 12, 3]);
        batch.push(&[2, 3]);
        batch.push(&[2, 20, 3]);
        batch.push(&(0..200).map(|i| 2 + i % 90).collect::<Vec<_>>());
        let masked = masking(0.15).mask(&batch, &mut Random::new(1, 0, Purpose::Masking));
        let of = |s: usize| {
            let range = batch.offsets()[s]..batch.offsets()[s + 1];
            masked.rows.iter().filter(move |row| range.contains(row)).count()
        };
        assert_eq!([0, 1, 2, 3].map(of), [1, 0, 1, 30]);
        assert!(masked.rows.windows(2).all(|pair| pair[0] < pair[1]));
        let (before, after) = (batch.ids(), masked.batch.ids());
        for (&row, &target) in masked.rows.iter().zip(&masked.targets) {
            assert!(before[row] == target && target > 4);
            assert!([4, target].contains(&after[row]));
        }
        for row in (0..before.len()).filter(|row| !masked.rows.contains(row)) {
            assert_eq!(before[row], after[row]);
        }
        assert_eq!(batch.offsets(), masked.batch.offsets());
    }

    #[test]
    fn the_shares_are_those_that_were_asked_for_and_the_seed_decides() {
        let mut batch = Batch::new();
        (0..500).for_each(|_| batch.push(&[9; 40]));
        let draw = |seed| masking(0.25).mask(&batch, &mut Random::new(seed, 3, Purpose::Masking));
        let masked = draw(1);
        assert_eq!(masked.rows.len(), 500 * 10);
        let kept = masked.rows.iter().filter(|&&row| masked.batch.ids()[row] == 9).count();
        // 750 expected, a deviation of 25.
        assert!((625..875).contains(&kept), "{kept}");
        assert_eq!(masked.rows, draw(1).rows);
        assert_ne!(masked.rows, draw(2).rows);
        let mut places = [0; 40];
        masked.rows.iter().for_each(|row| places[row % 40] += 1);
        // 125 expected, a deviation of 10.
        assert!(places.iter().all(|place| (75..175).contains(place)), "{places:?}");
    }
}
