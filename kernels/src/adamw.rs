//! AdamW as ELECTRA uses it: one step of the optimiser.
//!
//! ```text
//! g = scale · gradient
//! m = β₁ m + (1 − β₁) g         what the gradient has been of late
//! v = β₂ v + (1 − β₂) g²        and its square
//! θ = θ − η (m / (√v + ε) + λ θ)
//! ```
//!
//! θ, gradient, m, v all `[n]`. m/√v is about ±1 where gradients agree and small where they contradict each other, so η is
//! the length of a step whatever the scale of a gradient. The decay λ acts on θ alone, apart from m and v: that is the W.
//! Unlike the textbook's, m and v are not divided by 1 − βᵗ for having begun at zero; warm-up does that
//! office. Sources: Kingma & Ba, arXiv:1412.6980; Loshchilov & Hutter, arXiv:1711.05101; google-research/electra,
//! `model/optimization.py`, whose constants are β₁ 0.9, β₂ 0.999, ε 1e-6, λ 0.01 (0 for biases and
//! layer norms).
//!
//! `squared_norm` is what clipping asks: scale = min(1, limit / ‖all gradients‖).
//!
//! Cost: 14 flops and 28 bytes an element. Bound by memory.
//!
//! | level   | lanes | trick |
//! |---------|-------|-------|
//! | scalar  | 1     | |
//! | NEON    | 4     | |
//! | AVX2    | 8     | |
//! | AVX-512 | 16    | |

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::*;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::cell::Cell;

use crate::matrix::Apart;
use crate::{Isa, MatMut, parallel};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::{Vectors, lanes::*};

/// The constants of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// η.
    pub rate: f32,
    /// β₁ and β₂, in f64: of 0.999 in f32, 1 − β₂ would be off by 1e-5 of itself.
    pub betas: [f64; 2],
    /// ε, beside √v.
    pub epsilon: f32,
    /// λ.
    pub decay: f32,
    /// What gradients are multiplied by first: clipping.
    pub scale: f32,
}

impl AdamW {
    /// β and 1 − β of both.
    fn shares(&self) -> [[f32; 2]; 2] {
        [self.betas.map(|beta| beta as f32), self.betas.map(|beta| (1.0 - beta) as f32)]
    }
}

/// Values of a piece; and those that are squared and added up in f32.
const PIECE: usize = 4096;

/// One step: `parameters`, `m` and `v` `[n]` move by `gradients` `[n]`.
pub fn adamw(
    isa: Isa,
    step: &AdamW,
    gradients: &[f32],
    parameters: &mut [f32],
    m: &mut [f32],
    v: &mut [f32],
) {
    let n = parameters.len();
    assert!(gradients.len() == n, "{} gradients for {n} parameters", gradients.len());
    assert!((m.len(), v.len()) == (n, n), "moments of {} and {} for {n}", m.len(), v.len());
    let [parameters, m, v] = [parameters, m, v].map(|x| Apart::new(MatMut::new(x, 1, n)));
    parallel::each(n.div_ceil(PIECE), &|piece| {
        let place = piece * PIECE..n.min((piece + 1) * PIECE);
        let g = &gradients[place.clone()];
        // SAFETY: pieces follow one another, and each is asked for once.
        let [mut p, mut m, mut v] =
            [&parameters, &m, &v].map(|x| unsafe { x.block(0..1, place.clone()) });
        let (p, m, v) = (p.row_mut(0), m.row_mut(0), v.row_mut(0));
        match isa.vectors() {
            // SAFETY: the isa proves NEON.
            #[cfg(target_arch = "aarch64")]
            Vectors::Neon => unsafe { adamw_neon(step, g, p, m, v) },
            // SAFETY: the isa proves AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx2 => unsafe { adamw_avx2(step, g, p, m, v) },
            // SAFETY: the isa proves AVX-512.
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx512 => unsafe { adamw_avx512(step, g, p, m, v) },
            _ => adamw_scalar(step, g, p, m, v),
        }
    });
}

fn adamw_scalar(step: &AdamW, g: &[f32], p: &mut [f32], m: &mut [f32], v: &mut [f32]) {
    let [[beta1, beta2], [rest1, rest2]] = step.shares();
    for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
        let g = step.scale * g;
        *m = beta1 * *m + rest1 * g;
        *v = beta2 * *v + rest2 * (g * g);
        *p -= step.rate * (*m / (v.sqrt() + step.epsilon) + step.decay * *p);
    }
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn adamw_neon(step: &AdamW, g: &[f32], p: &mut [f32], m: &mut [f32], v: &mut [f32]) {
    let [[beta1, beta2], [rest1, rest2]] = step.shares();
    for i in (0..p.len()).step_by(4) {
        let g = vmulq_n_f32(load4(g, i), step.scale);
        let mean = vfmaq_n_f32(vmulq_n_f32(load4(m, i), beta1), g, rest1);
        let square = vmulq_f32(g, g);
        let square = vfmaq_n_f32(vmulq_n_f32(load4(v, i), beta2), square, rest2);
        let root = vaddq_f32(vsqrtq_f32(square), vdupq_n_f32(step.epsilon));
        let old = load4(p, i);
        let change = vfmaq_n_f32(vdivq_f32(mean, root), old, step.decay);
        store4(m, i, mean);
        store4(v, i, square);
        store4(p, i, vfmsq_n_f32(old, change, step.rate));
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn adamw_avx2(step: &AdamW, g: &[f32], p: &mut [f32], m: &mut [f32], v: &mut [f32]) {
    let [[beta1, beta2], [rest1, rest2]] = step.shares();
    let all = |x: f32| _mm256_set1_ps(x);
    for i in (0..p.len()).step_by(8) {
        let g = _mm256_mul_ps(load8(g, i), all(step.scale));
        let mean = _mm256_mul_ps(all(beta1), load8(m, i));
        let mean = _mm256_fmadd_ps(all(rest1), g, mean);
        let square = _mm256_mul_ps(all(beta2), load8(v, i));
        let square = _mm256_fmadd_ps(all(rest2), _mm256_mul_ps(g, g), square);
        let root = _mm256_add_ps(_mm256_sqrt_ps(square), all(step.epsilon));
        let old = load8(p, i);
        let change = _mm256_fmadd_ps(all(step.decay), old, _mm256_div_ps(mean, root));
        store8(m, i, mean);
        store8(v, i, square);
        store8(p, i, _mm256_fnmadd_ps(all(step.rate), change, old));
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq")]
fn adamw_avx512(step: &AdamW, g: &[f32], p: &mut [f32], m: &mut [f32], v: &mut [f32]) {
    let [[beta1, beta2], [rest1, rest2]] = step.shares();
    let all = |x: f32| _mm512_set1_ps(x);
    for i in (0..p.len()).step_by(16) {
        let g = _mm512_mul_ps(load16(g, i), all(step.scale));
        let mean = _mm512_mul_ps(all(beta1), load16(m, i));
        let mean = _mm512_fmadd_ps(all(rest1), g, mean);
        let square = _mm512_mul_ps(all(beta2), load16(v, i));
        let square = _mm512_fmadd_ps(all(rest2), _mm512_mul_ps(g, g), square);
        let root = _mm512_add_ps(_mm512_sqrt_ps(square), all(step.epsilon));
        let old = load16(p, i);
        let change = _mm512_fmadd_ps(all(step.decay), old, _mm512_div_ps(mean, root));
        store16(m, i, mean);
        store16(v, i, square);
        store16(p, i, _mm512_fnmadd_ps(all(step.rate), change, old));
    }
}

thread_local! {
    /// The sums of all pieces, with who leads.
    static SUMS: Cell<Vec<f64>> = const { Cell::new(Vec::new()) };
}

/// Σ x²: 4,096 squares at a time in f32, these sums in order in f64. No number of threads changes a bit.
pub fn squared_norm(isa: Isa, x: &[f32]) -> f64 {
    let pieces = x.len().div_ceil(PIECE);
    let mut sums = SUMS.take();
    sums.clear();
    sums.resize(pieces, 0.0);
    let apart = Apart::new(MatMut::new(&mut sums, pieces, 1));
    parallel::each(pieces, &|piece| {
        let x = &x[piece * PIECE..x.len().min((piece + 1) * PIECE)];
        let sum = match isa.vectors() {
            // SAFETY: the isa proves NEON.
            #[cfg(target_arch = "aarch64")]
            Vectors::Neon => unsafe { squares_neon(x) },
            // SAFETY: the isa proves AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx2 => unsafe { squares_avx2(x) },
            // SAFETY: the isa proves AVX-512.
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx512 => unsafe { squares_avx512(x) },
            _ => squares_scalar(x),
        };
        // SAFETY: each piece is asked for once.
        unsafe { apart.block(piece..piece + 1, 0..1) }.row_mut(0)[0] = sum.into();
    });
    let sum = sums.iter().sum();
    SUMS.set(sums);
    sum
}

fn squares_scalar(x: &[f32]) -> f32 {
    x.iter().map(|x| x * x).sum()
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn squares_neon(x: &[f32]) -> f32 {
    let mut sum = vdupq_n_f32(0.0);
    for i in (0..x.len()).step_by(4) {
        sum = vfmaq_f32(sum, load4(x, i), load4(x, i));
    }
    vaddvq_f32(sum)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn squares_avx2(x: &[f32]) -> f32 {
    let mut sum = _mm256_setzero_ps();
    for i in (0..x.len()).step_by(8) {
        sum = _mm256_fmadd_ps(load8(x, i), load8(x, i), sum);
    }
    sum8(sum)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq")]
fn squares_avx512(x: &[f32]) -> f32 {
    let mut sum = _mm512_setzero_ps();
    for i in (0..x.len()).step_by(16) {
        sum = _mm512_fmadd_ps(load16(x, i), load16(x, i), sum);
    }
    _mm512_reduce_add_ps(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::differences::{assert_near, values};

    const STEP: AdamW =
        AdamW { rate: 0.01, betas: [0.9, 0.999], epsilon: 1e-6, decay: 0.1, scale: 0.5 };

    /// Five steps with gradients of their own, in f64.
    fn five_f64(n: usize) -> [Vec<f64>; 3] {
        let mut p: Vec<f64> = values(0, n).iter().map(|&p| p.into()).collect();
        let (mut m, mut v) = (vec![0.0; n], vec![0.0; n]);
        let [rate, epsilon, decay, scale] =
            [STEP.rate, STEP.epsilon, STEP.decay, STEP.scale].map(f64::from);
        let [beta1, beta2] = STEP.betas;
        for step in 1..=5 {
            for (i, g) in values(step, n).into_iter().enumerate() {
                let g = scale * f64::from(g);
                m[i] = beta1 * m[i] + (1.0 - beta1) * g;
                v[i] = beta2 * v[i] + (1.0 - beta2) * g * g;
                p[i] -= rate * (m[i] / (v[i].sqrt() + epsilon) + decay * p[i]);
            }
        }
        [p, m, v]
    }

    fn five(isa: Isa, n: usize) -> [Vec<f32>; 3] {
        let (mut p, mut m, mut v) = (values(0, n), vec![0.0; n], vec![0.0; n]);
        for step in 1..=5 {
            adamw(isa, &STEP, &values(step, n), &mut p, &mut m, &mut v);
        }
        [p, m, v]
    }

    #[test]
    fn five_steps_agree_with_f64_on_every_level_at_every_length() {
        for n in [1, 3, 4, 5, 7, 8, 9, 15, 16, 17, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 5] {
            for isa in Isa::available() {
                for (got, want) in five(isa, n).iter().zip(&five_f64(n)) {
                    assert_near(got, want, 2e-6);
                }
                let x = values(9, n);
                let want: f64 = x.iter().map(|&x| f64::from(x).powi(2)).sum();
                let got = squared_norm(isa, &x);
                assert!((got - want).abs() <= 1e-5 * want, "{got} for {want}");
            }
        }
    }

    #[test]
    fn the_first_step_is_root_ten_rates_long_and_a_zero_gradient_only_decays() {
        // m = 0.1 g and v = 0.001 g²: without correction m/√v = √10.
        for isa in Isa::available() {
            let (mut p, mut m, mut v) = ([1.0, 1.0], [0.0; 2], [0.0; 2]);
            let step = AdamW { epsilon: 0.0, scale: 1.0, ..STEP };
            adamw(isa, &step, &[-3.0, 1e-20], &mut p, &mut m, &mut v);
            assert!((p[0] - (1.0 + 0.01 * 10f32.sqrt() - 0.001)).abs() < 1e-6, "{p:?}");
            let (mut p, mut m, mut v) = ([1.0], [0.0], [0.0]);
            adamw(isa, &STEP, &[0.0], &mut p, &mut m, &mut v);
            assert_eq!((p, m, v), ([1.0 - 0.01 * 0.1], [0.0], [0.0]));
        }
    }

    #[test]
    fn steps_and_norms_have_the_same_bits_for_any_number_of_threads() {
        for isa in Isa::available() {
            let run = || (five(isa, 5 * PIECE), squared_norm(isa, &values(9, 5 * PIECE)));
            let crew = parallel::Crew::new(3).unwrap();
            assert!(crew.run(run) == run());
        }
    }
}
