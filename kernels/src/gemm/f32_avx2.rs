//! AVX2: tiles of up to 6 × 16, one panel wide.
//!
//! Registers, of 16: 6 · 2 sums, 2 for a row of the panel, 1 or 2 for a value of a spread over all
//! lanes. Loads: 8 a step for 12 multiply-adds, and the core begins two of each in a cycle: the
//! multiply-adds are the bound, 6 cycles a step, 192 flops. In that time 64 bytes of the panel
//! are read, 11 a cycle.
//!
//! A single row goes over 4 panels and 2 or 3 rows over 2: eight sums or more are then open.

use std::arch::x86_64::*;

use super::pack::WIDTH;
use super::tile::{Left, Microkernel, Start, Tile, Width};

/// Lanes of a register.
const LANES: usize = 8;

/// 1 × 64, 3 × 32, 6 × 16.
pub(super) const AVX2: Microkernel = Microkernel {
    name: "f32 avx2",
    left: Left::InPlace,
    widths: &[
        Width { panels: 4, heights: &[tile::<1, 4>] },
        Width { panels: 2, heights: &[tile::<1, 2>, tile::<2, 2>, tile::<3, 2>] },
        Width {
            panels: 1,
            heights: &[
                tile::<1, 1>,
                tile::<2, 1>,
                tile::<3, 1>,
                tile::<4, 1>,
                tile::<5, 1>,
                tile::<6, 1>,
            ],
        },
    ],
};

/// Steps of k written out in a row: pointers are moved once in so many.
const UNROLL: usize = 4;

/// ROWS × 16 PANELS.
///
/// # Safety
///
/// The CPU has AVX2 and FMA; `t` describes ROWS rows and PANELS panels as [`Tile`] says.
#[target_feature(enable = "avx2,fma")]
unsafe fn tile<const ROWS: usize, const PANELS: usize>(t: &Tile) {
    let mut c = [[[_mm256_setzero_ps(); 2]; PANELS]; ROWS];
    // SAFETY: every pointer below stays in the rows and panels that the caller answers for: rows
    // i < ROWS, panels p < PANELS, steps l < k, halves h < 2 PANELS of the panels' columns.
    unsafe {
        let start = match t.start {
            Start::Zero => None,
            Start::Row(row) => Some((row, 0)),
            Start::Resume => Some((t.c.cast_const(), t.c_stride)),
        };
        if let Some((start, stride)) = start {
            for (i, c) in c.iter_mut().enumerate() {
                for (h, c) in c.as_flattened_mut().iter_mut().enumerate() {
                    *c = _mm256_loadu_ps(start.add(i * stride + h * LANES));
                }
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
        for (i, c) in c.iter().enumerate() {
            for (h, &c) in c.as_flattened().iter().enumerate() {
                _mm256_storeu_ps(t.c.add(i * t.c_stride + h * LANES), c);
            }
        }
    }
}

/// One step of k: c += a column of a times a row of the panels.
///
/// # Safety
///
/// As for [`tile`], with a and b at the step.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn step<const ROWS: usize, const PANELS: usize>(
    c: &mut [[[__m256; 2]; PANELS]; ROWS],
    a: *const f32,
    a_stride: usize,
    b: *const f32,
    panel_stride: usize,
) {
    let mut row = [[_mm256_setzero_ps(); 2]; PANELS];
    for (p, row) in row.iter_mut().enumerate() {
        for (h, row) in row.iter_mut().enumerate() {
            // SAFETY: panel p has 16 floats at this step.
            *row = unsafe { _mm256_loadu_ps(b.add(p * panel_stride + h * LANES)) };
        }
    }
    for (i, c) in c.iter_mut().enumerate() {
        // SAFETY: row i of a has a value at this step.
        let a = _mm256_set1_ps(unsafe { *a.add(i * a_stride) });
        for (c, &row) in c.as_flattened_mut().iter_mut().zip(row.as_flattened()) {
            *c = _mm256_fmadd_ps(a, row, *c);
        }
    }
}
