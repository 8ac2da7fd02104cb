//! The `gemm` crate behind a safe signature: a second opinion for tests, and the one to beat in benches.

use gemm::Parallelism;
use zhengzi_kernels::{MatMut, MatRef};

/// c `[m, n]` = a `[m, k]` · Wᵀ, W `[n, k]`. The crate packs W anew in each call, and rightly says nothing of it.
pub fn gemm_crate(threads: usize, a: MatRef<f32>, w: MatRef<f32>, mut c: MatMut<f32>) {
    assert_eq!((a.cols(), c.rows(), c.cols()), (w.cols(), a.rows(), w.rows()));
    let threads = if threads > 1 { Parallelism::Rayon(threads) } else { Parallelism::None };
    let (reads_c, old, scale, conjugated) = (false, 0.0, 1.0, false);
    // SAFETY: the three shapes agree, as asserted; each pointer and its strides are those of a
    // matrix whose values lie in borrowed memory; c is borrowed alone, and its old values not read.
    unsafe {
        gemm::gemm(
            c.rows(),
            c.cols(),
            a.cols(),
            c.as_mut_ptr(),
            1,
            c.row_stride() as isize,
            reads_c,
            a.as_ptr(),
            1,
            a.row_stride() as isize,
            w.as_ptr(),
            w.row_stride() as isize,
            1,
            old,
            scale,
            conjugated,
            conjugated,
            conjugated,
            threads,
        );
    }
}
