//! f16 and bf16 on a GPU's tensor cores. `half_mma.cu` has the arithmetic, `tile.cuh` the tile.

use crate::cuda::{Float, Launch, blocks, constant};

const SOURCE: &str = include_str!("half_mma.cu");
const LARGE: [u32; 3] = [
    constant(SOURCE, "HALF_MMA_LARGE_M"),
    constant(SOURCE, "HALF_MMA_LARGE_N"),
    constant(SOURCE, "HALF_MMA_LARGE_THREADS"),
];
const SMALL: [u32; 3] = [
    constant(SOURCE, "HALF_MMA_SMALL_M"),
    constant(SOURCE, "HALF_MMA_SMALL_N"),
    constant(SOURCE, "HALF_MMA_SMALL_THREADS"),
];

/// c `[m, n]` from activations in 16 bits; n, and the k of the launch, a multiple of 8.
pub fn half_mma_launch(float: Float, m: usize, n: usize) -> Launch {
    assert!(n.is_multiple_of(8), "{n} columns: not a multiple of 8");
    let large = is_large(m, n, LARGE);
    let kernel = match (float, large) {
        (Float::F16, true) => "half_mma_f16_large",
        (Float::F16, false) => "half_mma_f16_small",
        (Float::Bf16, true) => "half_mma_bf16_large",
        (Float::Bf16, false) => "half_mma_bf16_small",
        (Float::F32, _) => panic!("f32 on tensor cores of 16 bits"),
    };
    let [rows, cols, threads] = if large { LARGE } else { SMALL };
    Launch {
        file: "half_mma",
        kernel,
        grid: [blocks(n, cols), blocks(m, rows)],
        threads,
        shared: 0,
    }
}

/// Whether large tiles fill a GPU: with fewer blocks than this more and smaller ones read W faster. A
/// guess between the 40 multiprocessors of a T4 and the 132 of an H200; not measured.
pub(super) fn is_large(m: usize, n: usize, [rows, cols, _]: [u32; 3]) -> bool {
    const BLOCKS: u32 = 64;
    blocks(n, cols) * blocks(m, rows) >= BLOCKS
}
