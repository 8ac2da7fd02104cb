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

use crate::parts::{Part, Parts};
use crate::survey::Survey;
use crate::{Checkpoint, CheckpointError, DType, Linear, Table, TensorView};

/// The tensors of one network in a checkpoint.
#[derive(Clone, Copy)]
pub struct Weights<'a> {
    checkpoint: &'a Checkpoint,
    /// In a panel file: which half.
    half: &'a str,
    /// What products are computed in.
    precision: Precision,
    /// What packs.
    isa: Isa,
    /// Where all that is loaded is taken down.
    parts: Option<&'a Parts>,
    /// Where what is asked for is taken down, instead of being loaded.
    survey: Option<&'a Survey>,
    /// A table that another network has loaded, and the tensor that it was loaded from.
    loaded: Option<(TensorView<'a>, &'a Table)>,
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
        Weights { checkpoint, half, precision, isa, parts: None, survey: None, loaded: None }
    }

    /// The same, where all that is loaded is taken down, matrices in panels, to be written to a file.
    pub fn taken_down(self, parts: &'a Parts) -> Weights<'a> {
        Weights { parts: Some(parts), ..self }
    }

    /// The same, where nothing is loaded: what is asked for is looked at, and what is missing or of
    /// another shape is taken down. Layers come empty, and no error is one.
    pub fn surveyed(self, survey: &'a Survey) -> Weights<'a> {
        Weights { survey: Some(survey), ..self }
    }

    /// The same, where a table that was loaded in this precision from the tensor `theirs` is used
    /// again if the table here is the same bit for bit: then it is in memory once.
    pub fn beside(self, theirs: TensorView<'a>, table: &'a Table) -> Weights<'a> {
        Weights { loaded: Some((theirs, table)), ..self }
    }

    /// What products are computed in.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The file.
    pub fn checkpoint(&self) -> &'a Checkpoint {
        self.checkpoint
    }

    /// All tensors of the network; in a panel file those that it shares, too. Of any other file all.
    pub fn tensors(&self) -> impl Iterator<Item = TensorView<'a>> {
        let (half, is_panels) = (self.half, self.checkpoint.panels().is_some());
        self.checkpoint.tensors().filter(move |tensor| {
            let first = tensor.name().split('.').next();
            !is_panels || first == Some(half) || first == Some("shared")
        })
    }

    /// The tensor of that name, if there.
    pub fn get(&self, name: &str) -> Option<TensorView<'a>> {
        let found = match self.checkpoint.panels() {
            None => self.checkpoint.get(name),
            Some(_) => [self.half, "shared"]
                .iter()
                .find_map(|part| self.checkpoint.get(&format!("{part}.{name}"))),
        };
        if let (Some(survey), Some(tensor)) = (self.survey, &found) {
            survey.asked(tensor);
        }
        found
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
        let layers = self.loaded_layers(name, parts, outputs, inputs);
        let (weight, bias) = self.or_nothing(layers, || (nothing(), Vec::new()))?;
        if let Some(taken) = self.parts {
            let layers = parts.iter().map(|&part| part.to_owned()).collect();
            let (weight, bias) = (Arc::clone(&weight), Some(bias.clone()));
            taken.take_down(name, Part::Linear { weight, bias, layers });
        }
        Ok(Linear::new(weight, bias))
    }

    /// A table of rows that are looked up one by one or multiplied with all at once: `{name}.weight`
    /// `[rows, cols]`. In f32 it stays where it lies.
    pub fn table(&self, name: &str, rows: usize, cols: usize) -> Result<Table, CheckpointError> {
        let table = self.noted(self.loaded_table(name, rows, cols));
        self.or_nothing(table, || Table::Packed(nothing()))
    }

    fn loaded_table(&self, name: &str, rows: usize, cols: usize) -> Result<Table, CheckpointError> {
        let tensor = self.tensor(&format!("{name}.weight"))?;
        if let Some((theirs, table)) = self.loaded
            && self.holds_the_same(tensor, theirs)
        {
            return Ok(table.clone());
        }
        let packed = match self.checkpoint.panels() {
            Some(_) => self.packed(name, rows, cols)?,
            None => {
                check_floats(&tensor, &[rows, cols])?;
                if self.survey.is_some() {
                    return Ok(Table::Packed(nothing()));
                }
                let values = tensor.shared_f32()?;
                if self.precision == Precision::F32 && self.parts.is_none() {
                    return Ok(Table::Rows { values, rows, cols });
                }
                let all = MatRef::new((*values).as_ref(), rows, cols);
                let packed = PackedB::pack(self.isa, self.precision, &[all]);
                tensor.release();
                Arc::new(packed)
            }
        };
        if let Some(taken) = self.parts {
            let (weight, layers) = (Arc::clone(&packed), vec![name.to_owned()]);
            taken.take_down(name, Part::Linear { weight, bias: None, layers });
        }
        Ok(Table::Packed(packed))
    }

    /// Whether this is the word embedding once more, as many files keep it for the generator's head.
    pub fn is_tied(&self, head: TensorView) -> bool {
        let word = self.get("electra.embeddings.word_embeddings.weight");
        word.is_some_and(|word| self.holds_the_same(word, head))
    }

    /// The matrix `name` `[rows, cols]`, in place where the file allows it.
    pub fn matrix(
        &self,
        name: &str,
        rows: usize,
        cols: usize,
    ) -> Result<Shared<f32>, CheckpointError> {
        let find = || {
            let tensor = self.shaped(name, &[rows, cols])?;
            match self.survey {
                Some(_) => Ok(Arc::new(Vec::new()) as Shared<f32>),
                None => tensor.shared_f32(),
            }
        };
        let values = self.or_nothing(self.noted(find()), || Arc::new(Vec::new()))?;
        self.take_down_values(name, &[rows, cols], (*values).as_ref());
        Ok(values)
    }

    /// The vector `name` `[len]`, copied and checked to be finite.
    pub fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, CheckpointError> {
        let values = self.or_nothing(self.noted(self.values(name, len)), Vec::new)?;
        self.take_down_values(name, &[len], &values);
        Ok(values)
    }

    fn take_down_values(&self, name: &str, shape: &[usize], values: &[f32]) {
        if let Some(taken) = self.parts {
            let (shape, values) = (shape.to_vec(), values.to_vec());
            taken.take_down(name, Part::Values { shape, values });
        }
    }

    /// Whether two tensors are one, or would be packed into the same panels. What stays where it
    /// lies is not looked at: to compare it would be to read it.
    fn holds_the_same(&self, a: TensorView, b: TensorView) -> bool {
        if (a.dtype(), a.shape(), a.strides()) != (b.dtype(), b.shape(), b.strides()) {
            return false;
        }
        if (a.path(), a.byte_offset()) == (b.path(), b.byte_offset()) {
            return true;
        }
        let is_packed = self.precision != Precision::F32 || self.parts.is_some();
        let same = is_packed && self.checkpoint.panels().is_none() && a.bytes() == b.bytes();
        if same {
            // Nobody needs them again as they lie in the files.
            [a, b].iter().for_each(TensorView::release);
        }
        same
    }

    /// The panels and biases of [`Weights::joined`].
    fn loaded_layers(
        &self,
        name: &str,
        parts: &[&str],
        outputs: usize,
        inputs: usize,
    ) -> Result<(Arc<PackedB>, Vec<f32>), CheckpointError> {
        let all = outputs * parts.len();
        if self.checkpoint.panels().is_some() {
            let weight = self.noted(self.packed(name, all, inputs));
            let bias = self.noted(self.values(&format!("{name}.bias"), all));
            return Ok((weight?, bias?));
        }
        // Not of the capacity that the config asks for: the shapes are not yet compared with it.
        let mut bias = Vec::new();
        let mut weights = Vec::with_capacity(parts.len());
        // All are looked for before the first that is missing is an error.
        let found: Vec<_> = parts
            .iter()
            .map(|part| {
                let weight = self.noted(self.shaped(&format!("{part}.weight"), &[outputs, inputs]));
                (weight, self.noted(self.values(&format!("{part}.bias"), outputs)))
            })
            .collect();
        if self.survey.is_some() {
            return Ok((nothing(), Vec::new()));
        }
        for (weight, values) in found {
            weights.push(weight?.shared_f32()?);
            bias.extend(values?);
        }
        let rows: Vec<MatRef<f32>> = weights
            .iter()
            .map(|weight| MatRef::new((**weight).as_ref(), outputs, inputs))
            .collect();
        let weight = PackedB::pack(self.isa, self.precision, &rows);
        // What was packed need not stay in memory as it lies in the file, too.
        for part in parts {
            self.tensor(&format!("{part}.weight"))?.release();
        }
        Ok((Arc::new(weight), bias))
    }

    fn values(&self, name: &str, len: usize) -> Result<Vec<f32>, CheckpointError> {
        let tensor = self.shaped(name, &[len])?;
        if self.survey.is_some() { Ok(Vec::new()) } else { tensor.to_f32() }
    }

    fn shaped(&self, name: &str, shape: &[usize]) -> Result<TensorView<'a>, CheckpointError> {
        let tensor = self.tensor(name)?;
        check_floats(&tensor, shape)?;
        Ok(tensor)
    }

    /// The same; a survey takes down what is wrong.
    fn noted<T>(&self, found: Result<T, CheckpointError>) -> Result<T, CheckpointError> {
        if let (Some(survey), Err(error)) = (self.survey, &found) {
            survey.fault(error);
        }
        found
    }

    /// The same, but for a survey never an error.
    fn or_nothing<T>(
        &self,
        found: Result<T, CheckpointError>,
        nothing: impl FnOnce() -> T,
    ) -> Result<T, CheckpointError> {
        if self.survey.is_some() { Ok(found.unwrap_or_else(|_| nothing())) } else { found }
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
            scales = self.values(&format!("{name}.scale"), columns)?;
            let tensor = self.tensor(&format!("{name}.sum"))?;
            check_shape(&tensor, &[columns])?;
            sums = tensor.to_i32()?;
            // Kernels multiply sums by 128 and trust that they are sums.
            let largest = i32::try_from(128 * k).unwrap_or(i32::MAX);
            if let Some(sum) = sums.iter().find(|sum| sum.saturating_abs() > largest) {
                return Err(tensor.error(format!("{sum} is no sum of {k} bytes")));
            }
        }
        if self.survey.is_some() {
            return Ok(nothing());
        }
        let words = tensor.shared_words()?;
        let packed = PackedB::from_parts(stored, (n, k), words, Arc::new(scales), Arc::new(sums));
        if stored == self.precision {
            return Ok(Arc::new(packed));
        }
        let mut rows = vec![0.0; n * k];
        rows.chunks_exact_mut(k.max(1)).enumerate().for_each(|(j, row)| packed.row(j, row));
        Ok(Arc::new(PackedB::pack(self.isa, self.precision, &[MatRef::new(&rows, n, k)])))
    }
}

/// A matrix of no rows.
fn nothing() -> Arc<PackedB> {
    let (words, scales, sums) = (Arc::new(Vec::new()), Arc::new(Vec::new()), Arc::new(Vec::new()));
    Arc::new(PackedB::from_parts(Precision::F32, (0, 0), words, scales, sums))
}

/// The shape, and that it was learned: whole numbers are counters or somebody's mistake.
fn check_floats(tensor: &TensorView, shape: &[usize]) -> Result<(), CheckpointError> {
    check_shape(tensor, shape)?;
    match tensor.dtype() {
        DType::F64 | DType::F32 | DType::F16 | DType::Bf16 => Ok(()),
        other => Err(tensor.error(format!("is of {other}, where floats are needed"))),
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
