//! What a micro-kernel is: data, one for each instruction set.
//!
//! ```text
//! c [rows, 16 panels]  =  (0, bias or c)  +  a [rows, k] · b [k, 16 panels]
//! ```
//!
//! A tile of c stays in registers while k runs: each step loads one row of the panels and `rows`
//! values of a, and does rows · panels · 16 fused multiply-adds with them. The more of both, the
//! fewer loads a multiply-add; the registers set the limit. With few rows there is nothing to reuse,
//! but one multiply-add takes four cycles, and two begin in each: eight sums must be
//! open at once. So few rows take more panels, and each kernel lists what it can do.

use crate::{Isa, Vectors};

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
    /// What the sums begin with.
    pub(super) start: Start,
}

/// What a tile's sums begin with.
#[derive(Clone, Copy)]
pub(super) enum Start {
    /// Nothing.
    Zero,
    /// The same row under every row: 16 · panels floats to read. A bias costs nothing here.
    Row(*const f32),
    /// What c holds: the sum over earlier blocks of k, exact, as it stood in registers.
    Resume,
}

impl Microkernel {
    /// The tiles of this instruction set.
    pub(super) fn of(isa: Isa) -> &'static Microkernel {
        match isa.vectors() {
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx512 => &super::f32_avx512::AVX512,
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx2 => &super::f32_avx2::AVX2,
            #[cfg(target_arch = "aarch64")]
            Vectors::Neon => &super::f32_neon::NEON,
            _ => &super::scalar::SCALAR,
        }
    }

    /// The most rows of a tile.
    pub(super) fn rows(&self) -> usize {
        self.widths.last().map_or(0, |width| width.heights.len())
    }
}
