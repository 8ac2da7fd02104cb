//! int8 with `smmla` (Armv8.6): tiles of up to 6 × 16, one panel wide.
//!
//! `smmla` multiplies two rows of eight bytes by two columns of eight, and adds the four sums to a
//! register that holds 2 × 2 of c: 32 multiply-adds, twice those of `sdot`. Eight steps of a column are two
//! groups of a panel, l and l + 1, four columns a register each; `zip1` and `zip2` lay the words of a
//! column side by side, once for all rows of the tile:
//!
//! ```text
//! group l      b₀  b₁  b₂  b₃        zip1   b₀ b₀'  b₁ b₁'
//! group l + 1  b₀' b₁' b₂' b₃'       zip2   b₂ b₂'  b₃ b₃'
//! ```
//!
//! Registers, of 32: 3 · 8 sums of 2 × 2, 3 for pairs of rows of a, 4 for the panel. 24 instructions
//! of arithmetic and 8 of zipping for two groups. Where the number of rows is odd the last stands
//! in for its neighbour, whose sums nobody reads. Nothing was timed on Arm.
//!
//! By `asm!`: the intrinsic is not stable.

use std::arch::aarch64::*;
use std::arch::asm;

use super::int8_neon::{LANES, QUARTERS, store};
use super::pack::WIDTH;
use super::tile::{Left, Microkernel, Tile, Width};

/// 2 × 32, 6 × 16.
pub(super) const KERNEL: Microkernel = Microkernel {
    name: "int8 neon-i8mm",
    left: Left::Int8 { offset: 0 },
    widths: &[
        Width { panels: 2, heights: &[tile::<1, 1, 2>, tile::<2, 1, 2>] },
        Width {
            panels: 1,
            heights: &[
                tile::<1, 1, 1>,
                tile::<2, 1, 1>,
                tile::<3, 2, 1>,
                tile::<4, 2, 1>,
                tile::<5, 3, 1>,
                tile::<6, 3, 1>,
            ],
        },
    ],
};

/// Sums of 2 × 2 for columns 4q..4q + 4 of two rows: the first two columns, then the others.
type Squares<const PAIRS: usize, const PANELS: usize> =
    [[[[int32x4_t; 2]; QUARTERS]; PANELS]; PAIRS];

/// ROWS × 16 PANELS, PAIRS = ⌈ROWS / 2⌉.
///
/// # Safety
///
/// The CPU has I8MM; `t` describes ROWS rows and PANELS panels as [`Tile`] says.
#[target_feature(enable = "neon,i8mm")]
unsafe fn tile<const ROWS: usize, const PAIRS: usize, const PANELS: usize>(t: &Tile) {
    const { assert!(PAIRS == ROWS.div_ceil(2)) };
    // SAFETY: the caller's word.
    let squares = unsafe { squares::<ROWS, PAIRS, PANELS>(t) };
    let mut sums = [[[vdupq_n_s32(0); QUARTERS]; PANELS]; ROWS];
    for (i, sums) in sums.iter_mut().enumerate() {
        let squares = squares[i / 2].as_flattened();
        for (sum, square) in sums.as_flattened_mut().iter_mut().zip(squares) {
            let [left, right] = square.map(|square| vreinterpretq_s64_s32(square));
            *sum = vreinterpretq_s32_s64(match i % 2 {
                0 => vzip1q_s64(left, right),
                _ => vzip2q_s64(left, right),
            });
        }
    }
    // SAFETY: the caller's word.
    unsafe { store(t, &sums) };
}

/// Σ a b of each row and column, exact: apart, so that they stay in registers (`int8_avx512_vnni.rs`).
///
/// # Safety
///
/// As for [`tile`].
#[inline(never)]
#[target_feature(enable = "neon,i8mm")]
unsafe fn squares<const ROWS: usize, const PAIRS: usize, const PANELS: usize>(
    t: &Tile,
) -> Squares<PAIRS, PANELS> {
    let mut squares = [[[[vdupq_n_s32(0); 2]; QUARTERS]; PANELS]; PAIRS];
    // SAFETY: every pointer below stays in the rows and panels that the caller answers for: rows
    // i < ROWS, panels p < PANELS, groups l and l + 1 < k, of which there are a multiple of 16
    // (`pack.rs`).
    unsafe {
        for l in (0..t.k).step_by(2) {
            let mut a = [vdupq_n_u64(0); PAIRS];
            for (i, a) in a.iter_mut().enumerate() {
                let row = |i: usize| vld1_u32(t.a.add(i.min(ROWS - 1) * t.a_stride + l));
                *a = vreinterpretq_u64_u32(vcombine_u32(row(2 * i), row(2 * i + 1)));
            }
            for p in 0..PANELS {
                let b = t.b.add(p * t.panel_stride + l * WIDTH);
                quarter::<0, PAIRS, PANELS>(&mut squares, p, &a, b);
                quarter::<1, PAIRS, PANELS>(&mut squares, p, &a, b);
                quarter::<2, PAIRS, PANELS>(&mut squares, p, &a, b);
                quarter::<3, PAIRS, PANELS>(&mut squares, p, &a, b);
            }
        }
    }
    squares
}

/// Two groups of four columns of panel p: eight steps of each.
///
/// # Safety
///
/// As for [`tile`], with b at the first of the two groups: 32 words.
#[inline]
#[target_feature(enable = "neon,i8mm")]
unsafe fn quarter<const Q: usize, const PAIRS: usize, const PANELS: usize>(
    squares: &mut Squares<PAIRS, PANELS>,
    p: usize,
    a: &[uint64x2_t; PAIRS],
    b: *const u32,
) {
    // SAFETY: the caller's word.
    let (this, next) =
        unsafe { (vld1q_u32(b.add(Q * LANES)), vld1q_u32(b.add(WIDTH + Q * LANES))) };
    let (left, right) = (vzip1q_u32(this, next), vzip2q_u32(this, next));
    for i in 0..PAIRS {
        let [near, far] = &mut squares[i][p][Q];
        *near = smmla(*near, a[i], left);
        *far = smmla(*far, a[i], right);
    }
}

/// sum + two rows of eight bytes · two columns of eight.
#[inline]
#[target_feature(enable = "neon,i8mm")]
fn smmla(mut sum: int32x4_t, rows: uint64x2_t, columns: uint32x4_t) -> int32x4_t {
    // SAFETY: registers only, and whoever calls has the instruction.
    unsafe {
        asm!(
            "smmla {sum:v}.4s, {rows:v}.16b, {columns:v}.16b",
            sum = inout(vreg) sum,
            rows = in(vreg) rows,
            columns = in(vreg) columns,
            options(pure, nomem, nostack, preserves_flags),
        )
    };
    sum
}
