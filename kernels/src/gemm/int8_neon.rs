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
//! Registers, of 32: 4 · 4 sums, 4 for a group of the panel, 2 for the pairs of a word of a, the
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
    // i < ROWS, panels p < PANELS, groups l < k, a group of a panel being four registers.
    unsafe {
        for l in 0..t.k {
            for p in 0..PANELS {
                let b = t.b.add(p * t.panel_stride + l * WIDTH).cast::<i16>();
                let [b0, b1, b2, b3] = [0, 8, 16, 24].map(|at| vld1q_s16(b.add(at)));
                // b₀ b₁ and b₂ b₃ of eight columns each.
                let low = [vuzp1q_s16(b0, b1), vuzp1q_s16(b2, b3)].map(|b| vreinterpretq_s8_s16(b));
                let high =
                    [vuzp2q_s16(b0, b1), vuzp2q_s16(b2, b3)].map(|b| vreinterpretq_s8_s16(b));
                for (i, sums) in sums.iter_mut().enumerate() {
                    let a = t.a.add(i * t.a_stride + l).cast::<i16>();
                    let a01 = vreinterpretq_s8_s16(vdupq_n_s16(*a));
                    let a23 = vreinterpretq_s8_s16(vdupq_n_s16(*a.add(1)));
                    for h in 0..2 {
                        let near = vmull_s8(vget_low_s8(low[h]), vget_low_s8(a01));
                        let near = vmlal_s8(near, vget_low_s8(high[h]), vget_low_s8(a23));
                        let far = vmlal_high_s8(vmull_high_s8(low[h], a01), high[h], a23);
                        sums[p][2 * h] = vpadalq_s16(sums[p][2 * h], near);
                        sums[p][2 * h + 1] = vpadalq_s16(sums[p][2 * h + 1], far);
                    }
                }
            }
        }
    }
    sums
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
