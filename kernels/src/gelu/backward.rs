//! The way back through the exact GELU.
//!
//! y = x Φ(x), where Φ is the distribution of the normal law and φ = Φ′ its density. The rule for products gives
//!
//! ```text
//! dx = dy (Φ(x) + x φ(x))        Φ(x) = ½ (1 + erf(x/√2))        φ(x) = e^(−x²/2) / √(2π)
//! ```
//!
//! x `[t, c]` is what went in; dy `[t, c]` becomes dx in place. The factor runs from 0 to 1 with
//! a dip to −0.13 at −√2 and a bump to 1.13 at √2. Errors are those of `exp.rs` and `saturating.rs`: some 3e-7.
//!
//! Cost: about 50 flops and 12 bytes an element: bound by arithmetic, like the way there.
//!
//! | level   | lanes | trick |
//! |---------|-------|-------|
//! | scalar  | 1     | |
//! | NEON    | 4     | erf and exp inlined into one loop |
//! | AVX2    | 8     | the same |
//! | AVX-512 | 16    | the same |

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::*;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::f32::consts::FRAC_1_SQRT_2;

use crate::exp::*;
use crate::saturating::*;
use crate::{Isa, MatMut, MatRef, parallel};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::{Vectors, lanes::*};

/// 1/√(2π).
const DENSITY_AT_0: f32 = 0.398_942_3;

/// dy `[t, c]` = dy · GELU′(x `[t, c]`), in place.
pub fn gelu_backward(isa: Isa, x: MatRef<f32>, dy: MatMut<f32>) {
    let (t, c) = (dy.rows(), dy.cols());
    assert!((x.rows(), x.cols()) == (t, c), "x of {} × {} for {t} × {c}", x.rows(), x.cols());
    parallel::over_rows(dy, c, |first, mut dy| {
        for i in 0..dy.rows() {
            let (x, dy) = (x.row(first + i), dy.row_mut(i));
            match isa.vectors() {
                // SAFETY: the isa proves NEON.
                #[cfg(target_arch = "aarch64")]
                Vectors::Neon => unsafe { gelu_backward_neon(x, dy) },
                // SAFETY: the isa proves AVX2 and FMA.
                #[cfg(target_arch = "x86_64")]
                Vectors::Avx2 => unsafe { gelu_backward_avx2(x, dy) },
                // SAFETY: the isa proves AVX-512.
                #[cfg(target_arch = "x86_64")]
                Vectors::Avx512 => unsafe { gelu_backward_avx512(x, dy) },
                _ => gelu_backward_scalar(x, dy),
            }
        }
    });
}

fn gelu_backward_scalar(x: &[f32], dy: &mut [f32]) {
    for (dy, &x) in dy.iter_mut().zip(x) {
        let below = 0.5 + 0.5 * saturating_scalar(&ERF, x * FRAC_1_SQRT_2);
        *dy *= below + x * (DENSITY_AT_0 * exp_scalar(-0.5 * x * x));
    }
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn gelu_backward_neon(x: &[f32], dy: &mut [f32]) {
    let half = vdupq_n_f32(0.5);
    map4(dy, |i, dy| {
        let x = load4(x, i);
        let below = vfmaq_f32(half, half, saturating_neon(&ERF, vmulq_n_f32(x, FRAC_1_SQRT_2)));
        let density = exp_neon(vmulq_f32(vmulq_n_f32(x, -0.5), x));
        vmulq_f32(dy, vfmaq_f32(below, x, vmulq_n_f32(density, DENSITY_AT_0)))
    });
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn gelu_backward_avx2(x: &[f32], dy: &mut [f32]) {
    let half = _mm256_set1_ps(0.5);
    map8(dy, |i, dy| {
        let x = load8(x, i);
        let erf = saturating_avx2(&ERF, _mm256_mul_ps(x, _mm256_set1_ps(FRAC_1_SQRT_2)));
        let below = _mm256_fmadd_ps(half, erf, half);
        let density = exp_avx2(_mm256_mul_ps(_mm256_mul_ps(_mm256_set1_ps(-0.5), x), x));
        let density = _mm256_mul_ps(_mm256_set1_ps(DENSITY_AT_0), density);
        _mm256_mul_ps(dy, _mm256_fmadd_ps(x, density, below))
    });
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq")]
fn gelu_backward_avx512(x: &[f32], dy: &mut [f32]) {
    let half = _mm512_set1_ps(0.5);
    map16(dy, |i, dy| {
        let x = load16(x, i);
        let erf = saturating_avx512(&ERF, _mm512_mul_ps(x, _mm512_set1_ps(FRAC_1_SQRT_2)));
        let below = _mm512_fmadd_ps(half, erf, half);
        let density = exp_avx512(_mm512_mul_ps(_mm512_mul_ps(_mm512_set1_ps(-0.5), x), x));
        let density = _mm512_mul_ps(_mm512_set1_ps(DENSITY_AT_0), density);
        _mm512_mul_ps(dy, _mm512_fmadd_ps(x, density, below))
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;
    use crate::differences::{WIDTHS, assert_near, assert_near_f32, values};

    fn run(isa: Isa, x: &[f32], dy: &[f32]) -> Vec<f32> {
        let mut dx = dy.to_vec();
        let x = MatRef::new(x, 1, dy.len());
        gelu_backward(isa, x, MatMut::new(&mut dx, 1, dy.len()));
        dx
    }

    /// erf by its Taylor series, good to 1e-10 up to 3.
    fn gelu_f64(x: f64) -> f64 {
        let z = x * std::f64::consts::FRAC_1_SQRT_2;
        let (mut term, mut sum) = (z, z);
        for n in 1..100 {
            term *= -z * z / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        0.5 * x * (1.0 + sum * std::f64::consts::FRAC_2_SQRT_PI)
    }

    #[test]
    fn the_reference_agrees_with_central_differences() {
        let x: Vec<f32> = (-400..=400).map(|i| i as f32 / 100.0).collect();
        let dy = values(1, x.len());
        let h = 1e-4;
        let slope = |x: f64| (gelu_f64(x + h) - gelu_f64(x - h)) / (2.0 * h);
        let want: Vec<f64> =
            x.iter().zip(&dy).map(|(&x, &dy)| f64::from(dy) * slope(x.into())).collect();
        assert_near(&run(Isa::new(Level::Scalar).unwrap(), &x, &dy), &want, 5e-7);
    }

    #[test]
    fn every_level_agrees_with_the_reference_at_every_width_and_far_from_zero() {
        for isa in Isa::available() {
            for c in WIDTHS {
                let (x, dy) =
                    (values(2, c).iter().map(|x| 6.0 * x).collect::<Vec<_>>(), values(3, c));
                let want = run(Isa::new(Level::Scalar).unwrap(), &x, &dy);
                assert_near_f32(&run(isa, &x, &dy), &want, 1e-6);
            }
            let far = run(isa, &[1e3, -1e3, 1e18, -1e18, 0.0, f32::NAN], &[2.0; 6]);
            assert_eq!(far[..5], [2.0, 0.0, 2.0, 0.0, 1.0]);
            assert!(far[5].is_nan());
        }
    }
}
