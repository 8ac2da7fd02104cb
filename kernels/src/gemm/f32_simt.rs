//! f32 on a GPU without tensor cores: 64 × 64 values a block, the CPU's bits. `f32_simt.cu` has the
//! arithmetic.

use crate::cuda::{Launch, blocks, constant};

/// c `[m, n]`; n, and the k of the launch, a multiple of 4.
pub fn f32_simt_launch(m: usize, n: usize) -> Launch {
    const SOURCE: &str = include_str!("f32_simt.cu");
    const M: u32 = constant(SOURCE, "F32_SIMT_M");
    const N: u32 = constant(SOURCE, "F32_SIMT_N");
    const THREADS: u32 = constant(SOURCE, "F32_SIMT_THREADS");
    assert!(n.is_multiple_of(4), "{n} columns: not a multiple of 4");
    let grid = [blocks(n, N), blocks(m, M)];
    Launch { file: "f32_simt", kernel: "f32_simt", grid, threads: THREADS, shared: 0 }
}
