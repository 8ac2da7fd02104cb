//! log-sum-exp: what turns the logits of a whole vocabulary into logarithms of probabilities.
//!
//! ```text
//! ln Σ e^xⱼ  =  max + ln Σ e^(xⱼ − max)          ln pⱼ = xⱼ − this
//! ```
//!
//! x `[v]`. One term is e⁰: the sum is at least 1 and at most v. It is taken in f32 over 256 terms
//! at a time and in f64 over these sums, so that twenty thousand small terms are not lost beside a
//! large one: at most 2e-6 off, and rounding. `exp.rs` has the error of eˣ.
//!
//! Cost: 13 flops and 4 bytes an element, two passes. Bound by arithmetic.

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::*;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use crate::Isa;
use crate::cuda::{Launch, blocks, constant};
use crate::exp::*;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::{Vectors, lanes::*};

/// Terms that are added up in f32.
const BLOCK: usize = 256;

/// ln Σ e^x over all of x; −∞ for none, NaN where there is one, on this thread.
pub fn log_sum_exp(isa: Isa, x: &[f32]) -> f32 {
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if max == f32::NEG_INFINITY {
        return if x.iter().any(|x| x.is_nan()) { f32::NAN } else { max };
    }
    let sum: f64 = x
        .chunks(BLOCK)
        .map(|x| {
            f64::from(match isa.vectors() {
                // SAFETY: the isa proves NEON.
                #[cfg(target_arch = "aarch64")]
                Vectors::Neon => unsafe { sum_neon(x, max) },
                // SAFETY: the isa proves AVX2 and FMA.
                #[cfg(target_arch = "x86_64")]
                Vectors::Avx2 => unsafe { sum_avx2(x, max) },
                // SAFETY: the isa proves AVX-512.
                #[cfg(target_arch = "x86_64")]
                Vectors::Avx512 => unsafe { sum_avx512(x, max) },
                _ => sum_scalar(x, max),
            })
        })
        .sum();
    max + sum.ln() as f32
}

/// Σ e^(x − max).
fn sum_scalar(x: &[f32], max: f32) -> f32 {
    x.iter().map(|x| exp_scalar(x - max)).sum()
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn sum_neon(x: &[f32], max: f32) -> f32 {
    let (nothing, max) = (vdupq_n_f32(f32::NEG_INFINITY), vdupq_n_f32(max));
    let mut sum = vdupq_n_f32(0.0);
    for i in (0..x.len()).step_by(4) {
        sum = vaddq_f32(sum, exp_neon(vsubq_f32(load_or4(nothing, x, i), max)));
    }
    vaddvq_f32(sum)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn sum_avx2(x: &[f32], max: f32) -> f32 {
    let (nothing, max) = (_mm256_set1_ps(f32::NEG_INFINITY), _mm256_set1_ps(max));
    let mut sum = _mm256_setzero_ps();
    for i in (0..x.len()).step_by(8) {
        sum = _mm256_add_ps(sum, exp_avx2(_mm256_sub_ps(load_or8(nothing, x, i), max)));
    }
    sum8(sum)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq")]
fn sum_avx512(x: &[f32], max: f32) -> f32 {
    let (nothing, max) = (_mm512_set1_ps(f32::NEG_INFINITY), _mm512_set1_ps(max));
    let mut sum = _mm512_setzero_ps();
    for i in (0..x.len()).step_by(16) {
        sum = _mm512_add_ps(sum, exp_avx512(_mm512_sub_ps(load_or16(nothing, x, i), max)));
    }
    _mm512_reduce_add_ps(sum)
}

/// On a GPU: a block for each of m rows.
pub fn log_sum_exp_launch(m: usize) -> Launch {
    const WARPS: u32 = constant(include_str!("log_sum_exp.cu"), "LOG_SUM_EXP_WARPS");
    let grid = [blocks(m, 1), 1];
    Launch { file: "log_sum_exp", kernel: "log_sum_exp", grid, threads: 32 * WARPS, shared: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_f64_at_every_length() {
        let mut state = 7u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 1e6 - 8.0
        };
        for len in [1, 2, 7, 8, 9, 15, 16, 17, 1023, 1024, 1025, 21_128] {
            let x: Vec<f32> = (0..len).map(|_| random()).collect();
            let want = x.iter().map(|&x| f64::from(x).exp()).sum::<f64>().ln();
            for isa in Isa::available() {
                let got = f64::from(log_sum_exp(isa, &x));
                assert!((got - want).abs() < 3e-6, "{got} for {want}, {len} on {}", isa.level());
            }
        }
    }

    #[test]
    fn many_small_terms_are_not_lost_beside_a_large_one() {
        let mut x = vec![0.0; 1 << 16];
        x[40_000] = 11.0;
        let want = (11f64.exp() + 65_535.0).ln();
        for isa in Isa::available() {
            assert!((f64::from(log_sum_exp(isa, &x)) - want).abs() < 3e-6);
        }
    }

    #[test]
    fn large_values_infinities_and_nan_come_out_as_they_should() {
        for isa in Isa::available() {
            let of = |x: &[f32]| log_sum_exp(isa, x);
            assert!((of(&[1000.0, 1000.0]) - 1000.0 - 2f32.ln()).abs() < 1e-4);
            assert_eq!(of(&[]), f32::NEG_INFINITY);
            assert_eq!(of(&[f32::NEG_INFINITY; 3]), f32::NEG_INFINITY);
            assert_eq!(of(&[f32::NEG_INFINITY, 2.0]), 2.0);
            assert!(of(&[1.0, f32::NAN]).is_nan() && of(&[f32::NAN]).is_nan());
            assert!(!of(&[f32::INFINITY, 1.0]).is_finite());
        }
    }
}
