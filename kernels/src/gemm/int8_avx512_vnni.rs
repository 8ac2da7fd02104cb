//! int8 with AVX-512 VNNI: tiles of up to 14 × 32, two panels wide, as in `f32_avx512.rs`.
//!
//! `vpdpbusd` multiplies four bytes without sign by four with, and adds the products to an
//! integer: 64 multiply-adds an instruction, four times those of f32. The left factor is therefore
//! stored with 128 added to each byte, and the sums begin with what that adds to them:
//!
//! ```text
//! Σ a b  =  Σ (a + 128) b  −  128 Σ b
//! ```
//!
//! At most 255 · 127 · k in magnitude: exact for k up to 66,000, which `Product` asserts.

use std::arch::x86_64::*;

use super::pack::WIDTH;
use super::tile::{Left, Microkernel, Run, Tile, Width};

/// 3 × 64, 14 × 32, 14 × 16.
pub(super) const KERNEL: Microkernel = Microkernel {
    name: "int8 avx512-vnni",
    left: Left::Int8 { offset: 128 },
    widths: &[
        Width { panels: 4, heights: &[tile::<1, 4>, tile::<2, 4>, tile::<3, 4>] },
        Width { panels: 2, heights: &TWO_PANELS },
        Width { panels: 1, heights: &ONE_PANEL },
    ],
};

const TWO_PANELS: [Run; 14] = [
    tile::<1, 2>,
    tile::<2, 2>,
    tile::<3, 2>,
    tile::<4, 2>,
    tile::<5, 2>,
    tile::<6, 2>,
    tile::<7, 2>,
    tile::<8, 2>,
    tile::<9, 2>,
    tile::<10, 2>,
    tile::<11, 2>,
    tile::<12, 2>,
    tile::<13, 2>,
    tile::<14, 2>,
];

const ONE_PANEL: [Run; 14] = [
    tile::<1, 1>,
    tile::<2, 1>,
    tile::<3, 1>,
    tile::<4, 1>,
    tile::<5, 1>,
    tile::<6, 1>,
    tile::<7, 1>,
    tile::<8, 1>,
    tile::<9, 1>,
    tile::<10, 1>,
    tile::<11, 1>,
    tile::<12, 1>,
    tile::<13, 1>,
    tile::<14, 1>,
];

/// Groups written out in a row, as in `f32_avx512.rs`.
const UNROLL: usize = 4;

/// ROWS × 16 PANELS.
///
/// # Safety
///
/// The CPU has AVX-512 F and VNNI; `t` describes ROWS rows and PANELS panels as [`Tile`] says.
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn tile<const ROWS: usize, const PANELS: usize>(t: &Tile) {
    // SAFETY: the caller's word.
    let sums = unsafe { sums::<ROWS, PANELS>(t) };
    let mut columns = [_mm512_setzero_ps(); PANELS];
    let (start, stride) = t.start();
    // SAFETY: every pointer below stays in the tile: rows i < ROWS, panels p < PANELS.
    unsafe {
        for (p, column) in columns.iter_mut().enumerate() {
            *column = _mm512_loadu_ps(t.scale.columns.add(p * WIDTH));
        }
        for (i, sums) in sums.iter().enumerate() {
            let row = _mm512_set1_ps(*t.scale.rows.add(i));
            for (p, (&sum, &column)) in sums.iter().zip(&columns).enumerate() {
                let worth = _mm512_mul_ps(row, column);
                let start = _mm512_loadu_ps(start.add(i * stride + p * WIDTH));
                let c = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), worth, start);
                _mm512_storeu_ps(t.c.add(i * t.c_stride + p * WIDTH), c);
            }
        }
    }
}

/// Σ a b of each row and column, exact.
///
/// A function of its own, so that its sums stay in registers whatever is done with them: were they
/// read by a loop that the compiler does not unroll, every step would store them, at half the speed.
///
/// # Safety
///
/// As for [`tile`].
#[inline(never)]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn sums<const ROWS: usize, const PANELS: usize>(t: &Tile) -> [[__m512i; PANELS]; ROWS] {
    // SAFETY: every pointer below stays in the rows and panels that the caller answers for: rows
    // i < ROWS, panels p < PANELS, groups l < k.
    unsafe {
        let mut start = [_mm512_setzero_si512(); PANELS];
        for (p, start) in start.iter_mut().enumerate() {
            let sums = _mm512_loadu_si512(t.scale.sums.add(p * WIDTH).cast());
            *start = _mm512_sub_epi32(*start, _mm512_slli_epi32::<7>(sums));
        }
        let mut sums = [start; ROWS];
        let (mut a, mut b, mut left) = (t.a, t.b, t.k);
        while left >= UNROLL {
            for l in 0..UNROLL {
                step(&mut sums, a.add(l), t.a_stride, b.add(l * WIDTH), t.panel_stride);
            }
            (a, b, left) = (a.add(UNROLL), b.add(UNROLL * WIDTH), left - UNROLL);
        }
        for l in 0..left {
            step(&mut sums, a.add(l), t.a_stride, b.add(l * WIDTH), t.panel_stride);
        }
        sums
    }
}

/// One group of k: four steps.
///
/// # Safety
///
/// As for [`tile`], with a and b at the group.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn step<const ROWS: usize, const PANELS: usize>(
    sums: &mut [[__m512i; PANELS]; ROWS],
    a: *const u32,
    a_stride: usize,
    b: *const u32,
    panel_stride: usize,
) {
    let mut row = [_mm512_setzero_si512(); PANELS];
    for (p, row) in row.iter_mut().enumerate() {
        // SAFETY: panel p has 16 words at this group.
        *row = unsafe { _mm512_loadu_si512(b.add(p * panel_stride).cast()) };
    }
    for (i, sums) in sums.iter_mut().enumerate() {
        // SAFETY: row i of a has a word at this group.
        let a = _mm512_set1_epi32(unsafe { *a.add(i * a_stride) } as i32);
        for (sum, &row) in sums.iter_mut().zip(&row) {
            *sum = _mm512_dpbusd_epi32(*sum, a, row);
        }
    }
}
