//! bf16 with AMX: weights and activations in bf16, sums in f32, tiles of up to 32 × 32.
//!
//! The sums are made by `amx.rs`, over all of k; here they get their start (a bias) and go to c. Each
//! value of c is a chain of its own, through the same instructions whether its row is alone or
//! has 31 neighbours: the rows beyond the last are zeros, multiplied and not stored.
//!
//! Each factor is off by at most 2⁻⁸ of itself, so a sum by at most (2⁻⁷ + 2⁻¹⁶) Σ|a w|.

use std::arch::x86_64::*;

use super::amx::{Sums, heights, multiply_bf16};
use super::pack::WIDTH;
use super::tile::{Left, Microkernel, Run, Start, Tile, Width};

/// 16 × 64, 32 × 32, 32 × 16.
pub(super) const KERNEL: Microkernel = Microkernel {
    name: "bf16 amx",
    left: Left::Bands,
    widths: &[
        Width { panels: 4, heights: &[tile::<1, 4> as Run; 16] },
        Width { panels: 2, heights: &heights(tile::<1, 2>, tile::<2, 2>) },
        Width { panels: 1, heights: &heights(tile::<1, 1>, tile::<2, 1>) },
    ],
};

/// Up to 16 BANDS rows × 16 PANELS.
///
/// # Safety
///
/// The CPU has AMX and AVX-512 F, and this thread has [`Registers`](super::amx::Registers); `t` describes
/// `t.rows` rows of bf16, with zeros up to a multiple of 16, and PANELS panels as [`Tile`] says.
#[target_feature(enable = "avx512f")]
unsafe fn tile<const BANDS: usize, const PANELS: usize>(t: &Tile) {
    let mut sums = Sums::new();
    // SAFETY: the caller's word. Every sum below is one of the tile's, and written.
    unsafe {
        multiply_bf16::<BANDS, PANELS>(t, &mut sums);
        for i in 0..t.rows {
            for p in 0..PANELS {
                let c = t.c.add(i * t.c_stride + p * WIDTH);
                let start = match t.start {
                    Start::Zero => _mm512_setzero_ps(),
                    Start::Row(row) => _mm512_loadu_ps(row.add(p * WIDTH)),
                    Start::Resume => _mm512_loadu_ps(c),
                };
                let sum = _mm512_load_ps(sums.row::<PANELS>(i, p));
                _mm512_storeu_ps(c, _mm512_add_ps(start, sum));
            }
        }
    }
}
