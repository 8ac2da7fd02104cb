//! int8 with plain NEON: tiles of up to 4 × 16, one panel wide, for a CPU without dot products of
//! bytes (Cortex-A53, A72).
//!
//! `smull` makes eight products of 16 bits, `smlal` adds eight more to them, `sadalp` adds neighbours
//! and those to sums of 32 bits. A group of a column is four bytes, b₀ b₁ b₂ b₃: with
//! the pairs b₀ b₁ of eight columns in one register and b₂ b₃ in another (`uzp1`, `uzp2`, once
//! for all rows of the tile), `smull` takes the first, `smlal` the second, and `sadalp` leaves the sum of
//! each column in a lane of its own:
//!
//! ```text
//! (a₀b₀ + a₂b₂) + (a₁b₁ + a₃b₃)          a₀b₀ + a₂b₂  ≤  2 · 127²  =  32,258  <  2¹⁵
//! ```
//!
//! Registers, of 32: 4 · 4 sums, 2 for half a group of the panel, 2 for the pairs of a word of a, the
//! others for products on their way. 12 instructions for 64 multiply-adds, where f32 takes 16. Nothing was
//! timed on Arm.

use std::arch::aarch64::*;

use super::pack::WIDTH;
use super::tile::{Left, Microkernel, Tile, Width};

/// Lanes of a register.
pub(super) const LANES: usize = 4;

/// Registers that a panel's row of sums fills, or a group of a panel.
pub(super) const QUARTERS: usize = WIDTH / LANES;

/// 2 × 32, 4 × 16.
pub(super) const KERNEL: Microkernel = Microkernel {
    name: "int8 neon",
    left: Left::Int8 { offset: 0 },
    widths: &[
        Width { panels: 2, heights: &[tile::<1, 2>, tile::<2, 2>] },
        Width { panels: 1, heights: &[tile::<1, 1>, tile::<2, 1>, tile::<3, 1>, tile::<4, 1>] },
    ],
};

/// ROWS × 16 PANELS.
///
/// # Safety
///
/// `t` describes ROWS rows and PANELS panels as [`Tile`] says.
#[target_feature(enable = "neon")]
unsafe fn tile<const ROWS: usize, const PANELS: usize>(t: &Tile) {
    // SAFETY: the caller's word.
    unsafe { store(t, &sums::<ROWS, PANELS>(t)) };
}

/// Σ a b of each row and column, exact: apart, so that they stay in registers (`int8_avx512_vnni.rs`).
///
/// # Safety
///
/// As for [`tile`].
#[inline(never)]
#[target_feature(enable = "neon")]
unsafe fn sums<const ROWS: usize, const PANELS: usize>(
    t: &Tile,
) -> [[[int32x4_t; QUARTERS]; PANELS]; ROWS] {
    let mut sums = [[[vdupq_n_s32(0); QUARTERS]; PANELS]; ROWS];
    // SAFETY: every pointer below stays in the rows and panels that the caller answers for: rows
    // i < ROWS, panels p < PANELS, groups l < k, halves of 8 columns.
    unsafe {
        for l in 0..t.k {
            for p in 0..PANELS {
                let b = t.b.add(p * t.panel_stride + l * WIDTH);
                half::<0, ROWS, PANELS>(&mut sums, p, t.a.add(l), t.a_stride, b);
                half::<1, ROWS, PANELS>(&mut sums, p, t.a.add(l), t.a_stride, b.add(WIDTH / 2));
            }
        }
    }
    sums
}

/// One group of eight columns of panel p, the first or the last: four steps.
///
/// # Safety
///
/// As for [`tile`], with a at the group and b at its eight words.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn half<const H: usize, const ROWS: usize, const PANELS: usize>(
    sums: &mut [[[int32x4_t; QUARTERS]; PANELS]; ROWS],
    p: usize,
    a: *const u32,
    a_stride: usize,
    b: *const u32,
) {
    let b = b.cast::<i16>();
    // SAFETY: eight words are two registers of pairs.
    let (b, c) = unsafe { (vld1q_s16(b), vld1q_s16(b.add(8))) };
    let first = vreinterpretq_s8_s16(vuzp1q_s16(b, c));
    let second = vreinterpretq_s8_s16(vuzp2q_s16(b, c));
    for (i, sums) in sums.iter_mut().enumerate() {
        let pairs = a.wrapping_add(i * a_stride).cast::<i16>();
        // SAFETY: row i of a has a word at this group: two pairs.
        let [a, c] = unsafe { [*pairs, *pairs.add(1)] };
        let (a, c) = (vreinterpretq_s8_s16(vdupq_n_s16(a)), vreinterpretq_s8_s16(vdupq_n_s16(c)));
        let near = vmull_s8(vget_low_s8(first), vget_low_s8(a));
        let near = vmlal_s8(near, vget_low_s8(second), vget_low_s8(c));
        let far = vmlal_high_s8(vmull_high_s8(first, a), second, c);
        sums[p][2 * H] = vpadalq_s16(sums[p][2 * H], near);
        sums[p][2 * H + 1] = vpadalq_s16(sums[p][2 * H + 1], far);
    }
}

/// c = start + sums · what they are worth, with the bits of every other level.
///
/// # Safety
///
/// As for [`tile`].
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn store<const ROWS: usize, const PANELS: usize>(
    t: &Tile,
    sums: &[[[int32x4_t; QUARTERS]; PANELS]; ROWS],
) {
    let (start, stride) = t.start();
    for (i, sums) in sums.iter().enumerate() {
        // SAFETY: every pointer stays in the tile: rows i < ROWS, quarters q < 4 PANELS.
        unsafe {
            let row = *t.scale.rows.add(i);
            for (q, &sum) in sums.as_flattened().iter().enumerate() {
                let worth = vmulq_n_f32(vld1q_f32(t.scale.columns.add(q * LANES)), row);
                let start = vld1q_f32(start.add(i * stride + q * LANES));
                let c = vfmaq_f32(start, vcvtq_f32_s32(sum), worth);
                vst1q_f32(t.c.add(i * t.c_stride + q * LANES), c);
            }
        }
    }
}
