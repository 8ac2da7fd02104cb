//! What a network stands on: checkpoints of any era, the CPU and its threads, memory for
//! activations, and weights in the layout that the kernels read.
//!
//! Knows no network and no text. A reader begins with [`Checkpoint::open`], which maps a
//! model file, and [`Linear::load`], which turns two of its tensors into a layer.

pub mod arena;
pub mod checkpoint;
pub mod device;
pub mod error;
pub mod linear;
mod mapped;
pub mod tensor;

pub use arena::{Arena, Frame};
pub use checkpoint::{Checkpoint, Container};
pub use device::Cpu;
pub use error::CheckpointError;
pub use linear::{Linear, matrix, vector};
pub use tensor::{DType, TensorView};
