//! What a micro-kernel is: data, one for each instruction set.
//!
//! ```text
//! c [rows, 16 panels]  =  (c or 0)  +  a [rows, k] · b [k, 16 panels]
//! ```
//!
//! A tile of c stays in registers while k runs: each step loads one row of the panels and `rows`
//! values of a, and does rows · panels · 16 fused multiply-adds with them. The more of both, the
//! fewer loads a multiply-add; the registers set the limit. With few rows there is nothing to reuse,
//! but one multiply-add takes four cycles, and two begin in each: eight sums must be
//! open at once. So few rows take more panels, and each kernel lists what it can do.

use crate::{Isa, Level};

/// The micro-kernels of one instruction set.
pub(super) struct Microkernel {
    /// Most panels first; the last has one panel, and the most rows that any has.
    pub(super) widths: &'static [Width],
}

/// Tiles of one width.
pub(super) struct Width {
    /// Panels of a tile.
    pub(super) panels: usize,
    /// `heights[i]` makes i + 1 rows.
    pub(super) heights: &'static [Run],
}

/// Makes a tile. Callers must hold the [`Isa`] of its [`Microkernel`] and keep what [`Tile`] says.
pub(super) type Run = unsafe fn(&Tile);

/// Where a tile's factors lie, for a number of rows and panels that its maker knows.
pub(super) struct Tile {
    /// Steps of the sum.
    pub(super) k: usize,
    /// Row i: k floats to read at `a + i · a_stride`.
    pub(super) a: *const f32,
    pub(super) a_stride: usize,
    /// Panel p: 16 k floats to read at `b + p · panel_stride`.
    pub(super) b: *const f32,
    pub(super) panel_stride: usize,
    /// Row i: 16 · panels floats to write, ours alone, at `c + i · c_stride`.
    pub(super) c: *mut f32,
    pub(super) c_stride: usize,
    /// What the sum begins with. Resumed sums are exact: they were stored as they stood in registers.
    pub(super) start: Start,
}

/// What a tile's sums begin with.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Start {
    /// Nothing.
    Zero,
    /// What c holds: the sum over earlier blocks of k.
    Resume,
}

impl Microkernel {
    /// The tiles of this instruction set.
    pub(super) fn of(isa: Isa) -> &'static Microkernel {
        match isa.level() {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => &super::f32_avx512::AVX512,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => &super::f32_avx2::AVX2,
            #[cfg(target_arch = "aarch64")]
            Level::Neon => &super::f32_neon::NEON,
            _ => &super::scalar::SCALAR,
        }
    }

    /// The most rows of a tile.
    pub(super) fn rows(&self) -> usize {
        self.widths.last().map_or(0, |width| width.heights.len())
    }
}

/// Asks for a cache line to be in L2 soon; does nothing on a CPU whose hint has no stable name in Rust.
#[inline]
pub(super) fn prefetch(line: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint reads nothing, and SSE is part of x86-64.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}
