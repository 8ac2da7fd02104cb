//! `config.json` → [`Config`]: the shape of an ELECTRA, checked before anything is loaded.
//!
//! Keys and defaults are those of Hugging Face's `ElectraConfig`. One key is our own: `zhengzi_fill`.

use std::path::Path;

use serde::Deserialize;
use zhengzi_kernels::gelu::Activation;

use crate::Error;

/// The shape of an ELECTRA encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// v: rows of the word embeddings.
    pub vocab_size: usize,
    /// c: width of the embeddings.
    pub embedding_size: usize,
    /// h: width of the encoder; where it differs from c, `embeddings_project` maps c to h.
    pub hidden_size: usize,
    /// Number of encoder layers.
    pub layers: usize,
    /// Attention heads, each of `hidden_size / heads` dimensions.
    pub heads: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Rows of the position embeddings: the longest input in tokens, `[CLS]` and `[SEP]` included.
    pub max_positions: usize,
    /// Rows of the token-type embeddings; only the first is used.
    pub token_types: usize,
    /// Added to the variance in every LayerNorm.
    pub layer_norm_eps: f32,
    /// The non-linearity of the feed-forward layers and of the discriminator's head.
    pub activation: Activation,
    /// How a generator is asked for what should stand at a place.
    pub fill: Fill,
}

/// What a generator reads where it is asked for a character: `zhengzi_fill`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fill {
    /// `"mask"`: `[MASK]`, as it was pre-trained. So is every generator whose config says nothing.
    #[default]
    Mask,
    /// `"seen"`: the character that stands there, as models fine-tuned for spelling do.
    Seen,
}

/// The keys that matter, as they stand in the file.
#[derive(Deserialize)]
#[serde(default)]
struct Keys {
    model_type: Option<String>,
    vocab_size: u64,
    embedding_size: u64,
    hidden_size: u64,
    num_hidden_layers: u64,
    num_attention_heads: u64,
    intermediate_size: u64,
    max_position_embeddings: u64,
    type_vocab_size: u64,
    layer_norm_eps: f64,
    hidden_act: String,
    position_embedding_type: String,
    zhengzi_fill: String,
}

impl Default for Keys {
    fn default() -> Keys {
        Keys {
            model_type: None,
            vocab_size: 30522,
            embedding_size: 128,
            hidden_size: 256,
            num_hidden_layers: 12,
            num_attention_heads: 4,
            intermediate_size: 1024,
            max_position_embeddings: 512,
            type_vocab_size: 2,
            layer_norm_eps: 1e-12,
            hidden_act: "gelu".to_owned(),
            position_embedding_type: "absolute".to_owned(),
            zhengzi_fill: "mask".to_owned(),
        }
    }
}

/// No dimension of a published ELECTRA comes near: more is a damaged or hostile file, and
/// below it no product of two dimensions overflows.
const MAX_DIMENSION: u64 = 1 << 24;

impl Config {
    /// Reads and checks the text of a `config.json`; `path` stands in messages.
    pub fn parse(json: &[u8], path: &Path) -> Result<Config, Error> {
        let json = json.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(json);
        let keys: Keys = serde_json::from_slice(json).map_err(|error| {
            Error::new(
                path,
                format!("not a model config: {error}"),
                "it must be ELECTRA's config.json",
            )
        })?;
        keys.check().map_err(|what| {
            Error::new(path, what, "the config must be the one that came with the weights")
        })
    }
}

impl Keys {
    fn check(self) -> Result<Config, String> {
        if let Some(kind) = self.model_type.filter(|kind| kind != "electra") {
            return Err(format!("model_type is {kind:?}, not \"electra\""));
        }
        if self.position_embedding_type != "absolute" {
            return Err(format!(
                "position_embedding_type {:?} is not supported, only \"absolute\"",
                self.position_embedding_type
            ));
        }
        let size = |name: &str, value: u64| match value {
            1..=MAX_DIMENSION => Ok(value as usize),
            _ => Err(format!("{name} is {value}: it must be between 1 and {MAX_DIMENSION}")),
        };
        let config = Config {
            vocab_size: size("vocab_size", self.vocab_size)?,
            embedding_size: size("embedding_size", self.embedding_size)?,
            hidden_size: size("hidden_size", self.hidden_size)?,
            layers: size("num_hidden_layers", self.num_hidden_layers)?,
            heads: size("num_attention_heads", self.num_attention_heads)?,
            intermediate_size: size("intermediate_size", self.intermediate_size)?,
            max_positions: size("max_position_embeddings", self.max_position_embeddings)?,
            token_types: size("type_vocab_size", self.type_vocab_size)?,
            layer_norm_eps: self.layer_norm_eps as f32,
            activation: activation(&self.hidden_act)?,
            fill: fill(&self.zhengzi_fill)?,
        };
        if !config.hidden_size.is_multiple_of(config.heads) {
            return Err(format!(
                "num_attention_heads {} does not divide hidden_size {}",
                config.heads, config.hidden_size
            ));
        }
        if config.max_positions < 3 {
            return Err(
                "max_position_embeddings leaves no room for [CLS], a token and [SEP]".into()
            );
        }
        if !(0.0..1.0).contains(&config.layer_norm_eps) {
            return Err(format!(
                "layer_norm_eps {} is not a small positive number",
                self.layer_norm_eps
            ));
        }
        Ok(config)
    }
}

/// Hugging Face's names of the activations (`transformers/activations.py`).
fn activation(name: &str) -> Result<Activation, String> {
    match name {
        "gelu" | "gelu_python" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
        "relu" => Ok(Activation::Relu),
        "silu" | "swish" => Ok(Activation::Silu),
        "tanh" => Ok(Activation::Tanh),
        "quick_gelu" => Ok(Activation::QuickGelu),
        "linear" => Ok(Activation::Linear),
        _ => Err(format!(
            "hidden_act {name:?} is not supported (gelu, gelu_new, gelu_fast, \
             gelu_pytorch_tanh, relu, silu, swish, tanh, quick_gelu, linear)"
        )),
    }
}

fn fill(name: &str) -> Result<Fill, String> {
    match name {
        "mask" => Ok(Fill::Mask),
        "seen" => Ok(Fill::Seen),
        _ => Err(format!("zhengzi_fill is {name:?}: it must be \"mask\" or \"seen\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(json: &str) -> String {
        Config::parse(json.as_bytes(), Path::new("config.json")).unwrap_err().to_string()
    }

    #[test]
    fn absent_keys_take_the_defaults_of_hugging_face() {
        let config = Config::parse(b"{}", Path::new("c")).unwrap();
        assert_eq!((config.vocab_size, config.layers, config.heads), (30522, 12, 4));
        assert_eq!((config.activation, config.fill), (Activation::Gelu, Fill::Mask));
    }

    #[test]
    fn a_byte_order_mark_and_unknown_keys_do_no_harm() {
        let json =
            "\u{FEFF}{\"directionality\":\"bidi\",\"hidden_size\":64,\"num_attention_heads\":1}";
        assert_eq!(Config::parse(json.as_bytes(), Path::new("c")).unwrap().hidden_size, 64);
    }

    #[test]
    fn each_contradiction_is_named() {
        assert!(
            refusal("{\"num_attention_heads\":3}").contains("3 does not divide hidden_size 256")
        );
        assert!(refusal("{\"hidden_size\":0}").contains("hidden_size is 0"));
        assert!(refusal("{\"vocab_size\":99999999999}").contains("vocab_size is 99999999999"));
        assert!(refusal("{\"hidden_act\":\"mish2\"}").contains("mish2"));
        assert!(refusal("{\"model_type\":\"bert\"}").contains("bert"));
        assert!(refusal("{\"position_embedding_type\":\"relative_key\"}").contains("relative_key"));
        assert!(refusal("not json").starts_with("config.json: not a model config"));
        assert!(refusal("{\"zhengzi_fill\":\"masked\"}").contains("zhengzi_fill is \"masked\""));
        assert!(refusal("{\"layer_norm_eps\":-1}").contains("layer_norm_eps"));
    }
}
