//! The way back through a softmax.
//!
//! p = softmax(x) has ∂pₖ/∂xⱼ = pₖ ([j = k] − pⱼ): to raise one score takes from all others in proportion. So
//!
//! ```text
//! dxⱼ = Σₖ dpₖ ∂pₖ/∂xⱼ = pⱼ (dpⱼ − Σₖ pₖ dpₖ)
//! ```
//!
//! p `[t, c]` is what came out; dp `[t, c]` becomes dx in place. Each row of dx sums to 0, as a shift of
//! all scores changes nothing.
//!
//! Cost: 4 flops and 12 bytes an element; two passes over a row that stays in L1. Bound by memory.
//!
//! | level   | lanes | trick |
//! |---------|-------|-------|
//! | scalar  | 1     | |
//! | NEON    | 4     | lanes beyond the row hold 0 |
//! | AVX2    | 8     | the same |
//! | AVX-512 | 16    | the same |

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::*;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use crate::{Isa, MatMut, MatRef, parallel};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::{Vectors, lanes::*};

/// dp `[t, c]` becomes dx in place; p `[t, c]` is what softmax made of x.
pub fn softmax_backward(isa: Isa, p: MatRef<f32>, dp: MatMut<f32>) {
    let (t, c) = (dp.rows(), dp.cols());
    assert!((p.rows(), p.cols()) == (t, c), "p of {} × {} for {t} × {c}", p.rows(), p.cols());
    parallel::over_rows(dp, c, |first, dp| {
        softmax_backward_rows(isa, p.block(first..first + dp.rows(), 0..c), dp)
    });
}

/// The same on this thread alone: for a caller that is one of many already.
pub(crate) fn softmax_backward_rows(isa: Isa, p: MatRef<f32>, mut dp: MatMut<f32>) {
    for i in 0..dp.rows() {
        let (p, dp) = (p.row(i), dp.row_mut(i));
        match isa.vectors() {
            // SAFETY: the isa proves NEON.
            #[cfg(target_arch = "aarch64")]
            Vectors::Neon => unsafe { softmax_backward_neon(p, dp) },
            // SAFETY: the isa proves AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx2 => unsafe { softmax_backward_avx2(p, dp) },
            // SAFETY: the isa proves AVX-512.
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx512 => unsafe { softmax_backward_avx512(p, dp) },
            _ => softmax_backward_scalar(p, dp),
        }
    }
}

fn softmax_backward_scalar(p: &[f32], dp: &mut [f32]) {
    let mean: f32 = p.iter().zip(dp.iter()).map(|(p, dp)| p * dp).sum();
    for (dp, p) in dp.iter_mut().zip(p) {
        *dp = p * (*dp - mean);
    }
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn softmax_backward_neon(p: &[f32], dp: &mut [f32]) {
    let mut mean = vdupq_n_f32(0.0);
    for i in (0..p.len()).step_by(4) {
        mean = vfmaq_f32(mean, load4(p, i), load4(dp, i));
    }
    let mean = vdupq_n_f32(vaddvq_f32(mean));
    map4(dp, |i, dp| vmulq_f32(load4(p, i), vsubq_f32(dp, mean)));
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn softmax_backward_avx2(p: &[f32], dp: &mut [f32]) {
    let mut mean = _mm256_setzero_ps();
    for i in (0..p.len()).step_by(8) {
        mean = _mm256_fmadd_ps(load8(p, i), load8(dp, i), mean);
    }
    let mean = _mm256_set1_ps(sum8(mean));
    map8(dp, |i, dp| _mm256_mul_ps(load8(p, i), _mm256_sub_ps(dp, mean)));
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq")]
fn softmax_backward_avx512(p: &[f32], dp: &mut [f32]) {
    let mut mean = _mm512_setzero_ps();
    for i in (0..p.len()).step_by(16) {
        mean = _mm512_fmadd_ps(load16(p, i), load16(dp, i), mean);
    }
    let mean = _mm512_set1_ps(_mm512_reduce_add_ps(mean));
    map16(dp, |i, dp| _mm512_mul_ps(load16(p, i), _mm512_sub_ps(dp, mean)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;
    use crate::differences::{WIDTHS, assert_near, assert_near_f32, gradient, values};
    use crate::softmax::softmax;

    fn run(isa: Isa, x: &[f32], w: &[f32], c: usize) -> Vec<f32> {
        let (mut p, mut dp, t) = (x.to_vec(), w.to_vec(), x.len() / c);
        softmax(isa, MatMut::new(&mut p, t, c));
        softmax_backward(isa, MatRef::new(&p, t, c), MatMut::new(&mut dp, t, c));
        dp
    }

    /// Σ w · softmax(x), in f64.
    fn loss(x: &[f64], w: &[f32], c: usize) -> f64 {
        let rows = x.chunks(c).zip(w.chunks(c)).map(|(x, w)| {
            let sum: f64 = x.iter().map(|x| x.exp()).sum();
            x.iter().zip(w).map(|(x, &w)| x.exp() / sum * f64::from(w)).sum::<f64>()
        });
        rows.sum()
    }

    #[test]
    fn the_reference_agrees_with_central_differences() {
        for (t, c) in [(1, 1), (1, 2), (5, 7), (2, 40)] {
            let (x, w) = (values(1, t * c), values(2, t * c));
            let got = run(Isa::new(Level::Scalar).unwrap(), &x, &w, c);
            let want = gradient(&x, |x| loss(x, &w, c));
            if c > 1 {
                assert_near(&got, &want, 2e-6);
            } else {
                assert_eq!(got, [0.0]);
            }
        }
    }

    #[test]
    fn every_level_agrees_with_the_reference_at_every_width() {
        for c in WIDTHS {
            let (x, w) = (values(3, 5 * c), values(4, 5 * c));
            let want = run(Isa::new(Level::Scalar).unwrap(), &x, &w, c);
            for isa in Isa::available() {
                assert_near_f32(&run(isa, &x, &w, c), &want, 3e-6);
            }
        }
    }
}
