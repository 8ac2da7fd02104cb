//! The weights of one network, wherever and however a file holds them.
//!
//! A checkpoint as it was trained holds `{name}.weight` and `{name}.bias` in rows, which are packed
//! here as the kernels want them. A panel file (`zhengzi convert`) holds them
//! packed, both halves of a pair in one file, under `discriminator.…`, `generator.…` and, where they
//! have a tensor in common, `shared.…`. Whoever loads a network need not know which it is.

use std::sync::Arc;

use zhengzi_kernels::gemm::PackedB;
use zhengzi_kernels::matrix::Shared;
use zhengzi_kernels::{Isa, Level, MatRef, Precision};

use crate::{Checkpoint, CheckpointError, DType, Linear, Table, TensorView};

/// The tensors of one network in a checkpoint.
#[derive(Clone, Copy)]
pub struct Weights<'a> {
    checkpoint: &'a Checkpoint,
    /// In a panel file: which half.
    half: &'a str,
    /// What products are computed in.
    precision: Precision,
}

impl<'a> Weights<'a> {
    /// The network in `checkpoint`; of a panel file the half `discriminator` or `generator`. Where no
    /// precision is asked for: that of a panel file, else bf16 where the CPU multiplies that
    /// faster than f32, else f32.
    pub fn of(
        checkpoint: &'a Checkpoint,
        half: &'a str,
        isa: Isa,
        precision: Option<Precision>,
    ) -> Weights<'a> {
        let fastest = match isa.level() {
            Level::Amx => Precision::Bf16,
            _ => Precision::F32,
        };
        let precision = precision.or(checkpoint.panels()).unwrap_or(fastest);
        Weights { checkpoint, half, precision }
    }

    /// What products are computed in.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The file.
    pub fn checkpoint(&self) -> &'a Checkpoint {
        self.checkpoint
    }

    /// The tensor of that name, if there.
    pub fn get(&self, name: &str) -> Option<TensorView<'a>> {
        match self.checkpoint.panels() {
            None => self.checkpoint.get(name),
            Some(_) => [self.half, "shared"]
                .iter()
                .find_map(|part| self.checkpoint.get(&format!("{part}.{name}"))),
        }
    }

    /// The tensor of that name, or an error that names it.
    pub fn tensor(&self, name: &str) -> Result<TensorView<'a>, CheckpointError> {
        let missing = || match self.checkpoint.panels() {
            None => self.checkpoint.tensor(name),
            Some(_) => self.checkpoint.tensor(&format!("{}.{name}", self.half)),
        };
        self.get(name).map_or_else(missing, Ok)
    }

    /// `{name}.weight` `[outputs, inputs]` and `{name}.bias` `[outputs]`.
    pub fn linear(
        &self,
        name: &str,
        outputs: usize,
        inputs: usize,
    ) -> Result<Linear, CheckpointError> {
        self.joined(name, &[name], outputs, inputs)
    }

    /// Several layers of the same input as one, their outputs side by side: `outputs` for each of
    /// `parts`. One product over all of them costs less than one for each. A panel file holds
    /// them as one under `name`.
    pub fn joined(
        &self,
        name: &str,
        parts: &[&str],
        outputs: usize,
        inputs: usize,
    ) -> Result<Linear, CheckpointError> {
        let all = outputs * parts.len();
        if self.checkpoint.panels().is_some() {
            let weight = self.packed(name, all, inputs)?;
            return Ok(Linear::new(weight, self.vector(&format!("{name}.bias"), all)?));
        }
        let mut bias = Vec::with_capacity(all);
        let mut weights = Vec::with_capacity(parts.len());
        for part in parts {
            weights.push(self.matrix(&format!("{part}.weight"), outputs, inputs)?);
            bias.extend(self.vector(&format!("{part}.bias"), outputs)?);
        }
        let rows: Vec<MatRef<f32>> = weights
            .iter()
            .map(|weight| MatRef::new((**weight).as_ref(), outputs, inputs))
            .collect();
        let weight = PackedB::pack(self.precision, &rows);
        // What was packed need not stay in memory as it lies in the file, too.
        for part in parts {
            self.tensor(&format!("{part}.weight"))?.release();
        }
        Ok(Linear::new(Arc::new(weight), bias))
    }

    /// A table of rows that are looked up one by one or multiplied with all at once: `{name}.weight`
    /// `[rows, cols]`. In f32 it stays where it lies.
    pub fn table(&self, name: &str, rows: usize, cols: usize) -> Result<Table, CheckpointError> {
        if self.checkpoint.panels().is_some() {
            return Ok(Table::Packed(self.packed(name, rows, cols)?));
        }
        let tensor = format!("{name}.weight");
        let values = self.matrix(&tensor, rows, cols)?;
        if self.precision == Precision::F32 {
            return Ok(Table::Rows { values, rows, cols });
        }
        let all = MatRef::new((*values).as_ref(), rows, cols);
        let packed = PackedB::pack(self.precision, &[all]);
        self.tensor(&tensor)?.release();
        Ok(Table::Packed(Arc::new(packed)))
    }

    /// Whether this is the word embedding once more, as many files keep it for the generator's head.
    pub fn is_tied(&self, head: TensorView) -> bool {
        let place = |tensor: TensorView| (tensor.path().to_owned(), tensor.byte_offset());
        let word = self.get("electra.embeddings.word_embeddings.weight");
        word.is_some_and(|word| place(word) == place(head) && word.shape() == head.shape())
    }

    /// The matrix `name` `[rows, cols]`, in place where the file allows it.
    pub fn matrix(
        &self,
        name: &str,
        rows: usize,
        cols: usize,
    ) -> Result<Shared<f32>, CheckpointError> {
        let tensor = self.tensor(name)?;
        check_shape(&tensor, &[rows, cols])?;
        tensor.shared_f32()
    }

    /// The vector `name` `[len]`, copied and checked to be finite.
    pub fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, CheckpointError> {
        let tensor = self.tensor(name)?;
        check_shape(&tensor, &[len])?;
        tensor.to_f32()
    }

    /// A panel file's `{name}.weight` `[⌈n/16⌉, groups, 16, g]`; of int8 also `{name}.scale` and
    /// `{name}.sum` `[16 ⌈n/16⌉]`. Used where it lies, unless another precision was asked for.
    fn packed(&self, name: &str, n: usize, k: usize) -> Result<Arc<PackedB>, CheckpointError> {
        let tensor = self.tensor(&format!("{name}.weight"))?;
        let stored = match tensor.dtype() {
            DType::F32 => Precision::F32,
            DType::Bf16 => Precision::Bf16,
            DType::I8 => Precision::Int8,
            other => return Err(tensor.error(format!("panels of {other} are not read"))),
        };
        let (panels, groups) = PackedB::extents(stored, n, k);
        check_shape(&tensor, &[panels, groups, 16, stored.per_word()])?;
        let (_, columns) = PackedB::lengths(stored, n, k);
        let (mut scales, mut sums) = (Vec::new(), Vec::new());
        if stored == Precision::Int8 {
            scales = self.vector(&format!("{name}.scale"), columns)?;
            let tensor = self.tensor(&format!("{name}.sum"))?;
            check_shape(&tensor, &[columns])?;
            sums = tensor.to_i32()?;
        }
        let words = tensor.shared_words()?;
        let packed = PackedB::from_parts(stored, (n, k), words, Arc::new(scales), Arc::new(sums));
        if stored == self.precision {
            return Ok(Arc::new(packed));
        }
        let mut rows = vec![0.0; n * k];
        rows.chunks_exact_mut(k.max(1)).enumerate().for_each(|(j, row)| packed.row(j, row));
        Ok(Arc::new(PackedB::pack(self.precision, &[MatRef::new(&rows, n, k)])))
    }
}

fn check_shape(tensor: &TensorView, shape: &[usize]) -> Result<(), CheckpointError> {
    match tensor.shape() == shape {
        true => Ok(()),
        false => Err(tensor.error(format!(
            "the shape is {:?} where the config asks for {shape:?}",
            tensor.shape(),
        ))),
    }
}
