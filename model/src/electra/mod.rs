//! ELECTRA (Clark et al., 2020, <https://arxiv.org/abs/2003.10555>): one encoder under two heads.
//!
//! ```text
//! ids ─ embeddings ─ layer 1 ─ … ─ layer N ─┬─ Discriminator: one logit a token, "was it replaced?"
//!                                           └─ Generator: v logits at chosen tokens, "what stands here?"
//! ```
//!
//! Letters: t tokens of the whole batch, c embedding width, h hidden width, v vocabulary.
//! A batch is ragged: its sentences lie one behind the other in a `[t, h]` matrix, and only
//! attention and the positions know where one ends. Nothing is padded.
//!
//! Never sees text: ids in, logits out.

use std::ops::Range;

mod attention;
mod embeddings;
mod encoder;
mod finite;
mod flops;
mod heads;
pub mod memory;
mod profile;

pub use attention::Attention;
pub use heads::{Discriminator, Generator, Kind};
pub use profile::{Profile, Step};

pub use crate::config::Config;

/// Tokens that one thread reads at once, about: enough to fill the matrix kernels
/// and to read the weights seldom; few enough that activations stay in the cache.
const PART: usize = 256;

/// Tokens for each thread below which a batch is better read by all threads together.
const SHARED: usize = 48;

/// Sentences of token ids, one behind the other.
#[derive(Clone, Debug)]
pub struct Batch {
    ids: Vec<u32>,
    /// Sentence s is `ids[offsets[s]..offsets[s + 1]]`; begins with 0, ends with t.
    offsets: Vec<usize>,
}

impl Default for Batch {
    fn default() -> Batch {
        Batch { ids: Vec::new(), offsets: vec![0] }
    }
}

impl Batch {
    /// No sentences.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Appends a sentence, `[CLS]` and `[SEP]` included.
    pub fn push(&mut self, ids: &[u32]) {
        self.ids.extend_from_slice(ids);
        self.offsets.push(self.ids.len());
    }

    /// Sentences to read together, in as many parts as are good for so many threads: one where there
    /// are fewer sentences than threads, or so little to do that all threads had better share it
    /// step by step; else parts of about the same size, 256 tokens or less.
    pub fn parts(&self, threads: usize) -> Vec<Range<usize>> {
        let wanted = match self.sentences() < threads || self.tokens() < threads * SHARED {
            true => 1,
            false => threads,
        };
        let count = self.tokens().div_ceil(PART).next_multiple_of(wanted).max(1);
        let mut parts = Vec::with_capacity(count);
        let mut start = 0;
        for end in 1..=self.sentences() {
            // Closed where its fair share ends, and before it becomes too large.
            let due = self.offsets[end] * count >= (parts.len() + 1) * self.tokens();
            let next = self.offsets.get(end + 1);
            if due || next.is_none_or(|next| next - self.offsets[start] > 2 * PART) {
                parts.push(start..end);
                start = end;
            }
        }
        if parts.is_empty() {
            parts.push(0..self.sentences());
        }
        parts
    }

    /// Some of its sentences.
    pub fn part(&self, sentences: Range<usize>) -> Batch {
        let offsets = &self.offsets[sentences.start..=sentences.end];
        let first = offsets[0];
        Batch {
            ids: self.ids[first..offsets[offsets.len() - 1]].to_vec(),
            offsets: offsets.iter().map(|offset| offset - first).collect(),
        }
    }

    /// t: tokens of all sentences.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// Number of sentences.
    pub fn sentences(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The ids of all sentences.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Where each sentence begins, and t.
    pub fn offsets(&self) -> &[usize] {
        &self.offsets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_lie_one_behind_the_other() {
        let mut batch = Batch::new();
        batch.push(&[2, 7, 3]);
        batch.push(&[2, 3]);
        assert_eq!((batch.sentences(), batch.tokens()), (2, 5));
        assert_eq!(batch.offsets(), [0, 3, 5]);
    }

    #[test]
    fn parts_cover_the_batch_in_order_and_are_about_equal() {
        for threads in [1, 2, 8] {
            for lengths in [&[][..], &[7], &[2000], &[30; 100], &[1; 1000], &[2, 500, 3, 3, 90]] {
                let mut batch = Batch::new();
                lengths.iter().for_each(|&length| batch.push(&vec![5; length]));
                let parts = batch.parts(threads);
                assert_eq!((parts[0].start, parts[parts.len() - 1].end), (0, lengths.len()));
                assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
                let tokens = |part: &Range<usize>| lengths[part.clone()].iter().sum::<usize>();
                assert!(parts.iter().all(|part| tokens(part) <= 2 * PART || part.len() == 1));
                if lengths == [30; 100] {
                    assert_eq!(parts.len() % threads, 0);
                    assert!(parts.iter().all(|part| tokens(part) >= 180), "{parts:?}");
                }
                let all: usize = parts.iter().map(|part| batch.part(part.clone()).tokens()).sum();
                assert_eq!(all, batch.tokens());
            }
        }
    }
}
