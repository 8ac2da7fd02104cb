//! GELU and the other activations that an ELECTRA config may name (`hidden_act`), element by element.
//!
//! ```text
//! Gelu       x Φ(x) = x/2 (1 + erf(x/√2))
//! RoughGelu  the same, to what bf16 can tell: `rough_gelu.rs`
//! GeluTanh   x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))
//! Relu       max(x, 0)
//! Silu       x σ(x)                       σ(x) = 1 / (1 + e⁻ˣ)
//! Tanh       tanh x
//! QuickGelu  x σ(1.702 x)
//! Linear     x
//! ```
//!
//! In place on `[t, c]`; as the epilogue of a matrix product tile by tile.
//! Error of every other: below 1e-6 + 1e-6·|y|. For x < −3 that is absolute, not relative:
//! 1 + erf cancels there, as it does in PyTorch, and the value matters to nobody.
//! Sources: Hendrycks & Gimpel, arXiv:1606.08415 (GELU, its tanh and sigmoid forms);
//! Elfwing et al., arXiv:1702.03118 (SiLU).
//!
//! Cost: about 35 flops and 8 bytes an element: bound by arithmetic. A network of hidden
//! size c computes 4c of them per token and layer, so they must not be scalar.
//!
//! | level   | lanes | trick |
//! |---------|-------|-------|
//! | scalar  | 1     | |
//! | NEON    | 4     | one loop per activation, the function inlined into it |
//! | AVX2    | 8     | the same |
//! | AVX-512 | 16    | the same |

mod backward;

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::*;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::f32::consts::FRAC_1_SQRT_2;

pub use backward::gelu_backward;

use crate::cuda::{Launch, blocks, constant};
use crate::exp::*;
use crate::rough_gelu::*;
use crate::saturating::*;
use crate::{Isa, MatMut, parallel};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::{Vectors, lanes::*};

/// An element-wise non-linearity; the formulas stand at the top of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x Φ(x), exact: `gelu`.
    Gelu,
    /// The same for a product in bf16 or int8, as [`gemm`](crate::gemm::gemm()) chooses by itself: off by at most
    /// 1.9e-4, by half an ulp of bf16 from 0.1 on.
    RoughGelu,
    /// Its tanh form: `gelu_new`, `gelu_pytorch_tanh`.
    GeluTanh,
    /// max(x, 0): `relu`.
    Relu,
    /// x σ(x): `silu`, `swish`.
    Silu,
    /// tanh x: `tanh`.
    Tanh,
    /// x σ(1.702 x): `quick_gelu`.
    QuickGelu,
    /// x: `linear`.
    Linear,
}

impl Activation {
    /// One value, by the reference.
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Activation::Gelu => 0.5 * x * (1.0 + saturating_scalar(&ERF, x * FRAC_1_SQRT_2)),
            Activation::RoughGelu => rough_gelu_scalar(x),
            Activation::GeluTanh => {
                let inner = SQRT_2_OVER_PI * (x + CUBIC * (x * x * x));
                0.5 * x * (1.0 + saturating_scalar(&TANH, inner))
            }
            Activation::Relu if x < 0.0 => 0.0,
            Activation::Relu => x, // and NaN stays NaN
            Activation::Silu => x * sigmoid(x),
            Activation::Tanh => saturating_scalar(&TANH, x),
            Activation::QuickGelu => x * sigmoid(QUICK * x),
            Activation::Linear => x,
        }
    }
}

/// σ(x) = 1 / (1 + e⁻ˣ): a logit as a probability.
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp_scalar(-x))
}

const SQRT_2_OVER_PI: f32 = 0.797_884_6;
const CUBIC: f32 = 0.044_715;
const QUICK: f32 = 1.702;

/// x = activation(x) for every element of x `[t, c]`, in place.
pub fn activate(isa: Isa, activation: Activation, x: MatMut<f32>) {
    if activation != Activation::Linear {
        let c = x.cols();
        parallel::over_rows(x, c, |_, x| activate_rows(isa, activation, x));
    }
}

/// The same on this thread alone: for a caller that is one of many already.
pub(crate) fn activate_rows(isa: Isa, activation: Activation, x: MatMut<f32>) {
    match isa.vectors() {
        // SAFETY: the isa proves NEON.
        #[cfg(target_arch = "aarch64")]
        Vectors::Neon => unsafe { activate_neon(activation, x) },
        // SAFETY: the isa proves AVX2 and FMA.
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx2 => unsafe { activate_avx2(activation, x) },
        // SAFETY: the isa proves AVX-512.
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx512 => unsafe { activate_avx512(activation, x) },
        _ => activate_scalar(activation, x),
    }
}

fn activate_scalar(activation: Activation, mut x: MatMut<f32>) {
    for i in 0..x.rows() {
        for x in x.row_mut(i) {
            *x = activation.apply(*x);
        }
    }
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn activate_neon(activation: Activation, x: MatMut<f32>) {
    let one = vdupq_n_f32(1.0);
    let sigmoid = |x| vdivq_f32(one, vaddq_f32(one, exp_neon(vnegq_f32(x))));
    // x/2 (1 + f)
    let gated = |x, f| {
        let x = vmulq_n_f32(x, 0.5);
        vfmaq_f32(x, x, f)
    };
    match activation {
        Activation::Gelu => {
            map_rows4(x, |x| gated(x, saturating_neon(&ERF, vmulq_n_f32(x, FRAC_1_SQRT_2))))
        }
        Activation::RoughGelu => map_rows4(x, |x| rough_gelu_neon(x)),
        Activation::GeluTanh => map_rows4(x, |x| {
            let cube = vmulq_f32(vmulq_f32(x, x), x);
            let inner = vmulq_n_f32(vfmaq_n_f32(x, cube, CUBIC), SQRT_2_OVER_PI);
            gated(x, saturating_neon(&TANH, inner))
        }),
        Activation::Relu => map_rows4(x, |x| vmaxq_f32(vdupq_n_f32(0.0), x)),
        Activation::Silu => map_rows4(x, |x| vmulq_f32(x, sigmoid(x))),
        Activation::Tanh => map_rows4(x, |x| saturating_neon(&TANH, x)),
        Activation::QuickGelu => map_rows4(x, |x| vmulq_f32(x, sigmoid(vmulq_n_f32(x, QUICK)))),
        Activation::Linear => {}
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn activate_avx2(activation: Activation, x: MatMut<f32>) {
    let half = _mm256_set1_ps(0.5);
    let sigmoid = |x| {
        let e = exp_avx2(_mm256_sub_ps(_mm256_setzero_ps(), x));
        _mm256_div_ps(_mm256_set1_ps(1.0), _mm256_add_ps(_mm256_set1_ps(1.0), e))
    };
    // x/2 (1 + f)
    let gated = |x, f| {
        let x = _mm256_mul_ps(half, x);
        _mm256_fmadd_ps(x, f, x)
    };
    match activation {
        Activation::Gelu => map_rows8(x, |x| {
            let inner = _mm256_mul_ps(x, _mm256_set1_ps(FRAC_1_SQRT_2));
            gated(x, saturating_avx2(&ERF, inner))
        }),
        Activation::RoughGelu => map_rows8(x, |x| rough_gelu_avx2(x)),
        Activation::GeluTanh => map_rows8(x, |x| {
            let cube = _mm256_mul_ps(_mm256_mul_ps(x, x), x);
            let inner = _mm256_fmadd_ps(_mm256_set1_ps(CUBIC), cube, x);
            let inner = _mm256_mul_ps(_mm256_set1_ps(SQRT_2_OVER_PI), inner);
            gated(x, saturating_avx2(&TANH, inner))
        }),
        Activation::Relu => map_rows8(x, |x| _mm256_max_ps(_mm256_setzero_ps(), x)),
        Activation::Silu => map_rows8(x, |x| _mm256_mul_ps(x, sigmoid(x))),
        Activation::Tanh => map_rows8(x, |x| saturating_avx2(&TANH, x)),
        Activation::QuickGelu => {
            map_rows8(x, |x| _mm256_mul_ps(x, sigmoid(_mm256_mul_ps(_mm256_set1_ps(QUICK), x))))
        }
        Activation::Linear => {}
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq")]
fn activate_avx512(activation: Activation, x: MatMut<f32>) {
    let half = _mm512_set1_ps(0.5);
    let sigmoid = |x| {
        let e = exp_avx512(_mm512_sub_ps(_mm512_setzero_ps(), x));
        _mm512_div_ps(_mm512_set1_ps(1.0), _mm512_add_ps(_mm512_set1_ps(1.0), e))
    };
    // x/2 (1 + f)
    let gated = |x, f| {
        let x = _mm512_mul_ps(half, x);
        _mm512_fmadd_ps(x, f, x)
    };
    match activation {
        Activation::Gelu => map_rows16(x, |x| {
            let inner = _mm512_mul_ps(x, _mm512_set1_ps(FRAC_1_SQRT_2));
            gated(x, saturating_avx512(&ERF, inner))
        }),
        Activation::RoughGelu => map_rows16(x, |x| rough_gelu_avx512(x)),
        Activation::GeluTanh => map_rows16(x, |x| {
            let cube = _mm512_mul_ps(_mm512_mul_ps(x, x), x);
            let inner = _mm512_fmadd_ps(_mm512_set1_ps(CUBIC), cube, x);
            let inner = _mm512_mul_ps(_mm512_set1_ps(SQRT_2_OVER_PI), inner);
            gated(x, saturating_avx512(&TANH, inner))
        }),
        Activation::Relu => map_rows16(x, |x| _mm512_max_ps(_mm512_setzero_ps(), x)),
        Activation::Silu => map_rows16(x, |x| _mm512_mul_ps(x, sigmoid(x))),
        Activation::Tanh => map_rows16(x, |x| saturating_avx512(&TANH, x)),
        Activation::QuickGelu => {
            map_rows16(x, |x| _mm512_mul_ps(x, sigmoid(_mm512_mul_ps(_mm512_set1_ps(QUICK), x))))
        }
        Activation::Linear => {}
    }
}

impl Activation {
    /// How kernels on a GPU are asked for it.
    pub fn number(self) -> i32 {
        match self {
            Activation::Gelu | Activation::RoughGelu => 0,
            Activation::GeluTanh => 1,
            Activation::Relu => 2,
            Activation::Silu => 3,
            Activation::Tanh => 4,
            Activation::QuickGelu => 5,
            Activation::Linear => 6,
        }
    }
}

/// On a GPU: x in place, a thread a value.
pub fn gelu_launch(len: usize) -> Launch {
    const THREADS: u32 = constant(include_str!("gelu.cu"), "GELU_THREADS");
    let grid = [blocks(len, THREADS), 1];
    Launch { file: "gelu", kernel: "gelu", grid, threads: THREADS, shared: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_come_out() {
        // Φ(1) and Φ(2) from the table of the normal distribution.
        for (x, y) in [(0.0, 0.0), (1.0, 0.841_344_8), (-1.0, -0.158_655_25), (2.0, 1.954_499_7)] {
            assert!((Activation::Gelu.apply(x) - y).abs() < 3e-7, "gelu({x})");
        }
        assert!((Activation::GeluTanh.apply(1.0) - 0.841_192).abs() < 1e-6);
        assert!((Activation::Silu.apply(1.0) - 0.731_058_6).abs() < 1e-6);
        assert!((Activation::QuickGelu.apply(1.0) - 0.845_795_8).abs() < 1e-6);
        assert!((Activation::Tanh.apply(0.5) - 0.462_117_16).abs() < 1e-6);
        assert_eq!((Activation::Relu.apply(-2.0), Activation::Relu.apply(2.0)), (0.0, 2.0));
        assert_eq!(Activation::Linear.apply(-0.1), -0.1);
    }

    #[test]
    fn far_from_zero_gelu_is_the_identity_or_zero() {
        for activation in [Activation::Gelu, Activation::GeluTanh] {
            assert_eq!(activation.apply(1e30), 1e30);
            assert_eq!(activation.apply(-1e30), 0.0);
            assert!(activation.apply(f32::NAN).is_nan());
        }
    }

    #[test]
    fn sigmoid_is_symmetric_and_ends_at_zero_and_one() {
        assert_eq!((sigmoid(0.0), sigmoid(200.0), sigmoid(-200.0)), (0.5, 1.0, 0.0));
        assert!((sigmoid(1.5) + sigmoid(-1.5) - 1.0).abs() < 1e-7);
    }
}
