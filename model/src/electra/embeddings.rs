//! x = LN(word[id] + position[i] + type[0]), then · Wᵀ + b where c ≠ h.

use zhengzi_kernels::embedding::embedding;
use zhengzi_kernels::gemm::{MadeRows, Rows};
use zhengzi_kernels::layer_norm::{layer_norm, layer_norm_rows};
use zhengzi_kernels::matrix::Shared;
use zhengzi_kernels::{Isa, MatMut, MatRef, Precision};
use zhengzi_runtime::{Linear, Table, Weights};

use super::{Batch, Config};
use crate::Error;

/// The tensor that both halves of a pair often share.
pub(super) const WORDS: &str = "electra.embeddings.word_embeddings.weight";

/// gamma and beta of a layer normalisation.
pub(super) struct LayerNorm {
    gamma: Vec<f32>,
    beta: Vec<f32>,
    eps: f32,
}

impl LayerNorm {
    pub(super) fn load(
        weights: Weights,
        prefix: &str,
        width: usize,
        eps: f32,
    ) -> Result<LayerNorm, Error> {
        Ok(LayerNorm {
            gamma: weights.vector(&format!("{prefix}.weight"), width)?,
            beta: weights.vector(&format!("{prefix}.bias"), width)?,
            eps,
        })
    }

    /// Each row of x, in place.
    pub(super) fn forward(&self, isa: Isa, x: MatMut<f32>) {
        layer_norm(isa, &self.gamma, &self.beta, self.eps, x);
    }

    /// The same, and the rows as the left factor of a product in this precision.
    pub(super) fn forward_rows<'x>(
        &self,
        isa: Isa,
        precision: Precision,
        x: MatMut<'x, f32>,
        made: &'x mut MadeRows,
    ) -> Rows<'x> {
        layer_norm_rows(isa, precision, (&self.gamma, &self.beta, self.eps), x, made)
    }
}

/// The three tables, their norm, and the way up from c to h.
pub(super) struct Embeddings {
    /// `[v, c]`; the generator's head is tied to it.
    pub(super) word: Table,
    /// `[positions, c]`.
    position: Shared<f32>,
    /// Row 0 of `[types, c]`: a single text has the type 0 throughout.
    token_type: Vec<f32>,
    norm: LayerNorm,
    /// `embeddings_project`; absent where c = h.
    project: Option<Linear>,
    positions: usize,
}

impl Embeddings {
    pub(super) fn load(weights: Weights, config: &Config) -> Result<Embeddings, Error> {
        let (c, h) = (config.embedding_size, config.hidden_size);
        let table = |name: &str, rows: usize| {
            weights.matrix(&format!("electra.embeddings.{name}_embeddings.weight"), rows, c)
        };
        let types = table("token_type", config.token_types)?;
        let project = match c == h {
            true => None,
            false => Some(weights.linear("electra.embeddings_project", h, c)?),
        };
        Ok(Embeddings {
            word: weights.table("electra.embeddings.word_embeddings", config.vocab_size, c)?,
            position: table("position", config.max_positions)?,
            token_type: (*types).as_ref().iter().take(c).copied().collect(),
            norm: LayerNorm::load(
                weights,
                "electra.embeddings.LayerNorm",
                c,
                config.layer_norm_eps,
            )?,
            project,
            positions: config.max_positions,
        })
    }

    /// x `[t, h]`; `narrow` `[t, c]` is scratch, unused where c = h.
    pub(super) fn forward(&self, isa: Isa, batch: &Batch, mut narrow: MatMut<f32>, x: MatMut<f32>) {
        let c = self.token_type.len();
        let position = MatRef::new((*self.position).as_ref(), self.positions, c);
        let (ids, offsets) = (batch.ids(), batch.offsets());
        let embed = |mut y: MatMut<f32>| {
            embedding(
                isa,
                self.word.view(),
                position,
                &self.token_type,
                ids,
                offsets,
                y.reborrow(),
            );
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
