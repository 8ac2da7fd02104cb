//! bf16 with NEON: weights in bf16, activations in f32, tiles of up to 6 × 16 as in `f32_neon.rs`.
//!
//! A word of the panel is two steps of k of one column: shifted up it is the f32 of the first, its
//! lower half cleared that of the second (`bf16_avx512.rs`). Every aarch64 CPU can do that; none of the
//! instructions of Armv8.6 for bf16 is needed. All that follows is f32.
//!
//! Registers, of 32: 6 · 4 sums, 4 for a row of the panel, 1 for the mask, up to 3 for values of a. None
//! is left to keep the words for their second step: the fence has them loaded again.
//! Widening is 8 instructions for 48 multiply-adds, on the same ports: at most 86 % of the peak of
//! f32, for half of the bytes of W. Nothing was timed on Arm.

use std::arch::aarch64::*;
use std::sync::atomic::{Ordering::SeqCst, compiler_fence};

use super::pack::WIDTH;
use super::tile::{Left, Microkernel, Start, Tile, Width};

/// Lanes of a register.
const LANES: usize = 4;

/// Registers that a panel's row fills.
const QUARTERS: usize = WIDTH / LANES;

/// 1 × 64, 2 × 32, 6 × 16.
pub(super) const KERNEL: Microkernel = Microkernel {
    name: "bf16 × f32 neon",
    left: Left::InPlace,
    widths: &[
        Width { panels: 4, heights: &[tile::<1, 4>] },
        Width { panels: 2, heights: &[tile::<1, 2>, tile::<2, 2>] },
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
/// `t` describes ROWS rows and PANELS panels as [`Tile`] says, with k floats of a and ⌈k / 2⌉ groups.
#[target_feature(enable = "neon")]
unsafe fn tile<const ROWS: usize, const PANELS: usize>(t: &Tile) {
    let mut c = [[[vdupq_n_f32(0.0); QUARTERS]; PANELS]; ROWS];
    // SAFETY: every pointer below stays in the rows and panels that the caller answers for: rows
    // i < ROWS, panels p < PANELS, steps l < k, groups l / 2, quarters q < 4 PANELS of the columns.
    unsafe {
        let start = match t.start {
            Start::Zero => None,
            Start::Row(row) => Some((row, 0)),
            Start::Resume => Some((t.c.cast_const(), t.c_stride)),
        };
        if let Some((start, stride)) = start {
            for (i, c) in c.iter_mut().enumerate() {
                for (q, c) in c.as_flattened_mut().iter_mut().enumerate() {
                    *c = vld1q_f32(start.add(i * stride + q * LANES));
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
            for (q, &c) in c.as_flattened().iter().enumerate() {
                vst1q_f32(t.c.add(i * t.c_stride + q * LANES), c);
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
#[target_feature(enable = "neon")]
unsafe fn step<const ROWS: usize, const PANELS: usize, const SECOND: bool>(
    c: &mut [[[float32x4_t; QUARTERS]; PANELS]; ROWS],
    a: *const f32,
    t: &Tile,
    b: *const u32,
) {
    let mut row = [[vdupq_n_f32(0.0); QUARTERS]; PANELS];
    for (p, row) in row.iter_mut().enumerate() {
        for (q, row) in row.iter_mut().enumerate() {
            // SAFETY: panel p has 16 words at this group.
            let words = unsafe { vld1q_u32(b.add(p * t.panel_stride + q * LANES)) };
            *row = vreinterpretq_f32_u32(match SECOND {
                false => vshlq_n_u32::<16>(words),
                true => vandq_u32(words, vdupq_n_u32(0xffff_0000)),
            });
        }
    }
    for (i, c) in c.iter_mut().enumerate() {
        // SAFETY: row i of a has a value at this step.
        let a = unsafe { *a.add(i * t.a_stride) };
        for (c, &row) in c.as_flattened_mut().iter_mut().zip(row.as_flattened()) {
            *c = vfmaq_n_f32(*c, row, a);
        }
    }
}
