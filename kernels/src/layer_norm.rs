//! Layer normalisation: each row is shifted to mean 0, scaled to variance 1, then by learned gamma and beta.
//!
//! ```text
//! μ = 1/c Σ xⱼ     σ² = 1/c Σ (xⱼ − μ)²     yⱼ = γⱼ (xⱼ − μ) / √(σ² + ε) + βⱼ
//! ```
//!
//! y `[t, c]` in place, gamma and beta `[c]`. Two passes: the short formula Σ x² − c μ² cancels
//! where the mean is large. The second pass also sums d = x − μ, which would be 0 if μ were
//! exact, and corrects both by it: σ² = (Σ d² − (Σ d)² / c) / c. So even a constant row of
//! large values gives β. Sources: Ba, Kiros & Hinton, arXiv:1607.06450; Chan, Golub & LeVeque,
//! *Algorithms for Computing the Sample Variance* (1983), eq. 1.7.
//!
//! Cost: 9 flops and 8 bytes an element; three passes over a row that stays in L1. Bound by memory.
//!
//! | level   | lanes | trick |
//! |---------|-------|-------|
//! | scalar  | 1     | sums in f64: a chain of additions takes as long in either width |
//! | NEON    | 4     | lanes beyond the row hold μ, so that their d is 0 |
//! | AVX2    | 8     | the same |
//! | AVX-512 | 16    | the same |

mod backward;

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::*;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

pub use backward::layer_norm_backward;

use crate::cuda::{Float, Launch, blocks, constant};
use crate::{Isa, MatMut, parallel};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::{Vectors, lanes::*};

/// Normalises each row of y `[t, c]`, in place; `eps` keeps the root from 0 (1e-12 in ELECTRA).
pub fn layer_norm(isa: Isa, gamma: &[f32], beta: &[f32], eps: f32, y: MatMut<f32>) {
    let c = y.cols();
    assert!(gamma.len() == c, "gamma of {} for {c} columns", gamma.len());
    assert!(beta.len() == c, "beta of {} for {c} columns", beta.len());
    parallel::over_rows(y, c, |_, mut y| {
        for i in 0..y.rows() {
            let row = y.row_mut(i);
            match isa.vectors() {
                // SAFETY: the isa proves NEON.
                #[cfg(target_arch = "aarch64")]
                Vectors::Neon => unsafe { layer_norm_neon(gamma, beta, eps, row) },
                // SAFETY: the isa proves AVX2 and FMA.
                #[cfg(target_arch = "x86_64")]
                Vectors::Avx2 => unsafe { layer_norm_avx2(gamma, beta, eps, row) },
                // SAFETY: the isa proves AVX-512.
                #[cfg(target_arch = "x86_64")]
                Vectors::Avx512 => unsafe { layer_norm_avx512(gamma, beta, eps, row) },
                _ => layer_norm_scalar(gamma, beta, eps, row),
            }
        }
    });
}

fn layer_norm_scalar(gamma: &[f32], beta: &[f32], eps: f32, y: &mut [f32]) {
    let c = y.len() as f64;
    let mean = y.iter().map(|&x| x as f64).sum::<f64>() / c;
    let variance = y.iter().map(|&x| (x as f64 - mean).powi(2)).sum::<f64>() / c;
    let scale = 1.0 / (variance + eps as f64).sqrt();
    for ((y, gamma), beta) in y.iter_mut().zip(gamma).zip(beta) {
        *y = ((*y as f64 - mean) * scale) as f32 * gamma + beta;
    }
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn layer_norm_neon(gamma: &[f32], beta: &[f32], eps: f32, y: &mut [f32]) {
    let c = y.len() as f32;
    let mut sum = vdupq_n_f32(0.0);
    for i in (0..y.len()).step_by(4) {
        sum = vaddq_f32(sum, load4(y, i));
    }
    let guess = vaddvq_f32(sum) / c;
    let mean = vdupq_n_f32(guess);
    let (mut sum, mut squares) = (vdupq_n_f32(0.0), vdupq_n_f32(0.0));
    for i in (0..y.len()).step_by(4) {
        let d = vsubq_f32(load_or4(mean, y, i), mean);
        sum = vaddq_f32(sum, d);
        squares = vfmaq_f32(squares, d, d);
    }
    let (shift, scale) = correct(vaddvq_f32(sum), vaddvq_f32(squares), c, eps);
    let mean = vdupq_n_f32(guess + shift);
    map4(y, |i, x| {
        let x = vmulq_n_f32(vsubq_f32(x, mean), scale);
        vfmaq_f32(load4(beta, i), x, load4(gamma, i))
    });
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn layer_norm_avx2(gamma: &[f32], beta: &[f32], eps: f32, y: &mut [f32]) {
    let c = y.len() as f32;
    let mut sum = _mm256_setzero_ps();
    for i in (0..y.len()).step_by(8) {
        sum = _mm256_add_ps(sum, load8(y, i));
    }
    let guess = sum8(sum) / c;
    let mean = _mm256_set1_ps(guess);
    let (mut sum, mut squares) = (_mm256_setzero_ps(), _mm256_setzero_ps());
    for i in (0..y.len()).step_by(8) {
        let d = _mm256_sub_ps(load_or8(mean, y, i), mean);
        sum = _mm256_add_ps(sum, d);
        squares = _mm256_fmadd_ps(d, d, squares);
    }
    let (shift, scale) = correct(sum8(sum), sum8(squares), c, eps);
    let (mean, scale) = (_mm256_set1_ps(guess + shift), _mm256_set1_ps(scale));
    map8(y, |i, x| {
        let x = _mm256_mul_ps(_mm256_sub_ps(x, mean), scale);
        _mm256_fmadd_ps(x, load8(gamma, i), load8(beta, i))
    });
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq")]
fn layer_norm_avx512(gamma: &[f32], beta: &[f32], eps: f32, y: &mut [f32]) {
    let c = y.len() as f32;
    let mut sum = _mm512_setzero_ps();
    for i in (0..y.len()).step_by(16) {
        sum = _mm512_add_ps(sum, load16(y, i));
    }
    let guess = _mm512_reduce_add_ps(sum) / c;
    let mean = _mm512_set1_ps(guess);
    let (mut sum, mut squares) = (_mm512_setzero_ps(), _mm512_setzero_ps());
    for i in (0..y.len()).step_by(16) {
        let d = _mm512_sub_ps(load_or16(mean, y, i), mean);
        sum = _mm512_add_ps(sum, d);
        squares = _mm512_fmadd_ps(d, d, squares);
    }
    let (shift, scale) = correct(_mm512_reduce_add_ps(sum), _mm512_reduce_add_ps(squares), c, eps);
    let (mean, scale) = (_mm512_set1_ps(guess + shift), _mm512_set1_ps(scale));
    map16(y, |i, x| {
        let x = _mm512_mul_ps(_mm512_sub_ps(x, mean), scale);
        _mm512_fmadd_ps(x, load16(gamma, i), load16(beta, i))
    });
}

/// From Σ d and Σ d²: what the mean was off by, and 1 / √(σ² + ε).
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn correct(sum: f32, squares: f32, c: f32, eps: f32) -> (f32, f32) {
    let shift = sum / c;
    let variance = ((squares - sum * shift) / c).max(0.0);
    (shift, 1.0 / (variance + eps).sqrt())
}

/// On a GPU: x `[t, c]` f32 → y `[t, c]`, a warp a row; c a multiple of 4, at most 1,024.
pub fn layer_norm_launch(float: Float, t: usize, c: usize) -> Launch {
    assert!(
        c.is_multiple_of(4) && c <= WIDEST as usize,
        "{c} columns: not a multiple of 4 up to {WIDEST}"
    );
    let kernel = match float {
        Float::F32 => "layer_norm_f32",
        Float::F16 => "layer_norm_f16",
        Float::Bf16 => "layer_norm_bf16",
    };
    let grid = [blocks(t, ROWS), 1];
    Launch { file: "layer_norm", kernel, grid, threads: 32 * ROWS, shared: 0 }
}

const ROWS: u32 = constant(include_str!("layer_norm.cu"), "LAYER_NORM_ROWS");
/// The widest row that the kernel holds in registers.
pub(crate) const WIDEST: u32 = constant(include_str!("layer_norm.cuh"), "WIDEST");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_two_becomes_minus_one_and_one_times_gamma_plus_beta() {
        for isa in Isa::available() {
            let mut y = [1.0, 5.0, -3.0, -7.0];
            layer_norm(isa, &[2.0, 3.0], &[0.0, 10.0], 0.0, MatMut::new(&mut y, 2, 2));
            assert_eq!(y, [-2.0, 13.0, 2.0, 7.0]);
        }
    }

    #[test]
    fn a_constant_row_becomes_beta_however_large_it_is() {
        for isa in Isa::available() {
            for value in [0.0, 0.1, -1234.567, 1e7] {
                let mut y = [value; 37];
                let beta: Vec<f32> = (0..37).map(|j| j as f32).collect();
                layer_norm(isa, &[1.0; 37], &beta, 1e-12, MatMut::new(&mut y, 1, 37));
                assert_eq!(y[..], beta[..], "{value} on {}", isa.level());
            }
        }
    }

    #[test]
    #[should_panic(expected = "gamma of 3 for 2 columns")]
    fn a_gamma_of_the_wrong_length_is_refused() {
        layer_norm(Isa::best(), &[1.0; 3], &[0.0; 2], 0.0, MatMut::new(&mut [0.0; 2], 1, 2));
    }
}
