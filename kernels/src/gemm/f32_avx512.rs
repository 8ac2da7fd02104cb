//! AVX-512: tiles of up to 14 × 32, two panels wide.
//!
//! Registers, of 32: 14 · 2 sums, 2 for a row of the panels, 1 or 2 for a value of a spread over
//! all lanes. Loads: 16 a step for 28 multiply-adds, and the core begins two of each in a cycle: the
//! multiply-adds are the bound, 14 cycles a step, and 896 flops.
//! In that time 128 bytes of the panels are read, 9 a cycle, which L2 delivers, and 14 values of a.
//!
//! Up to 3 rows go over 4 panels: 4 sums open at once for a single row are too few to hide
//! four cycles at two a cycle, but enough to read panels faster than L2 delivers them.

use std::arch::x86_64::*;

use super::pack::WIDTH;
use super::tile::{Left, Microkernel, Run, Tile, Width};

/// 3 × 64, 14 × 32, 14 × 16.
pub(super) const AVX512: Microkernel = Microkernel {
    name: "f32 avx512",
    left: Left::InPlace,
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

/// Steps of k written out in a row: the pointers of 14 rows do not fit the general registers, and
/// are fetched from the stack once in so many steps.
const UNROLL: usize = 4;

/// ROWS × 16 PANELS.
///
/// # Safety
///
/// The CPU has AVX-512 F; `t` describes ROWS rows and PANELS panels as [`Tile`] says.
#[target_feature(enable = "avx512f")]
unsafe fn tile<const ROWS: usize, const PANELS: usize>(t: &Tile) {
    // SAFETY: the caller's word.
    let c = unsafe { sums::<ROWS, PANELS>(t) };
    for (i, c) in c.iter().enumerate() {
        for (p, &c) in c.iter().enumerate() {
            // SAFETY: row i < ROWS of c has 16 floats for panel p < PANELS.
            unsafe { _mm512_storeu_ps(t.c.add(i * t.c_stride + p * WIDTH), c) };
        }
    }
}

/// start + Σ a b of each row and column.
///
/// A function of its own, so that its sums stay in registers whatever is done with them: were they
/// read by a loop that the compiler does not unroll, every step would store them, at a fifth of the
/// speed.
///
/// # Safety
///
/// As for [`tile`].
#[inline(never)]
#[target_feature(enable = "avx512f")]
unsafe fn sums<const ROWS: usize, const PANELS: usize>(t: &Tile) -> [[__m512; PANELS]; ROWS] {
    let mut c = [[_mm512_setzero_ps(); PANELS]; ROWS];
    let (start, stride) = t.start();
    // SAFETY: every pointer below stays in the rows and panels that the caller answers for: rows
    // i < ROWS, panels p < PANELS, steps l < k.
    unsafe {
        for (i, c) in c.iter_mut().enumerate() {
            for (p, c) in c.iter_mut().enumerate() {
                *c = _mm512_loadu_ps(start.add(i * stride + p * WIDTH));
            }
        }
        let (mut a, mut b, mut left) = (t.a.cast::<f32>(), t.b.cast::<f32>(), t.k);
        while left >= UNROLL {
            for l in 0..UNROLL {
                step(&mut c, a.add(l), t.a_stride, b.add(l * WIDTH), t.panel_stride);
            }
            (a, b, left) = (a.add(UNROLL), b.add(UNROLL * WIDTH), left - UNROLL);
        }
        for l in 0..left {
            step(&mut c, a.add(l), t.a_stride, b.add(l * WIDTH), t.panel_stride);
        }
    }
    c
}

/// One step of k: c += a column of a times a row of the panels.
///
/// # Safety
///
/// As for [`tile`], with a and b at the step.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn step<const ROWS: usize, const PANELS: usize>(
    c: &mut [[__m512; PANELS]; ROWS],
    a: *const f32,
    a_stride: usize,
    b: *const f32,
    panel_stride: usize,
) {
    let mut row = [_mm512_setzero_ps(); PANELS];
    for (p, row) in row.iter_mut().enumerate() {
        // SAFETY: panel p has 16 floats at this step.
        *row = unsafe { _mm512_loadu_ps(b.add(p * panel_stride)) };
    }
    for (i, c) in c.iter_mut().enumerate() {
        // SAFETY: row i of a has a value at this step.
        let a = _mm512_set1_ps(unsafe { *a.add(i * a_stride) });
        for (c, &row) in c.iter_mut().zip(&row) {
            *c = _mm512_fmadd_ps(a, row, *c);
        }
    }
}
