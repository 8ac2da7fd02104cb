//! What a network stands on: checkpoints of any era, the CPU and its threads, memory for
//! activations, and weights in the layout that the kernels read.
//!
//! Knows no network and no text. A reader begins with [`Checkpoint::open`], which maps a
//! model file, and [`Weights`], which turns its tensors into the parts of a network.

pub mod arena;
pub mod checkpoint;
#[cfg(feature = "cuda")]
pub mod cuda;
pub mod device;
pub mod error;
pub mod last_words;
pub mod linear;
#[cfg(unix)]
mod lost_pages;
mod mapped;
pub mod memory;
pub mod panels;
pub mod parts;
pub mod survey;
pub mod tensor;
pub mod verify;
pub mod weights;

pub use arena::{Arena, Arenas, Frame};
pub use checkpoint::{Checkpoint, Container};
pub use device::{Cpu, DeviceError};
pub use error::{CheckpointError, OneLine};
pub use linear::{Linear, Table};
pub use mapped::Access;
pub use memory::Need;
pub use panels::TensorFile;
pub use parts::Parts;
pub use survey::Survey;
pub use tensor::{DType, TensorView};
pub use weights::Weights;
