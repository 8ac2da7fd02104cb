//! int8 with AVX-VNNI: tiles of up to 6 × 16, one panel wide, as in `f32_avx2.rs`.
//!
//! `vpdpbusd` on 256 bits: 32 multiply-adds an instruction, 12 of them a group for 8 loads. The left
//! factor has 128 added to each byte, and the sums begin with what that adds, see
//! `int8_avx512_vnni.rs`.
//!
//! The instruction has two encodings: that of CPUs without AVX-512, and one of AVX-512 VNNI with VL. The
//! tile is written once for both, so that its arithmetic is tested where either is to be had.

use std::arch::x86_64::*;

use super::int8_avx2::{LANES, store};
use super::pack::WIDTH;
use super::tile::{Left, Microkernel, Tile, Width};

/// 1 × 64, 3 × 32, 6 × 16, by the tile of this name.
macro_rules! kernel {
    ($name:literal, $tile:ident) => {
        Microkernel {
            name: $name,
            left: Left::Int8 { offset: 128 },
            widths: &[
                Width { panels: 4, heights: &[$tile::<1, 4>] },
                Width { panels: 2, heights: &[$tile::<1, 2>, $tile::<2, 2>, $tile::<3, 2>] },
                Width {
                    panels: 1,
                    heights: &[
                        $tile::<1, 1>,
                        $tile::<2, 1>,
                        $tile::<3, 1>,
                        $tile::<4, 1>,
                        $tile::<5, 1>,
                        $tile::<6, 1>,
                    ],
                },
            ],
        }
    };
}

/// The tile in one of the two encodings: its name, the features, the instruction.
macro_rules! tile {
    ($tile:ident, $features:literal, $dpbusd:ident) => {
        /// ROWS × 16 PANELS.
        ///
        /// # Safety
        ///
        /// The CPU has these features; `t` describes ROWS rows and PANELS panels as [`Tile`] says.
        #[target_feature(enable = $features)]
        unsafe fn $tile<const ROWS: usize, const PANELS: usize>(t: &Tile) {
            // SAFETY: every pointer below stays in the rows and panels that the caller answers for:
            // rows i < ROWS, panels p < PANELS, groups l < k, halves h of a panel's columns.
            unsafe {
                let mut start = [[_mm256_setzero_si256(); 2]; PANELS];
                for (h, start) in start.as_flattened_mut().iter_mut().enumerate() {
                    let sums = _mm256_loadu_si256(t.scale.sums.add(h * LANES).cast());
                    *start = _mm256_sub_epi32(*start, _mm256_slli_epi32::<7>(sums));
                }
                let mut sums = [start; ROWS];
                for l in 0..t.k {
                    let mut row = [[_mm256_setzero_si256(); 2]; PANELS];
                    for (p, row) in row.iter_mut().enumerate() {
                        for (h, row) in row.iter_mut().enumerate() {
                            let b = t.b.add(p * t.panel_stride + l * WIDTH + h * LANES);
                            *row = _mm256_loadu_si256(b.cast());
                        }
                    }
                    for (i, sums) in sums.iter_mut().enumerate() {
                        let a = _mm256_set1_epi32(*t.a.add(i * t.a_stride + l) as i32);
                        for (sum, &row) in
                            sums.as_flattened_mut().iter_mut().zip(row.as_flattened())
                        {
                            *sum = $dpbusd(*sum, a, row);
                        }
                    }
                }
                store(t, &sums);
            }
        }
    };
}

pub(super) const KERNEL: Microkernel = kernel!("int8 avx-vnni", tile);

tile!(tile, "avx2,fma,avxvnni", _mm256_dpbusd_avx_epi32);

#[cfg(test)]
mod tests {
    use super::super::tile::tests::assert_equals_scalar;
    use super::*;

    const TWIN: Microkernel = kernel!("int8 avx-vnni, in the encoding of avx512-vnni", twin);

    tile!(twin, "avx2,fma,avx512vl,avx512vnni", _mm256_dpbusd_epi32);

    /// CPUs with AVX-512 VNNI seldom have AVX-VNNI: there this is the only test that the tile gets.
    #[test]
    fn the_tile_in_the_encoding_of_avx512_equals_the_reference() {
        if is_x86_feature_detected!("avx512vl") && is_x86_feature_detected!("avx512vnni") {
            // SAFETY: the features are there.
            unsafe { assert_equals_scalar(&TWIN) };
        }
    }
}
