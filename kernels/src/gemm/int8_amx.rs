//! int8 with AMX: tiles of up to 32 × 32.
//!
//! The sums are made by `amx.rs`, both factors with their sign, exactly, over all of k; here they
//! become f32 as on every level, c = fma(sum, row · column, start), with the same bits.
//!
//! An instruction does twice the arithmetic of bf16, so what surrounds the loop weighs twice as
//! much: for k = 256, four steps, to store, convert and write these four kilobytes takes as long as to sum.

use std::arch::x86_64::*;

use super::amx::{Sums, heights, multiply_int8};
use super::pack::WIDTH;
use super::tile::{Left, Microkernel, Run, Start, Tile, Width};

/// 16 × 64, 32 × 32, 32 × 16.
pub(super) const KERNEL: Microkernel = Microkernel {
    name: "int8 amx",
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
/// `t.rows` rows of int8, with zeros up to a multiple of 16, and PANELS panels as [`Tile`] says.
#[target_feature(enable = "avx512f")]
unsafe fn tile<const BANDS: usize, const PANELS: usize>(t: &Tile) {
    let mut sums = Sums::new();
    // SAFETY: the caller's word. Every sum below is one of the tile's, and written.
    unsafe {
        multiply_int8::<BANDS, PANELS>(t, &mut sums);
        for i in 0..t.rows {
            let row = _mm512_set1_ps(*t.scale.rows.add(i));
            for p in 0..PANELS {
                let c = t.c.add(i * t.c_stride + p * WIDTH);
                let start = match t.start {
                    Start::Zero => _mm512_setzero_ps(),
                    Start::Row(row) => _mm512_loadu_ps(row.add(p * WIDTH)),
                    Start::Resume => _mm512_loadu_ps(c),
                };
                let worth = _mm512_mul_ps(row, _mm512_loadu_ps(t.scale.columns.add(p * WIDTH)));
                let sum = _mm512_load_si512(sums.row::<PANELS>(i, p).cast());
                _mm512_storeu_ps(c, _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), worth, start));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::gemm::{Epilogue, PackedB, gemm};
    use crate::{Isa, Level, MatMut, MatRef, Precision};

    #[test]
    fn bands_of_every_height_and_width_have_the_bits_of_the_reference() {
        let values = |len, step: usize| -> Vec<f32> {
            (0..len).map(|i: usize| (i * step % 1009) as f32 / 100.0 - 5.0).collect()
        };
        let (m, k) = (1..=70, [0, 1, 3, 64, 65, 300]);
        for (m, k) in m.flat_map(|m| k.map(|k| (m, k))) {
            for n in [1, 16, 33, 64, 112] {
                let (a, w, bias) = (values(m * k, 37), values(n * k, 101), values(n, 11));
                let packed = PackedB::pack(Isa::best(), Precision::Int8, &[MatRef::new(&w, n, k)]);
                let run = |isa| {
                    let mut c = vec![f32::NAN; m * n];
                    let (a, c_mut) = (MatRef::new(&a, m, k), MatMut::new(&mut c, m, n));
                    gemm(isa, a, &packed, Epilogue::Bias(&bias), c_mut);
                    c.iter().map(|c| c.to_bits()).collect::<Vec<_>>()
                };
                let expected = run(Isa::new(Level::Scalar).unwrap());
                for isa in Isa::available() {
                    assert_eq!(run(isa), expected, "{m} × {n} × {k} on {}", isa.level());
                }
            }
        }
    }
}
