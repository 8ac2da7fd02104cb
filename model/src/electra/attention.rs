//! Where each head of a layer looks, for study.
//!
//! ```text
//! P = softmax(q kᵀ / √d)      [n, n]: how much token i takes of token j; each row sums to 1
//! ```
//!
//! The kernel keeps no such matrix (`kernels/src/attention.rs`). A pass over one sentence leaves
//! q, k and v of one layer behind, by way of its [`Profile`], and P is computed from them as it
//! stands above, in f32.

use zhengzi_runtime::Arenas;

use super::{Batch, Discriminator, Generator, Profile};
use crate::Error;

/// The attention of one layer over one sentence.
#[derive(Clone, Debug)]
pub struct Attention {
    heads: usize,
    /// Width of all heads together.
    h: usize,
    /// `[n, 3h]`
    qkv: Vec<f32>,
    /// `[n, h]`
    context: Vec<f32>,
}

impl Attention {
    /// n: tokens of the sentence.
    pub fn tokens(&self) -> usize {
        self.context.len() / self.h
    }

    /// Heads of the layer.
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// P of a head (from 0): `[n, n]`, a row for each token that looks.
    pub fn weights(&self, head: usize) -> Vec<f32> {
        let (n, d) = (self.tokens(), self.h / self.heads);
        let mut weights = Vec::with_capacity(n * n);
        for i in 0..n {
            let q = self.part(0, i, head);
            let scores = (0..n).map(|j| {
                let k = self.part(1, j, head);
                q.iter().zip(k).map(|(q, k)| q * k).sum::<f32>() / (d as f32).sqrt()
            });
            let scores: Vec<f32> = scores.collect();
            let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f32 = scores.iter().map(|score| (score - max).exp()).sum();
            weights.extend(scores.iter().map(|score| (score - max).exp() / sum));
        }
        weights
    }

    /// P v of a head, `[n, d]`: what the kernel must have written to its columns of
    /// [`Attention::context`].
    pub fn output(&self, head: usize) -> Vec<f32> {
        let (n, d) = (self.tokens(), self.h / self.heads);
        let mut output = vec![0.0; n * d];
        for (y, weights) in output.chunks_exact_mut(d).zip(self.weights(head).chunks_exact(n)) {
            for (j, weight) in weights.iter().enumerate() {
                let v = self.part(2, j, head);
                y.iter_mut().zip(v).for_each(|(y, v)| *y += weight * v);
            }
        }
        output
    }

    /// What the kernel wrote: the outputs of all heads side by side, `[n, h]`.
    pub fn context(&self) -> &[f32] {
        &self.context
    }

    /// q (0), k (1) or v (2) of a token and head: `[d]`.
    fn part(&self, which: usize, token: usize, head: usize) -> &[f32] {
        let d = self.h / self.heads;
        let start = token * 3 * self.h + which * self.h + head * d;
        &self.qkv[start..start + d]
    }
}

impl Discriminator {
    /// The attention of `layer` (from 0) while a sentence, `[CLS]` and `[SEP]` included, is read.
    ///
    /// Panics if there is no such layer.
    pub fn attention(
        &self,
        ids: &[u32],
        layer: usize,
        arenas: &Arenas,
    ) -> Result<Attention, Error> {
        let heads = self.config().heads;
        tapped(ids, layer, heads, |batch, tap| self.profiled_logits(batch, arenas, tap))
    }
}

impl Generator {
    /// The same; the generator is asked about the first token, which does not change how it reads.
    pub fn attention(
        &self,
        ids: &[u32],
        layer: usize,
        arenas: &Arenas,
    ) -> Result<Attention, Error> {
        let heads = self.config().heads;
        tapped(ids, layer, heads, |batch, tap| self.profiled_logits(batch, &[0], arenas, tap))
    }
}

/// Runs a pass over one sentence and takes what it left behind.
fn tapped(
    ids: &[u32],
    layer: usize,
    heads: usize,
    pass: impl FnOnce(&Batch, &Profile) -> Result<Vec<f32>, Error>,
) -> Result<Attention, Error> {
    let mut batch = Batch::new();
    batch.push(ids);
    let tap = Profile::tapping(layer);
    pass(&batch, &tap)?;
    let (qkv, context) = tap.tapped().expect("a pass goes through every layer");
    Ok(Attention { heads, h: context.len() / ids.len(), qkv, context })
}
