//! exp: eˣ for f32, to 1 ulp (softmax, SiLU, the logistic function).
//!
//! With n = round(x / ln 2) and r = x − n ln 2, eˣ = 2ⁿ eʳ and |r| ≤ ln 2 / 2, where
//!
//! ```text
//! eʳ ≈ 1 + r + r² (p₀ + p₁ r + p₂ r² + p₃ r³ + p₄ r⁴)      relative error 3.1e-9
//! ```
//!
//! P is the minimax polynomial by `fit.py`. ln 2 is taken in two parts: the upper has 16
//! significant bits, so n · upper is exact for every n that occurs, and r loses nothing.
//! Result: at most 1 ulp off where it is a normal number, over- and underflow as IEEE
//! has it (subnormals included), e^−∞ = 0, NaN stays NaN.
//!
//! Two-part reduction: Cody & Waite, *Software Manual for the Elementary Functions*
//! (1980), ch. 6. Cost: 11 flops; in a kernel the divisions and loads around it weigh as much.
//!
//! | level   | lanes | trick |
//! |---------|-------|-------|
//! | scalar  | 1     | 2ⁿ in two factors, because 2^128 and 2^−150 are no f32 |
//! | NEON    | 4     | the same; fused multiply-add |
//! | AVX2    | 8     | the same; fused multiply-add |
//! | AVX-512 | 16    | `vscalefps` multiplies by any 2ⁿ |

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::*;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Below, eˣ rounds to 0 and above to ∞; n stays small between them.
const LOWEST: f32 = -104.0;
const HIGHEST: f32 = 89.0;
const LN_2_UPPER: f32 = 0.693_145_75;
const LN_2_LOWER: f32 = 1.428_606_8e-6;
const P: [f32; 5] = [0.499_999_94, 0.166_665_2, 0.041_668_393, 0.008_368_781, 0.001_381_446_7];

/// eˣ, the reference.
#[inline]
pub(crate) fn exp_scalar(x: f32) -> f32 {
    let x = x.clamp(LOWEST, HIGHEST); // NaN stays
    let n = (x * std::f32::consts::LOG2_E).round_ties_even();
    let r = (x - n * LN_2_UPPER) - n * LN_2_LOWER;
    let p = P[0] + r * (P[1] + r * (P[2] + r * (P[3] + r * P[4])));
    let e = 1.0 + (r + r * r * p);
    let n = n as i32;
    let half = n >> 1;
    e * power_of_2_scalar(half) * power_of_2_scalar(n - half)
}

/// 2ⁿ for −126 ≤ n ≤ 127, written into the exponent.
#[inline]
fn power_of_2_scalar(n: i32) -> f32 {
    f32::from_bits(((n + 127) << 23) as u32)
}

/// eˣ of four lanes.
#[cfg(target_arch = "aarch64")]
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn exp_neon(x: float32x4_t) -> float32x4_t {
    let x = vmaxq_f32(vdupq_n_f32(LOWEST), x); // NaN stays
    let x = vminq_f32(vdupq_n_f32(HIGHEST), x);
    let n = vrndnq_f32(vmulq_n_f32(x, std::f32::consts::LOG2_E));
    let r = vfmsq_n_f32(x, n, LN_2_UPPER);
    let r = vfmsq_n_f32(r, n, LN_2_LOWER);
    let mut p = vdupq_n_f32(P[4]);
    for c in [P[3], P[2], P[1], P[0], 1.0, 1.0] {
        p = vfmaq_f32(vdupq_n_f32(c), p, r);
    }
    let n = vcvtq_s32_f32(n);
    let half = vshrq_n_s32::<1>(n);
    let rest = vsubq_s32(n, half);
    vmulq_f32(vmulq_f32(p, power_of_2_neon(half)), power_of_2_neon(rest))
}

/// 2ⁿ of four lanes.
#[cfg(target_arch = "aarch64")]
#[inline]
#[target_feature(enable = "neon")]
fn power_of_2_neon(n: int32x4_t) -> float32x4_t {
    vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(n, vdupq_n_s32(127))))
}

/// eˣ of eight lanes.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn exp_avx2(x: __m256) -> __m256 {
    // min and max return their second operand when one is NaN: x comes second.
    let x = _mm256_max_ps(_mm256_set1_ps(LOWEST), x);
    let x = _mm256_min_ps(_mm256_set1_ps(HIGHEST), x);
    let n = _mm256_mul_ps(x, _mm256_set1_ps(std::f32::consts::LOG2_E));
    let n = _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(n);
    let r = _mm256_fnmadd_ps(n, _mm256_set1_ps(LN_2_UPPER), x);
    let r = _mm256_fnmadd_ps(n, _mm256_set1_ps(LN_2_LOWER), r);
    let mut p = _mm256_set1_ps(P[4]);
    for c in [P[3], P[2], P[1], P[0], 1.0, 1.0] {
        p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(c));
    }
    let n = _mm256_cvtps_epi32(n);
    let half = _mm256_srai_epi32::<1>(n);
    let rest = _mm256_sub_epi32(n, half);
    _mm256_mul_ps(_mm256_mul_ps(p, power_of_2_avx2(half)), power_of_2_avx2(rest))
}

/// 2ⁿ of eight lanes.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2,fma")]
fn power_of_2_avx2(n: __m256i) -> __m256 {
    let biased = _mm256_add_epi32(n, _mm256_set1_epi32(127));
    _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
}

/// eˣ of sixteen lanes.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
pub(crate) fn exp_avx512(x: __m512) -> __m512 {
    let x = _mm512_max_ps(_mm512_set1_ps(LOWEST), x);
    let x = _mm512_min_ps(_mm512_set1_ps(HIGHEST), x);
    let n = _mm512_mul_ps(x, _mm512_set1_ps(std::f32::consts::LOG2_E));
    let n = _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(n);
    let r = _mm512_fnmadd_ps(n, _mm512_set1_ps(LN_2_UPPER), x);
    let r = _mm512_fnmadd_ps(n, _mm512_set1_ps(LN_2_LOWER), r);
    let mut p = _mm512_set1_ps(P[4]);
    for c in [P[3], P[2], P[1], P[0], 1.0, 1.0] {
        p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(c));
    }
    _mm512_scalef_ps(p, n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    use crate::Vectors;
    use crate::ulp::{assert_ulps, floats};

    fn exp(isa: Isa, x: &mut [f32]) {
        match isa.vectors() {
            // SAFETY: the isa proves NEON.
            #[cfg(target_arch = "aarch64")]
            Vectors::Neon => unsafe { all4(x) },
            // SAFETY: the isa proves AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx2 => unsafe { all8(x) },
            // SAFETY: the isa proves AVX-512.
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx512 => unsafe { all16(x) },
            _ => x.iter_mut().for_each(|x| *x = exp_scalar(*x)),
        }
    }

    #[cfg(target_arch = "aarch64")]
    #[target_feature(enable = "neon")]
    fn all4(x: &mut [f32]) {
        crate::lanes::map4(x, |_, x| exp_neon(x));
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn all8(x: &mut [f32]) {
        crate::lanes::map8(x, |_, x| exp_avx2(x));
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512dq")]
    fn all16(x: &mut [f32]) {
        crate::lanes::map16(x, |_, x| exp_avx512(x));
    }

    #[test]
    fn exp_of_every_kind_of_float_is_within_one_ulp_on_every_level() {
        let x = floats(997);
        for isa in Isa::available() {
            let mut y = x.clone();
            exp(isa, &mut y);
            let want = x.iter().map(|&x| (x as f64).exp());
            assert_ulps(1.0, x.iter().zip(&y).zip(want).map(|((&x, &y), want)| (x, y, want)));
        }
    }

    #[test]
    fn exp_ends_at_zero_and_infinity_and_keeps_nan() {
        for isa in Isa::available() {
            let mut x = [f32::NEG_INFINITY, -104.0, -0.0, 0.0, 89.0, f32::INFINITY, f32::NAN];
            exp(isa, &mut x);
            assert_eq!(x[..6], [0.0, 0.0, 1.0, 1.0, f32::INFINITY, f32::INFINITY]);
            assert!(x[6].is_nan());
        }
    }
}
