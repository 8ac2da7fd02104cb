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
use crate::gemm::{MadeRows, Maker, Rows, groups};
use crate::{Isa, MatMut, Precision, parallel};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::{Vectors, lanes::*};

/// Normalises each row of y `[t, c]`, in place; `eps` keeps the root from 0 (1e-12 in ELECTRA).
pub fn layer_norm(isa: Isa, gamma: &[f32], beta: &[f32], eps: f32, y: MatMut<f32>) {
    let norm = Norm::new(gamma, beta, eps, y.cols());
    parallel::over_rows(y, gamma.len(), |_, mut y| {
        (0..y.rows()).for_each(|i| norm.row(isa, y.row_mut(i)));
    });
}

/// The same, and the rows as the left factor of a product in this precision, made while they are in L1.
pub fn layer_norm_rows<'a>(
    isa: Isa,
    precision: Precision,
    (gamma, beta, eps): (&[f32], &[f32], f32),
    mut y: MatMut<'a, f32>,
    made: &'a mut MadeRows,
) -> Rows<'a> {
    let Some(maker) = Maker::of(isa, precision) else {
        layer_norm(isa, gamma, beta, eps, y.reborrow());
        return Rows::F32(y.into_ref());
    };
    let norm = Norm::new(gamma, beta, eps, y.cols());
    made.room(y.rows(), groups(precision, y.cols()));
    let apart = made.apart();
    let (rows, cols) = (y.rows(), y.cols().max(1));
    let each = parallel::share(rows).unwrap_or_else(|| {
        let pieces = parallel::pieces(rows * cols, parallel::threads());
        rows.div_ceil(pieces).max(1)
    });
    parallel::over_blocks(y, each, cols, &|first, _, mut y| {
        for i in 0..y.rows() {
            norm.row(isa, y.row_mut(i));
            // SAFETY: each row is in one piece.
            let (words, scale) = unsafe { apart.row(first + i) };
            *scale = maker.make(y.row_mut(i), words);
        }
    });
    Rows::Made(made)
}

/// What all rows have in common.
struct Norm<'a> {
    gamma: &'a [f32],
    beta: &'a [f32],
    eps: f32,
}

impl<'a> Norm<'a> {
    fn new(gamma: &'a [f32], beta: &'a [f32], eps: f32, c: usize) -> Norm<'a> {
        assert!(gamma.len() == c, "gamma of {} for {c} columns", gamma.len());
        assert!(beta.len() == c, "beta of {} for {c} columns", beta.len());
        Norm { gamma, beta, eps }
    }

    fn row(&self, isa: Isa, y: &mut [f32]) {
        let Norm { gamma, beta, eps } = *self;
        match isa.vectors() {
            // SAFETY: the isa proves NEON.
            #[cfg(target_arch = "aarch64")]
            Vectors::Neon => unsafe { layer_norm_neon(gamma, beta, eps, y) },
            // SAFETY: the isa proves AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx2 => unsafe { layer_norm_avx2(gamma, beta, eps, y) },
            // SAFETY: the isa proves AVX-512.
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx512 => unsafe { layer_norm_avx512(gamma, beta, eps, y) },
            _ => layer_norm_scalar(gamma, beta, eps, y),
        }
    }
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

/// Four sums of each kind are open at once: an addition takes four cycles, and a row is but a few registers.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq")]
fn layer_norm_avx512(gamma: &[f32], beta: &[f32], eps: f32, y: &mut [f32]) {
    let (c, zero) = (y.len() as f32, _mm512_setzero_ps());
    let mut sums = [zero; 4];
    each16(y, zero, |i, x| sums[i] = _mm512_add_ps(sums[i], x));
    let guess = sum_of_four(sums) / c;
    let mean = _mm512_set1_ps(guess);
    let (mut sums, mut squares) = ([zero; 4], [zero; 4]);
    each16(y, mean, |i, x| {
        let d = _mm512_sub_ps(x, mean);
        sums[i] = _mm512_add_ps(sums[i], d);
        squares[i] = _mm512_fmadd_ps(d, d, squares[i]);
    });
    let (shift, scale) = correct(sum_of_four(sums), sum_of_four(squares), c, eps);
    let (mean, scale) = (_mm512_set1_ps(guess + shift), _mm512_set1_ps(scale));
    let whole = y.len() - y.len() % 16;
    let ((y, y_rest), (gamma, gamma_rest)) = (y.split_at_mut(whole), gamma.split_at(whole));
    let (beta, beta_rest) = beta.split_at(whole);
    let normal =
        |x, gamma, beta| _mm512_fmadd_ps(_mm512_mul_ps(_mm512_sub_ps(x, mean), scale), gamma, beta);
    let (y, _) = y.as_chunks_mut::<16>();
    for ((y, gamma), beta) in y.iter_mut().zip(gamma.as_chunks().0).zip(beta.as_chunks().0) {
        *y = to_array16(normal(from_array16(y), from_array16(gamma), from_array16(beta)));
    }
    map16(y_rest, |i, x| normal(x, load16(gamma_rest, i), load16(beta_rest, i)));
}

/// f(0, x), f(1, x), f(2, x), f(3, x), f(0, x), … for each sixteen lanes of x, `fill` beyond its end.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn each16(x: &[f32], fill: __m512, mut f: impl FnMut(usize, __m512)) {
    let (blocks, rest) = x.as_chunks::<64>();
    for block in blocks {
        let (lanes, _) = block.as_chunks::<16>();
        f(0, from_array16(&lanes[0]));
        f(1, from_array16(&lanes[1]));
        f(2, from_array16(&lanes[2]));
        f(3, from_array16(&lanes[3]));
    }
    for (i, j) in (0..rest.len()).step_by(16).enumerate() {
        f(i, load_or16(fill, rest, j));
    }
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f")]
fn sum_of_four([a, b, c, d]: [__m512; 4]) -> f32 {
    _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d)))
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
