//! What happens to c = a · Wᵀ before anybody reads it: bias, activation, residual.
//!
//! ```text
//! None              c
//! Bias              c + bias
//! BiasActivation    activation(c + bias)
//! BiasResidual      (c + bias) + residual
//! ```
//!
//! One pass over c, rows shared among threads. Cost: 8 bytes an element (12 with a residual):
//! bound by memory, but for the activations (`gelu.rs`). The residual needs no vectors of
//! ours: the compiler's keep up with memory.

use crate::gelu::{Activation, activate_biased};
use crate::{Isa, MatMut, MatRef, parallel};

/// What [`gemm()`](super::gemm()) does to each row of a · Wᵀ before it returns.
#[derive(Clone, Copy, Debug)]
pub enum Epilogue<'a> {
    /// Nothing.
    None,
    /// c + bias `[n]`.
    Bias(&'a [f32]),
    /// activation(c + bias `[n]`).
    BiasActivation(&'a [f32], Activation),
    /// c + bias `[n]` + residual `[m, n]`, which is another matrix than c.
    BiasResidual(&'a [f32], MatRef<'a, f32>),
}

/// c = epilogue(c).
pub(crate) fn finish(isa: Isa, epilogue: Epilogue, c: MatMut<f32>) {
    let (m, n) = (c.rows(), c.cols());
    if let Epilogue::Bias(bias)
    | Epilogue::BiasActivation(bias, _)
    | Epilogue::BiasResidual(bias, _) = epilogue
    {
        assert!(bias.len() == n, "a bias of {} for {n} columns", bias.len());
    }
    match epilogue {
        Epilogue::None => {}
        Epilogue::Bias(bias) => activate_biased(isa, Activation::Linear, bias, c),
        Epilogue::BiasActivation(bias, activation) => activate_biased(isa, activation, bias, c),
        Epilogue::BiasResidual(bias, residual) => {
            assert!(residual.rows() == m, "a residual of {} rows for {m}", residual.rows());
            assert!(residual.cols() == n, "a residual of {} columns for {n}", residual.cols());
            parallel::over_rows(c, n, |first, mut c| {
                for i in 0..c.rows() {
                    let parts = bias.iter().zip(residual.row(first + i));
                    for (c, (bias, residual)) in c.row_mut(i).iter_mut().zip(parts) {
                        *c = *c + bias + residual;
                    }
                }
            });
        }
    }
}
