//! Model files that zhengzi writes: panels for itself, rows for everybody else.
//!
//! Both are safetensors: a length, a JSON header padded with spaces so that data begins at a
//! multiple of 64, and the tensors in the order of the header.
//!
//! ```text
//! __metadata__    zhengzi.format, .precision, .parameters, and what whoever converts adds
//! {half}.{layer}.weight   [⌈n/16⌉, groups, 16, g]   F32, BF16 or I8, as the kernels read it
//! {half}.{layer}.scale    [16 ⌈n/16⌉]               F32, of int8 only
//! {half}.{layer}.sum      [16 ⌈n/16⌉]               I32, of int8 only
//! {half}.{layer}.bias     [n]                       F32, like all other vectors
//! ```
//!
//! The half is `discriminator`, `generator`, or `shared` for what both hold bit for bit. Panels come
//! first. Each is whole cache lines, so every one of them begins at a line of the mapped file and
//! is used where it lies.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use half::bf16;
use serde::{Serialize, Serializer};
use zhengzi_kernels::Precision;
use zhengzi_kernels::gemm::PackedB;

use crate::parts::{Part, Parts};

/// What `zhengzi.format` says of the files that this program writes and reads.
pub(crate) const FORMAT: &str = "1";

/// The key under which a panel file says how many numbers were learned: its panels hold padding, too.
pub const PARAMETERS: &str = "zhengzi.parameters";

/// A safetensors file to be written.
pub struct TensorFile {
    metadata: BTreeMap<String, String>,
    tensors: Vec<Tensor>,
}

struct Tensor {
    name: String,
    dtype: &'static str,
    shape: Vec<usize>,
    values: Values,
}

/// Where the bytes of a tensor come from.
enum Values {
    Panels(Arc<PackedB>),
    Scales(Arc<PackedB>),
    Sums(Arc<PackedB>),
    /// Rows of a matrix, in f32 or bf16.
    Rows(Arc<PackedB>, Range<usize>, Precision),
    /// f32 or bf16.
    Plain(Vec<f32>, Precision),
}

impl TensorFile {
    /// A panel file of one or both halves, which were taken down in `precision`.
    pub fn panels(
        halves: &[(&str, &Parts)],
        precision: Precision,
        metadata: BTreeMap<String, String>,
    ) -> TensorFile {
        let mut metadata = metadata;
        metadata.insert("zhengzi.format".into(), FORMAT.into());
        metadata.insert("zhengzi.precision".into(), precision.name().into());
        let halves: Vec<_> = halves.iter().map(|(half, parts)| (*half, parts.all())).collect();
        let in_all = |name: &str, part: &Part| {
            let has = |(_, parts): &(&str, Vec<(String, Part)>)| {
                parts.iter().any(|(other, their)| other == name && their.is(part))
            };
            halves.len() > 1 && halves.iter().all(has)
        };
        let (mut tensors, mut parameters) = (Vec::new(), 0);
        for (i, (half, parts)) in halves.iter().enumerate() {
            for (name, part) in parts {
                let half = match in_all(name, part) {
                    true if i > 0 => continue,
                    true => "shared",
                    false => half,
                };
                tensors.extend(panels_of(&format!("{half}.{name}"), part));
                parameters += part.parameters();
            }
        }
        metadata.insert(PARAMETERS.into(), parameters.to_string());
        tensors.sort_by_key(|tensor| !matches!(tensor.values, Values::Panels(_)));
        TensorFile { metadata, tensors }
    }

    /// The tensors of one half with Hugging Face's names and shapes, in f32 or bf16. Panics for int8.
    pub fn rows(parts: &Parts, precision: Precision) -> TensorFile {
        assert!(precision != Precision::Int8, "rows have no scales");
        // Without this word transformers refuses the file.
        let metadata = BTreeMap::from([("format".into(), "pt".into())]);
        let parts = parts.all();
        let tensors = parts.iter().flat_map(|(name, part)| rows_of(name, part, precision));
        TensorFile { metadata, tensors: tensors.collect() }
    }

    /// Tensors in f32, each with its name and shape.
    pub fn plain(
        metadata: BTreeMap<String, String>,
        tensors: impl Iterator<Item = (String, Vec<usize>, Vec<f32>)>,
    ) -> TensorFile {
        let dtype = dtype(Precision::F32);
        let tensors = tensors.map(|(name, shape, values)| Tensor {
            name,
            dtype,
            shape,
            values: Values::Plain(values, Precision::F32),
        });
        TensorFile { metadata, tensors: tensors.collect() }
    }

    /// Writes it, front to back.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let header = self.header()?;
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        self.tensors.iter().try_for_each(|tensor| tensor.values.write(out))
    }

    fn header(&self) -> io::Result<Vec<u8>> {
        /// One value of the header.
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Entry<'a> {
            Metadata(&'a BTreeMap<String, String>),
            Tensor { dtype: &'static str, shape: &'a [usize], data_offsets: [usize; 2] },
        }
        let mut entries = vec![("__metadata__", Entry::Metadata(&self.metadata))];
        let mut start = 0;
        for Tensor { name, dtype, shape, values } in &self.tensors {
            let data_offsets = [start, start + values.bytes()];
            start = data_offsets[1];
            entries.push((name, Entry::Tensor { dtype, shape, data_offsets }));
        }
        let mut header = Vec::new();
        serde_json::Serializer::new(&mut header).collect_map(entries)?;
        header.resize((8 + header.len()).next_multiple_of(64) - 8, b' ');
        Ok(header)
    }
}

fn panels_of(name: &str, part: &Part) -> Vec<Tensor> {
    let tensor = |what: &str, dtype, shape, values| Tensor {
        name: format!("{name}{what}"),
        dtype,
        shape,
        values,
    };
    let (weight, bias) = match part {
        Part::Values { shape, values } => {
            let values = Values::Plain(values.clone(), Precision::F32);
            return vec![tensor("", "F32", shape.clone(), values)];
        }
        Part::Linear { weight, bias, .. } => (weight, bias),
    };
    let (precision, columns) = (weight.precision(), weight.scales().len());
    let (panels, groups) = PackedB::extents(precision, weight.n(), weight.k());
    let shape = vec![panels, groups, 16, precision.per_word()];
    let panels = Values::Panels(Arc::clone(weight));
    let mut tensors = vec![tensor(".weight", dtype(precision), shape, panels)];
    if precision == Precision::Int8 {
        let (scales, sums) = (Arc::clone(weight), Arc::clone(weight));
        tensors.push(tensor(".scale", "F32", vec![columns], Values::Scales(scales)));
        tensors.push(tensor(".sum", "I32", vec![columns], Values::Sums(sums)));
    }
    if let Some(bias) = bias {
        let values = Values::Plain(bias.clone(), Precision::F32);
        tensors.push(tensor(".bias", "F32", vec![bias.len()], values));
    }
    tensors
}

fn rows_of(name: &str, part: &Part, precision: Precision) -> Vec<Tensor> {
    let tensor =
        |name: String, shape, values| Tensor { name, dtype: dtype(precision), shape, values };
    let (weight, bias, layers) = match part {
        Part::Values { shape, values } => {
            let values = Values::Plain(values.clone(), precision);
            return vec![tensor(name.to_owned(), shape.clone(), values)];
        }
        Part::Linear { weight, bias, layers } => (weight, bias, layers),
    };
    let (n, k) = (weight.n() / layers.len(), weight.k());
    let mut tensors = Vec::new();
    for (i, layer) in layers.iter().enumerate() {
        let rows = i * n..(i + 1) * n;
        if let Some(bias) = bias {
            let values = Values::Plain(bias[rows.clone()].to_vec(), precision);
            tensors.push(tensor(format!("{layer}.bias"), vec![n], values));
        }
        let values = Values::Rows(Arc::clone(weight), rows, precision);
        tensors.push(tensor(format!("{layer}.weight"), vec![n, k], values));
    }
    tensors
}

/// In safetensors' spelling.
fn dtype(precision: Precision) -> &'static str {
    match precision {
        Precision::F32 => "F32",
        Precision::Bf16 => "BF16",
        Precision::Int8 => "I8",
    }
}

impl Values {
    fn bytes(&self) -> usize {
        match self {
            Values::Panels(weight) => 4 * weight.words().len(),
            Values::Scales(weight) | Values::Sums(weight) => 4 * weight.scales().len(),
            Values::Rows(weight, rows, precision) => {
                rows.len() * weight.k() * 4 / precision.per_word()
            }
            Values::Plain(values, precision) => values.len() * 4 / precision.per_word(),
        }
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Values::Panels(weight) => write_each(out, weight.words(), |word| word.to_le_bytes()),
            Values::Scales(weight) => write_each(out, weight.scales(), |scale| scale.to_le_bytes()),
            Values::Sums(weight) => write_each(out, weight.sums(), |sum| sum.to_le_bytes()),
            Values::Rows(weight, rows, precision) => {
                let mut row = vec![0.0; weight.k()];
                rows.clone().try_for_each(|j| {
                    weight.row(j, &mut row);
                    write_plain(out, &row, *precision)
                })
            }
            Values::Plain(values, precision) => write_plain(out, values, *precision),
        }
    }
}

fn write_plain(out: &mut impl Write, values: &[f32], precision: Precision) -> io::Result<()> {
    match precision {
        Precision::Bf16 => write_each(out, values, |x| bf16::from_f32(x).to_le_bytes()),
        _ => write_each(out, values, f32::to_le_bytes),
    }
}

fn write_each<T: Copy, const N: usize>(
    out: &mut impl Write,
    values: &[T],
    bytes: impl Fn(T) -> [u8; N],
) -> io::Result<()> {
    let mut buffer = Vec::new();
    for block in values.chunks(1 << 14) {
        buffer.clear();
        buffer.extend(block.iter().flat_map(|&value| bytes(value)));
        out.write_all(&buffer)?;
    }
    Ok(())
}
