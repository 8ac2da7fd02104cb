//! Sampling: an index with the probability that softmax gives it.
//!
//! ```text
//! wⱼ = e^((zⱼ − max)/T)        the first k with w₀ + … + wₖ > u Σ w
//! ```
//!
//! z `[v]`; T is the temperature, u uniform in 0..1. That is the inverse of the distribution
//! function: as u runs from 0 to 1, each k gets a stretch of length pₖ. It draws from the same law as
//! the arg-max of z/T with Gumbel noise, for one random number instead of v. Sums are taken in f32 over 256
//! weights at a time and in f64 over these sums; the block is found first, then the place in it.
//!
//! Cost: 13 flops and 4 bytes an element, two passes. Bound by arithmetic.
//!
//! | level   | lanes | trick |
//! |---------|-------|-------|
//! | scalar  | 1     | |
//! | NEON    | 4     | lanes beyond the row hold −∞, whose weight is 0 |
//! | AVX2    | 8     | the same |
//! | AVX-512 | 16    | the same |

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::*;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::cell::Cell;

use crate::Isa;
use crate::exp::*;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::{Vectors, lanes::*};

/// Weights that are added up in f32.
const BLOCK: usize = 256;

/// An index below v, drawn from softmax(z `[v]` / temperature) by `uniform` in 0..1, on this thread. Where z is
/// not all numbers, the answer is some index.
pub fn sample(isa: Isa, z: &[f32], temperature: f32, uniform: f64) -> usize {
    assert!(!z.is_empty(), "nothing to draw from");
    assert!(temperature > 0.0, "a temperature of {temperature}");
    let max = z.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let inverse = 1.0 / temperature;
    let of_block = |z: &[f32]| {
        f64::from(match isa.vectors() {
            // SAFETY: the isa proves NEON.
            #[cfg(target_arch = "aarch64")]
            Vectors::Neon => unsafe { weights_neon(z, max, inverse) },
            // SAFETY: the isa proves AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx2 => unsafe { weights_avx2(z, max, inverse) },
            // SAFETY: the isa proves AVX-512.
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx512 => unsafe { weights_avx512(z, max, inverse) },
            _ => weights_scalar(z, max, inverse),
        })
    };
    let mut sums = SUMS.take();
    sums.clear();
    sums.extend(z.chunks(BLOCK).map(of_block));
    let index = find(z, &sums, uniform, |z| f64::from(exp_scalar((z - max) * inverse)));
    SUMS.set(sums);
    index
}

thread_local! {
    /// The sums of all blocks.
    static SUMS: Cell<Vec<f64>> = const { Cell::new(Vec::new()) };
}

/// The place of u Σ w in the weights, of which the blocks' sums are known.
fn find(z: &[f32], sums: &[f64], uniform: f64, weight: impl Fn(f32) -> f64) -> usize {
    let mut left = uniform * sums.iter().sum::<f64>();
    for (block, sum) in sums.iter().enumerate() {
        if left >= *sum {
            left -= sum;
            continue;
        }
        for (j, &z) in (block * BLOCK..).zip(&z[block * BLOCK..z.len().min((block + 1) * BLOCK)]) {
            let weight = weight(z);
            if left < weight {
                return j;
            }
            left -= weight;
        }
    }
    // Rounding has left a little over: the last that can be drawn at all.
    z.iter().rposition(|&z| weight(z) > 0.0).unwrap_or(0)
}

/// Σ e^((z − max) · inverse).
fn weights_scalar(z: &[f32], max: f32, inverse: f32) -> f32 {
    z.iter().map(|z| exp_scalar((z - max) * inverse)).sum()
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn weights_neon(z: &[f32], max: f32, inverse: f32) -> f32 {
    let (nothing, max) = (vdupq_n_f32(f32::NEG_INFINITY), vdupq_n_f32(max));
    let mut sum = vdupq_n_f32(0.0);
    for i in (0..z.len()).step_by(4) {
        let z = vmulq_n_f32(vsubq_f32(load_or4(nothing, z, i), max), inverse);
        sum = vaddq_f32(sum, exp_neon(z));
    }
    vaddvq_f32(sum)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn weights_avx2(z: &[f32], max: f32, inverse: f32) -> f32 {
    let (nothing, max) = (_mm256_set1_ps(f32::NEG_INFINITY), _mm256_set1_ps(max));
    let inverse = _mm256_set1_ps(inverse);
    let mut sum = _mm256_setzero_ps();
    for i in (0..z.len()).step_by(8) {
        let z = _mm256_mul_ps(_mm256_sub_ps(load_or8(nothing, z, i), max), inverse);
        sum = _mm256_add_ps(sum, exp_avx2(z));
    }
    sum8(sum)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq")]
fn weights_avx512(z: &[f32], max: f32, inverse: f32) -> f32 {
    let (nothing, max) = (_mm512_set1_ps(f32::NEG_INFINITY), _mm512_set1_ps(max));
    let inverse = _mm512_set1_ps(inverse);
    let mut sum = _mm512_setzero_ps();
    for i in (0..z.len()).step_by(16) {
        let z = _mm512_mul_ps(_mm512_sub_ps(load_or16(nothing, z, i), max), inverse);
        sum = _mm512_add_ps(sum, exp_avx512(z));
    }
    _mm512_reduce_add_ps(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::differences::values;

    #[test]
    fn each_index_gets_a_stretch_of_its_probability() {
        // Odds of 1 : 2 : 0 : 1.
        let z = [0.0, 2f32.ln(), f32::NEG_INFINITY, 0.0];
        for isa in Isa::available() {
            let at = |uniform| sample(isa, &z, 1.0, uniform);
            let all = [0.0, 0.249, 0.251, 0.749, 0.751, 0.999_999_999].map(at);
            assert_eq!(all, [0, 0, 1, 1, 3, 3]);
            assert_eq!(at(1.0), 3);
        }
    }

    #[test]
    fn frequencies_are_those_of_the_softmax_at_any_temperature() {
        let z: Vec<f32> = values(1, 300).iter().map(|z| 4.0 * z).collect();
        for temperature in [0.5f32, 1.0, 2.0] {
            let weights: Vec<f64> = z.iter().map(|z| f64::from(z / temperature).exp()).collect();
            let total: f64 = weights.iter().sum();
            for isa in Isa::available() {
                // Evenly spaced u: each count is p times their number, but for the two ends.
                let mut counts = vec![0f64; z.len()];
                let draws = 4_000;
                for i in 0..draws {
                    let uniform = (f64::from(i) + 0.5) / f64::from(draws);
                    counts[sample(isa, &z, temperature, uniform)] += 1.0;
                }
                for (count, weight) in counts.iter().zip(&weights) {
                    let want = f64::from(draws) * weight / total;
                    assert!((count - want).abs() < 1.6, "{count} for {want} on {}", isa.level());
                }
            }
        }
    }

    #[test]
    fn large_logits_and_those_that_are_no_numbers_give_an_index() {
        for isa in Isa::available() {
            assert_eq!(sample(isa, &[-3e38, 3e38, -3e38], 1.0, 0.5), 1);
            assert!(sample(isa, &[f32::NAN, 1.0], 1.0, 0.5) < 2);
            assert!(sample(isa, &[f32::NEG_INFINITY; 3], 1.0, 0.5) < 3);
        }
    }
}
