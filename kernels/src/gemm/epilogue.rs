//! What happens to c = a · Wᵀ before anybody reads it: bias, activation, residual.
//!
//! ```text
//! None              c
//! Bias              c + bias
//! BiasActivation    activation(c + bias)
//! BiasResidual      (c + bias) + residual
//! ```
//!
//! The sums begin with the bias, which costs nothing. The rest is done tile by tile, as soon as a
//! tile's sums are complete and while it is in L1: no pass over memory of its own. Cost: a load
//! and a store for each lane of c, little beside its sum; for the activations see `gelu.rs`.

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::*;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::ops::Range;

use crate::gelu::{Activation, activate_rows};
use crate::{Isa, MatMut, MatRef, Precision};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::{Vectors, lanes::*};

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

    /// The same for a product in this precision: no GELU is finer than what will read it.
    pub(super) fn no_finer_than(self, precision: Precision) -> Epilogue<'a> {
        match (self, precision) {
            (
                Epilogue::BiasActivation(bias, Activation::Gelu),
                Precision::Bf16 | Precision::Int8,
            ) => Epilogue::BiasActivation(bias, Activation::RoughGelu),
            (other, _) => other,
        }
    }

    /// What every sum begins with.
    pub(super) fn bias(&self) -> Option<&'a [f32]> {
        match *self {
            Epilogue::None => None,
            Epilogue::Bias(bias)
            | Epilogue::BiasActivation(bias, _)
            | Epilogue::BiasResidual(bias, _) => Some(bias),
        }
    }

    /// Whether its values can be written in bf16 as they come, and 0 remains 0.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn is_written_in_bf16(&self) -> bool {
        matches!(self, Epilogue::BiasActivation(_, Activation::RoughGelu | Activation::Linear))
    }

    /// Asserts that it fits c `[m, n]`.
    pub(super) fn assert_fits(&self, m: usize, n: usize) {
        if let Some(bias) = self.bias() {
            assert!(bias.len() == n, "a bias of {} for {n} columns", bias.len());
        }
        if let Epilogue::BiasResidual(_, residual) = self {
            assert!(residual.rows() == m, "a residual of {} rows for {m}", residual.rows());
            assert!(residual.cols() == n, "a residual of {} columns for {n}", residual.cols());
        }
    }
}

/// What is left to do for a tile that begins at a row and a column of c, its sums complete.
pub(super) fn finish(isa: Isa, epilogue: Epilogue, row: usize, col: usize, tile: MatMut<f32>) {
    match epilogue {
        Epilogue::None | Epilogue::Bias(_) => {}
        Epilogue::BiasActivation(_, Activation::Linear) => {}
        Epilogue::BiasActivation(_, f) => activate_rows(isa, f, tile),
        Epilogue::BiasResidual(_, residual) => {
            let residual = residual.block(row..row + tile.rows(), col..col + tile.cols());
            match isa.vectors() {
                // SAFETY: the isa proves NEON.
                #[cfg(target_arch = "aarch64")]
                Vectors::Neon => unsafe { add_neon(residual, tile) },
                // SAFETY: the isa proves AVX2 and FMA.
                #[cfg(target_arch = "x86_64")]
                Vectors::Avx2 => unsafe { add_avx2(residual, tile) },
                // SAFETY: the isa proves AVX-512.
                #[cfg(target_arch = "x86_64")]
                Vectors::Avx512 => unsafe { add_avx512(residual, tile) },
                _ => add_scalar(residual, tile),
            }
        }
    }
}

fn add_scalar(residual: MatRef<f32>, mut tile: MatMut<f32>) {
    for i in 0..tile.rows() {
        for (c, residual) in tile.row_mut(i).iter_mut().zip(residual.row(i)) {
            *c += residual;
        }
    }
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn add_neon(residual: MatRef<f32>, mut tile: MatMut<f32>) {
    for i in 0..tile.rows() {
        let residual = residual.row(i);
        map4(tile.row_mut(i), |j, c| vaddq_f32(c, load4(residual, j)));
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn add_avx2(residual: MatRef<f32>, mut tile: MatMut<f32>) {
    for i in 0..tile.rows() {
        let residual = residual.row(i);
        map8(tile.row_mut(i), |j, c| _mm256_add_ps(c, load8(residual, j)));
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq")]
fn add_avx512(residual: MatRef<f32>, mut tile: MatMut<f32>) {
    for i in 0..tile.rows() {
        let residual = residual.row(i);
        map16(tile.row_mut(i), |j, c| _mm512_add_ps(c, load16(residual, j)));
    }
}
