//! Softmax: each row becomes a probability distribution.
//!
//! ```text
//! yⱼ = e^(xⱼ − max) / Σ e^(xⱼ − max)
//! ```
//!
//! x `[t, c]` in place. Subtracting the maximum changes nothing in the quotient and keeps every
//! exponent at or below 0: no overflow, and the sum is at least 1. −∞ gives 0 (a forbidden
//! place); a row of nothing but −∞, or with a NaN or +∞, gives NaN, as in PyTorch. `exp.rs` has the error of eˣ.
//!
//! Cost: 15 flops and 8 bytes an element; three passes over a row that stays in L1. Bound by arithmetic.
//!
//! | level   | lanes | trick |
//! |---------|-------|-------|
//! | scalar  | 1     | |
//! | NEON    | 4     | lanes beyond the row hold −∞: no maximum, and e^−∞ = 0 adds nothing |
//! | AVX2    | 8     | the same |
//! | AVX-512 | 16    | the same |

mod backward;

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::*;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

pub use backward::softmax_backward;
pub(crate) use backward::softmax_backward_rows;

use crate::exp::*;
use crate::{Isa, MatMut, parallel};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::{Vectors, lanes::*};

/// Makes each row of x `[t, c]` a distribution, in place.
pub fn softmax(isa: Isa, x: MatMut<f32>) {
    let c = x.cols();
    parallel::over_rows(x, c, |_, x| softmax_rows(isa, x));
}

/// The same on this thread alone: for a caller that is one of many already.
pub(crate) fn softmax_rows(isa: Isa, mut x: MatMut<f32>) {
    for i in 0..x.rows() {
        let row = x.row_mut(i);
        match isa.vectors() {
            // SAFETY: the isa proves NEON.
            #[cfg(target_arch = "aarch64")]
            Vectors::Neon => unsafe { softmax_neon(row) },
            // SAFETY: the isa proves AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx2 => unsafe { softmax_avx2(row) },
            // SAFETY: the isa proves AVX-512.
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx512 => unsafe { softmax_avx512(row) },
            _ => softmax_scalar(row),
        }
    }
}

fn softmax_scalar(x: &mut [f32]) {
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for x in x.iter_mut() {
        *x = exp_scalar(*x - max);
        sum += *x;
    }
    let scale = 1.0 / sum;
    for x in x {
        *x *= scale;
    }
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn softmax_neon(x: &mut [f32]) {
    let nothing = vdupq_n_f32(f32::NEG_INFINITY);
    let mut max = nothing;
    for i in (0..x.len()).step_by(4) {
        max = vmaxq_f32(max, load_or4(nothing, x, i));
    }
    let max = vdupq_n_f32(vmaxvq_f32(max));
    let mut sum = vdupq_n_f32(0.0);
    for i in (0..x.len()).step_by(4) {
        let e = exp_neon(vsubq_f32(load_or4(nothing, x, i), max));
        store4(x, i, e);
        sum = vaddq_f32(sum, e);
    }
    let scale = 1.0 / vaddvq_f32(sum);
    map4(x, |_, e| vmulq_n_f32(e, scale));
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn softmax_avx2(x: &mut [f32]) {
    let nothing = _mm256_set1_ps(f32::NEG_INFINITY);
    let mut max = nothing;
    for i in (0..x.len()).step_by(8) {
        max = _mm256_max_ps(max, load_or8(nothing, x, i));
    }
    let max = _mm256_set1_ps(max8(max));
    let mut sum = _mm256_setzero_ps();
    for i in (0..x.len()).step_by(8) {
        let e = exp_avx2(_mm256_sub_ps(load_or8(nothing, x, i), max));
        store8(x, i, e);
        sum = _mm256_add_ps(sum, e);
    }
    let scale = _mm256_set1_ps(1.0 / sum8(sum));
    map8(x, |_, e| _mm256_mul_ps(e, scale));
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq")]
fn softmax_avx512(x: &mut [f32]) {
    let nothing = _mm512_set1_ps(f32::NEG_INFINITY);
    let mut max = nothing;
    for i in (0..x.len()).step_by(16) {
        max = _mm512_max_ps(max, load_or16(nothing, x, i));
    }
    let max = _mm512_set1_ps(_mm512_reduce_max_ps(max));
    let mut sum = _mm512_setzero_ps();
    for i in (0..x.len()).step_by(16) {
        let e = exp_avx512(_mm512_sub_ps(load_or16(nothing, x, i), max));
        store16(x, i, e);
        sum = _mm512_add_ps(sum, e);
    }
    let scale = _mm512_set1_ps(1.0 / _mm512_reduce_add_ps(sum));
    map16(x, |_, e| _mm512_mul_ps(e, scale));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_of_one_to_four_become_tenths() {
        for isa in Isa::available() {
            let mut x = [1f32, 2.0, 3.0, 4.0].map(f32::ln);
            softmax(isa, MatMut::new(&mut x, 1, 4));
            for (x, want) in x.into_iter().zip([0.1, 0.2, 0.3, 0.4]) {
                assert!((x - want).abs() < 1e-7);
            }
        }
    }

    #[test]
    fn large_values_do_not_overflow_and_minus_infinity_is_never_chosen() {
        for isa in Isa::available() {
            let mut x = [3e38, f32::NEG_INFINITY, 3e38, -3e38, -1e4, f32::NEG_INFINITY, -1e4, -1e4];
            softmax(isa, MatMut::new(&mut x, 2, 4));
            assert_eq!(x[..4], [0.5, 0.0, 0.5, 0.0]);
            assert_eq!(x[5], 0.0);
            assert!((x[4] + x[6] + x[7] - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn a_row_without_any_finite_value_is_nan() {
        for isa in Isa::available() {
            let mut x = [f32::NEG_INFINITY; 3];
            softmax(isa, MatMut::new(&mut x, 1, 3));
            assert!(x.iter().all(|x| x.is_nan()));
        }
    }
}
