//! The arithmetic of ELECTRA on slices. Knows no file, no model, no text.
//!
//! | op | formula | bound by |
//! |----|---------|----------|
//! | [`gemm`](gemm::gemm()) | c = epilogue(a · Wᵀ) | arithmetic; for one sentence the reading of W |
//! | [`attention`](attention::attention) | softmax(Q Kᵀ / √d) V in each sentence and head | arithmetic |
//! | [`activate`](gelu::activate) | GELU, exact and tanh; ReLU, SiLU, tanh | arithmetic |
//! | [`softmax`](softmax::softmax) | eˣ⁻ᵐᵃˣ / Σ | arithmetic |
//! | [`log_sum_exp`](log_sum_exp::log_sum_exp) | ln Σ eˣ | arithmetic |
//! | [`top_k`](top_k::top_k) | the k largest of a row | memory |
//! | [`layer_norm`](layer_norm::layer_norm) | γ (x − μ) / √(σ² + ε) + β | memory |
//! | [`embedding`](embedding::embedding) | word + position + token type | memory |
//!
//! What training asks for beside these:
//!
//! | op | formula | bound by |
//! |----|---------|----------|
//! | [`gemm_backward_input`](gemm::gemm_backward_input), [`gemm_backward_weight`](gemm::gemm_backward_weight) | dx = dy · W, dW = dyᵀ · x | arithmetic |
//! | [`column_sums`](column_sums::column_sums) | db = Σ dy | memory |
//! | [`attention_backward`](attention::attention_backward) | dq, dk, dv; the weights made anew | arithmetic |
//! | [`layer_norm_backward`](layer_norm::layer_norm_backward) | r (g − mean g − x̂ mean(g x̂)) | memory |
//! | [`gelu_backward`](gelu::gelu_backward) | dy (Φ(x) + x φ(x)) | arithmetic |
//! | [`softmax_backward`](softmax::softmax_backward) | p (dp − Σ p dp) | memory |
//! | [`embedding_backward`](embedding::embedding_backward) | scatter with additions | memory |
//! | [`cross_entropy`](cross_entropy::cross_entropy) | −ln p of the right word, and p − \[j = k\] | arithmetic |
//! | [`sigmoid_cross_entropy`](sigmoid_cross_entropy::sigmoid_cross_entropy) | the same of yes and no | nothing |
//! | [`sample`](sample::sample) | an index with its probability | arithmetic |
//! | [`adamw`](adamw::adamw) | one step of the optimiser; norms | memory |
//!
//! **The alphabet**, the same in every file. In the network: b sentences of a batch, t tokens of
//! all of them together, c channels of a row, h hidden size, d size of a head, v vocabulary;
//! n is one sentence's length. In a matrix product: m × k times k × n.
//!
//! **The shape of a file**: mathematics, numerical remark, source and cost at the top; the public
//! function with its asserts and one visible `match` over [`Isa::vectors`]; the scalar reference;
//! one function per instruction set; tests by hand. Comparisons of all levels with the
//! reference stand in `tests/kernels.rs`.
//!
//! **Same bits.** On one level a row of a result depends on that row (that sentence) of the
//! input alone: not on the number of threads, not on what else is in the batch.
//!
//! **On a GPU.** A `.cu` beside an op's file holds the same op for NVIDIA's; [`cuda`] has what comes of
//! them, as data. Nothing here talks to a device.
//!
//! **Errors.** Whoever calls with shapes that do not fit has a bug: every op asserts its
//! shapes, with the two numbers. Nothing here returns a `Result`.
//!
//! **`unsafe`** has three places: calling a function of an instruction set that an [`Isa`] proves
//! (`match` arms), loads and stores (`lanes/`), rows and tiles of matrices (`matrix.rs`, and the
//! micro-kernels in `gemm/`).

pub mod adamw;
pub mod attention;
pub mod column_sums;
pub mod cross_entropy;
pub mod cuda;
pub mod embedding;
pub mod gelu;
pub mod gemm;
pub mod isa;
pub mod layer_norm;
pub mod log_sum_exp;
pub mod machine;
pub mod matrix;
pub mod parallel;
pub mod precision;
pub mod sample;
pub mod sigmoid_cross_entropy;
pub mod softmax;
pub mod top_k;

#[cfg(test)]
mod differences;
mod exp;
mod lanes;
mod ragged;
mod rough_gelu;
mod saturating;
#[cfg(test)]
mod ulp;

pub use isa::{Isa, Level, Vectors};
pub use matrix::{MatMut, MatRef};
pub use precision::Precision;
