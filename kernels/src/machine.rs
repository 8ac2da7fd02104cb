//! What this CPU could do at best: multiply-adds in registers, with nothing to load.
//!
//! ```text
//! xᵢ = xᵢ · a + b      in 12 registers at once, again and again
//! ```
//!
//! Twelve sums are open at a time, more than the eight that fill two units of four cycles each.
//! Time it, and the quotient is the peak that a matrix product is measured against.

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::*;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::hint::black_box;

use crate::Isa;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::Vectors;

/// Sums open at a time.
const OPEN: usize = 12;

/// Does `rounds` times 12 multiply-adds of a register of this level; returns how many flops that is.
pub fn multiply_add(isa: Isa, rounds: usize) -> usize {
    let lanes = match isa.vectors() {
        // SAFETY: the isa proves AVX2 and FMA.
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx2 => unsafe { multiply_add_avx2(rounds) },
        // SAFETY: the isa proves AVX-512.
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx512 => unsafe { multiply_add_avx512(rounds) },
        // SAFETY: the isa proves NEON.
        #[cfg(target_arch = "aarch64")]
        Vectors::Neon => unsafe { multiply_add_neon(rounds) },
        _ => multiply_add_scalar(rounds),
    };
    2 * lanes * OPEN * rounds
}

fn multiply_add_scalar(rounds: usize) -> usize {
    let (a, b) = black_box((0.5f32, 1.0f32));
    let mut x = [0.0f32; OPEN];
    for _ in 0..rounds {
        x = black_box(x.map(|x| x * a + b));
    }
    1
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn multiply_add_avx2(rounds: usize) -> usize {
    let (a, b) = black_box((_mm256_set1_ps(0.5), _mm256_set1_ps(1.0)));
    let mut x = [_mm256_setzero_ps(); OPEN];
    for _ in 0..rounds {
        for x in &mut x {
            *x = _mm256_fmadd_ps(*x, a, b);
        }
    }
    black_box(x);
    8
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn multiply_add_avx512(rounds: usize) -> usize {
    let (a, b) = black_box((_mm512_set1_ps(0.5), _mm512_set1_ps(1.0)));
    let mut x = [_mm512_setzero_ps(); OPEN];
    for _ in 0..rounds {
        for x in &mut x {
            *x = _mm512_fmadd_ps(*x, a, b);
        }
    }
    black_box(x);
    16
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn multiply_add_neon(rounds: usize) -> usize {
    let (a, b) = black_box((vdupq_n_f32(0.5), vdupq_n_f32(1.0)));
    let mut x = [vdupq_n_f32(0.0); OPEN];
    for _ in 0..rounds {
        for x in &mut x {
            *x = vfmaq_f32(b, *x, a);
        }
    }
    black_box(x);
    4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flops_are_counted_as_two_a_lane() {
        for isa in Isa::available() {
            let flops = multiply_add(isa, 10);
            assert!(flops >= 2 * OPEN * 10 && flops.is_multiple_of(2 * OPEN * 10));
        }
    }
}
