//! Multi-head self-attention over a batch without padding.
//!
//! ```text
//! for each sentence (n rows) and each head (d columns):
//!     S = Q Kᵀ / √d     P = softmax(S)     Y = P V
//! ```
//!
//! qkv `[t, 3h]`: q, k and v side by side, as one matrix product leaves them, each `[t, h]`; head
//! i is columns `i·d..(i + 1)·d` of each, h = heads · d. y `[t, h]`. Sentences do not see each other,
//! so there is no mask. Source: Vaswani et al., arXiv:1706.03762, eq. 1.
//!
//! Queries go in blocks of 64: the scores of a block are at most 64 × n, whatever n. One
//! (sentence, head) is one task on one thread, its arithmetic a matter of its own n and d:
//! a sentence has the same bits alone and in any company, on any number of threads.
//!
//! Cost: 4n²d flops and n² exponentials a task; 4nd values read and written. Bound by arithmetic;
//! for n below d the products around it (`gemm/`) weigh more.
//!
//! The levels are those of its parts: `gemm/` and `softmax.rs`.

use std::ops::Range;

use crate::gemm::{Scratch, product};
use crate::ragged::assert_offsets;
use crate::softmax::softmax_rows;
use crate::{Isa, MatMut, MatRef, parallel};

/// Scores of 64 × 512 are 128 KiB: with k and v of the head they stay in L2.
const QUERIES: usize = 64;

/// y `[t, h]` = attention of qkv `[t, 3h]` within each sentence `offsets[s]..offsets[s + 1]`.
pub fn attention(isa: Isa, qkv: MatRef<f32>, offsets: &[usize], heads: usize, y: MatMut<f32>) {
    let (t, h) = (y.rows(), y.cols());
    assert!(heads > 0 && h % heads == 0, "{heads} heads do not divide {h} columns");
    assert!(qkv.rows() == t, "qkv of {} rows for {t}", qkv.rows());
    assert!(qkv.cols() == 3 * h, "qkv of {} columns for 3 × {h}", qkv.cols());
    assert_offsets(offsets, t);
    Attention { isa, qkv, h, d: h / heads }.share(offsets, 0..heads, y);
}

/// What all tasks have in common.
struct Attention<'a> {
    isa: Isa,
    qkv: MatRef<'a, f32>,
    h: usize,
    d: usize,
}

/// What a task needs beside its output, kept from one to the next.
struct HeadScratch {
    /// `[QUERIES, n]` at most.
    scores: Vec<f32>,
    /// Kᵀ / √d in panels.
    keys: Scratch,
    /// V in panels.
    values: Scratch,
}

impl Attention<'_> {
    /// The tasks of some sentences and heads, halved among threads while that pays: y holds
    /// just their rows and columns.
    fn share(&self, offsets: &[usize], heads: Range<usize>, y: MatMut<f32>) {
        let sentences = offsets.len() - 1;
        let scores: usize = offsets.windows(2).map(|s| (s[1] - s[0]).pow(2)).sum();
        if sentences * heads.len() <= 1 || !parallel::worthwhile(scores * self.d * heads.len()) {
            return self.run(offsets, heads, y);
        }
        if sentences > 1 {
            let middle = sentences / 2;
            let (before, after) = y.split_at_row(offsets[middle] - offsets[0]);
            rayon::join(
                || self.share(&offsets[..=middle], heads.clone(), before),
                || self.share(&offsets[middle..], heads.clone(), after),
            );
        } else {
            let middle = heads.len() / 2;
            let (left, right) = y.split_at_col(middle * self.d);
            rayon::join(
                || self.share(offsets, heads.start..heads.start + middle, left),
                || self.share(offsets, heads.start + middle..heads.end, right),
            );
        }
    }

    /// The same tasks, one after another on this thread.
    fn run(&self, offsets: &[usize], heads: Range<usize>, mut y: MatMut<f32>) {
        let longest = offsets.windows(2).map(|s| s[1] - s[0]).max().unwrap_or(0);
        let mut scratch = HeadScratch {
            scores: vec![0.0; longest.min(QUERIES) * longest],
            keys: Scratch::default(),
            values: Scratch::default(),
        };
        for sentence in offsets.windows(2) {
            for head in heads.clone() {
                let rows = sentence[0] - offsets[0]..sentence[1] - offsets[0];
                let column = (head - heads.start) * self.d;
                let y = y.block(rows, column..column + self.d);
                self.head(sentence[0]..sentence[1], head, &mut scratch, y);
            }
        }
    }

    /// One sentence and one head: y `[n, d]`.
    fn head(&self, rows: Range<usize>, head: usize, scratch: &mut HeadScratch, mut y: MatMut<f32>) {
        let part = |i: usize, rows: Range<usize>| {
            let column = i * self.h + head * self.d;
            self.qkv.block(rows, column..column + self.d)
        };
        let (n, scale) = (rows.len(), 1.0 / (self.d as f32).sqrt());
        let keys = scratch.keys.transposed(scale, part(1, rows.clone()));
        let values = scratch.values.copied(part(2, rows.clone()));
        for first in (0..n).step_by(QUERIES) {
            let last = n.min(first + QUERIES);
            let q = part(0, rows.start + first..rows.start + last);
            let mut scores = MatMut::new(&mut scratch.scores, last - first, n);
            product(self.isa, q, keys, scores.reborrow());
            softmax_rows(self.isa, scores.reborrow());
            let y = y.block(first..last, 0..self.d);
            product(self.isa, scores.as_ref(), values, y);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_keys_give_the_mean_of_the_values_of_the_same_sentence() {
        // One head of one column; q is whatever, k constant, v counts.
        let qkv = [1.0, 5.0, 1.0, -2.0, 5.0, 2.0, 3.0, 5.0, 30.0];
        for isa in Isa::available() {
            let mut y = [f32::NAN; 3];
            attention(isa, MatRef::new(&qkv, 3, 3), &[0, 2, 3], 1, MatMut::new(&mut y, 3, 1));
            assert_eq!(y, [1.5, 1.5, 30.0]);
        }
    }

    #[test]
    fn a_query_far_along_one_key_takes_its_value() {
        // Two heads of one column: the first query of each picks a different row.
        let qkv = [90.0, -90.0, 1.0, 1.0, 7.0, 8.0, 0.0, 0.0, -1.0, -1.0, 9.0, 10.0];
        for isa in Isa::available() {
            let mut y = [f32::NAN; 4];
            attention(isa, MatRef::new(&qkv, 2, 6), &[0, 2], 2, MatMut::new(&mut y, 2, 2));
            assert_eq!(y, [7.0, 10.0, 8.0, 9.0]);
        }
    }

    #[test]
    #[should_panic(expected = "3 heads do not divide 4 columns")]
    fn heads_that_do_not_divide_are_refused() {
        let (qkv, mut y) = ([0.0; 12], [0.0; 4]);
        attention(Isa::best(), MatRef::new(&qkv, 1, 12), &[0, 1], 3, MatMut::new(&mut y, 1, 4));
    }
}
