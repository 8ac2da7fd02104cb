//! A product with one or two columns on a GPU. `thin.cu` has the arithmetic.

use crate::cuda::{Float, Launch, blocks, constant};

/// c `[m, n]`, n at most 2; the k of the launch a multiple of 4.
pub fn thin_launch(float: Float, m: usize, n: usize) -> Launch {
    const SOURCE: &str = include_str!("thin.cu");
    const ROWS: u32 = constant(SOURCE, "THIN_ROWS");
    const MOST: u32 = constant(SOURCE, "THIN_MOST");
    assert!(n <= MOST as usize, "{n} columns: more than {MOST}");
    let kernel = match float {
        Float::F32 => "thin_f32",
        Float::F16 => "thin_f16",
        Float::Bf16 => "thin_bf16",
    };
    Launch { file: "thin", kernel, grid: [blocks(m, ROWS), 1], threads: 32 * ROWS, shared: 0 }
}
