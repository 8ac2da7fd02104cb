//! The encoder there and back.
//!
//! ```text
//! there   x ─ qkv ─ attention ─ ·Wo + x ─ LN ─ y ─ ·Wi ─ GELU ─ ·W₂ + y ─ LN ─ x′
//! back    dx ← ─ ─ ─ ─ ─ ─ ─ ─ ─ + ─ ─ ─ ─ ─ ← dy ─ ─ ─ ─ ─ ─ ─ ─ ─ + ─ ─ ─ ─ ← dx′
//! ```
//!
//! Each layer norm sums up a residual branch and what was made of it, so on the way back both get what comes
//! out of the norm: one buffer `dx [t, h]` carries the residual and is added to.
//!
//! **What is kept** of each layer is what a matrix product, the attention or a norm went in with and cannot
//! be made anew without a product: qkv `[t, 3h]`, the attention's output `[t, h]`, the inputs of both norms
//! `[t, h]` and that of the GELU `[t, f]`: 6h + f floats a token. What norm and GELU gave is made anew on the way back.

use zhengzi_kernels::attention::{attention, attention_backward};
use zhengzi_kernels::column_sums::column_sums;
use zhengzi_kernels::embedding::{Table, embedding, embedding_backward};
use zhengzi_kernels::gelu::{Activation, activate, gelu_backward};
use zhengzi_kernels::gemm::{
    Accumulate, Epilogue, gemm_backward_input, gemm_backward_weight, gemm_unpacked,
};
use zhengzi_kernels::layer_norm::{layer_norm, layer_norm_backward};
use zhengzi_kernels::{Isa, MatMut, MatRef, Precision};
use zhengzi_runtime::Frame;

use super::parameters::{Layout, Owner, Row, Slot};
use crate::electra::{Batch, Config};

/// W and b of y = x Wᵀ + b.
#[derive(Clone, Copy)]
pub(super) struct Dense {
    weight: Slot,
    bias: Slot,
}

impl Dense {
    pub(super) fn new(
        layout: &mut Layout,
        owner: Owner,
        below: usize,
        name: &str,
        outputs: usize,
        inputs: usize,
    ) -> Dense {
        let weight = layout.matrix(owner, below, format!("{name}.weight"), outputs, inputs);
        let bias = layout.vector(owner, below, format!("{name}.bias"), outputs);
        Dense { weight, bias }
    }

    /// y = x Wᵀ + b.
    pub(super) fn forward(self, isa: Isa, weights: &Row, x: MatRef<f32>, y: MatMut<f32>) {
        let epilogue = Epilogue::Bias(weights.vector(self.bias));
        gemm_unpacked(isa, x, weights.matrix(self.weight), epilogue, y);
    }

    /// y = x Wᵀ + b + residual.
    fn forward_residual(
        self,
        isa: Isa,
        weights: &Row,
        x: MatRef<f32>,
        residual: MatRef<f32>,
        y: MatMut<f32>,
    ) {
        let epilogue = Epilogue::BiasResidual(weights.vector(self.bias), residual);
        gemm_unpacked(isa, x, weights.matrix(self.weight), epilogue, y);
    }

    /// dW and db, from x and dy.
    pub(super) fn backward(self, isa: Isa, x: MatRef<f32>, dy: MatRef<f32>, gradients: &mut Row) {
        gemm_backward_weight(isa, dy, x, gradients.matrix_mut(self.weight));
        column_sums(isa, dy, gradients.vector_mut(self.bias));
    }

    /// dx, from dy.
    pub(super) fn backward_input(
        self,
        isa: Isa,
        weights: &Row,
        dy: MatRef<f32>,
        accumulate: Accumulate,
        dx: MatMut<f32>,
    ) {
        gemm_backward_input(isa, dy, weights.matrix(self.weight), accumulate, dx);
    }
}

/// γ, β and ε of a layer norm.
#[derive(Clone, Copy)]
pub(super) struct Norm {
    gamma: Slot,
    beta: Slot,
    eps: f32,
}

impl Norm {
    pub(super) fn new(
        layout: &mut Layout,
        owner: Owner,
        below: usize,
        name: &str,
        width: usize,
        eps: f32,
    ) -> Norm {
        let gamma = layout.vector(owner, below, format!("{name}.LayerNorm.weight"), width);
        let beta = layout.vector(owner, below, format!("{name}.LayerNorm.bias"), width);
        Norm { gamma, beta, eps }
    }

    /// y = LN(x).
    pub(super) fn forward(self, isa: Isa, weights: &Row, x: MatRef<f32>, mut y: MatMut<f32>) {
        copy(x, &mut y);
        layer_norm(isa, weights.vector(self.gamma), weights.vector(self.beta), self.eps, y);
    }

    /// dy becomes dx; x is what was normalised.
    pub(super) fn backward(
        self,
        isa: Isa,
        weights: &Row,
        x: MatRef<f32>,
        dy: MatMut<f32>,
        gradients: &mut Row,
    ) {
        let [dgamma, dbeta] = gradients.several_mut([self.gamma, self.beta]);
        layer_norm_backward(isa, weights.vector(self.gamma), self.eps, x, dy, dgamma, dbeta);
    }
}

/// y = x.
pub(super) fn copy(x: MatRef<f32>, y: &mut MatMut<f32>) {
    for i in 0..x.rows() {
        y.row_mut(i).copy_from_slice(x.row(i));
    }
}

/// y = GELU(x).
pub(super) fn gelu(isa: Isa, x: MatRef<f32>, mut y: MatMut<f32>) {
    copy(x, &mut y);
    activate(isa, Activation::Gelu, y);
}

/// The three tables and their norm, which the halves of a pair may share.
#[derive(Clone, Copy)]
pub(super) struct Tables {
    pub(super) word: Slot,
    position: Slot,
    /// `[types, c]`, of which row 0 is used.
    token_type: Slot,
    norm: Norm,
}

impl Tables {
    pub(super) fn new(layout: &mut Layout, owner: Owner, config: &Config) -> Tables {
        let (c, below) = (config.embedding_size, config.layers + 2);
        let mut table = |name: &str, rows: usize| {
            let name = format!("electra.embeddings.{name}_embeddings.weight");
            layout.matrix(owner, below, name, rows, c)
        };
        let word = table("word", config.vocab_size);
        let position = table("position", config.max_positions);
        let token_type = table("token_type", config.token_types);
        let norm = Norm::new(layout, owner, below, "electra.embeddings", c, config.layer_norm_eps);
        Tables { word, position, token_type, norm }
    }
}

struct Layer {
    /// Query, key and value as one product: `[3h, h]`.
    query_key_value: Dense,
    attention_output: Dense,
    attention_norm: Norm,
    intermediate: Dense,
    output: Dense,
    output_norm: Norm,
}

impl Layer {
    fn new(layout: &mut Layout, owner: Owner, config: &Config, n: usize) -> Layer {
        let Config { hidden_size: h, intermediate_size: f, layer_norm_eps: eps, .. } = *config;
        let (prefix, below) = (format!("electra.encoder.layer.{n}"), config.layers + 1 - n);
        let part = |part: &str, what: &str| format!("{prefix}.attention.self.{part}.{what}");
        let parts = ["query", "key", "value"];
        let weights = parts.map(|name| layout.matrix(owner, below, part(name, "weight"), h, h));
        let biases = parts.map(|name| layout.vector(owner, below, part(name, "bias"), h));
        let query_key_value =
            Dense { weight: Layout::joined(&weights), bias: Layout::joined(&biases) };
        let mut dense = |name: &str, outputs, inputs| {
            let (dense, norm) = (format!("{prefix}.{name}.dense"), format!("{prefix}.{name}"));
            let dense = Dense::new(layout, owner, below, &dense, outputs, inputs);
            let with_norm = name != "intermediate";
            let norm = with_norm.then(|| Norm::new(layout, owner, below, &norm, outputs, eps));
            (dense, norm)
        };
        let (attention_output, attention_norm) = dense("attention.output", h, h);
        let (intermediate, _) = dense("intermediate", f, h);
        let (output, output_norm) = dense("output", h, f);
        Layer {
            query_key_value,
            attention_output,
            attention_norm: attention_norm.expect("made with it"),
            intermediate,
            output,
            output_norm: output_norm.expect("made with it"),
        }
    }
}

/// Embeddings and layers, as places in a row of weights.
pub(super) struct Encoder {
    pub(super) tables: Tables,
    /// Where c ≠ h.
    project: Option<Dense>,
    layers: Vec<Layer>,
    heads: usize,
    /// c, h, f.
    widths: [usize; 3],
}

/// What the way back needs of the way there.
pub(super) struct Kept<'a> {
    /// `[t, c]`: the sum of the three rows of each token.
    summed: MatMut<'a, f32>,
    /// `[t, c]`, where c ≠ h: what the projection read, and a place for its gradient.
    narrow: [MatMut<'a, f32>; 2],
    /// `[t, h]`: what the first layer read.
    first: MatMut<'a, f32>,
    layers: Vec<KeptLayer<'a>>,
    /// `[t, h]`: what the last layer gave, and then a place for what a norm gave.
    pub(super) x: MatMut<'a, f32>,
    /// `[t, f]`, two of them, and `[t, 3h]`.
    wide: [MatMut<'a, f32>; 2],
    dqkv: MatMut<'a, f32>,
}

struct KeptLayer<'a> {
    qkv: MatMut<'a, f32>,
    context: MatMut<'a, f32>,
    before_attention_norm: MatMut<'a, f32>,
    before_gelu: MatMut<'a, f32>,
    before_output_norm: MatMut<'a, f32>,
}

impl Encoder {
    pub(super) fn new(
        layout: &mut Layout,
        owner: Owner,
        tables: Tables,
        config: &Config,
    ) -> Encoder {
        let Config { embedding_size: c, hidden_size: h, intermediate_size: f, .. } = *config;
        let project = (c != h).then(|| {
            Dense::new(layout, owner, config.layers + 2, "electra.embeddings_project", h, c)
        });
        let layers = (0..config.layers).map(|n| Layer::new(layout, owner, config, n)).collect();
        Encoder { tables, project, layers, heads: config.heads, widths: [c, h, f] }
    }

    /// h.
    pub(super) fn hidden(&self) -> usize {
        self.widths[1]
    }

    /// The matrices that `forward` takes from a frame for t tokens.
    pub(super) fn shapes(&self, t: usize) -> Vec<(usize, usize)> {
        let [c, h, f] = self.widths;
        let narrow = (t, if c == h { 0 } else { c });
        let mut shapes = vec![(t, c), narrow, narrow, (t, h), (t, h), (t, f), (t, f), (t, 3 * h)];
        for _ in &self.layers {
            shapes.extend([(t, 3 * h), (t, h), (t, h), (t, f), (t, h)]);
        }
        shapes
    }

    /// The hidden states of all tokens, and all that the way back needs.
    ///
    /// Panics where a sentence is longer than the positions or an id outside the vocabulary.
    pub(super) fn forward<'a>(
        &self,
        isa: Isa,
        weights: &Row,
        batch: &Batch,
        frame: &mut Frame<'a>,
    ) -> Kept<'a> {
        let (t, [c, h, f]) = (batch.tokens(), self.widths);
        let mut summed = frame.take(t, c);
        let narrow = self.project.map_or(0, |_| c);
        let (mut narrow, dnarrow) = (frame.take(t, narrow), frame.take(t, narrow));
        let (mut first, mut x) = (frame.take(t, h), frame.take(t, h));
        let (mut wide, dwide) = (frame.take(t, f), frame.take(t, f));
        let dqkv = frame.take(t, 3 * h);

        let Tables { word, position, token_type, norm } = self.tables;
        embedding(
            isa,
            Table::Rows(weights.matrix(word)),
            weights.matrix(position),
            weights.matrix(token_type).row(0),
            batch.ids(),
            batch.offsets(),
            summed.reborrow(),
        );
        match self.project {
            None => norm.forward(isa, weights, summed.as_ref(), first.reborrow()),
            Some(project) => {
                norm.forward(isa, weights, summed.as_ref(), narrow.reborrow());
                project.forward(isa, weights, narrow.as_ref(), first.reborrow());
            }
        }

        let mut layers: Vec<KeptLayer> = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let mut kept = KeptLayer {
                qkv: frame.take(t, 3 * h),
                context: frame.take(t, h),
                before_attention_norm: frame.take(t, h),
                before_gelu: frame.take(t, f),
                before_output_norm: frame.take(t, h),
            };
            // x is what the layer before gave; the first reads what the embeddings did.
            let input = if layers.is_empty() { first.as_ref() } else { x.as_ref() };
            layer.query_key_value.forward(isa, weights, input, kept.qkv.reborrow());
            let qkv = kept.qkv.as_ref();
            let context = kept.context.reborrow();
            attention(isa, Precision::F32, qkv, batch.offsets(), self.heads, context);
            layer.attention_output.forward_residual(
                isa,
                weights,
                kept.context.as_ref(),
                input,
                kept.before_attention_norm.reborrow(),
            );
            let before = kept.before_attention_norm.as_ref();
            layer.attention_norm.forward(isa, weights, before, x.reborrow());
            layer.intermediate.forward(isa, weights, x.as_ref(), kept.before_gelu.reborrow());
            gelu(isa, kept.before_gelu.as_ref(), wide.reborrow());
            layer.output.forward_residual(
                isa,
                weights,
                wide.as_ref(),
                x.as_ref(),
                kept.before_output_norm.reborrow(),
            );
            layer.output_norm.forward(isa, weights, kept.before_output_norm.as_ref(), x.reborrow());
            layers.push(kept);
        }
        if layers.is_empty() {
            copy(first.as_ref(), &mut x);
        }
        Kept { summed, narrow: [narrow, dnarrow], first, layers, x, wide: [wide, dwide], dqkv }
    }

    /// Adds to all gradients, from dx `[t, h]`, the gradient of the hidden states, which is used up.
    pub(super) fn backward(
        &self,
        isa: Isa,
        weights: &Row,
        batch: &Batch,
        kept: Kept,
        mut dx: MatMut<f32>,
        gradients: &mut Row,
    ) {
        let Kept { summed, narrow, first, mut layers, x: mut y, wide, mut dqkv } = kept;
        let ([c, _, _], [mut wide, mut dwide]) = (self.widths, wide);
        for n in (0..self.layers.len()).rev() {
            let layer = &self.layers[n];
            let (before, rest) = layers.split_at_mut(n);
            let kept = &mut rest[0];

            let before_norm = kept.before_output_norm.as_ref();
            layer.output_norm.backward(isa, weights, before_norm, dx.reborrow(), gradients);
            gelu(isa, kept.before_gelu.as_ref(), wide.reborrow());
            layer.output.backward(isa, wide.as_ref(), dx.as_ref(), gradients);
            let set = Accumulate::Set;
            layer.output.backward_input(isa, weights, dx.as_ref(), set, dwide.reborrow());
            gelu_backward(isa, kept.before_gelu.as_ref(), dwide.reborrow());
            let before_norm = kept.before_attention_norm.as_ref();
            layer.attention_norm.forward(isa, weights, before_norm, y.reborrow());
            layer.intermediate.backward(isa, y.as_ref(), dwide.as_ref(), gradients);
            let add = Accumulate::Add;
            layer.intermediate.backward_input(isa, weights, dwide.as_ref(), add, dx.reborrow());

            layer.attention_norm.backward(isa, weights, before_norm, dx.reborrow(), gradients);
            layer.attention_output.backward(isa, kept.context.as_ref(), dx.as_ref(), gradients);
            // y is free again: the gradient of the context.
            layer.attention_output.backward_input(isa, weights, dx.as_ref(), set, y.reborrow());
            attention_backward(
                isa,
                kept.qkv.as_ref(),
                batch.offsets(),
                self.heads,
                y.as_ref(),
                dqkv.reborrow(),
            );
            let input = match before.last() {
                None => first.as_ref(),
                Some(below) => {
                    let before_norm = below.before_output_norm.as_ref();
                    self.layers[n - 1].output_norm.forward(isa, weights, before_norm, y.reborrow());
                    y.as_ref()
                }
            };
            layer.query_key_value.backward(isa, input, dqkv.as_ref(), gradients);
            layer.query_key_value.backward_input(isa, weights, dqkv.as_ref(), add, dx.reborrow());
        }

        let Tables { word, position, token_type, norm } = self.tables;
        let [narrow, dnarrow] = narrow;
        let mut dsummed = match self.project {
            None => dx,
            Some(project) => {
                let mut dy = dnarrow;
                project.backward(isa, narrow.as_ref(), dx.as_ref(), gradients);
                project.backward_input(isa, weights, dx.as_ref(), Accumulate::Set, dy.reborrow());
                dy
            }
        };
        norm.backward(isa, weights, summed.as_ref(), dsummed.reborrow(), gradients);
        let tables = gradients.several_mut([word, position, token_type]);
        let [dword, dposition, dtoken_type] = tables;
        let rows = |table: &[f32]| table.len() / c;
        let (words, positions) = (rows(dword), rows(dposition));
        embedding_backward(
            isa,
            batch.ids(),
            batch.offsets(),
            dsummed.as_ref(),
            MatMut::new(dword, words, c),
            MatMut::new(dposition, positions, c),
            &mut dtoken_type[..c],
        );
    }
}
