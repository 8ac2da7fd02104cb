//! Narrow products: one dot product per output, for the heads that have one or a few.
//!
//! ```text
//! cᵢⱼ = Σₗ aᵢₗ wⱼₗ
//! ```
//!
//! a `[m, k]`, W `[n, k]`, n ≤ 64. The discriminator's head has n = 1: a is read once, nothing
//! can be reused, and a tile that packs W would be slower than the sum itself. Each lane
//! sums every 8th (16th) product, then the lanes are added: the order depends on k alone.
//!
//! Cost: 2mnk flops, mk values read: bound by memory for n = 1.
//!
//! | level   | lanes | trick |
//! |---------|-------|-------|
//! | scalar  | 1     | |
//! | AVX2    | 8     | lanes beyond k hold 0 |
//! | AVX-512 | 16    | the same |

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use crate::{Isa, MatMut, MatRef, parallel};
#[cfg(target_arch = "x86_64")]
use crate::{Level, lanes::*};

/// c `[m, n]` = a `[m, k]` · Wᵀ, W `[n, k]`.
pub(crate) fn product_nt(isa: Isa, a: MatRef<f32>, w: MatRef<f32>, c: MatMut<f32>) {
    parallel::over_rows(c, w.rows() * w.cols(), |first, mut c| {
        for i in 0..c.rows() {
            let a = a.row(first + i);
            for (j, c) in c.row_mut(i).iter_mut().enumerate() {
                *c = match isa.level() {
                    // SAFETY: the isa proves AVX2 and FMA.
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx2 => unsafe { dot_avx2(a, w.row(j)) },
                    // SAFETY: the isa proves AVX-512.
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx512 => unsafe { dot_avx512(a, w.row(j)) },
                    _ => dot_scalar(a, w.row(j)),
                };
            }
        }
    });
}

fn dot_scalar(a: &[f32], w: &[f32]) -> f32 {
    a.iter().zip(w).fold(0.0, |sum, (a, w)| sum + a * w)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn dot_avx2(a: &[f32], w: &[f32]) -> f32 {
    let mut sum = _mm256_setzero_ps();
    for i in (0..a.len()).step_by(8) {
        sum = _mm256_fmadd_ps(load8(a, i), load8(w, i), sum);
    }
    sum8(sum)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq")]
fn dot_avx512(a: &[f32], w: &[f32]) -> f32 {
    let mut sum = _mm512_setzero_ps();
    for i in (0..a.len()).step_by(16) {
        sum = _mm512_fmadd_ps(load16(a, i), load16(w, i), sum);
    }
    _mm512_reduce_add_ps(sum)
}
