//! bf16 with AVX2: weights in bf16, activations in f32, tiles of up to 6 × 16 as in `f32_avx2.rs`.
//!
//! A word of the panel is two steps of k of one column: shifted up it is the f32 of the first, its
//! lower half cleared that of the second (`bf16_avx512.rs`). All that follows is f32.
//!
//! Registers, of 16: 6 · 2 sums, 2 for a row of the panel, 1 for a value of a, 1 for the zeros that
//! lower halves become. None is left to keep the words for their second step: the fence has them loaded
//! again. Widening is 4 instructions for 24 multiply-adds; shifts and masks have ports beside
//! those of the multiply-adds, which remain the bound.

use std::arch::x86_64::*;
use std::sync::atomic::{Ordering::SeqCst, compiler_fence};

use super::pack::WIDTH;
use super::tile::{Left, Microkernel, Start, Tile, Width};

/// Lanes of a register.
const LANES: usize = 8;

/// 1 × 64, 3 × 32, 6 × 16.
pub(super) const KERNEL: Microkernel = Microkernel {
    name: "bf16 × f32 avx2",
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

/// ROWS × 16 PANELS.
///
/// # Safety
///
/// The CPU has AVX2 and FMA; `t` describes ROWS rows and PANELS panels as [`Tile`] says, with k
/// floats of a and ⌈k / 2⌉ groups.
#[target_feature(enable = "avx2,fma")]
unsafe fn tile<const ROWS: usize, const PANELS: usize>(t: &Tile) {
    let mut c = [[[_mm256_setzero_ps(); 2]; PANELS]; ROWS];
    // SAFETY: every pointer below stays in the rows and panels that the caller answers for: rows
    // i < ROWS, panels p < PANELS, steps l < k, groups l / 2, halves h < 2 PANELS of the columns.
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
        let (mut a, mut b, mut left) = (t.a.cast::<f32>(), t.b, t.k);
        while left >= 2 {
            step::<_, _, false>(&mut c, a, t, b);
            compiler_fence(SeqCst);
            step::<_, _, true>(&mut c, a.add(1), t, b);
            compiler_fence(SeqCst);
            (a, b, left) = (a.add(2), b.add(WIDTH), left - 2);
        }
        if left == 1 {
            step::<_, _, false>(&mut c, a, t, b);
        }
        for (i, c) in c.iter().enumerate() {
            for (h, &c) in c.as_flattened().iter().enumerate() {
                _mm256_storeu_ps(t.c.add(i * t.c_stride + h * LANES), c);
            }
        }
    }
}

/// One step of k: c += a column of a times the first or the second half of a group of the panels.
///
/// # Safety
///
/// As for [`tile`], with a at the step and b at its group.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn step<const ROWS: usize, const PANELS: usize, const SECOND: bool>(
    c: &mut [[[__m256; 2]; PANELS]; ROWS],
    a: *const f32,
    t: &Tile,
    b: *const u32,
) {
    let mut row = [[_mm256_setzero_ps(); 2]; PANELS];
    for (p, row) in row.iter_mut().enumerate() {
        for (h, row) in row.iter_mut().enumerate() {
            // SAFETY: panel p has 16 words at this group.
            let words = unsafe { b.add(p * t.panel_stride + h * LANES) };
            // SAFETY: as above.
            let words = unsafe { _mm256_loadu_si256(words.cast()) };
            *row = _mm256_castsi256_ps(match SECOND {
                false => _mm256_slli_epi32::<16>(words),
                true => _mm256_and_si256(words, _mm256_set1_epi32(!0xffff)),
            });
        }
    }
    for (i, c) in c.iter_mut().enumerate() {
        // SAFETY: row i of a has a value at this step.
        let a = _mm256_set1_ps(unsafe { *a.add(i * t.a_stride) });
        for (c, &row) in c.as_flattened_mut().iter_mut().zip(row.as_flattened()) {
            *c = _mm256_fmadd_ps(a, row, *c);
        }
    }
}
