//! The way back through attention.
//!
//! Within a sentence and a head, P = softmax(s Q Kᵀ) with s = 1/√d, and Y = P V. From the product
//! (`gemm/backward.rs`) and the softmax (`softmax/backward.rs`) follow, in this order:
//!
//! ```text
//! dV = Pᵀ dY                              each value, as often as it was looked at
//! dP = dY Vᵀ
//! dS = P ∘ (dP − rowsum(P ∘ dP))          through the softmax
//! dQ = s dS K        dK = s dSᵀ Q
//! ```
//!
//! qkv `[t, 3h]` is what went in, dy `[t, h]` the gradient of what came out, dqkv `[t, 3h]` is overwritten. P is computed
//! anew, by the very steps of the forward pass, and so to the same bits: what a pass would have to keep is n² for
//! each head, what it costs to make anew one product of six. Source: Dao et al., arXiv:2205.14135, appendix B.2.
//!
//! One (sentence, head) is one task on one thread, with P, dP and a transpose in its scratch: 12n² bytes,
//! at 512 tokens 3 MiB. A sentence gets the same bits alone and in any company, on any number of threads.
//!
//! Cost: 10n²d flops and n² exponentials a task. The levels are those of its parts: `gemm/`, `softmax.rs`.

use std::cell::RefCell;
use std::ops::Range;

use crate::gemm::{Scratch, product, transposed};
use crate::matrix::Apart;
use crate::ragged::assert_offsets;
use crate::softmax::{softmax_backward_rows, softmax_rows};
use crate::{Isa, MatMut, MatRef, parallel};

/// dqkv `[t, 3h]` from dy `[t, h]`, for the attention of qkv `[t, 3h]` within each sentence
/// `offsets[s]..offsets[s + 1]`, in f32.
pub fn attention_backward(
    isa: Isa,
    qkv: MatRef<f32>,
    offsets: &[usize],
    heads: usize,
    dy: MatRef<f32>,
    dqkv: MatMut<f32>,
) {
    let (t, h) = (dy.rows(), dy.cols());
    assert!(heads > 0 && h % heads == 0, "{heads} heads do not divide {h} columns");
    for (name, rows, cols) in [("qkv", qkv.rows(), qkv.cols()), ("dqkv", dqkv.rows(), dqkv.cols())]
    {
        assert!((rows, cols) == (t, 3 * h), "{name} of {rows} × {cols} for {t} × 3 × {h}");
    }
    assert_offsets(offsets, t);
    let d = h / heads;
    let dqkv = Apart::new(dqkv);
    parallel::each((offsets.len() - 1) * heads, &|task| {
        let (sentence, head) = (task / heads, task % heads);
        let rows = offsets[sentence]..offsets[sentence + 1];
        let part = |i: usize| i * h + head * d..i * h + (head + 1) * d;
        let [q, k, v] = [0, 1, 2].map(|i| qkv.block(rows.clone(), part(i)));
        // SAFETY: sentences follow one another, as do heads and their parts; each is asked for once.
        let gradients = [0, 1, 2].map(|i| unsafe { dqkv.block(rows.clone(), part(i)) });
        let dy = dy.block(rows.clone(), head * d..(head + 1) * d);
        SCRATCH.with_borrow_mut(|scratch| scratch.head(isa, [q, k, v], dy, gradients));
    });
}

/// What a task needs beside its output, kept from one to the next.
#[derive(Default)]
struct HeadScratch {
    /// P, dP and a transpose, `[n, n]` each.
    squares: [Vec<f32>; 3],
    panels: Scratch,
}

thread_local! {
    static SCRATCH: RefCell<HeadScratch> = RefCell::default();
}

impl HeadScratch {
    fn head(
        &mut self,
        isa: Isa,
        [q, k, v]: [MatRef<f32>; 3],
        dy: MatRef<f32>,
        [mut dq, mut dk, dv]: [MatMut<f32>; 3],
    ) {
        let (n, d) = (q.rows(), q.cols());
        let scale = 1.0 / (d as f32).sqrt();
        // A line more than needed, so that rows do not all fall into one set of L1.
        let stride = n.next_multiple_of(16) + 16;
        let [mut p, mut dp, mut turned] = self.squares.each_mut().map(|square| {
            square.resize(square.len().max(n * stride), 0.0);
            MatMut::with_stride(square, n, n, stride)
        });
        let panels = &mut self.panels;

        product(isa, q, panels.transposed(isa, scale, k), p.reborrow());
        softmax_rows(isa, p.reborrow());

        transposed(isa, p.as_ref(), turned.reborrow());
        product(isa, turned.as_ref(), panels.copied(dy), dv);

        product(isa, dy, panels.transposed(isa, 1.0, v), dp.reborrow());
        softmax_backward_rows(isa, p.as_ref(), dp.reborrow());

        product(isa, dp.as_ref(), panels.copied(k), dq.reborrow());
        multiply(scale, 0..n, &mut dq);
        transposed(isa, dp.as_ref(), turned.reborrow());
        product(isa, turned.as_ref(), panels.copied(q), dk.reborrow());
        multiply(scale, 0..n, &mut dk);
    }
}

/// x = scale · x.
fn multiply(scale: f32, rows: Range<usize>, x: &mut MatMut<f32>) {
    for i in rows {
        x.row_mut(i).iter_mut().for_each(|x| *x *= scale);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;
    use crate::differences::{assert_near, assert_near_f32, gradient, values};

    const BATCHES: [&[usize]; 3] = [&[0, 1], &[0, 0, 3, 3, 4], &[0, 5, 7]];

    fn run(isa: Isa, qkv: &[f32], w: &[f32], offsets: &[usize], heads: usize) -> Vec<f32> {
        let t = offsets[offsets.len() - 1];
        let h = w.len() / t;
        let mut dqkv = vec![f32::NAN; qkv.len()];
        attention_backward(
            isa,
            MatRef::new(qkv, t, 3 * h),
            offsets,
            heads,
            MatRef::new(w, t, h),
            MatMut::new(&mut dqkv, t, 3 * h),
        );
        dqkv
    }

    /// Σ w ∘ attention(qkv), in f64.
    fn loss(qkv: &[f64], w: &[f32], offsets: &[usize], heads: usize) -> f64 {
        let h = w.len() / offsets[offsets.len() - 1];
        let d = h / heads;
        let mut loss = 0.0;
        for sentence in offsets.windows(2) {
            for (i, head) in
                (sentence[0]..sentence[1]).flat_map(|i| (0..heads).map(move |h| (i, h)))
            {
                let at = |i: usize, part: usize, c: usize| qkv[i * 3 * h + part * h + head * d + c];
                let score = |j| (0..d).map(|c| at(i, 0, c) * at(j, 1, c)).sum::<f64>();
                let scores = (sentence[0]..sentence[1]).map(|j| score(j) / (d as f64).sqrt());
                let weights: Vec<f64> = scores.map(f64::exp).collect();
                let sum: f64 = weights.iter().sum();
                for (weight, j) in weights.iter().zip(sentence[0]..) {
                    for c in 0..d {
                        loss += f64::from(w[i * h + head * d + c]) * weight / sum * at(j, 2, c);
                    }
                }
            }
        }
        loss
    }

    #[test]
    fn the_reference_agrees_with_central_differences() {
        for offsets in BATCHES {
            for (heads, d) in [(1, 1), (2, 3), (1, 8)] {
                let t = offsets[offsets.len() - 1];
                let (qkv, w) = (values(1, t * 3 * heads * d), values(2, t * heads * d));
                let got = run(Isa::new(Level::Scalar).unwrap(), &qkv, &w, offsets, heads);
                let want = gradient(&qkv, |qkv| loss(qkv, &w, offsets, heads));
                assert_near(&got, &want, 2e-6);
            }
        }
    }

    #[test]
    fn every_level_agrees_with_the_reference_at_awkward_sizes() {
        for offsets in [&[0, 1, 18, 33, 98][..], &[0, 0, 16, 16, 31], &[0, 130]] {
            for (heads, d) in [(3, 5), (1, 17), (2, 32)] {
                let t = offsets[offsets.len() - 1];
                let (qkv, w) = (values(3, t * 3 * heads * d), values(4, t * heads * d));
                let want = run(Isa::new(Level::Scalar).unwrap(), &qkv, &w, offsets, heads);
                for isa in Isa::available() {
                    assert_near_f32(&run(isa, &qkv, &w, offsets, heads), &want, 3e-6);
                }
            }
        }
    }

    #[test]
    fn a_sentence_has_the_same_bits_alone_and_in_company_on_any_number_of_threads() {
        let (h, heads, offsets) = (24, 2, [0, 9, 40, 41]);
        let (qkv, w) = (values(5, 41 * 3 * h), values(6, 41 * h));
        for isa in Isa::available() {
            let all = run(isa, &qkv, &w, &offsets, heads);
            let alone = run(isa, &qkv[9 * 3 * h..40 * 3 * h], &w[9 * h..40 * h], &[0, 31], heads);
            assert!(all[9 * 3 * h..40 * 3 * h] == alone);
            let crew = parallel::Crew::new(3).unwrap();
            assert!(crew.run(|| run(isa, &qkv, &w, &offsets, heads)) == all);
        }
    }
}
