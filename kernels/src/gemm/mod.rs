//! GEMM: the product of activations and a weight matrix, with bias, activation or residual behind it.
//!
//! ```text
//! cᵢⱼ = epilogue(Σₗ aᵢₗ wⱼₗ)        c = epilogue(a · Wᵀ)
//! ```
//!
//! a `[m, k]`, W `[n, k]` (out × in, as PyTorch stores a Linear), c `[m, n]`. The sum over k
//! has a fixed order that depends on k and n alone: c has the same bits for any number of
//! threads, and row i has the same bits whatever other rows a has.
//!
//! Cost: 2mnk flops over mk + nk + mn values. For m in the hundreds bound by arithmetic; for one
//! sentence (m of 10 to 40) by reading W. All other ops together are a tenth of it.
//!
//! | file          | engine | used for |
//! |---------------|--------|----------|
//! | `scalar.rs`   | three loops | the reference: level scalar |
//! | `portable.rs` | the `gemm` crate behind our signature | every other level |
//! | `dot.rs`      | one dot product per output | n ≤ 64: heads of one or a few outputs |
//! | `epilogue.rs` | what is done to c | every level |
//!
//! The `gemm` crate chooses its instructions itself: a forced level below the CPU's best
//! forces everything but its inner loops.

mod dot;
mod epilogue;
mod portable;
mod scalar;

pub use epilogue::Epilogue;

use crate::matrix::Shared;
use crate::{Isa, Level, MatMut, MatRef};

/// A weight matrix W `[n, k]`, ready for [`gemm()`]: today a view of its rows, wherever they lie.
#[derive(Clone)]
pub struct PackedB {
    weight: Shared<f32>,
    n: usize,
    k: usize,
}

impl PackedB {
    /// W `[n, k]`, row-major without gaps. Panics if `weight` has not n · k values.
    pub fn new(weight: Shared<f32>, n: usize, k: usize) -> PackedB {
        let len = (*weight).as_ref().len();
        assert!(n.checked_mul(k) == Some(len), "W of {n} × {k} over {len} values");
        PackedB { weight, n, k }
    }

    /// Rows of W: the output width.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Columns of W: the input width.
    pub fn k(&self) -> usize {
        self.k
    }

    fn rows(&self) -> MatRef<'_, f32> {
        MatRef::new((*self.weight).as_ref(), self.n, self.k)
    }
}

/// c `[m, n]` = epilogue(a `[m, k]` · Wᵀ).
pub fn gemm(isa: Isa, a: MatRef<f32>, b: &PackedB, epilogue: Epilogue, mut c: MatMut<f32>) {
    assert!(a.cols() == b.k, "a of {} columns times W of {}", a.cols(), b.k);
    assert!(c.rows() == a.rows(), "c of {} rows for a of {}", c.rows(), a.rows());
    assert!(c.cols() == b.n, "c of {} columns for W of {} rows", c.cols(), b.n);
    match isa.level() {
        Level::Scalar => scalar::product_nt(1.0, a, b.rows(), c.reborrow()),
        _ if b.n <= portable::NARROW => dot::product_nt(isa, a, b.rows(), c.reborrow()),
        _ => portable::linear(a, b.rows(), c.reborrow()),
    }
    epilogue::finish(isa, epilogue, c);
}

/// What multiplies on this level, for whoever asks what ran.
pub fn engine(isa: Isa) -> &'static str {
    match isa.level() {
        Level::Scalar => "scalar",
        Level::Neon | Level::Avx2 | Level::Avx512 => "gemm crate",
    }
}

/// c `[m, n]` = scale · a `[m, k]` · bᵀ, b `[n, k]`, on this thread: queries times keys.
pub(crate) fn product_nt(isa: Isa, scale: f32, a: MatRef<f32>, b: MatRef<f32>, c: MatMut<f32>) {
    match isa.level() {
        Level::Scalar => scalar::product_nt(scale, a, b, c),
        _ => portable::product_nt(scale, a, b, c),
    }
}

/// c `[m, n]` = a `[m, k]` · b `[k, n]`, on this thread: probabilities times values.
pub(crate) fn product_nn(isa: Isa, a: MatRef<f32>, b: MatRef<f32>, c: MatMut<f32>) {
    match isa.level() {
        Level::Scalar => scalar::product_nn(a, b, c),
        _ => portable::product_nn(a, b, c),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::gelu::Activation;

    #[test]
    fn a_small_product_comes_out_by_hand_with_each_epilogue() {
        let weight = PackedB::new(Arc::new(vec![1.0, 0.0, 2.0, 0.0, 3.0, -1.0]), 2, 3);
        let residual = [100.0, 200.0];
        for isa in Isa::available() {
            let run = |epilogue| {
                let mut c = [f32::NAN; 2];
                let a = MatRef::new(&[1.0, 2.0, 3.0], 1, 3);
                gemm(isa, a, &weight, epilogue, MatMut::new(&mut c, 1, 2));
                c
            };
            let bias = &[0.5, -4.0];
            assert_eq!(run(Epilogue::None), [7.0, 3.0]);
            assert_eq!(run(Epilogue::Bias(bias)), [7.5, -1.0]);
            assert_eq!(run(Epilogue::BiasActivation(bias, Activation::Relu)), [7.5, 0.0]);
            let residual = MatRef::new(&residual, 1, 2);
            assert_eq!(run(Epilogue::BiasResidual(bias, residual)), [107.5, 199.0]);
        }
    }

    #[test]
    #[should_panic(expected = "W of 2 × 3 over 5 values")]
    fn a_weight_of_the_wrong_size_is_refused() {
        PackedB::new(Arc::new(vec![0.0; 5]), 2, 3);
    }
}
