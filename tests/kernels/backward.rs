//! The ways back: rows that are strided, unaligned and end where no page follows give the bits of rows that lie
//! together, on every level, for any number of threads. What those bits are worth is tested beside each kernel.

use zhengzi_kernels::adamw::{AdamW, adamw, squared_norm};
use zhengzi_kernels::attention::attention_backward;
use zhengzi_kernels::column_sums::column_sums;
use zhengzi_kernels::cross_entropy::cross_entropy;
use zhengzi_kernels::embedding::embedding_backward;
use zhengzi_kernels::gelu::gelu_backward;
use zhengzi_kernels::gemm::{Accumulate, gemm_backward_input, gemm_backward_weight};
use zhengzi_kernels::layer_norm::layer_norm_backward;
use zhengzi_kernels::sample::sample;
use zhengzi_kernels::softmax::softmax_backward;
use zhengzi_kernels::{Isa, MatMut, MatRef};

use super::*;

/// Its values without gaps.
fn values(x: &Strided) -> Vec<f32> {
    (0..x.rows).flat_map(|i| x.row(i).to_vec()).collect()
}

/// Runs `f` on strided rows and on the same rows without gaps: `f` takes what it reads and what it changes.
fn check<const N: usize, const M: usize>(
    reads: [Strided; N],
    writes: [Strided; M],
    f: impl Fn([MatRef<f32>; N], [MatMut<f32>; M]),
) {
    let mut strided = writes.clone();
    f(reads.each_ref().map(Strided::view), strided.each_mut().map(Strided::view_mut));
    let read: [Vec<f32>; N] = reads.each_ref().map(values);
    let mut written: [Vec<f32>; M] = writes.each_ref().map(values);
    let together: [MatRef<f32>; N] =
        std::array::from_fn(|i| MatRef::new(&read[i], reads[i].rows, reads[i].cols));
    let mut places = writes.iter().zip(&mut written);
    let into: [MatMut<f32>; M] = std::array::from_fn(|_| {
        let (shape, values) = places.next().unwrap();
        MatMut::new(values, shape.rows, shape.cols)
    });
    f(together, into);
    for (strided, together) in strided.iter().zip(&written) {
        strided.assert_gaps_untouched();
        let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&values(strided)), bits(together));
    }
}

/// A matrix of numbers.
fn random(seed: u64, rows: usize, cols: usize) -> Strided {
    Strided::random(&mut Random(seed), rows, cols, 2.0)
}

#[test]
fn strided_rows_that_end_at_a_closed_page_have_the_bits_of_rows_that_lie_together() {
    for isa in Isa::available() {
        for c in WIDTHS.into_iter().filter(|&c| c > 0) {
            let t = 5;
            let gamma = Random(1).values(c, 1.0);
            let writes = [random(2, t, c), random(3, 1, c), random(4, 1, c)];
            check([random(5, t, c)], writes, |[x], [dy, mut dgamma, mut dbeta]| {
                let (dgamma, dbeta) = (dgamma.row_mut(0), dbeta.row_mut(0));
                layer_norm_backward(isa, &gamma, 1e-6, x, dy, dgamma, dbeta);
            });
            check([random(6, t, c)], [random(7, t, c)], |[x], [dy]| gelu_backward(isa, x, dy));
            check([random(8, t, c)], [random(9, t, c)], |[p], [dp]| softmax_backward(isa, p, dp));
            check([random(10, t, c)], [random(11, 1, c)], |[x], [mut sums]| {
                column_sums(isa, x, sums.row_mut(0));
            });
            let targets = [0, c as u32 - 1, c as u32 / 2, 0, 0];
            check([], [random(12, t, c), random(13, 1, t)], |[], [z, mut losses]| {
                cross_entropy(isa, &targets, 0.5, z, losses.row_mut(0));
            });
            let (ids, offsets) = ([3, 0, 3, 1, 1], [0, 2, 5]);
            let tables = [random(14, 4, c), random(15, 3, c), random(16, 1, c)];
            check([random(17, t, c)], tables, |[dy], [dword, dposition, mut dtype]| {
                embedding_backward(isa, &ids, &offsets, dy, dword, dposition, dtype.row_mut(0));
            });
        }
        for (m, n, k) in [(1, 1, 1), (3, 17, 5), (17, 15, 66), (520, 3, 7), (5, 70, 130)] {
            for accumulate in [Accumulate::Set, Accumulate::Add] {
                let reads = [random(18, m, n), random(19, n, k)];
                check(reads, [random(20, m, k)], |[dy, w], [dx]| {
                    gemm_backward_input(isa, dy, w, accumulate, dx);
                });
            }
            let reads = [random(21, m, n), random(22, m, k)];
            check(reads, [random(23, n, k)], |[dy, x], [dw]| gemm_backward_weight(isa, dy, x, dw));
        }
        for (heads, d) in [(1, 1), (3, 5), (2, 32)] {
            let (h, offsets) = (heads * d, [0, 1, 1, 18, 35]);
            let reads = [random(24, 35, 3 * h), random(25, 35, h)];
            check(reads, [random(26, 35, 3 * h)], |[qkv, dy], [dqkv]| {
                attention_backward(isa, qkv, &offsets, heads, dy, dqkv);
            });
        }
    }
}

#[test]
fn the_optimiser_and_a_draw_read_no_further_than_the_last_value() {
    let step = AdamW { rate: 0.1, betas: [0.9, 0.999], epsilon: 1e-6, decay: 0.01, scale: 1.0 };
    for isa in Isa::available() {
        for n in WIDTHS.into_iter().filter(|&n| n > 0) {
            let [g, p, m, v] = [1, 2, 3, 4].map(|seed| Random(seed).values(n, 1.0));
            let (mut p, mut m, mut v) = (p, m, v);
            v.iter_mut().for_each(|v| *v = v.abs());
            adamw(isa, &step, &g, &mut p, &mut m, &mut v);
            assert!(p.iter().all(|p| p.is_finite()));
            let want: f64 = g.iter().map(|&g| f64::from(g).powi(2)).sum();
            assert!((squared_norm(isa, &g) - want).abs() <= 1e-5 * want);
            assert!(sample(isa, &g, 1.0, 0.999) < n);
        }
    }
}

#[test]
fn gradients_of_rows_have_the_same_bits_for_any_number_of_threads() {
    for isa in Isa::available() {
        let (t, c) = (700, 65);
        let x = random(30, t, c);
        let (gamma, targets) = (Random(31).values(c, 1.0), vec![7; t]);
        assert_same_for_any_threads(|| {
            let mut dx = random(32, t, c);
            let (mut dgamma, mut dbeta) = (vec![0.0; c], vec![0.0; c]);
            let dy = dx.view_mut();
            layer_norm_backward(isa, &gamma, 1e-6, x.view(), dy, &mut dgamma, &mut dbeta);
            gelu_backward(isa, x.view(), dx.view_mut());
            softmax_backward(isa, x.view(), dx.view_mut());
            let mut losses = vec![0.0; t];
            let mut z = random(33, t, c);
            cross_entropy(isa, &targets, 1.0, z.view_mut(), &mut losses);
            let sums = [dgamma, dbeta, losses].concat();
            [dx.bits(), z.bits(), sums.iter().map(|x| x.to_bits()).collect()].concat()
        });
    }
}
