//! int8 with AVX2: tiles of up to 5 × 16, one panel wide.
//!
//! `vpmaddubsw` multiplies bytes without sign by bytes with, and adds neighbours to 16 bits; so the
//! sign goes from the left factor over to the right one, and `vpmaddwd` by ones adds neighbours again:
//!
//! ```text
//! a b  =  |a| · (sign(a) b)          a₀b₀ + a₁b₁  ≤  2 · 127²  =  32,258  <  2¹⁵
//! ```
//!
//! With magnitudes of at most 127 (`quantize.rs`) nothing saturates, and no sum needs correcting. It
//! takes four instructions for 32 multiply-adds, `vpsignb`, `vpmaddubsw`, `vpmaddwd` and `vpaddd`, of which
//! three compete for two ports: at best 43 flops a cycle where f32 has 32.
//!
//! Registers, of 16: 5 · 2 sums, 2 for a group of the panel, 1 of ones, a word of a spread over all
//! lanes, its magnitude, and a product on its way. An AVX-512 without VNNI multiplies like this too.

use std::arch::x86_64::*;

use super::pack::WIDTH;
use super::tile::{Left, Microkernel, Tile, Width};

/// Lanes of a register.
pub(super) const LANES: usize = 8;

/// 2 × 32, 5 × 16.
pub(super) const KERNEL: Microkernel = Microkernel {
    name: "int8 avx2",
    left: Left::Int8 { offset: 0 },
    widths: &[
        Width { panels: 2, heights: &[tile::<1, 2>, tile::<2, 2>] },
        Width {
            panels: 1,
            heights: &[tile::<1, 1>, tile::<2, 1>, tile::<3, 1>, tile::<4, 1>, tile::<5, 1>],
        },
    ],
};

/// ROWS × 16 PANELS.
///
/// # Safety
///
/// The CPU has AVX2 and FMA; `t` describes ROWS rows and PANELS panels as [`Tile`] says.
#[target_feature(enable = "avx2,fma")]
unsafe fn tile<const ROWS: usize, const PANELS: usize>(t: &Tile) {
    let mut sums = [[[_mm256_setzero_si256(); 2]; PANELS]; ROWS];
    // SAFETY: every pointer stays in the rows and panels that the caller answers for: groups l < k.
    unsafe {
        for l in 0..t.k {
            step(&mut sums, t.a.add(l), t.a_stride, t.b.add(l * WIDTH), t.panel_stride);
        }
        store(t, &sums);
    }
}

/// One group of k: four steps.
///
/// # Safety
///
/// As for [`tile`], with a and b at the group.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn step<const ROWS: usize, const PANELS: usize>(
    sums: &mut [[[__m256i; 2]; PANELS]; ROWS],
    a: *const u32,
    a_stride: usize,
    b: *const u32,
    panel_stride: usize,
) {
    let ones = _mm256_set1_epi16(1);
    let mut row = [[_mm256_setzero_si256(); 2]; PANELS];
    for (p, row) in row.iter_mut().enumerate() {
        for (h, row) in row.iter_mut().enumerate() {
            // SAFETY: panel p has 16 words at this group.
            *row = unsafe { _mm256_loadu_si256(b.add(p * panel_stride + h * LANES).cast()) };
        }
    }
    for (i, sums) in sums.iter_mut().enumerate() {
        // SAFETY: row i of a has a word at this group.
        let a = _mm256_set1_epi32(unsafe { *a.add(i * a_stride) } as i32);
        let magnitude = _mm256_abs_epi8(a);
        for (sum, &row) in sums.as_flattened_mut().iter_mut().zip(row.as_flattened()) {
            let pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(row, a));
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
        }
    }
}

/// c = start + sums · what they are worth, with the bits of every other level.
///
/// # Safety
///
/// As for [`tile`].
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn store<const ROWS: usize, const PANELS: usize>(
    t: &Tile,
    sums: &[[[__m256i; 2]; PANELS]; ROWS],
) {
    let (start, stride) = t.start();
    for (i, sums) in sums.iter().enumerate() {
        // SAFETY: every pointer stays in the tile: rows i < ROWS, halves h < 2 PANELS of its columns.
        unsafe {
            let row = _mm256_set1_ps(*t.scale.rows.add(i));
            for (h, &sum) in sums.as_flattened().iter().enumerate() {
                let worth = _mm256_mul_ps(row, _mm256_loadu_ps(t.scale.columns.add(h * LANES)));
                let start = _mm256_loadu_ps(start.add(i * stride + h * LANES));
                let c = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), worth, start);
                _mm256_storeu_ps(t.c.add(i * t.c_stride + h * LANES), c);
            }
        }
    }
}
