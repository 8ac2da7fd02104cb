//! bf16 with AVX-512: weights in bf16, activations in f32, tiles of up to 14 × 32 as in `f32_avx512.rs`.
//!
//! A bf16 is the upper half of the f32 of the same value. So a word of the panel, two steps of k of one
//! column, becomes f32 without an instruction that knows bf16: shifted up it is the first of the
//! two, its lower half cleared the second. All that follows is f32: the same chain of fused
//! multiply-adds, with the same bits as a product by the rounded weights in f32.
//!
//! Registers, of 32: 14 · 2 sums, 2 for a row of the panels, 1 or 2 for a value of a. None is left to hold
//! the words for their second half, or a mask: the second half is loaded again, under a mask that
//! leaves out every other 16 bits. Widening is 4 instructions for 56 multiply-adds, on the same two
//! ports: at most 93 % of the peak of f32. What is won is memory: half of the bytes of W, which is
//! what bounds a product of few rows.

use std::arch::asm;
use std::arch::x86_64::*;

use super::pack::WIDTH;
use super::tile::{Left, Microkernel, Run, Start, Tile, Width};

/// 3 × 64, 14 × 32, 14 × 16.
pub(super) const KERNEL: Microkernel = Microkernel {
    name: "bf16 × f32 avx512",
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

/// ROWS × 16 PANELS.
///
/// # Safety
///
/// The CPU has AVX-512 F and BW; `t` describes ROWS rows and PANELS panels as [`Tile`] says, with k
/// floats of a and ⌈k / 2⌉ groups.
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn tile<const ROWS: usize, const PANELS: usize>(t: &Tile) {
    let mut c = [[_mm512_setzero_ps(); PANELS]; ROWS];
    // SAFETY: every pointer below stays in the rows and panels that the caller answers for: rows
    // i < ROWS, panels p < PANELS, steps l < k, groups l / 2.
    unsafe {
        let start = match t.start {
            Start::Zero => None,
            Start::Row(row) => Some((row, 0)),
            Start::Resume => Some((t.c.cast_const(), t.c_stride)),
        };
        if let Some((start, stride)) = start {
            for (i, c) in c.iter_mut().enumerate() {
                for (p, c) in c.iter_mut().enumerate() {
                    *c = _mm512_loadu_ps(start.add(i * stride + p * WIDTH));
                }
            }
        }
        let (mut a, mut b, mut left) = (t.a.cast::<f32>(), t.b, t.k);
        while left >= 2 {
            step::<_, _, false>(&mut c, a, t, b);
            a = anew(a.add(1));
            step::<_, _, true>(&mut c, a, t, b);
            (a, b, left) = (anew(a.add(1)), b.add(WIDTH), left - 2);
        }
        if left == 1 {
            step::<_, _, false>(&mut c, a, t, b);
        }
        for (i, c) in c.iter().enumerate() {
            for (p, &c) in c.iter().enumerate() {
                _mm512_storeu_ps(t.c.add(i * t.c_stride + p * WIDTH), c);
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
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn step<const ROWS: usize, const PANELS: usize, const SECOND: bool>(
    c: &mut [[__m512; PANELS]; ROWS],
    a: *const f32,
    t: &Tile,
    b: *const u32,
) {
    let mut row = [_mm512_setzero_ps(); PANELS];
    for (p, row) in row.iter_mut().enumerate() {
        // SAFETY: panel p has 16 words at this group.
        let words = unsafe {
            let words = b.add(p * t.panel_stride);
            match SECOND {
                false => _mm512_slli_epi32::<16>(_mm512_loadu_si512(words.cast())),
                true => _mm512_maskz_loadu_epi16(0xaaaa_aaaa, words.cast()),
            }
        };
        *row = _mm512_castsi512_ps(words);
    }
    for (i, c) in c.iter_mut().enumerate() {
        // SAFETY: row i of a has a value at this step.
        let a = _mm512_set1_ps(unsafe { *a.add(i * t.a_stride) });
        for (c, &row) in c.iter_mut().zip(&row) {
            *c = _mm512_fmadd_ps(a, row, *c);
        }
    }
}

/// The same place, reached in a way that the compiler cannot follow: loads written behind it stay behind
/// it. Else it loads values of a for the next step ahead of their time, and sums go to the stack to make
/// room: a tile of 14 rows was six times as slow. No instruction.
#[inline]
fn anew<T>(place: *const T) -> *const T {
    let mut place = place;
    // SAFETY: an empty block of assembly does nothing.
    unsafe { asm!("/* {0} */", inout(reg) place, options(nostack, preserves_flags)) };
    place
}
