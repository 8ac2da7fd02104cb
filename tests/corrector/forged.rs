//! A model without training whose opinion is known: every token was replaced, and by what.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use safetensors::{Dtype, View, serialize_to_file};
use tempfile::TempDir;
use zhengzi_model::ModelPaths;
use zhengzi_model::electra::Config;

use crate::electra::weights::{self, Head, Tensor, tensors};

/// Folders of a discriminator that flags every token and of a generator that proposes
/// `proposed` wherever it is asked. `words` is the vocabulary behind `[PAD] … [MASK]`.
pub fn model(words: &str, proposed: &str) -> (TempDir, ModelPaths) {
    let folder = weights::folder();
    let vocabulary = format!("[PAD] [UNK] [CLS] [SEP] [MASK] {words}");
    let size = vocabulary.split(' ').count();
    let config = format!(
        r#"{{"vocab_size": {size}, "embedding_size": 8, "hidden_size": 8, "num_hidden_layers": 1,
            "num_attention_heads": 2, "intermediate_size": 8, "max_position_embeddings": 24}}"#
    );
    let shape = Config::parse(config.as_bytes(), Path::new("config.json")).unwrap();
    // Words that no text may take come before all others but the one proposed.
    let logit = |word: &str| match word {
        word if word == proposed => 100.0,
        "[PAD]" | "[UNK]" | "[CLS]" | "[SEP]" => 50.0,
        _ => 0.0,
    };
    let proposes: Vec<f32> = vocabulary.split(' ').map(logit).collect();
    for (half, head, name, bias) in [
        ("discriminator", Head::Discriminator, "dense_prediction.bias", vec![100.0]),
        ("generator", Head::Generator, "generator_lm_head.bias", proposes),
    ] {
        let half = folder.path().join(half);
        fs::create_dir_all(&half).unwrap();
        fs::write(half.join("config.json"), &config).unwrap();
        fs::write(half.join("vocab.txt"), vocabulary.replace(' ', "\n") + "\n").unwrap();
        let tensors = tensors(&shape, head).into_iter().map(|tensor| {
            let bias = tensor.name.ends_with(name).then(|| bias.clone());
            (tensor.name.clone(), Biased { tensor, bias })
        });
        serialize_to_file(tensors, None, &half.join("model.safetensors")).unwrap();
    }
    let paths = ModelPaths { model: Some(folder.path().to_owned()), ..ModelPaths::default() };
    (folder, paths)
}

/// A tensor of the formula, or a bias in its place.
struct Biased {
    tensor: Tensor,
    bias: Option<Vec<f32>>,
}

impl View for Biased {
    fn dtype(&self) -> Dtype {
        self.tensor.dtype()
    }

    fn shape(&self) -> &[usize] {
        self.tensor.shape()
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match &self.bias {
            Some(bias) => bias.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>().into(),
            None => self.tensor.data(),
        }
    }

    fn data_len(&self) -> usize {
        self.tensor.data_len()
    }
}
