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

mod embeddings;
mod encoder;
mod heads;

pub use heads::{Discriminator, Generator, Kind};

pub use crate::config::Config;

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
}
