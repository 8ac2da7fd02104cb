//! x = LN(word[id] + position[i] + type[0]), then · Wᵀ + b where c ≠ h.

use zhengzi_kernels::matrix::Shared;
use zhengzi_kernels::{Isa, MatMut, MatRef, embedding::embedding, layer_norm::layer_norm};
use zhengzi_runtime::{Checkpoint, Linear, matrix, vector};

use super::{Batch, Config};
use crate::Error;

/// gamma and beta of a layer normalisation.
pub(super) struct LayerNorm {
    gamma: Vec<f32>,
    beta: Vec<f32>,
    eps: f32,
}

impl LayerNorm {
    pub(super) fn load(
        checkpoint: &Checkpoint,
        prefix: &str,
        width: usize,
        eps: f32,
    ) -> Result<LayerNorm, Error> {
        Ok(LayerNorm {
            gamma: vector(checkpoint, &format!("{prefix}.weight"), width)?,
            beta: vector(checkpoint, &format!("{prefix}.bias"), width)?,
            eps,
        })
    }

    /// Each row of x, in place.
    pub(super) fn forward(&self, isa: Isa, x: MatMut<f32>) {
        layer_norm(isa, &self.gamma, &self.beta, self.eps, x);
    }
}

/// The three tables, their norm, and the way up from c to h.
pub(super) struct Embeddings {
    /// `[v, c]`; the generator's head is tied to it.
    pub(super) word: Shared<f32>,
    /// `[positions, c]`.
    position: Shared<f32>,
    /// Row 0 of `[types, c]`: a single text has the type 0 throughout.
    token_type: Vec<f32>,
    norm: LayerNorm,
    /// `embeddings_project`; absent where c = h.
    project: Option<Linear>,
    vocab: usize,
    positions: usize,
}

impl Embeddings {
    pub(super) fn load(checkpoint: &Checkpoint, config: &Config) -> Result<Embeddings, Error> {
        let (c, h) = (config.embedding_size, config.hidden_size);
        let table = |name: &str, rows: usize| {
            matrix(checkpoint, &format!("electra.embeddings.{name}_embeddings.weight"), rows, c)
        };
        let types = table("token_type", config.token_types)?;
        let project = match c == h {
            true => None,
            false => Some(Linear::load(checkpoint, "electra.embeddings_project", h, c)?),
        };
        Ok(Embeddings {
            word: table("word", config.vocab_size)?,
            position: table("position", config.max_positions)?,
            token_type: (*types).as_ref()[..c].to_vec(),
            norm: LayerNorm::load(
                checkpoint,
                "electra.embeddings.LayerNorm",
                c,
                config.layer_norm_eps,
            )?,
            project,
            vocab: config.vocab_size,
            positions: config.max_positions,
        })
    }

    /// x `[t, h]`; `narrow` `[t, c]` is scratch, unused where c = h.
    pub(super) fn forward(&self, isa: Isa, batch: &Batch, mut narrow: MatMut<f32>, x: MatMut<f32>) {
        let c = self.token_type.len();
        let word = MatRef::new((*self.word).as_ref(), self.vocab, c);
        let position = MatRef::new((*self.position).as_ref(), self.positions, c);
        let (ids, offsets) = (batch.ids(), batch.offsets());
        let embed = |mut y: MatMut<f32>| {
            embedding(isa, word, position, &self.token_type, ids, offsets, y.reborrow());
            self.norm.forward(isa, y);
        };
        match &self.project {
            None => embed(x),
            Some(project) => {
                embed(narrow.reborrow());
                project.forward(isa, narrow.as_ref(), x);
            }
        }
    }
}
