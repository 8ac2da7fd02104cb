//! The way back through a layer norm.
//!
//! With r = 1/√(σ² + ε) and x̂ = (x − μ) r, a row of the forward pass is y = γ x̂ + β. Let dy = ∂L/∂y and so on:
//!
//! ```text
//! dβⱼ = Σᵢ dyᵢⱼ        dγⱼ = Σᵢ dyᵢⱼ x̂ᵢⱼ        over all rows i
//! gⱼ = ∂L/∂x̂ⱼ = γⱼ dyⱼ
//! ```
//!
//! x̂ⱼ depends on every xₖ of its row: by itself, by μ, and by r. From ∂μ/∂xₖ = 1/c and
//! ∂σ²/∂xₖ = 2 (xₖ − μ)/c follows ∂r/∂xₖ = −r³ (xₖ − μ)/c = −r² x̂ₖ/c, and so
//!
//! ```text
//! ∂x̂ⱼ/∂xₖ = r ([j = k] − 1/c − x̂ⱼ x̂ₖ/c)
//! dxₖ = Σⱼ gⱼ ∂x̂ⱼ/∂xₖ = r (gₖ − mean(g) − x̂ₖ mean(g x̂))
//! ```
//!
//! In words: what would only shift or stretch the whole row is taken out of g, because the norm
//! undoes it. x `[t, c]` is what went into the norm; μ and r are computed anew, which is
//! cheaper than to keep them. dy `[t, c]` becomes dx in place; dgamma and dbeta `[c]` are added to,
//! in the order of `column_sums.rs`.
//!
//! Cost: 20 flops and 12 bytes an element; passes over a row that stays in L1. Bound by memory.
//!
//! | level   | lanes | trick |
//! |---------|-------|-------|
//! | scalar  | 1     | sums in f64 |
//! | NEON    | 4     | lanes beyond the row: x̂ is 0 there, and g |
//! | AVX2    | 8     | the same |
//! | AVX-512 | 16    | the same |

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::*;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::cell::Cell;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use super::correct;
use crate::column_sums::{add, over_rows_summed};
use crate::{Isa, MatMut, MatRef};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::{Vectors, lanes::*};

thread_local! {
    /// dγ and dβ beside each other.
    static SUMS: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// dy `[t, c]` becomes dx in place; dgamma `[c]` and dbeta `[c]` are added to. x `[t, c]` is what was normalised.
pub fn layer_norm_backward(
    isa: Isa,
    gamma: &[f32],
    eps: f32,
    x: MatRef<f32>,
    dy: MatMut<f32>,
    dgamma: &mut [f32],
    dbeta: &mut [f32],
) {
    let (t, c) = (dy.rows(), dy.cols());
    assert!((x.rows(), x.cols()) == (t, c), "x of {} × {} for {t} × {c}", x.rows(), x.cols());
    assert!(gamma.len() == c, "gamma of {} for {c} columns", gamma.len());
    assert!(dgamma.len() == c, "dgamma of {} for {c} columns", dgamma.len());
    assert!(dbeta.len() == c, "dbeta of {} for {c} columns", dbeta.len());
    let mut sums = SUMS.take();
    sums.clear();
    sums.resize(2 * c, 0.0);
    over_rows_summed(dy, &mut sums, &|first, mut dy, sums| {
        for i in 0..dy.rows() {
            let (x, dy) = (x.row(first + i), dy.row_mut(i));
            match isa.vectors() {
                // SAFETY: the isa proves NEON.
                #[cfg(target_arch = "aarch64")]
                Vectors::Neon => unsafe { layer_norm_backward_neon(gamma, eps, x, dy, sums) },
                // SAFETY: the isa proves AVX2 and FMA.
                #[cfg(target_arch = "x86_64")]
                Vectors::Avx2 => unsafe { layer_norm_backward_avx2(gamma, eps, x, dy, sums) },
                // SAFETY: the isa proves AVX-512.
                #[cfg(target_arch = "x86_64")]
                Vectors::Avx512 => unsafe { layer_norm_backward_avx512(gamma, eps, x, dy, sums) },
                _ => layer_norm_backward_scalar(gamma, eps, x, dy, sums),
            }
        }
    });
    add(&sums[..c], dgamma);
    add(&sums[c..], dbeta);
    SUMS.set(sums);
}

/// One row; dγ and dβ are the halves of `sums`.
fn layer_norm_backward_scalar(
    gamma: &[f32],
    eps: f32,
    x: &[f32],
    dy: &mut [f32],
    sums: &mut [f32],
) {
    let (dgamma, dbeta) = sums.split_at_mut(x.len());
    let c = x.len() as f64;
    let mean = x.iter().map(|&x| x as f64).sum::<f64>() / c;
    let variance = x.iter().map(|&x| (x as f64 - mean).powi(2)).sum::<f64>() / c;
    let scale = 1.0 / (variance + eps as f64).sqrt();
    let normal = |j: usize| (x[j] as f64 - mean) * scale;
    let (mut shift, mut stretch) = (0.0, 0.0);
    for j in 0..x.len() {
        let g = gamma[j] as f64 * dy[j] as f64;
        shift += g / c;
        stretch += g * normal(j) / c;
        dgamma[j] += dy[j] * normal(j) as f32;
        dbeta[j] += dy[j];
    }
    for j in 0..x.len() {
        let g = gamma[j] as f64 * dy[j] as f64;
        dy[j] = (scale * (g - shift - normal(j) * stretch)) as f32;
    }
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn layer_norm_backward_neon(gamma: &[f32], eps: f32, x: &[f32], dy: &mut [f32], sums: &mut [f32]) {
    let (dgamma, dbeta) = sums.split_at_mut(x.len());
    let c = x.len() as f32;
    let mut sum = vdupq_n_f32(0.0);
    for i in (0..x.len()).step_by(4) {
        sum = vaddq_f32(sum, load4(x, i));
    }
    let guess = vaddvq_f32(sum) / c;
    let mean = vdupq_n_f32(guess);
    let (mut sum, mut squares) = (vdupq_n_f32(0.0), vdupq_n_f32(0.0));
    for i in (0..x.len()).step_by(4) {
        let d = vsubq_f32(load_or4(mean, x, i), mean);
        sum = vaddq_f32(sum, d);
        squares = vfmaq_f32(squares, d, d);
    }
    let (shift, scale) = correct(vaddvq_f32(sum), vaddvq_f32(squares), c, eps);
    let mean = vdupq_n_f32(guess + shift);
    let normal = |i| vmulq_n_f32(vsubq_f32(load_or4(mean, x, i), mean), scale);
    let (mut shift, mut stretch) = (vdupq_n_f32(0.0), vdupq_n_f32(0.0));
    for i in (0..x.len()).step_by(4) {
        let (d, normal) = (load4(dy, i), normal(i));
        let g = vmulq_f32(load4(gamma, i), d);
        shift = vaddq_f32(shift, g);
        stretch = vfmaq_f32(stretch, g, normal);
        store4(dgamma, i, vfmaq_f32(load4(dgamma, i), d, normal));
        store4(dbeta, i, vaddq_f32(load4(dbeta, i), d));
    }
    let (shift, stretch) = (vdupq_n_f32(vaddvq_f32(shift) / c), vaddvq_f32(stretch) / c);
    map4(dy, |i, d| {
        let g = vsubq_f32(vmulq_f32(load4(gamma, i), d), shift);
        vmulq_n_f32(vfmsq_n_f32(g, normal(i), stretch), scale)
    });
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn layer_norm_backward_avx2(gamma: &[f32], eps: f32, x: &[f32], dy: &mut [f32], sums: &mut [f32]) {
    let (dgamma, dbeta) = sums.split_at_mut(x.len());
    let c = x.len() as f32;
    let mut sum = _mm256_setzero_ps();
    for i in (0..x.len()).step_by(8) {
        sum = _mm256_add_ps(sum, load8(x, i));
    }
    let guess = sum8(sum) / c;
    let mean = _mm256_set1_ps(guess);
    let (mut sum, mut squares) = (_mm256_setzero_ps(), _mm256_setzero_ps());
    for i in (0..x.len()).step_by(8) {
        let d = _mm256_sub_ps(load_or8(mean, x, i), mean);
        sum = _mm256_add_ps(sum, d);
        squares = _mm256_fmadd_ps(d, d, squares);
    }
    let (shift, scale) = correct(sum8(sum), sum8(squares), c, eps);
    let (mean, scale) = (_mm256_set1_ps(guess + shift), _mm256_set1_ps(scale));
    let normal = |i| _mm256_mul_ps(_mm256_sub_ps(load_or8(mean, x, i), mean), scale);
    let (mut shift, mut stretch) = (_mm256_setzero_ps(), _mm256_setzero_ps());
    for i in (0..x.len()).step_by(8) {
        let (d, normal) = (load8(dy, i), normal(i));
        let g = _mm256_mul_ps(load8(gamma, i), d);
        shift = _mm256_add_ps(shift, g);
        stretch = _mm256_fmadd_ps(g, normal, stretch);
        store8(dgamma, i, _mm256_fmadd_ps(d, normal, load8(dgamma, i)));
        store8(dbeta, i, _mm256_add_ps(load8(dbeta, i), d));
    }
    let (shift, stretch) = (_mm256_set1_ps(sum8(shift) / c), _mm256_set1_ps(sum8(stretch) / c));
    map8(dy, |i, d| {
        let g = _mm256_sub_ps(_mm256_mul_ps(load8(gamma, i), d), shift);
        _mm256_mul_ps(_mm256_fnmadd_ps(normal(i), stretch, g), scale)
    });
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq")]
fn layer_norm_backward_avx512(
    gamma: &[f32],
    eps: f32,
    x: &[f32],
    dy: &mut [f32],
    sums: &mut [f32],
) {
    let (dgamma, dbeta) = sums.split_at_mut(x.len());
    let c = x.len() as f32;
    let mut sum = _mm512_setzero_ps();
    for i in (0..x.len()).step_by(16) {
        sum = _mm512_add_ps(sum, load16(x, i));
    }
    let guess = _mm512_reduce_add_ps(sum) / c;
    let mean = _mm512_set1_ps(guess);
    let (mut sum, mut squares) = (_mm512_setzero_ps(), _mm512_setzero_ps());
    for i in (0..x.len()).step_by(16) {
        let d = _mm512_sub_ps(load_or16(mean, x, i), mean);
        sum = _mm512_add_ps(sum, d);
        squares = _mm512_fmadd_ps(d, d, squares);
    }
    let (shift, scale) = correct(_mm512_reduce_add_ps(sum), _mm512_reduce_add_ps(squares), c, eps);
    let (mean, scale) = (_mm512_set1_ps(guess + shift), _mm512_set1_ps(scale));
    let normal = |i| _mm512_mul_ps(_mm512_sub_ps(load_or16(mean, x, i), mean), scale);
    let (mut shift, mut stretch) = (_mm512_setzero_ps(), _mm512_setzero_ps());
    for i in (0..x.len()).step_by(16) {
        let (d, normal) = (load16(dy, i), normal(i));
        let g = _mm512_mul_ps(load16(gamma, i), d);
        shift = _mm512_add_ps(shift, g);
        stretch = _mm512_fmadd_ps(g, normal, stretch);
        store16(dgamma, i, _mm512_fmadd_ps(d, normal, load16(dgamma, i)));
        store16(dbeta, i, _mm512_add_ps(load16(dbeta, i), d));
    }
    let shift = _mm512_set1_ps(_mm512_reduce_add_ps(shift) / c);
    let stretch = _mm512_set1_ps(_mm512_reduce_add_ps(stretch) / c);
    map16(dy, |i, d| {
        let g = _mm512_sub_ps(_mm512_mul_ps(load16(gamma, i), d), shift);
        _mm512_mul_ps(_mm512_fnmadd_ps(normal(i), stretch, g), scale)
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;
    use crate::differences::{WIDTHS, assert_near, assert_near_f32, gradient, values};

    const EPS: f32 = 1e-3;

    /// Σ w · (γ x̂ + β), in f64.
    fn loss(gamma: &[f64], beta: &[f64], x: &[f64], w: &[f32]) -> f64 {
        let c = gamma.len();
        let rows = x.chunks(c).zip(w.chunks(c)).map(|(x, w)| {
            let mean = x.iter().sum::<f64>() / c as f64;
            let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / c as f64;
            let scale = 1.0 / (variance + f64::from(EPS)).sqrt();
            (0..c)
                .map(|j| f64::from(w[j]) * (gamma[j] * (x[j] - mean) * scale + beta[j]))
                .sum::<f64>()
        });
        rows.sum::<f64>()
    }

    fn run(isa: Isa, t: usize, c: usize) -> [Vec<f32>; 3] {
        let (x, gamma) = (values(1, t * c), values(2, c));
        let (mut dx, mut dgamma, mut dbeta) = (values(3, t * c), vec![0.5; c], vec![-0.5; c]);
        let dy = MatMut::new(&mut dx, t, c);
        let x = MatRef::new(&x, t, c);
        layer_norm_backward(isa, &gamma, EPS, x, dy, &mut dgamma, &mut dbeta);
        dgamma.iter_mut().for_each(|x| *x -= 0.5);
        dbeta.iter_mut().for_each(|x| *x += 0.5);
        [dx, dgamma, dbeta]
    }

    #[test]
    fn the_reference_agrees_with_central_differences() {
        let f64s = |x: &[f32]| x.iter().map(|&x| x.into()).collect::<Vec<f64>>();
        let scalar = Isa::new(Level::Scalar).unwrap();
        for (t, c) in [(1, 2), (3, 7), (70, 5)] {
            let (x, gamma, w) = (values(1, t * c), values(2, c), values(3, t * c));
            let (xs, gammas, betas) = (f64s(&x), f64s(&gamma), vec![0.25; c]);
            let [dx, dgamma, dbeta] = run(scalar, t, c);
            assert_near(&dx, &gradient(&x, |x| loss(&gammas, &betas, x, &w)), 1e-6);
            assert_near(&dgamma, &gradient(&gamma, |gamma| loss(gamma, &betas, &xs, &w)), 2e-6);
            let beta = vec![0.25; c];
            assert_near(&dbeta, &gradient(&beta, |beta| loss(&gammas, beta, &xs, &w)), 2e-6);
        }
    }

    #[test]
    fn every_level_agrees_with_the_reference_at_every_width() {
        for c in WIDTHS {
            let want = run(Isa::new(Level::Scalar).unwrap(), 67, c);
            for isa in Isa::available() {
                for (got, want) in run(isa, 67, c).iter().zip(&want) {
                    assert_near_f32(got, want, 3e-6);
                }
            }
        }
    }

    #[test]
    fn a_gradient_that_only_shifts_or_stretches_a_row_is_lost() {
        // x̂ is ±1 for every row of two: dx must be 0 whatever dy is, but for ε.
        for isa in Isa::available() {
            let mut dy = [5.0, -3.0];
            let (x, mut dgamma, mut dbeta) = ([1.0, 3.0], [0.0; 2], [0.0; 2]);
            let (x, dx) = (MatRef::new(&x, 1, 2), MatMut::new(&mut dy, 1, 2));
            layer_norm_backward(isa, &[1.0, 1.0], 0.0, x, dx, &mut dgamma, &mut dbeta);
            assert!(dy.iter().all(|dx| dx.abs() < 1e-6));
            assert_eq!((dgamma, dbeta), ([-5.0, -3.0], [5.0, -3.0]));
        }
    }
}
