//! Weights from a formula: `golden/electra/formula.py` in Rust, its explanation there.

use std::borrow::Cow;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use safetensors::{Dtype, View, serialize_to_file};
use tempfile::TempDir;
use zhengzi_model::electra::Config;
use zhengzi_runtime::Checkpoint;

/// FNV-1a over the name.
pub fn seed(name: &str) -> u64 {
    name.bytes()
        .fold(0xCBF2_9CE4_8422_2325, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

fn draws(name: &str) -> impl Iterator<Item = u64> {
    let mut state = seed(name);
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    })
}

/// `count` whole numbers under `below`.
pub fn ids(name: &str, count: usize, below: usize) -> Vec<u32> {
    draws(name).take(count).map(|draw| (draw % below as u64) as u32).collect()
}

/// A tensor of the formula.
#[derive(Clone, Debug)]
pub struct Tensor {
    pub name: String,
    pub shape: Vec<usize>,
}

impl Tensor {
    pub fn new(name: impl Into<String>, shape: &[usize]) -> Tensor {
        Tensor { name: name.into(), shape: shape.to_vec() }
    }

    /// Its values in row-major order.
    pub fn values(&self) -> impl Iterator<Item = f32> {
        let (centre, spread) = self.law();
        let unit = |draw: u64| ((draw >> 40) as i32 - (1 << 23)) as f32 / (1 << 23) as f32;
        draws(&self.name)
            .take(self.shape.iter().product())
            .map(move |draw| centre + spread * unit(draw))
    }

    fn law(&self) -> (f32, f32) {
        let ends = |suffixes: &[&str]| suffixes.iter().any(|suffix| self.name.ends_with(suffix));
        if ends(&["LayerNorm.weight"]) {
            return (1.0, 0.25);
        }
        if ends(&["bias"]) {
            return (0.0, 0.125);
        }
        let gain = if ends(&["query.weight", "key.weight"]) {
            2.0
        } else if ends(&["output.dense.weight"]) {
            0.25
        } else if ends(&["word_embeddings.weight", "dense_prediction.weight", "classifier.weight"])
        {
            2.0
        } else {
            1.0
        };
        let columns = *self.shape.last().expect("a weight has columns");
        (0.0, (gain * (3.0 / columns as f64).sqrt()) as f32)
    }
}

impl View for Tensor {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = vec![0; self.data_len()];
        for (place, value) in bytes.chunks_exact_mut(4).zip(self.values()) {
            place.copy_from_slice(&value.to_le_bytes());
        }
        bytes.into()
    }

    fn data_len(&self) -> usize {
        4 * self.shape.iter().product::<usize>()
    }
}

/// What stands above the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    Discriminator,
    Generator,
    /// So many labels.
    Classifier(usize),
}

/// Every tensor of such a model, a tied matrix once.
pub fn tensors(config: &Config, head: Head) -> Vec<Tensor> {
    let (c, h, f) = (config.embedding_size, config.hidden_size, config.intermediate_size);
    let mut all = Vec::new();
    for (table, rows) in [
        ("word", config.vocab_size),
        ("position", config.max_positions),
        ("token_type", config.token_types),
    ] {
        all.push(Tensor::new(format!("electra.embeddings.{table}_embeddings.weight"), &[rows, c]));
    }
    norm(&mut all, "electra.embeddings", c);
    if c != h {
        linear(&mut all, "electra.embeddings_project", h, c);
    }
    for n in 0..config.layers {
        let layer = format!("electra.encoder.layer.{n}");
        for part in ["query", "key", "value"] {
            linear(&mut all, &format!("{layer}.attention.self.{part}"), h, h);
        }
        linear(&mut all, &format!("{layer}.attention.output.dense"), h, h);
        norm(&mut all, &format!("{layer}.attention.output"), h);
        linear(&mut all, &format!("{layer}.intermediate.dense"), f, h);
        linear(&mut all, &format!("{layer}.output.dense"), h, f);
        norm(&mut all, &format!("{layer}.output"), h);
    }
    match head {
        Head::Discriminator => {
            linear(&mut all, "discriminator_predictions.dense", h, h);
            linear(&mut all, "discriminator_predictions.dense_prediction", 1, h);
        }
        Head::Generator => {
            linear(&mut all, "generator_predictions.dense", c, h);
            norm(&mut all, "generator_predictions", c);
            all.push(Tensor::new("generator_lm_head.bias", &[config.vocab_size]));
        }
        Head::Classifier(labels) => linear(&mut all, "classifier", labels, h),
    }
    all
}

fn linear(all: &mut Vec<Tensor>, prefix: &str, outputs: usize, inputs: usize) {
    all.push(Tensor::new(format!("{prefix}.weight"), &[outputs, inputs]));
    all.push(Tensor::new(format!("{prefix}.bias"), &[outputs]));
}

fn norm(all: &mut Vec<Tensor>, prefix: &str, width: usize) {
    all.push(Tensor::new(format!("{prefix}.LayerNorm.weight"), &[width]));
    all.push(Tensor::new(format!("{prefix}.LayerNorm.bias"), &[width]));
}

/// A discriminator and a generator of a published shape, with weights from a formula.
pub fn write_pair(shape: &str, folder: &Path) {
    let (generator, discriminator) = match shape {
        "small" => ((128, 64, 12, 1, 256), (128, 256, 12, 4, 1024)),
        _ => ((768, 192, 12, 3, 768), (768, 768, 12, 12, 3072)),
    };
    for (half, (c, h, layers, heads, f), head) in [
        ("discriminator", discriminator, Head::Discriminator),
        ("generator", generator, Head::Generator),
    ] {
        let folder = folder.join(half);
        fs::create_dir_all(&folder).unwrap();
        let json = format!(
            "{{\"vocab_size\":21128,\"embedding_size\":{c},\"hidden_size\":{h},\
             \"num_hidden_layers\":{layers},\"num_attention_heads\":{heads},\"intermediate_size\":{f}}}"
        );
        let config = Config::parse(json.as_bytes(), Path::new("config.json")).unwrap();
        fs::write(folder.join("config.json"), json).unwrap();
        let mut vocabulary: Vec<String> =
            ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "，", "。"].map(String::from).to_vec();
        vocabulary.extend(('\u{4E00}'..).take(21128 - vocabulary.len()).map(String::from));
        fs::write(folder.join("vocab.txt"), vocabulary.join("\n") + "\n").unwrap();
        let tensors: Vec<_> = tensors(&config, head)
            .into_iter()
            .map(|tensor| (tensor.name.clone(), tensor))
            .collect();
        serialize_to_file(tensors, None, &folder.join("model.safetensors")).unwrap();
    }
}

/// A folder below the target folder, gone when dropped. Not in /tmp: that may be memory.
pub fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Tensors as a safetensors file, which lives as long as this.
pub struct WeightFile {
    pub checkpoint: Arc<Checkpoint>,
    _folder: TempDir,
}

impl WeightFile {
    /// Writes tensors one at a time, so that a large model is never whole in memory.
    pub fn write<V: View>(tensors: Vec<(String, V)>) -> WeightFile {
        let folder = folder();
        let path = folder.path().join("model.safetensors");
        serialize_to_file(tensors, None, &path).unwrap();
        WeightFile { checkpoint: Arc::new(Checkpoint::open(&path).unwrap()), _folder: folder }
    }

    /// The model of the formula.
    pub fn of(config: &Config, head: Head) -> WeightFile {
        let tensors = tensors(config, head).into_iter();
        WeightFile::write(tensors.map(|tensor| (tensor.name.clone(), tensor)).collect())
    }
}
