//! Cross-entropy over a vocabulary, and its gradient in the place of the logits.
//!
//! ```text
//! loss = −ln pₖ = ln Σⱼ e^zⱼ − zₖ        p = softmax(z), k the right word
//! ∂loss/∂zⱼ = pⱼ − [j = k]
//! ```
//!
//! The derivative of ln Σ e^z is e^zⱼ / Σ e^z = pⱼ: each logit is pushed by the probability that it
//! holds, and the right one pulled by 1. So the gradient needs no more than the softmax does, and both are made in
//! one sweep while a row is in cache: z `[m, v]` becomes scale · ∂loss/∂z in place. The caller makes
//! m as small as it likes: a batch's logits need never be there all at once.
//!
//! losses `[m]`, targets `[m]`. Errors are those of `log_sum_exp.rs` and `exp.rs`: some 3e-6 of p.
//!
//! Cost: 26 flops and 12 bytes an element, three passes. Bound by arithmetic.
//!
//! | level   | lanes | trick |
//! |---------|-------|-------|
//! | scalar  | 1     | |
//! | NEON    | 4     | the right word is mended after the sweep |
//! | AVX2    | 8     | the same |
//! | AVX-512 | 16    | the same |

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::*;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use crate::exp::*;
use crate::log_sum_exp::log_sum_exp;
use crate::matrix::Apart;
use crate::{Isa, MatMut, parallel};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::{Vectors, lanes::*};

/// losses `[m]` of logits z `[m, v]` where targets `[m]` are right; z becomes scale · ∂loss/∂z.
pub fn cross_entropy(isa: Isa, targets: &[u32], scale: f32, z: MatMut<f32>, losses: &mut [f32]) {
    let (m, v) = (z.rows(), z.cols());
    assert!(targets.len() == m, "{} targets for {m} rows", targets.len());
    assert!(losses.len() == m, "{} losses for {m} rows", losses.len());
    for &target in targets {
        assert!((target as usize) < v, "target {target} in a vocabulary of {v}");
    }
    let losses = Apart::new(MatMut::new(losses, m, 1));
    parallel::over_rows(z, v, |first, mut z| {
        // SAFETY: blocks of rows have none in common, and each is asked for once.
        let mut losses = unsafe { losses.block(first..first + z.rows(), 0..1) };
        for i in 0..z.rows() {
            let (z, target) = (z.row_mut(i), targets[first + i] as usize);
            let total = log_sum_exp(isa, z);
            losses.row_mut(i)[0] = total - z[target];
            match isa.vectors() {
                // SAFETY: the isa proves NEON.
                #[cfg(target_arch = "aarch64")]
                Vectors::Neon => unsafe { probabilities_neon(total, scale, z) },
                // SAFETY: the isa proves AVX2 and FMA.
                #[cfg(target_arch = "x86_64")]
                Vectors::Avx2 => unsafe { probabilities_avx2(total, scale, z) },
                // SAFETY: the isa proves AVX-512.
                #[cfg(target_arch = "x86_64")]
                Vectors::Avx512 => unsafe { probabilities_avx512(total, scale, z) },
                _ => probabilities_scalar(total, scale, z),
            }
            z[target] -= scale;
        }
    });
}

/// z = scale · e^(z − total).
fn probabilities_scalar(total: f32, scale: f32, z: &mut [f32]) {
    for z in z {
        *z = scale * exp_scalar(*z - total);
    }
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn probabilities_neon(total: f32, scale: f32, z: &mut [f32]) {
    let total = vdupq_n_f32(total);
    map4(z, |_, z| vmulq_n_f32(exp_neon(vsubq_f32(z, total)), scale));
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn probabilities_avx2(total: f32, scale: f32, z: &mut [f32]) {
    let (total, scale) = (_mm256_set1_ps(total), _mm256_set1_ps(scale));
    map8(z, |_, z| _mm256_mul_ps(scale, exp_avx2(_mm256_sub_ps(z, total))));
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq")]
fn probabilities_avx512(total: f32, scale: f32, z: &mut [f32]) {
    let (total, scale) = (_mm512_set1_ps(total), _mm512_set1_ps(scale));
    map16(z, |_, z| _mm512_mul_ps(scale, exp_avx512(_mm512_sub_ps(z, total))));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;
    use crate::differences::{WIDTHS, assert_near, assert_near_f32, gradient, values};

    fn run(isa: Isa, z: &[f32], targets: &[u32], scale: f32) -> (Vec<f32>, Vec<f32>) {
        let (mut dz, m) = (z.to_vec(), targets.len());
        let mut losses = vec![f32::NAN; m];
        let v = z.len() / m;
        cross_entropy(isa, targets, scale, MatMut::new(&mut dz, m, v), &mut losses);
        (losses, dz)
    }

    #[test]
    fn of_two_equal_logits_each_has_a_half_and_the_loss_is_ln_2() {
        for isa in Isa::available() {
            let (losses, dz) = run(isa, &[3.0, 3.0], &[1], 10.0);
            assert!((losses[0] - 2f32.ln()).abs() < 1e-6);
            assert!((dz[0] - 5.0).abs() < 1e-5 && (dz[1] + 5.0).abs() < 1e-5);
        }
    }

    #[test]
    fn the_reference_agrees_with_central_differences() {
        let (targets, v) = ([0, 6, 3], 7);
        let z: Vec<f32> = values(1, 3 * v).iter().map(|z| 4.0 * z).collect();
        let loss = |z: &[f64]| -> f64 {
            let rows = z.chunks(v).zip(targets);
            let row =
                |(z, k): (&[f64], u32)| z.iter().map(|z| z.exp()).sum::<f64>().ln() - z[k as usize];
            0.25 * rows.map(row).sum::<f64>()
        };
        let (losses, dz) = run(Isa::new(Level::Scalar).unwrap(), &z, &targets, 0.25);
        assert_near(&dz, &gradient(&z, loss), 5e-6);
        let z: Vec<f64> = z.iter().map(|&z| z.into()).collect();
        assert!((0.25 * f64::from(losses.iter().sum::<f32>()) - loss(&z)).abs() < 1e-5);
    }

    #[test]
    fn every_level_agrees_with_the_reference_at_every_width() {
        for v in WIDTHS.into_iter().chain([1000]) {
            let (z, targets) = (values(2, 3 * v), [0, v as u32 / 2, v as u32 - 1]);
            let want = run(Isa::new(Level::Scalar).unwrap(), &z, &targets, 0.5);
            for isa in Isa::available() {
                let got = run(isa, &z, &targets, 0.5);
                // With one word its loss is 0, and p − 1 what rounding leaves.
                if v > 1 {
                    assert_near_f32(&got.0, &want.0, 3e-6);
                    assert_near_f32(&got.1, &want.1, 3e-6);
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "target 2 in a vocabulary of 2")]
    fn a_target_outside_the_vocabulary_is_refused() {
        run(Isa::best(), &[0.0, 0.0], &[2], 1.0);
    }
}
