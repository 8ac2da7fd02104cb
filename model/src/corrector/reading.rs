//! Many token sequences through a network, in forward passes of bounded size.
//!
//! Sequences come and results go without `[CLS]` and `[SEP]`; both are added here. A pass
//! concatenates sequences of any lengths, so that a file of mixed lengths costs its tokens.

use std::time::{Duration, Instant};

use zhengzi_runtime::Arenas;

use crate::Error;
use crate::config::Fill;
use crate::electra::{Batch, Discriminator, Generator};
use crate::tokenizer::Tokenizer;

/// Tokens handed to a network at once, unless one sequence alone has more: enough to give several
/// threads sentences of their own.
const TOKENS: usize = 1024;

/// Masks handed over at once, unless one sequence alone has more: each costs a row of
/// logits as long as the vocabulary.
const MASKS: usize = 64;

/// The logit "was replaced" of every token of every sequence.
pub(super) fn replaced(
    discriminator: &Discriminator,
    tokenizer: &Tokenizer,
    sequences: &[&[u32]],
    arenas: &Arenas,
) -> Result<Vec<Vec<f32>>, Error> {
    let mut results = Vec::with_capacity(sequences.len());
    let mut rest = sequences;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(fitting(rest.iter().map(|ids| (ids.len() + 2, 0))));
        let mut batch = Batch::new();
        for ids in now {
            batch.push(&framed(tokenizer, ids));
        }
        let logits = discriminator.logits(&batch, arenas)?;
        for bounds in batch.offsets().windows(2) {
            results.push(logits[bounds[0] + 1..bounds[1] - 1].to_vec());
        }
        rest = later;
    }
    Ok(results)
}

/// A sequence with the places to fill.
pub(super) struct Gap {
    /// Ids, masks already in place.
    pub(super) ids: Vec<u32>,
    /// Where to ask, ascending.
    pub(super) at: Vec<usize>,
}

impl Gap {
    /// Asks for the places `at` of `ids`: masked, unless the generator reads what stands there.
    pub(super) fn new(fill: Fill, tokenizer: &Tokenizer, mut ids: Vec<u32>, at: Vec<usize>) -> Gap {
        if fill == Fill::Mask {
            at.iter().for_each(|&at| ids[at] = tokenizer.mask());
        }
        Gap { ids, at }
    }
}

/// Hands `(gap, place, logits of the whole vocabulary)` to `each` for every place of every
/// gap, in order. Returns the time that the network took.
pub(super) fn filled(
    generator: &Generator,
    tokenizer: &Tokenizer,
    gaps: &[Gap],
    arenas: &Arenas,
    mut each: impl FnMut(usize, usize, &[f32]),
) -> Result<Duration, Error> {
    let vocabulary = generator.config().vocab_size;
    let mut network = Duration::ZERO;
    let mut done = 0;
    while done < gaps.len() {
        let rest = &gaps[done..];
        let now = &rest[..fitting(rest.iter().map(|gap| (gap.ids.len() + 2, gap.at.len())))];
        let mut batch = Batch::new();
        let mut rows = Vec::new();
        for gap in now {
            rows.extend(gap.at.iter().map(|at| batch.tokens() + 1 + at));
            batch.push(&framed(tokenizer, &gap.ids));
        }
        let begin = Instant::now();
        let logits = generator.logits(&batch, &rows, arenas)?;
        network += begin.elapsed();
        let mut logits = logits.chunks_exact(vocabulary);
        for (i, gap) in now.iter().enumerate() {
            for place in 0..gap.at.len() {
                each(done + i, place, logits.next().expect("a row of logits for each place"));
            }
        }
        done += now.len();
    }
    Ok(network)
}

/// How many of these sequences, given as (tokens, masks), share the next pass: at least one.
fn fitting(sizes: impl Iterator<Item = (usize, usize)>) -> usize {
    let (mut tokens, mut masks) = (0, 0);
    let fits = sizes.take_while(|&(t, m)| {
        (tokens, masks) = (tokens + t, masks + m);
        tokens <= TOKENS && masks <= MASKS
    });
    fits.count().max(1)
}

fn framed(tokenizer: &Tokenizer, ids: &[u32]) -> Vec<u32> {
    let mut framed = Vec::with_capacity(ids.len() + 2);
    framed.push(tokenizer.cls());
    framed.extend_from_slice(ids);
    framed.push(tokenizer.sep());
    framed
}

/// The `k` ids of the largest logits, best first; of equal ones the lower id first.
pub(super) fn top(logits: &[f32], k: usize) -> Vec<u32> {
    let mut best: Vec<(f32, u32)> = Vec::with_capacity(k.min(logits.len()) + 1);
    let mut least = f32::NEG_INFINITY;
    for (id, &logit) in logits.iter().enumerate() {
        // Nearly always false once the first few hundred are seen. Ids ascend: an equal one stays behind.
        if best.len() < k || logit > least {
            let place = best.partition_point(|&(better, _)| better >= logit);
            best.insert(place, (logit, id as u32));
            best.truncate(k);
            least = best.last().map_or(f32::INFINITY, |worst| worst.0);
        }
    }
    best.into_iter().map(|(_, id)| id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_takes_at_least_one_sequence_and_stops_at_either_bound() {
        let half = (TOKENS / 2, 0);
        assert_eq!(fitting([(TOKENS + 1, 0), (1, 0)].into_iter()), 1);
        assert_eq!(fitting([half, half, half].into_iter()), 2);
        assert_eq!(fitting([(1, MASKS - 12), (1, 12), (1, 1)].into_iter()), 2);
    }

    #[test]
    fn the_top_is_sorted_and_ties_go_to_the_lower_id() {
        let logits = [1.0, 3.0, 2.0, 3.0];
        assert_eq!(top(&logits, 3), [1, 3, 2]);
        assert_eq!(top(&logits, 9), [1, 3, 2, 0]);
        assert_eq!(top(&logits, 0), [0u32; 0]);
        assert_eq!(top(&[f32::NEG_INFINITY; 2], 2), [0, 1]);
    }
}
