//! y = x · Wᵀ + b: the layer that holds nearly all weights of a network; and W alone, as a table.

use std::sync::Arc;

use zhengzi_kernels::gemm::{
    Epilogue, MadeRows, PackedB, Rows, gemm, gemm_parts, gemm_rows, gemm_unpacked,
};
use zhengzi_kernels::matrix::Shared;
use zhengzi_kernels::{Isa, MatMut, MatRef, Precision, embedding, gelu::Activation};

/// A weight W `[outputs, inputs]`, packed as the kernels read it, with its bias `[outputs]`.
/// [`Weights::linear`](crate::Weights::linear) loads one.
pub struct Linear {
    weight: Arc<PackedB>,
    bias: Vec<f32>,
}

impl Linear {
    /// Panics where the bias is not as long as W has rows.
    pub fn new(weight: Arc<PackedB>, bias: Vec<f32>) -> Linear {
        assert!(bias.len() == weight.n(), "a bias of {} for {} rows", bias.len(), weight.n());
        Linear { weight, bias }
    }

    /// Width of y.
    pub fn outputs(&self) -> usize {
        self.weight.n()
    }

    /// What W is stored as, and multiplied in.
    pub fn precision(&self) -> Precision {
        self.weight.precision()
    }

    /// y `[m, outputs]` = x `[m, inputs]` · Wᵀ + b.
    pub fn forward<'a>(&'a self, isa: Isa, x: impl Into<Rows<'a>>, y: MatMut<f32>) {
        gemm(isa, x, &self.weight, Epilogue::Bias(&self.bias), y);
    }

    /// The same, y being so many layers side by side, as [`Weights::joined`](crate::Weights::joined) makes them.
    pub fn forward_parts(&self, isa: Isa, x: Rows, parts: usize, y: MatMut<f32>) {
        gemm_parts(isa, x, &self.weight, Epilogue::Bias(&self.bias), parts, y);
    }

    /// y = activation(x · Wᵀ + b).
    pub fn forward_activated(&self, isa: Isa, x: MatRef<f32>, f: Activation, y: MatMut<f32>) {
        gemm(isa, x, &self.weight, Epilogue::BiasActivation(&self.bias, f), y);
    }

    /// The same as the left factor of the next product; y is scratch.
    pub fn forward_activated_rows<'y>(
        &self,
        isa: Isa,
        x: Rows,
        f: Activation,
        y: MatMut<'y, f32>,
        made: &'y mut MadeRows,
    ) -> Rows<'y> {
        gemm_rows(isa, x, &self.weight, Epilogue::BiasActivation(&self.bias, f), y, made)
    }

    /// y = x · Wᵀ + b + residual, the residual `[m, outputs]`.
    pub fn forward_residual<'a>(
        &'a self,
        isa: Isa,
        x: impl Into<Rows<'a>>,
        residual: MatRef<'a, f32>,
        y: MatMut<f32>,
    ) {
        gemm(isa, x, &self.weight, Epilogue::BiasResidual(&self.bias, residual), y);
    }
}

/// A matrix W `[rows, cols]` whose rows are looked up, and which is multiplied with now and then:
/// the word embeddings, to which a generator's head is tied. Cloning shares it.
#[derive(Clone)]
pub enum Table {
    /// As it lies in a file.
    Rows {
        /// Row by row.
        values: Shared<f32>,
        /// Rows.
        rows: usize,
        /// Columns.
        cols: usize,
    },
    /// Packed, as a [`Linear`]'s weight is.
    Packed(Arc<PackedB>),
}

impl Table {
    /// The same for the kernel that looks rows up.
    pub fn view(&self) -> embedding::Table<'_> {
        match self {
            Table::Rows { values, rows, cols } => {
                embedding::Table::Rows(MatRef::new((**values).as_ref(), *rows, *cols))
            }
            Table::Packed(packed) => embedding::Table::Packed(packed),
        }
    }

    /// y `[m, rows]` = x `[m, cols]` · Wᵀ + bias.
    pub fn multiply(&self, isa: Isa, x: MatRef<f32>, bias: &[f32], y: MatMut<f32>) {
        let epilogue = Epilogue::Bias(bias);
        match self.view() {
            embedding::Table::Rows(w) => gemm_unpacked(isa, x, w, epilogue, y),
            embedding::Table::Packed(packed) => gemm(isa, x, packed, epilogue, y),
        }
    }
}
