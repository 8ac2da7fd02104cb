//! Models without training whose opinion is known: every token was replaced, and by what.

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
    let words = vocabulary(words);
    let config = config(words.len(), 8, "");
    // Words that no text may take come before all others but the one proposed.
    let logit = |word: &&str| match *word {
        word if word == proposed => 100.0,
        "[PAD]" | "[UNK]" | "[CLS]" | "[SEP]" => 50.0,
        _ => 0.0,
    };
    let proposes: Vec<f32> = words.iter().map(logit).collect();
    discriminator(folder.path(), &config, &words);
    write(&folder.path().join("generator"), &config, &words, Head::Generator, |tensor| {
        tensor.name.ends_with("generator_lm_head.bias").then(|| proposes.clone())
    });
    let paths = ModelPaths { model: Some(folder.path().to_owned()), ..ModelPaths::default() };
    (folder, paths)
}

/// The tokens `[PAD] … [MASK]` and those of `words`.
pub fn vocabulary(words: &str) -> Vec<&str> {
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].into_iter().chain(words.split(' ')).collect()
}

/// The `config.json` of one small layer; `more` are further keys, each behind a comma.
pub fn config(words: usize, width: usize, more: &str) -> String {
    format!(
        r#"{{"vocab_size": {words}, "embedding_size": {width}, "hidden_size": {width},
            "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8,
            "max_position_embeddings": 24{more}}}"#
    )
}

/// The folder `discriminator` of one that flags every token.
pub fn discriminator(folder: &Path, config: &str, words: &[&str]) {
    write(&folder.join("discriminator"), config, words, Head::Discriminator, |tensor| {
        tensor.name.ends_with("dense_prediction.bias").then(|| vec![100.0])
    });
}

/// The folder of a model of the formula, but for the tensors that have other `values`.
pub fn write(
    folder: &Path,
    config: &str,
    words: &[&str],
    head: Head,
    values: impl Fn(&Tensor) -> Option<Vec<f32>>,
) {
    let shape = Config::parse(config.as_bytes(), Path::new("config.json")).unwrap();
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("config.json"), config).unwrap();
    fs::write(folder.join("vocab.txt"), words.join("\n") + "\n").unwrap();
    let tensors = tensors(&shape, head).into_iter().map(|tensor| {
        let values = values(&tensor);
        (tensor.name.clone(), Written { tensor, values })
    });
    serialize_to_file(tensors, None, &folder.join("model.safetensors")).unwrap();
}

/// A tensor of the formula, or other values in its place.
struct Written {
    tensor: Tensor,
    values: Option<Vec<f32>>,
}

impl View for Written {
    fn dtype(&self) -> Dtype {
        self.tensor.dtype()
    }

    fn shape(&self) -> &[usize] {
        self.tensor.shape()
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match &self.values {
            Some(values) => {
                assert_eq!(4 * values.len(), self.data_len(), "{}", self.tensor.name);
                values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>().into()
            }
            None => self.tensor.data(),
        }
    }

    fn data_len(&self) -> usize {
        self.tensor.data_len()
    }
}
