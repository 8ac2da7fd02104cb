//! int8 with `sdot` (Armv8.2): tiles of up to 6 × 16, one panel wide.
//!
//! `sdot` adds the four products of a group to the sum of its column, for four columns at once, signs
//! and all: a group of a panel is four registers as it lies, and the word of a is one of the four in a register,
//! which the instruction picks out. So four groups are done for each load of a row of a.
//!
//! Registers, of 32: 6 · 4 sums, 6 for the rows of a, 2 for the panel. 24 instructions a group for
//! 5.5 loads. Nothing was timed on Arm.
//!
//! By `asm!`: the intrinsic is not stable.

use std::arch::aarch64::*;
use std::arch::asm;

use super::int8_neon::{LANES, QUARTERS, store};
use super::pack::WIDTH;
use super::tile::{Left, Microkernel, Tile, Width};

/// 1 × 64, 3 × 32, 6 × 16.
pub(super) const KERNEL: Microkernel = Microkernel {
    name: "int8 neon-dot",
    left: Left::Int8 { offset: 0 },
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
/// The CPU has the dot product; `t` describes ROWS rows and PANELS panels as [`Tile`] says.
#[target_feature(enable = "neon,dotprod")]
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
#[target_feature(enable = "neon,dotprod")]
unsafe fn sums<const ROWS: usize, const PANELS: usize>(
    t: &Tile,
) -> [[[int32x4_t; QUARTERS]; PANELS]; ROWS] {
    let mut sums = [[[vdupq_n_s32(0); QUARTERS]; PANELS]; ROWS];
    // SAFETY: every pointer below stays in the rows and panels that the caller answers for: rows
    // i < ROWS, panels p < PANELS, groups l < k, of which there are a multiple of 16 (`pack.rs`).
    unsafe {
        for l in (0..t.k).step_by(LANES) {
            let mut a = [vdupq_n_u32(0); ROWS];
            for (i, a) in a.iter_mut().enumerate() {
                *a = vld1q_u32(t.a.add(i * t.a_stride + l));
            }
            for p in 0..PANELS {
                let b = t.b.add(p * t.panel_stride + l * WIDTH);
                group::<0, ROWS, PANELS>(&mut sums, p, &a, b);
                group::<1, ROWS, PANELS>(&mut sums, p, &a, b.add(WIDTH));
                group::<2, ROWS, PANELS>(&mut sums, p, &a, b.add(2 * WIDTH));
                group::<3, ROWS, PANELS>(&mut sums, p, &a, b.add(3 * WIDTH));
            }
        }
    }
    sums
}

/// One group of panel p: four steps, by word LANE of each row of a.
///
/// # Safety
///
/// As for [`tile`], with b at the panel's group: 16 words.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn group<const LANE: usize, const ROWS: usize, const PANELS: usize>(
    sums: &mut [[[int32x4_t; QUARTERS]; PANELS]; ROWS],
    p: usize,
    a: &[uint32x4_t; ROWS],
    b: *const u32,
) {
    for q in 0..QUARTERS {
        // SAFETY: the caller's word.
        let b = unsafe { vld1q_u32(b.add(q * LANES)) };
        for (sums, &a) in sums.iter_mut().zip(a) {
            // SAFETY: registers only; the caller's word that the CPU has the instruction.
            unsafe {
                asm!(
                    "sdot {sum:v}.4s, {b:v}.16b, {a:v}.4b[{lane}]",
                    sum = inout(vreg) sums[p][q],
                    b = in(vreg) b,
                    a = in(vreg) a,
                    lane = const LANE,
                    options(pure, nomem, nostack, preserves_flags),
                )
            };
        }
    }
}
