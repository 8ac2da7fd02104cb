//! f16 and bf16 by the warpgroups of sm_90a. `half_wgmma.cu` has the arithmetic, `hopper.cuh` the
//! instructions.
//!
//! Its factors are handed over as tensor maps (`cuTensorMapEncodeTiled`): two dimensions, 16 bits a value,
//! boxes of 64 columns by [`half_wgmma_tiles`] rows, no interleaving, `SWIZZLE_128B`, zeros beyond the
//! edges.

use crate::cuda::{Float, Launch, blocks, constant};

const SOURCE: &str = include_str!("half_wgmma.cu");
const M: u32 = constant(SOURCE, "HALF_WGMMA_M");
const N: u32 = constant(SOURCE, "HALF_WGMMA_N");
const WIDE_N: u32 = constant(SOURCE, "HALF_WGMMA_WIDE_N");
const K: u32 = constant(SOURCE, "HALF_WGMMA_K");
const STAGES: u32 = constant(SOURCE, "HALF_WGMMA_STAGES");
const THREADS: u32 = constant(SOURCE, "HALF_WGMMA_THREADS");

/// c `[m, n]` from activations in 16 bits; n, and the k of the launch, a multiple of 8.
pub fn half_wgmma_launch(float: Float, m: usize, n: usize) -> Launch {
    assert!(n.is_multiple_of(8), "{n} columns: not a multiple of 8");
    let [rows, cols] = half_wgmma_tiles(n);
    let kernel = match (float, cols == WIDE_N) {
        (Float::F16, false) => "half_wgmma_f16",
        (Float::F16, true) => "half_wgmma_f16_wide",
        (Float::Bf16, false) => "half_wgmma_bf16",
        (Float::Bf16, true) => "half_wgmma_bf16_wide",
        (Float::F32, _) => panic!("f32 on tensor cores of 16 bits"),
    };
    let grid = [blocks(n, cols), blocks(m, rows)];
    // The stages, and two barriers of 8 bytes for each.
    let shared = STAGES * (2 * K * (rows + cols) + 16);
    Launch { file: "half_wgmma", kernel, grid, threads: THREADS, shared }
}

/// Rows of a tile of a and of W, for a W of n rows: the wide tile where it divides n.
pub fn half_wgmma_tiles(n: usize) -> [u32; 2] {
    [M, if n.is_multiple_of(WIDE_N as usize) { WIDE_N } else { N }]
}
