//! erf and tanh: odd functions that settle at ±1 (GELU in its exact and its tanh form).
//!
//! ```text
//! erf x = 2/√π ∫₀ˣ e^−t² dt       tanh x = (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ)
//!
//! f(x) = x · P(x²) / Q(x²)   for |x| < limit,   ±1 beyond,   deg P = deg Q = 5
//! ```
//!
//! The limit is where 1 − f < 2⁻²⁵, so that 1 is the nearest f32. Both quotients are
//! minimax in relative error, found by `fit.py`: 1.9e-8 for erf, 3.6e-11 for tanh. Every
//! coefficient is positive, so nothing cancels, and rounding in f32 adds little: the result
//! is within 6 ulp, exactly odd, never beyond ±1, and NaN stays NaN. One form for both
//! costs tanh two multiplications more than it needs and saves a second kernel.
//!
//! Source of the mathematics: Abramowitz & Stegun, 4.5 and 7.1. Cost: 27 flops, one a division.
//!
//! | level   | lanes | trick |
//! |---------|-------|-------|
//! | scalar  | 1     | |
//! | NEON    | 4     | sign and saturation by `bsl`, which selects bit by bit |
//! | AVX2    | 8     | sign by bit operations, saturation by a blend |
//! | AVX-512 | 16    | the blend by a mask register |

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::*;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// The coefficients of one function, lowest power first.
pub(crate) struct Saturating {
    p: [f32; 6],
    q: [f32; 6],
    limit: f32,
}

/// The error function.
#[allow(clippy::approx_constant)] // 2/√π less one ulp: the fit is minimax, not Taylor
pub(crate) const ERF: Saturating = Saturating {
    p: [1.128_379_1, 0.190_595_87, 0.052_769_54, 0.003_772_630_4, 2.848_436e-4, 2.045_988_8e-6],
    q: [1.0, 0.502_243_94, 0.114_183_56, 0.014_983_361, 0.001_163_874, 3.804_738e-5],
    limit: 3.925,
};

/// The hyperbolic tangent.
pub(crate) const TANH: Saturating = Saturating {
    p: [1.0, 0.140_992_16, 0.004_425_958, 4.227_395_4e-5, 1.111_772_36e-7, 3.674_503e-11],
    q: [1.0, 0.474_325_5, 0.029_201_124, 5.008_358e-4, 2.603_874_2e-6, 2.951_218_2e-9],
    limit: 9.02,
};

/// f(x), the reference.
#[inline]
pub(crate) fn saturating_scalar(f: &Saturating, x: f32) -> f32 {
    if x.abs() >= f.limit {
        return 1f32.copysign(x);
    }
    let z = x * x;
    let horner = |c: &[f32; 6]| c.iter().rev().fold(0.0, |sum, &c| sum * z + c);
    (x * horner(&f.p) / horner(&f.q)).clamp(-1.0, 1.0)
}

/// f of four lanes.
#[cfg(target_arch = "aarch64")]
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn saturating_neon(f: &Saturating, x: float32x4_t) -> float32x4_t {
    let one = vdupq_n_f32(1.0);
    let a = vabsq_f32(x);
    let z = vmulq_f32(a, a);
    let (mut p, mut q) = (vdupq_n_f32(f.p[5]), vdupq_n_f32(f.q[5]));
    for i in (0..5).rev() {
        p = vfmaq_f32(vdupq_n_f32(f.p[i]), p, z);
        q = vfmaq_f32(vdupq_n_f32(f.q[i]), q, z);
    }
    let y = vminq_f32(one, vdivq_f32(vmulq_f32(a, p), q)); // NaN stays
    let settled = vcgeq_f32(a, vdupq_n_f32(f.limit));
    let sign = vdupq_n_u32(1 << 31);
    vbslq_f32(sign, x, vbslq_f32(settled, one, y))
}

/// f of eight lanes.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn saturating_avx2(f: &Saturating, x: __m256) -> __m256 {
    let (one, sign) = (_mm256_set1_ps(1.0), _mm256_and_ps(x, _mm256_set1_ps(-0.0)));
    let a = _mm256_xor_ps(x, sign);
    let z = _mm256_mul_ps(a, a);
    let (mut p, mut q) = (_mm256_set1_ps(f.p[5]), _mm256_set1_ps(f.q[5]));
    for i in (0..5).rev() {
        p = _mm256_fmadd_ps(p, z, _mm256_set1_ps(f.p[i]));
        q = _mm256_fmadd_ps(q, z, _mm256_set1_ps(f.q[i]));
    }
    let y = _mm256_div_ps(_mm256_mul_ps(a, p), q);
    let y = _mm256_min_ps(one, y); // the second operand where one is NaN
    let settled = _mm256_cmp_ps::<_CMP_GE_OQ>(a, _mm256_set1_ps(f.limit));
    _mm256_or_ps(_mm256_blendv_ps(y, one, settled), sign)
}

/// f of sixteen lanes.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
pub(crate) fn saturating_avx512(f: &Saturating, x: __m512) -> __m512 {
    let (one, sign) = (_mm512_set1_ps(1.0), _mm512_and_ps(x, _mm512_set1_ps(-0.0)));
    let a = _mm512_xor_ps(x, sign);
    let z = _mm512_mul_ps(a, a);
    let (mut p, mut q) = (_mm512_set1_ps(f.p[5]), _mm512_set1_ps(f.q[5]));
    for i in (0..5).rev() {
        p = _mm512_fmadd_ps(p, z, _mm512_set1_ps(f.p[i]));
        q = _mm512_fmadd_ps(q, z, _mm512_set1_ps(f.q[i]));
    }
    let y = _mm512_div_ps(_mm512_mul_ps(a, p), q);
    let y = _mm512_min_ps(one, y);
    let settled = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(a, _mm512_set1_ps(f.limit));
    _mm512_or_ps(_mm512_mask_mov_ps(y, settled, one), sign)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    use crate::Vectors;
    use crate::ulp::{assert_ulps, floats};

    /// erf by its Taylor series below 3 and the continued fraction of erfc above (A&S 7.1.5, 7.1.14).
    fn erf_f64(x: f64) -> f64 {
        let a = x.abs();
        if a < 3.0 {
            let (mut term, mut sum) = (x, x);
            for n in 1..100 {
                term *= -x * x / n as f64;
                sum += term / (2 * n + 1) as f64;
            }
            sum * std::f64::consts::FRAC_2_SQRT_PI
        } else if a < 6.0 {
            let tail = (1..100).rev().fold(a, |tail, n| a + n as f64 / 2.0 / tail);
            let erfc = (-a * a).exp() / std::f64::consts::PI.sqrt() / tail;
            (1.0 - erfc).copysign(x)
        } else {
            x.signum()
        }
    }

    fn apply(isa: Isa, f: &Saturating, x: &mut [f32]) {
        match isa.vectors() {
            // SAFETY: the isa proves NEON.
            #[cfg(target_arch = "aarch64")]
            Vectors::Neon => unsafe { all4(f, x) },
            // SAFETY: the isa proves AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx2 => unsafe { all8(f, x) },
            // SAFETY: the isa proves AVX-512.
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx512 => unsafe { all16(f, x) },
            _ => x.iter_mut().for_each(|x| *x = saturating_scalar(f, *x)),
        }
    }

    #[cfg(target_arch = "aarch64")]
    #[target_feature(enable = "neon")]
    fn all4(f: &Saturating, x: &mut [f32]) {
        crate::lanes::map4(x, |_, x| saturating_neon(f, x));
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn all8(f: &Saturating, x: &mut [f32]) {
        crate::lanes::map8(x, |_, x| saturating_avx2(f, x));
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512dq")]
    fn all16(f: &Saturating, x: &mut [f32]) {
        crate::lanes::map16(x, |_, x| saturating_avx512(f, x));
    }

    fn assert_six_ulps(f: &Saturating, truth: fn(f64) -> f64) {
        let x = floats(2999);
        for isa in Isa::available() {
            let mut y = x.clone();
            apply(isa, f, &mut y);
            assert!(y.iter().all(|y| y.is_nan() || y.abs() <= 1.0));
            let want = x.iter().map(|&x| truth(x as f64));
            assert_ulps(6.0, x.iter().zip(&y).zip(want).map(|((&x, &y), want)| (x, y, want)));
        }
    }

    #[test]
    fn erf_of_every_kind_of_float_is_within_six_ulp_on_every_level() {
        assert_six_ulps(&ERF, erf_f64);
    }

    #[test]
    fn tanh_of_every_kind_of_float_is_within_six_ulp_on_every_level() {
        assert_six_ulps(&TANH, f64::tanh);
    }

    #[test]
    fn the_f64_erf_of_these_tests_agrees_with_the_printed_table() {
        // Abramowitz & Stegun, table 7.1; the last by the continued fraction.
        for (x, want) in [(0.5, 0.5204998778), (1.0, 0.8427007929), (2.0, 0.9953222650)] {
            assert!((erf_f64(x) - want).abs() < 1e-10 && (erf_f64(-x) + want).abs() < 1e-10);
        }
        assert!((erf_f64(2.999_999_9) - erf_f64(3.0)).abs() < 1e-10);
    }

    #[test]
    fn beyond_the_limit_the_value_is_exactly_one() {
        for isa in Isa::available() {
            for f in [&ERF, &TANH] {
                let mut x = [f.limit, -f.limit, 1e30, -1e30, f32::INFINITY, f32::NEG_INFINITY];
                apply(isa, f, &mut x);
                assert_eq!(x, [1.0, -1.0, 1.0, -1.0, 1.0, -1.0]);
            }
        }
    }
}
