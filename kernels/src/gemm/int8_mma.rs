//! int8 on a GPU's tensor cores, the CPU's bits. `int8_mma.cu` has the arithmetic, `tile.cuh` the tile.

use super::half_mma::is_large;
use crate::cuda::{Float, Launch, blocks, constant};

const SOURCE: &str = include_str!("int8_mma.cu");
const LARGE: [u32; 3] = [
    constant(SOURCE, "INT8_MMA_LARGE_M"),
    constant(SOURCE, "INT8_MMA_LARGE_N"),
    constant(SOURCE, "INT8_MMA_LARGE_THREADS"),
];
const SMALL: [u32; 3] = [
    constant(SOURCE, "INT8_MMA_SMALL_M"),
    constant(SOURCE, "INT8_MMA_SMALL_N"),
    constant(SOURCE, "INT8_MMA_SMALL_THREADS"),
];

/// c `[m, n]` beside activations in f32 or f16; n a multiple of 8, the k of the launch of 16.
pub fn int8_mma_launch(float: Float, m: usize, n: usize) -> Launch {
    assert!(n.is_multiple_of(8), "{n} columns: not a multiple of 8");
    let large = is_large(m, n, LARGE);
    let kernel = match (float, large) {
        (Float::F32, true) => "int8_mma_f32_large",
        (Float::F32, false) => "int8_mma_f32_small",
        (Float::F16, true) => "int8_mma_f16_large",
        (Float::F16, false) => "int8_mma_f16_small",
        (Float::Bf16, _) => panic!("int8 beside bf16"),
    };
    let [rows, cols, threads] = if large { LARGE } else { SMALL };
    Launch {
        file: "int8_mma",
        kernel,
        grid: [blocks(n, cols), blocks(m, rows)],
        threads,
        shared: 0,
    }
}
