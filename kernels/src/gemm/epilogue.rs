//! What happens to c = a · Wᵀ before anybody reads it: bias, activation, residual.
//!
//! ```text
//! None              c
//! Bias              c + bias
//! BiasActivation    activation(c + bias)
//! BiasResidual      (c + bias) + residual
//! ```
//!
//! Done tile by tile, as soon as a tile's sums are complete and while it is in L1: no pass over
//! memory of its own. Cost: a load and a store for each lane of c, little beside its sum; for the
//! activations see `gelu.rs`. The residual needs no vectors of ours: the compiler's will do.

use std::ops::Range;

use crate::gelu::{Activation, activate_rows};
use crate::{Isa, MatMut, MatRef};

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

impl<'a> Epilogue<'a> {
    /// Its part for some columns of c.
    pub(super) fn columns(&self, cols: Range<usize>) -> Epilogue<'a> {
        match *self {
            Epilogue::None => Epilogue::None,
            Epilogue::Bias(bias) => Epilogue::Bias(&bias[cols]),
            Epilogue::BiasActivation(bias, f) => Epilogue::BiasActivation(&bias[cols], f),
            Epilogue::BiasResidual(bias, residual) => {
                let residual = residual.block(0..residual.rows(), cols.clone());
                Epilogue::BiasResidual(&bias[cols], residual)
            }
        }
    }

    /// Asserts that it fits c `[m, n]`.
    pub(super) fn assert_fits(&self, m: usize, n: usize) {
        match self {
            Epilogue::None => {}
            Epilogue::Bias(bias)
            | Epilogue::BiasActivation(bias, _)
            | Epilogue::BiasResidual(bias, _) => {
                assert!(bias.len() == n, "a bias of {} for {n} columns", bias.len());
            }
        }
        if let Epilogue::BiasResidual(_, residual) = self {
            assert!(residual.rows() == m, "a residual of {} rows for {m}", residual.rows());
            assert!(residual.cols() == n, "a residual of {} columns for {n}", residual.cols());
        }
    }
}

/// tile = epilogue(tile), a tile that begins at a row and a column of c.
pub(super) fn finish(isa: Isa, epilogue: Epilogue, row: usize, col: usize, mut tile: MatMut<f32>) {
    let cols = col..col + tile.cols();
    match epilogue {
        Epilogue::None => {}
        Epilogue::Bias(bias) => activate_rows(isa, Activation::Linear, &bias[cols], tile),
        Epilogue::BiasActivation(bias, f) => activate_rows(isa, f, &bias[cols], tile),
        Epilogue::BiasResidual(bias, residual) => {
            let residual = residual.block(row..row + tile.rows(), cols.clone());
            for i in 0..tile.rows() {
                let parts = bias[cols.clone()].iter().zip(residual.row(i));
                for (c, (bias, residual)) in tile.row_mut(i).iter_mut().zip(parts) {
                    *c = *c + bias + residual;
                }
            }
        }
    }
}
