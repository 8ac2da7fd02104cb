//! The heads there and back: losses, and the gradient of the hidden states.
//!
//! ```text
//! discriminator   z = GELU(x Wdᵀ + bd) · w + b                 at every token:        replaced or not?
//! generator       z = LN(GELU(x Wdᵀ + bd)) · wordᵀ + b         at masked tokens:      which word?
//! ```
//!
//! A generator's logits are v numbers for each masked token, tens of times more than all else. So they are made for
//! [`ROWS`] tokens at a time, sampled from, turned into their own gradient in place, multiplied back into
//! dx and the words, and forgotten.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use zhengzi_kernels::column_sums::column_sums;
use zhengzi_kernels::cross_entropy::cross_entropy;
use zhengzi_kernels::gelu::gelu_backward;
use zhengzi_kernels::gemm::{
    Accumulate, Epilogue, gemm_backward_input, gemm_backward_weight, gemm_unpacked,
};
use zhengzi_kernels::sample::sample;
use zhengzi_kernels::sigmoid_cross_entropy::sigmoid_cross_entropy;
use zhengzi_kernels::{Isa, MatMut, MatRef, parallel};

use super::encoder::{Dense, Norm, gelu};
use super::parameters::{Layout, Owner, Row, Slot};
use crate::electra::Config;

/// Masked tokens whose logits are there at once: 256 · 21,128 floats are 22 MB.
const ROWS: usize = 256;

/// A matrix of its own.
struct Matrix {
    values: Vec<f32>,
    rows: usize,
    cols: usize,
}

impl Matrix {
    fn new(rows: usize, cols: usize) -> Matrix {
        Matrix { values: vec![0.0; rows * cols], rows, cols }
    }

    fn view(&self) -> MatRef<'_, f32> {
        MatRef::new(&self.values, self.rows, self.cols)
    }

    fn view_mut(&mut self) -> MatMut<'_, f32> {
        MatMut::new(&mut self.values, self.rows, self.cols)
    }
}

/// What every step of a head needs.
pub(super) struct Pass<'a> {
    pub(super) isa: Isa,
    pub(super) weights: &'a Row,
    pub(super) gradients: &'a mut Row,
}

pub(super) struct DiscriminatorHead {
    dense: Dense,
    prediction: Dense,
    h: usize,
}

/// What the discriminator said of a batch.
pub(super) struct Detected {
    /// Σ over its tokens.
    pub(super) loss: f64,
    /// A logit for each token.
    pub(super) logits: Vec<f32>,
}

impl DiscriminatorHead {
    pub(super) fn new(layout: &mut Layout, owner: Owner, config: &Config) -> DiscriminatorHead {
        let h = config.hidden_size;
        let mut dense = |name: &str, outputs| {
            let name = format!("discriminator_predictions.{name}");
            Dense::new(layout, owner, 0, &name, outputs, h)
        };
        DiscriminatorHead { dense: dense("dense", h), prediction: dense("dense_prediction", 1), h }
    }

    /// The loss of hidden states x `[t, h]`, whose gradient, times `scale`, goes to dx `[t, h]`.
    pub(super) fn learn(
        &self,
        pass: Pass,
        x: MatRef<f32>,
        replaced: &[bool],
        scale: f32,
        dx: MatMut<f32>,
    ) -> Detected {
        let Pass { isa, weights, gradients } = pass;
        let t = x.rows();
        let [mut before, mut y, mut z] = [self.h, self.h, 1].map(|cols| Matrix::new(t, cols));
        self.dense.forward(isa, weights, x, before.view_mut());
        gelu(isa, before.view(), y.view_mut());
        self.prediction.forward(isa, weights, y.view(), z.view_mut());
        let logits = z.values.clone();
        let loss = sigmoid_cross_entropy(isa, replaced, scale, &mut z.values);

        self.prediction.backward(isa, y.view(), z.view(), gradients);
        let set = Accumulate::Set;
        self.prediction.backward_input(isa, weights, z.view(), set, y.view_mut());
        gelu_backward(isa, before.view(), y.view_mut());
        self.dense.backward(isa, x, y.view(), gradients);
        self.dense.backward_input(isa, weights, y.view(), set, dx);
        Detected { loss, logits }
    }
}

pub(super) struct GeneratorHead {
    dense: Dense,
    norm: Norm,
    /// The embeddings' words: `[v, c]`.
    word: Slot,
    bias: Slot,
    /// h, c, v.
    widths: [usize; 3],
}

/// What the generator is asked, and how it is sampled.
pub(super) struct Question<'a> {
    /// The masked rows of the batch, each once.
    pub(super) rows: &'a [usize],
    /// What stood there.
    pub(super) targets: &'a [u32],
    pub(super) temperature: f32,
    /// A number in 0..1 for each row, by which it is drawn from; none where nothing shall be drawn.
    pub(super) uniforms: &'a [f64],
}

/// What the generator said of a batch.
#[derive(Default)]
pub(super) struct Filled {
    /// Σ over its masked tokens.
    pub(super) loss: f64,
    /// How often the right word was the likeliest.
    pub(super) right: usize,
    /// A word for each masked token, drawn from what it said.
    pub(super) samples: Vec<u32>,
}

impl GeneratorHead {
    pub(super) fn new(
        layout: &mut Layout,
        owner: Owner,
        config: &Config,
        word: Slot,
    ) -> GeneratorHead {
        let Config { hidden_size: h, embedding_size: c, vocab_size: v, .. } = *config;
        let name = "generator_predictions";
        let dense = Dense::new(layout, owner, 0, &format!("{name}.dense"), c, h);
        let norm = Norm::new(layout, owner, 0, name, c, config.layer_norm_eps);
        let bias = layout.vector(owner, 0, "generator_lm_head.bias".into(), v);
        GeneratorHead { dense, norm, word, bias, widths: [h, c, v] }
    }

    /// The loss of hidden states x `[t, h]`, whose gradient, times `scale`, goes to dx `[t, h]`.
    pub(super) fn learn(
        &self,
        pass: Pass,
        x: MatRef<f32>,
        question: &Question,
        scale: f32,
        mut dx: MatMut<f32>,
    ) -> Filled {
        let Pass { isa, weights, gradients } = pass;
        let ([h, c, v], m) = (self.widths, question.rows.len());
        let (mut chosen, mut before) = (Matrix::new(m, h), Matrix::new(m, c));
        let [mut activated, mut y, mut dy] = [0; 3].map(|_| Matrix::new(m, c));
        for (to, &from) in question.rows.iter().enumerate() {
            chosen.view_mut().row_mut(to).copy_from_slice(x.row(from));
        }
        self.dense.forward(isa, weights, chosen.view(), before.view_mut());
        gelu(isa, before.view(), activated.view_mut());
        self.norm.forward(isa, weights, activated.view(), y.view_mut());

        let mut filled = Filled { loss: 0.0, right: 0, samples: Vec::with_capacity(m) };
        let mut logits = Matrix::new(m.min(ROWS), v);
        for first in (0..m).step_by(ROWS) {
            let rows = first..m.min(first + ROWS);
            let y = y.view().block(rows.clone(), 0..c);
            let mut z = MatMut::new(&mut logits.values, rows.len(), v);
            let words = weights.matrix(self.word);
            gemm_unpacked(isa, y, words, Epilogue::Bias(weights.vector(self.bias)), z.reborrow());
            let targets = &question.targets[rows.clone()];
            filled.right += right(z.as_ref(), targets);
            if let Some(uniforms) = question.uniforms.get(rows.clone()) {
                filled.samples.extend(draw(isa, z.as_ref(), question.temperature, uniforms));
            }
            let mut losses = vec![0.0; rows.len()];
            cross_entropy(isa, targets, scale, z.reborrow(), &mut losses);
            filled.loss += losses.iter().map(|&loss| f64::from(loss)).sum::<f64>();

            let z = z.as_ref();
            gemm_backward_weight(isa, z, y, gradients.matrix_mut(self.word));
            column_sums(isa, z, gradients.vector_mut(self.bias));
            let dy = &mut dy.view_mut();
            gemm_backward_input(isa, z, words, Accumulate::Set, dy.block(rows, 0..c));
        }

        self.norm.backward(isa, weights, activated.view(), dy.view_mut(), gradients);
        gelu_backward(isa, before.view(), dy.view_mut());
        self.dense.backward(isa, chosen.view(), dy.view(), gradients);
        let set = Accumulate::Set;
        self.dense.backward_input(isa, weights, dy.view(), set, chosen.view_mut());
        for i in 0..dx.rows() {
            dx.row_mut(i).fill(0.0);
        }
        for (from, &to) in question.rows.iter().enumerate() {
            dx.row_mut(to).copy_from_slice(chosen.view().row(from));
        }
        filled
    }
}

/// In how many rows no word is likelier than the right one.
fn right(z: MatRef<f32>, targets: &[u32]) -> usize {
    let is_right = |(i, &target): (usize, &u32)| {
        let best = z.row(i)[target as usize];
        z.row(i).iter().all(|&z| z <= best)
    };
    targets.iter().enumerate().filter(|&row| is_right(row)).count()
}

/// A word of each row.
fn draw(isa: Isa, z: MatRef<f32>, temperature: f32, uniforms: &[f64]) -> Vec<u32> {
    let samples: Vec<AtomicU32> = uniforms.iter().map(|_| AtomicU32::new(0)).collect();
    parallel::each(samples.len(), &|i| {
        samples[i].store(sample(isa, z.row(i), temperature, uniforms[i]) as u32, Relaxed);
    });
    samples.into_iter().map(AtomicU32::into_inner).collect()
}
