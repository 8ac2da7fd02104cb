//! y = x · Wᵀ + b: the layer that holds nearly all weights of a network.

use zhengzi_kernels::gemm::{Epilogue, PackedB, gemm};
use zhengzi_kernels::matrix::Shared;
use zhengzi_kernels::{Isa, MatMut, MatRef, gelu::Activation};

use crate::{Checkpoint, CheckpointError};

/// A weight W `[outputs, inputs]` with its bias `[outputs]`, as torch's `nn.Linear` stores them;
/// the weight packed as the kernels read it.
pub struct Linear {
    weight: PackedB,
    bias: Vec<f32>,
}

impl Linear {
    /// `{prefix}.weight` and `{prefix}.bias`, which must have these extents.
    pub fn load(
        checkpoint: &Checkpoint,
        prefix: &str,
        outputs: usize,
        inputs: usize,
    ) -> Result<Linear, CheckpointError> {
        Linear::load_joined(checkpoint, &[prefix], outputs, inputs)
    }

    /// Several layers of the same input as one, their outputs side by side: `outputs` for each
    /// prefix. One product over all of them costs less than one for each.
    pub fn load_joined(
        checkpoint: &Checkpoint,
        prefixes: &[&str],
        outputs: usize,
        inputs: usize,
    ) -> Result<Linear, CheckpointError> {
        let names: Vec<String> = prefixes.iter().map(|prefix| format!("{prefix}.weight")).collect();
        let mut bias = Vec::with_capacity(prefixes.len() * outputs);
        let mut weights = Vec::with_capacity(prefixes.len());
        for (prefix, name) in prefixes.iter().zip(&names) {
            weights.push(matrix(checkpoint, name, outputs, inputs)?);
            bias.extend(vector(checkpoint, &format!("{prefix}.bias"), outputs)?);
        }
        let parts: Vec<MatRef<f32>> = weights
            .iter()
            .map(|weight| MatRef::new((**weight).as_ref(), outputs, inputs))
            .collect();
        let weight = PackedB::pack(&parts);
        // What was packed need not stay in memory as it lies in the file, too.
        names.iter().try_for_each(|name| checkpoint.tensor(name).map(|tensor| tensor.release()))?;
        Ok(Linear { weight, bias })
    }

    /// Width of y.
    pub fn outputs(&self) -> usize {
        self.weight.n()
    }

    /// y `[m, outputs]` = x `[m, inputs]` · Wᵀ + b.
    pub fn forward(&self, isa: Isa, x: MatRef<f32>, y: MatMut<f32>) {
        gemm(isa, x, &self.weight, Epilogue::Bias(&self.bias), y);
    }

    /// y = activation(x · Wᵀ + b).
    pub fn forward_activated(&self, isa: Isa, x: MatRef<f32>, f: Activation, y: MatMut<f32>) {
        gemm(isa, x, &self.weight, Epilogue::BiasActivation(&self.bias, f), y);
    }

    /// y = x · Wᵀ + b + residual, the residual `[m, outputs]`.
    pub fn forward_residual(
        &self,
        isa: Isa,
        x: MatRef<f32>,
        residual: MatRef<f32>,
        y: MatMut<f32>,
    ) {
        gemm(isa, x, &self.weight, Epilogue::BiasResidual(&self.bias, residual), y);
    }
}

/// The matrix `name` `[rows, cols]`, in place where the file allows it.
pub fn matrix(
    checkpoint: &Checkpoint,
    name: &str,
    rows: usize,
    cols: usize,
) -> Result<Shared<f32>, CheckpointError> {
    let tensor = checkpoint.tensor(name)?;
    match tensor.shape() == [rows, cols] {
        true => tensor.shared_f32(),
        false => Err(tensor.error(format!(
            "the shape is {:?} where the config asks for {:?}",
            tensor.shape(),
            [rows, cols]
        ))),
    }
}

/// The vector `name` `[len]`, copied and checked to be finite.
pub fn vector(
    checkpoint: &Checkpoint,
    name: &str,
    len: usize,
) -> Result<Vec<f32>, CheckpointError> {
    let tensor = checkpoint.tensor(name)?;
    match tensor.shape() == [len] {
        true => tensor.to_f32(),
        false => Err(tensor.error(format!(
            "the shape is {:?} where the config asks for {:?}",
            tensor.shape(),
            [len]
        ))),
    }
}
