//! The encoder: N times
//!
//! ```text
//! q, k, v = x Wqᵀ + bq, …           a = softmax(q kᵀ / √d) v   for each head
//! y = LN(x + a Woᵀ + bo)            attention.output
//! x = LN(y + act(y Wiᵀ + bi) W₂ᵀ + b₂)   intermediate, output
//! ```
//!
//! Post-LN as in BERT; no pooler and no norm at the end. In the last layer only the rows
//! that a head will read are carried past attention.

use zhengzi_kernels::attention::attention;
use zhengzi_kernels::gelu::Activation;
use zhengzi_kernels::gemm::{self, MadeRows, make};
use zhengzi_kernels::{Isa, MatMut, MatRef, Precision};
use zhengzi_runtime::{Arena, Linear, Weights};

use super::embeddings::{Embeddings, LayerNorm};
use super::profile::{Profile, Step};
use super::{Batch, Config};
use crate::Error;

/// Embeddings and layers: ids in, hidden states out.
pub(super) struct Encoder {
    pub(super) embeddings: Embeddings,
    layers: Vec<Layer>,
    pub(super) config: Config,
}

struct Layer {
    /// Query, key and value as one product: `[3h, h]`.
    query_key_value: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    output_norm: LayerNorm,
    heads: usize,
    activation: Activation,
}

impl Encoder {
    pub(super) fn load(weights: Weights, config: &Config) -> Result<Encoder, Error> {
        let layers = (0..config.layers).map(|n| Layer::load(weights, config, n));
        Ok(Encoder {
            embeddings: Embeddings::load(weights, config)?,
            layers: layers.collect::<Result<_, _>>()?,
            config: config.clone(),
        })
    }

    /// Hands the hidden states of `rows` of the batch, `[rows.len(), h]`, to `head`.
    ///
    /// Panics where a sentence is longer than the positions or an id outside the vocabulary:
    /// whoever builds a batch has cut it to size.
    pub(super) fn forward<R>(
        &self,
        isa: Isa,
        batch: &Batch,
        rows: Rows,
        arena: &mut Arena,
        profile: &Profile,
        head: impl FnOnce(MatRef<f32>) -> R,
    ) -> R {
        let depth = match rows {
            Rows::After(layers) => layers,
            _ => self.layers.len(),
        };
        let Config { embedding_size: c, hidden_size: h, intermediate_size: f, .. } = self.config;
        let t = batch.tokens();
        let (mut frame, [narrow_rows, wide_rows]) =
            arena.frame(&[(t, h), (t, h), (t, h), (t, 3 * h), (t, f)]);
        let (mut x, mut y, mut context) = (frame.take(t, h), frame.take(t, h), frame.take(t, h));
        let (mut qkv, mut wide) = (frame.take(t, 3 * h), frame.take(t, f));

        // Scratch that is idle until the first layer; c ≤ 3 h in every ELECTRA but perhaps a
        // strange one, which pays an allocation.
        let mut spare = Vec::new();
        let narrow = match c <= 3 * h {
            true => qkv.block(0..t, 0..c),
            false => {
                spare.resize(t * c, 0.0);
                MatMut::new(&mut spare, t, c)
            }
        };
        profile.step(Step::Embedding, || {
            self.embeddings.forward(isa, batch, narrow, x.reborrow());
        });

        for (n, layer) in self.layers[..depth].iter().enumerate() {
            let rows_of_x = match n {
                0 => make(isa, layer.precision(), x.as_ref(), narrow_rows),
                // The norm at the end of the last layer made them.
                _ => narrow_rows.again(isa, layer.precision(), x.as_ref()),
            };
            layer.attend(isa, batch, rows_of_x, qkv.reborrow(), context.reborrow(), profile);
            profile.tap(n, qkv.as_ref(), context.as_ref());
            let mut made = (&mut *narrow_rows, &mut *wide_rows);
            match rows {
                Rows::Some(rows) if n + 1 == self.layers.len() => {
                    // qkv is free again: the chosen rows move there, then back.
                    gather(&mut x, &mut qkv, rows);
                    gather(&mut context, &mut qkv, rows);
                    let m = rows.len();
                    let (mut x, mut y, mut wide) =
                        (top(&mut x, m), top(&mut y, m), top(&mut wide, m));
                    let context = top(&mut context, m);
                    layer.feed(
                        isa,
                        context.as_ref(),
                        (&mut x, &mut y, &mut wide),
                        &mut made,
                        profile,
                    );
                    return profile.step(Step::Head, || head(x.as_ref()));
                }
                _ => {
                    let scratch = (&mut x, &mut y, &mut wide);
                    layer.feed(isa, context.as_ref(), scratch, &mut made, profile);
                }
            }
        }
        profile.step(Step::Head, || head(x.as_ref()))
    }
}

/// Which rows of a batch a head reads.
#[derive(Clone, Copy)]
pub(super) enum Rows<'a> {
    /// Every token, in order.
    All,
    /// These, in this order.
    Some(&'a [usize]),
    /// Every token, as it comes out of the first so many layers: to see where something goes wrong.
    After(usize),
}

/// Moves `rows` of `x` to its top, by way of `scratch`, whose rows are at least as wide.
fn gather(x: &mut MatMut<f32>, scratch: &mut MatMut<f32>, rows: &[usize]) {
    let cols = x.cols();
    for (to, &from) in rows.iter().enumerate() {
        scratch.row_mut(to)[..cols].copy_from_slice(x.as_ref().row(from));
    }
    for to in 0..rows.len() {
        x.row_mut(to).copy_from_slice(&scratch.as_ref().row(to)[..cols]);
    }
}

/// The first `m` rows.
fn top<'a>(x: &'a mut MatMut<f32>, m: usize) -> MatMut<'a, f32> {
    let cols = x.cols();
    x.block(0..m, 0..cols)
}

impl Layer {
    fn load(weights: Weights, config: &Config, n: usize) -> Result<Layer, Error> {
        let (h, f) = (config.hidden_size, config.intermediate_size);
        let full = |name: &str| format!("electra.encoder.layer.{n}.{name}");
        let linear = |name: &str, outputs: usize, inputs: usize| {
            weights.linear(&full(name), outputs, inputs)
        };
        let norm = |name: &str| {
            let prefix = full(&format!("{name}.LayerNorm"));
            LayerNorm::load(weights, &prefix, h, config.layer_norm_eps)
        };
        let parts = ["query", "key", "value"].map(|part| full(&format!("attention.self.{part}")));
        Ok(Layer {
            query_key_value: weights.joined(
                &full("attention.self.query_key_value"),
                &parts.each_ref().map(String::as_str),
                h,
                h,
            )?,
            attention_output: linear("attention.output.dense", h, h)?,
            attention_norm: norm("attention.output")?,
            intermediate: linear("intermediate.dense", f, h)?,
            output: linear("output.dense", h, f)?,
            output_norm: norm("output")?,
            heads: config.heads,
            activation: config.activation,
        })
    }

    /// What its products are computed in.
    fn precision(&self) -> Precision {
        self.query_key_value.precision()
    }

    /// context `[t, h]` from x `[t, h]`; qkv `[t, 3h]` holds q, k and v side by side.
    fn attend(
        &self,
        isa: Isa,
        batch: &Batch,
        x: gemm::Rows,
        mut qkv: MatMut<f32>,
        context: MatMut<f32>,
        profile: &Profile,
    ) {
        profile.step(Step::Qkv, || self.query_key_value.forward_parts(isa, x, 3, qkv.reborrow()));
        profile.step(Step::Attention, || {
            attention(isa, self.precision(), qkv.as_ref(), batch.offsets(), self.heads, context);
        });
    }

    /// The rest of the layer, x `[m, h]` in place, whose rows are made for the next layer as well; y `[m, h]`
    /// and wide `[m, f]` are scratch.
    fn feed(
        &self,
        isa: Isa,
        context: MatRef<f32>,
        (x, y, wide): (&mut MatMut<f32>, &mut MatMut<f32>, &mut MatMut<f32>),
        (narrow_rows, wide_rows): &mut (&mut MadeRows, &mut MadeRows),
        profile: &Profile,
    ) {
        let precision = self.precision();
        profile.step(Step::AttentionOutput, || {
            let context = make(isa, precision, context, narrow_rows);
            self.attention_output.forward_residual(isa, context, x.as_ref(), y.reborrow());
        });
        let rows_of_y = profile.step(Step::Norm, || {
            self.attention_norm.forward_rows(isa, precision, y.reborrow(), narrow_rows)
        });
        let rows_of_wide = profile.step(Step::Intermediate, || {
            let (f, wide) = (self.activation, wide.reborrow());
            self.intermediate.forward_activated_rows(isa, rows_of_y, f, wide, wide_rows)
        });
        profile.step(Step::Output, || {
            self.output.forward_residual(isa, rows_of_wide, y.as_ref(), x.reborrow());
        });
        profile.step(Step::Norm, || {
            self.output_norm.forward_rows(isa, precision, x.reborrow(), narrow_rows);
        });
    }
}
