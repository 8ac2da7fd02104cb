//! GELU for a product that reads bf16 or int8: no finer than they are.
//!
//! ```text
//! gelu x = x/2 + |x| s(|x|)        s(a) = erf(a/√2) / 2 ≈ min(½, a P(a²)),  a ≤ 4,  deg P = 6
//! ```
//!
//! P is minimax in the error of x s(x), by `fit.py`: 1.9e-4. So y is off by less than half an ulp of bf16
//! where |y| > 0.1, and by less than 1.9e-4 elsewhere. At 4, where erf is nearly 1, a P(a²) is just above ½:
//! beyond, y is x or 0 exactly. NaN stays NaN, and gelu 0 = 0.
//!
//! Cost: 13 instructions, none a division: a third of the exact form (`gelu.rs`), which an AMX product of
//! 256 terms would wait for.
//!
//! | level   | lanes | trick |
//! |---------|-------|-------|
//! | scalar  | 1     | |
//! | NEON    | 4     | the same operations, and so the same bits |
//! | AVX2    | 8     | the same |
//! | AVX-512 | 16    | the same; with AMX behind the sums of the next tile |

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::*;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Lowest power first.
const P: [f32; 7] = [
    0.3978833,
    -0.06457305,
    0.008772361,
    -0.00081400975,
    4.7954916e-5,
    -1.5985715e-6,
    2.2780831e-8,
];

/// Where s becomes ½.
const LIMIT: f32 = 4.0;

/// gelu x, the reference.
#[inline]
pub(crate) fn rough_gelu_scalar(x: f32) -> f32 {
    let a = if x.abs() > LIMIT { LIMIT } else { x.abs() }; // NaN stays
    let u = a * a;
    let p = P[..6].iter().rev().fold(P[6], |sum, &p| sum.mul_add(u, p));
    let s = if a * p > 0.5 { 0.5 } else { a * p };
    x.abs().mul_add(s, 0.5 * x)
}

/// gelu x of four lanes.
#[cfg(target_arch = "aarch64")]
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn rough_gelu_neon(x: float32x4_t) -> float32x4_t {
    let magnitude = vabsq_f32(x);
    let a = vminq_f32(vdupq_n_f32(LIMIT), magnitude); // NaN stays
    let u = vmulq_f32(a, a);
    let mut p = vdupq_n_f32(P[6]);
    for i in (0..6).rev() {
        p = vfmaq_f32(vdupq_n_f32(P[i]), p, u);
    }
    let s = vminq_f32(vdupq_n_f32(0.5), vmulq_f32(a, p));
    vfmaq_f32(vmulq_n_f32(x, 0.5), magnitude, s)
}

/// gelu x of eight lanes.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn rough_gelu_avx2(x: __m256) -> __m256 {
    let half = _mm256_set1_ps(0.5);
    let magnitude = _mm256_andnot_ps(_mm256_set1_ps(-0.0), x);
    // min returns its second operand when one is NaN.
    let a = _mm256_min_ps(_mm256_set1_ps(LIMIT), magnitude);
    let u = _mm256_mul_ps(a, a);
    let mut p = _mm256_set1_ps(P[6]);
    for i in (0..6).rev() {
        p = _mm256_fmadd_ps(p, u, _mm256_set1_ps(P[i]));
    }
    let s = _mm256_min_ps(half, _mm256_mul_ps(a, p));
    _mm256_fmadd_ps(magnitude, s, _mm256_mul_ps(half, x))
}

/// gelu x of sixteen lanes.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
pub(crate) fn rough_gelu_avx512(x: __m512) -> __m512 {
    let half = _mm512_set1_ps(0.5);
    let magnitude = _mm512_abs_ps(x);
    // min returns its second operand when one is NaN.
    let a = _mm512_min_ps(_mm512_set1_ps(LIMIT), magnitude);
    let u = _mm512_mul_ps(a, a);
    let mut p = _mm512_set1_ps(P[6]);
    for i in (0..6).rev() {
        p = _mm512_fmadd_ps(p, u, _mm512_set1_ps(P[i]));
    }
    let s = _mm512_min_ps(half, _mm512_mul_ps(a, p));
    _mm512_fmadd_ps(magnitude, s, _mm512_mul_ps(half, x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gelu::{Activation, activate};
    use crate::{Isa, MatMut};

    #[test]
    fn it_is_off_by_no_more_than_is_said_and_settles() {
        for i in -200_000..=200_000 {
            let x = i as f32 / 20_000.0;
            let (y, exact) = (rough_gelu_scalar(x), Activation::Gelu.apply(x));
            let most = if exact.abs() > 0.1 { exact.abs() / 512.0 } else { 1.9e-4 };
            assert!((y - exact).abs() <= most, "gelu({x}) = {exact}, not {y}");
        }
        assert_eq!(
            [4.0, 1e30, -4.0, -1e30, 0.0].map(rough_gelu_scalar),
            [4.0, 1e30, 0.0, 0.0, 0.0]
        );
        assert!(rough_gelu_scalar(f32::NAN).is_nan());
    }

    #[test]
    fn every_level_has_the_bits_of_the_reference() {
        let mut x: Vec<f32> = (-300_000..300_000).map(|i| i as f32 / 30_000.0).collect();
        x.extend([f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, -0.0, 1e-40]);
        let want: Vec<u32> = x.iter().map(|&x| rough_gelu_scalar(x).to_bits()).collect();
        for isa in Isa::available() {
            let mut y = x.clone();
            let len = y.len();
            activate(isa, Activation::RoughGelu, MatMut::new(&mut y, 1, len));
            for ((x, y), want) in x.iter().zip(y).zip(&want) {
                assert!(y.to_bits() == *want || y.is_nan(), "gelu({x}) on {}", isa.level());
            }
            let mut y = [f32::NAN; 37];
            activate(isa, Activation::RoughGelu, MatMut::new(&mut y, 1, 37));
            assert!(y.iter().all(|y| y.is_nan()));
        }
    }
}
