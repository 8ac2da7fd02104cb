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
//! Queries go in blocks of whole tiles, as many as have their scores in L1, whatever n: the scores of a
//! long sentence are never all there. One (sentence, head) is one task on one thread, its arithmetic a matter of its own n and d:
//! a sentence has the same bits alone and in any company, on any number of threads.
//!
//! Cost: 4n²d flops and n² exponentials a task; 4nd values read and written. Bound by arithmetic;
//! for n below d the products around it (`gemm/`) weigh more.
//!
//! The levels are those of its parts: `gemm/` and `softmax.rs`. bf16 does as f32 does, but with AMX, where its
//! products are in bf16, too (`bf16_amx.rs`). int8 does as f32 does in short sentences and where no
//! instruction multiplies bytes and adds; else see `int8.rs`, whose bits are the same on every level: a model
//! in int8 says the same on a CPU with AMX as on one with VNNI alone.

mod backward;
#[cfg(target_arch = "x86_64")]
mod bf16_amx;
mod centred;
mod int8;

use std::cell::RefCell;
use std::ops::Range;

pub use backward::attention_backward;

#[cfg(target_arch = "x86_64")]
use crate::Level;
use crate::cuda::{self, Float, Launch, constant};
use crate::gemm::{LONGEST, Scratch, adds_products_of_bytes, product, tall};
use crate::ragged::assert_offsets;
use crate::softmax::softmax_rows;
use crate::{Isa, MatMut, MatRef, Precision, parallel};

/// Scores that wait for their product with v in L1: 32 KiB. Keys and values pass by once for each tile
/// of queries, from L2.
const SCORES: usize = 8 << 10;

/// y `[t, h]` = attention of qkv `[t, 3h]` within each sentence `offsets[s]..offsets[s + 1]`, its
/// products in this precision.
pub fn attention(
    isa: Isa,
    precision: Precision,
    qkv: MatRef<f32>,
    offsets: &[usize],
    heads: usize,
    y: MatMut<f32>,
) {
    let (t, h) = (y.rows(), y.cols());
    assert!(heads > 0 && h % heads == 0, "{heads} heads do not divide {h} columns");
    assert!(qkv.rows() == t, "qkv of {} rows for {t}", qkv.rows());
    assert!(qkv.cols() == 3 * h, "qkv of {} columns for 3 × {h}", qkv.cols());
    assert_offsets(offsets, t);
    let (d, attention) = (h / heads, Attention { isa, precision, qkv, h, d: h / heads });
    let scores: usize = offsets.windows(2).map(|s| (s[1] - s[0]).pow(2)).sum();
    let task = |sentence: usize, col: usize, y: MatMut<f32>| {
        let rows = offsets[sentence]..offsets[sentence + 1];
        SCRATCH.with_borrow_mut(|scratch| attention.head(rows, col / d, scratch, y));
    };
    if let ([_, n], true) = (offsets, parallel::threads() > 1 && heads >= parallel::threads()) {
        // Of one sentence each thread has the heads whose q, k and v it has made (`gemm_parts`).
        let cols = parallel::columns(h).next_multiple_of(d);
        return parallel::over_blocks(y, (*n).max(1), cols, &|_, first, mut y| {
            for col in (0..y.cols()).step_by(d) {
                task(0, first + col, y.block(0..*n, col..col + d));
            }
        });
    }
    if parallel::pieces(2 * scores * h / 32, usize::MAX) > 1 {
        return parallel::over_sentences(y, offsets, d, &task);
    }
    let mut y = y;
    for (sentence, rows) in offsets.windows(2).enumerate() {
        for col in (0..h).step_by(d) {
            task(sentence, col, y.block(rows[0]..rows[1], col..col + d));
        }
    }
}

/// Below so many keys to make integers costs more than it saves. Sums over more keys than [`LONGEST`] are not exact.
const ENOUGH: usize = 40;

/// Whether a head of n keys is faster in int8: a matter of the level and n alone.
fn int8_pays(isa: Isa, n: usize) -> bool {
    adds_products_of_bytes(isa) && (ENOUGH..=LONGEST).contains(&n)
}

/// What all tasks have in common.
struct Attention<'a> {
    isa: Isa,
    precision: Precision,
    qkv: MatRef<'a, f32>,
    h: usize,
    d: usize,
}

/// What a task needs beside its output, kept from one to the next.
#[derive(Default)]
struct HeadScratch {
    /// `[queries, n]`.
    scores: Vec<f32>,
    /// Kᵀ / √d in panels.
    keys: Scratch,
    /// V in panels.
    values: Scratch,
    int8: int8::HeadScratch,
    #[cfg(target_arch = "x86_64")]
    bf16: bf16_amx::HeadScratch,
}

thread_local! {
    static SCRATCH: RefCell<HeadScratch> = RefCell::default();
}

impl Attention<'_> {
    /// One sentence and one head: y `[n, d]`.
    fn head(&self, rows: Range<usize>, head: usize, scratch: &mut HeadScratch, mut y: MatMut<f32>) {
        let part = |i: usize, rows: Range<usize>| {
            let column = i * self.h + head * self.d;
            self.qkv.block(rows, column..column + self.d)
        };
        let n = rows.len();
        #[cfg(target_arch = "x86_64")]
        if self.precision == Precision::Bf16 && self.isa.level() == Level::Amx {
            let qkv = [0, 1, 2].map(|i| part(i, rows.clone()));
            return bf16_amx::head(self.isa, qkv, &mut scratch.bf16, y);
        }
        let precision = match self.precision {
            Precision::Int8 if int8_pays(self.isa, n) => Precision::Int8,
            _ => Precision::F32,
        };
        let tall = tall(self.isa, precision);
        let queries = tall * (SCORES / (n * tall).max(1)).max(1);
        if precision == Precision::Int8 {
            let qkv = [0, 1, 2].map(|i| part(i, rows.clone()));
            return int8::head(self.isa, qkv, queries, &mut scratch.int8, y);
        }
        let scale = 1.0 / (self.d as f32).sqrt();
        let room = n.min(queries) * n;
        if scratch.scores.len() < room {
            scratch.scores.resize(room, 0.0);
        }
        let keys = scratch.keys.transposed(self.isa, scale, part(1, rows.clone()));
        let values = scratch.values.copied(part(2, rows.clone()));
        for first in (0..n).step_by(queries) {
            let last = n.min(first + queries);
            let q = part(0, rows.start + first..rows.start + last);
            let mut scores = MatMut::new(&mut scratch.scores, last - first, n);
            product(self.isa, q, keys, scores.reborrow());
            softmax_rows(self.isa, scores.reborrow());
            let y = y.block(first..last, 0..self.d);
            product(self.isa, scores.as_ref(), values, y);
        }
    }
}

/// On a GPU: the kernel for heads of `d` columns, a block for each of [`attention_blocks`] and each head. In 16
/// bits d is 32 or 64; in f32 at most 128.
pub fn attention_launch(float: Float, d: usize, blocks: usize, heads: usize) -> Launch {
    let (kernel, threads) = match (float, d) {
        (Float::F32, 1..=128) => ("attention_f32", 32 * F32_QUERIES),
        (Float::F16, 32) => ("attention_f16_32", 2 * QUERIES),
        (Float::F16, 64) => ("attention_f16_64", 2 * QUERIES),
        (Float::Bf16, 32) => ("attention_bf16_32", 2 * QUERIES),
        (Float::Bf16, 64) => ("attention_bf16_64", 2 * QUERIES),
        _ => panic!("heads of {d} columns in {float:?}"),
    };
    let grid = [cuda::blocks(blocks, 1), cuda::blocks(heads, 1)];
    Launch { file: "attention", kernel, grid, threads, shared: 0 }
}

/// What the blocks of a launch take: first query, queries, first row of the sentence, rows of it.
pub fn attention_blocks(float: Float, offsets: &[usize]) -> Vec<[i32; 4]> {
    let size = if float == Float::F32 { F32_QUERIES } else { QUERIES } as usize;
    let mut blocks = Vec::new();
    for sentence in offsets.windows(2) {
        for first in (sentence[0]..sentence[1]).step_by(size) {
            let queries = size.min(sentence[1] - first);
            let of = [first, queries, sentence[0], sentence[1] - sentence[0]];
            blocks.push(of.map(|count| i32::try_from(count).expect("less than 2³¹ tokens")));
        }
    }
    blocks
}

const QUERIES: u32 = constant(include_str!("../attention.cu"), "ATTENTION_QUERIES");
const F32_QUERIES: u32 = constant(include_str!("../attention.cu"), "ATTENTION_F32_QUERIES");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_keys_give_the_mean_of_the_values_of_the_same_sentence() {
        // One head of one column; q is whatever, k constant, v counts.
        let qkv = [1.0, 5.0, 1.0, -2.0, 5.0, 2.0, 3.0, 5.0, 30.0];
        for isa in Isa::available() {
            let mut y = [f32::NAN; 3];
            attention(
                isa,
                Precision::F32,
                MatRef::new(&qkv, 3, 3),
                &[0, 2, 3],
                1,
                MatMut::new(&mut y, 3, 1),
            );
            assert_eq!(y, [1.5, 1.5, 30.0]);
        }
    }

    #[test]
    fn a_query_far_along_one_key_takes_its_value() {
        // Two heads of one column: the first query of each picks a different row.
        let qkv = [90.0, -90.0, 1.0, 1.0, 7.0, 8.0, 0.0, 0.0, -1.0, -1.0, 9.0, 10.0];
        for isa in Isa::available() {
            let mut y = [f32::NAN; 4];
            attention(
                isa,
                Precision::F32,
                MatRef::new(&qkv, 2, 6),
                &[0, 2],
                2,
                MatMut::new(&mut y, 2, 2),
            );
            assert_eq!(y, [7.0, 10.0, 8.0, 9.0]);
        }
    }

    #[test]
    #[should_panic(expected = "3 heads do not divide 4 columns")]
    fn heads_that_do_not_divide_are_refused() {
        let (qkv, mut y) = ([0.0; 12], [0.0; 4]);
        let (isa, qkv) = (Isa::best(), MatRef::new(&qkv, 1, 12));
        attention(isa, Precision::F32, qkv, &[0, 1], 3, MatMut::new(&mut y, 1, 4));
    }
}
