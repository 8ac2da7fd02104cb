//! The sentences of a corpus, and the batches that are made of them.
//!
//! An epoch is every sentence once, in an order that seed and epoch decide; a batch is as many of them, one
//! after another, as have no more than so many tokens, and at least one. What is left at the end of an epoch is its last, smaller batch.
//! Nothing is padded, so sentences of any lengths go together: to sort them by length would gain nothing.
//!
//! Which batch is the n-th depends on the sentences, their lengths, the seed and n alone. Whoever takes up a run
//! skips the first n, which costs a walk over lengths.

use super::random::{Purpose, Random};
use crate::electra::Batch;

/// Sentences of token ids, one behind the other.
#[derive(Clone, Debug)]
pub struct Sentences {
    /// Half the size of what the network reads: a corpus is large, and no vocabulary of an ELECTRA is.
    ids: Vec<u16>,
    /// Where each begins, and where the last ends.
    offsets: Vec<usize>,
}

impl Default for Sentences {
    fn default() -> Sentences {
        Sentences { ids: Vec::new(), offsets: vec![0] }
    }
}

impl Sentences {
    /// A sentence more, `[CLS]` and `[SEP]` included. Panics for ids above 65,535.
    pub fn push(&mut self, ids: &[u32]) {
        self.ids.extend(ids.iter().map(|&id| u16::try_from(id).expect("an id of 16 bits")));
        self.offsets.push(self.ids.len());
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tokens of all of them.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// The first of them, as many as have no more than `most` tokens, in batches of no more than `tokens`.
    pub fn in_order(&self, tokens: usize, most: usize) -> Vec<Batch> {
        let (mut batches, mut read) = (Vec::<Batch>::new(), 0);
        for i in 0..self.len() as u32 {
            let ids: Vec<u32> = self.sentence(i).iter().map(|&id| u32::from(id)).collect();
            read += ids.len();
            if read > most.max(ids.len()) {
                break;
            }
            match batches.last_mut() {
                Some(batch) if batch.tokens() + ids.len() <= tokens => batch.push(&ids),
                _ => {
                    batches.push(Batch::new());
                    batches.last_mut().expect("it was pushed").push(&ids);
                }
            }
        }
        batches
    }

    /// A number that is another one for other sentences: FNV-1a over ids and lengths.
    pub fn fingerprint(&self) -> u64 {
        let lengths = self.offsets.windows(2).map(|s| (s[1] - s[0]) as u64);
        let all = lengths.chain(self.ids.iter().map(|&id| u64::from(id)));
        all.fold(0xcbf2_9ce4_8422_2325, |hash, x| (hash ^ x).wrapping_mul(0x100_0000_01b3))
    }

    pub(super) fn sentence(&self, i: u32) -> &[u16] {
        let i = i as usize;
        &self.ids[self.offsets[i]..self.offsets[i + 1]]
    }
}

/// One batch after the other, without end.
pub struct Batches<'a> {
    sentences: &'a Sentences,
    /// The most tokens of a batch.
    tokens: usize,
    seed: u64,
    epoch: u64,
    /// This epoch's.
    order: Vec<u32>,
    /// The first of the next batch in it.
    next: usize,
}

impl<'a> Batches<'a> {
    /// Those of this seed, from the first on. Panics where there is no sentence.
    pub fn new(sentences: &'a Sentences, tokens: usize, seed: u64) -> Batches<'a> {
        assert!(!sentences.is_empty(), "no sentence to make a batch of");
        let mut batches = Batches { sentences, tokens, seed, epoch: 0, order: Vec::new(), next: 0 };
        batches.shuffle();
        batches
    }

    /// Which epoch the next batch belongs to, from 0 on.
    pub fn epoch(&self) -> u64 {
        self.epoch + u64::from(self.next == self.order.len())
    }

    /// As if so many batches had been taken.
    pub fn pass_over(&mut self, count: u64) {
        for _ in 0..count {
            self.advance();
        }
    }

    /// The places in the order of the next batch, which is then the one behind.
    fn advance(&mut self) -> std::ops::Range<usize> {
        if self.next == self.order.len() {
            self.epoch += 1;
            self.shuffle();
        }
        let (start, mut tokens) = (self.next, 0);
        for &i in &self.order[start..] {
            tokens += self.sentences.sentence(i).len();
            if tokens > self.tokens && self.next > start {
                break;
            }
            self.next += 1;
        }
        start..self.next
    }

    /// Fisher & Yates, anew for each epoch.
    fn shuffle(&mut self) {
        let count = u32::try_from(self.sentences.len()).expect("less than 2³² sentences");
        let mut random = Random::new(self.seed, self.epoch, Purpose::Order);
        self.order = (0..count).collect();
        for i in (1..self.order.len()).rev() {
            self.order.swap(i, random.below(i + 1));
        }
        self.next = 0;
    }
}

impl Iterator for Batches<'_> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let (mut batch, mut ids) = (Batch::new(), Vec::new());
        for place in self.advance() {
            ids.clear();
            ids.extend(self.sentences.sentence(self.order[place]).iter().map(|&id| u32::from(id)));
            batch.push(&ids);
        }
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 sentences of 3 to 12 tokens, and one of 50; each begins with its number.
    fn sentences() -> Sentences {
        let mut sentences = Sentences::default();
        for i in 0..100 {
            sentences.push(&vec![i; 3 + (i as usize * 7) % 10]);
        }
        sentences.push(&[100; 50]);
        sentences
    }

    #[test]
    fn an_epoch_has_every_sentence_once_and_no_batch_is_too_large_unless_it_must() {
        let sentences = sentences();
        let mut batches = Batches::new(&sentences, 40, 1);
        for epoch in 0..3 {
            let mut seen = Vec::new();
            while batches.epoch() == epoch {
                let batch = batches.next().unwrap();
                assert!(batch.tokens() <= 40 || batch.sentences() == 1);
                seen.extend(batch.offsets()[..batch.sentences()].iter().map(|&o| batch.ids()[o]));
            }
            let order = seen.clone();
            seen.sort_unstable();
            assert!(seen.iter().copied().eq(0..=100), "epoch {epoch}: {order:?}");
            assert_ne!(seen, order);
        }
    }

    #[test]
    fn whoever_skips_reads_on_where_others_are_and_the_seed_decides() {
        let sentences = sentences();
        let read = |seed, skip| {
            let mut batches = Batches::new(&sentences, 64, seed);
            batches.pass_over(skip);
            batches.take(30).map(|batch| batch.ids().to_vec()).collect::<Vec<_>>()
        };
        let all = read(1, 0);
        // An epoch is some 13 batches: the second begins within these.
        for skip in [1, 5, 12, 13, 14, 20] {
            assert_eq!(read(1, skip)[..30 - skip as usize], all[skip as usize..]);
        }
        assert_ne!(read(2, 0), all);
        assert_eq!(sentences.tokens(), (0..100).map(|i| 3 + i * 7 % 10).sum::<usize>() + 50);
    }

    #[test]
    #[should_panic(expected = "no sentence")]
    fn nothing_makes_no_batch() {
        Batches::new(&Sentences::default(), 64, 1);
    }
}
