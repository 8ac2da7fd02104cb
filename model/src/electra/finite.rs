//! Answers that are no numbers, and the search for their cause.
//!
//! Mapped weights are not looked at when a model is opened: that would read every page. A NaN or an
//! infinity among them shows in the logits, for the kernels hide neither
//! (`kernels/src/gemm/quantize.rs`, `softmax.rs`, `exp.rs`): to look through the logits costs nothing beside
//! making them. Only where one is not finite the network runs again, cut off after each of its layers,
//! and the file is read for the weight.

use zhengzi_kernels::MatRef;
use zhengzi_runtime::{Checkpoint, CheckpointError};

use crate::Error;

/// The logits, or why they are none. `finite_after` runs the batch through the embeddings and so many of the
/// `layers`, and says whether all that comes out is finite.
pub(super) fn finite(
    logits: Vec<f32>,
    checkpoint: &Checkpoint,
    layers: usize,
    finite_after: impl Fn(usize) -> bool,
) -> Result<Vec<f32>, Error> {
    // Weights that are mapped may be written to by somebody else: nothing that was computed from them is
    // believed before the file was seen to be what it was.
    checkpoint.check_unchanged()?;
    if all_finite(&logits) {
        return Ok(logits);
    }
    let place = match (0..=layers).find(|&depth| !finite_after(depth)) {
        Some(0) => "the embeddings".to_owned(),
        Some(depth) => format!("layer {}", depth - 1), // as names of tensors count them
        None => "the head".to_owned(),
    };
    let what = format!("non-finite output at {place}");
    let weight = checkpoint.tensors().find_map(|tensor| tensor.non_finite());
    Err(Error::Checkpoint(match weight {
        Some(error) => CheckpointError { what: format!("{what}: {}", error.what), ..error },
        None => CheckpointError::new(
            checkpoint.path(),
            format!("{what}, though every weight is finite"),
        )
        .hint("the file is damaged or its training diverged: get another copy"),
    }))
}

/// Whether every number of x is finite.
pub(super) fn rows_finite(x: MatRef<f32>) -> bool {
    (0..x.rows()).all(|i| all_finite(x.row(i)))
}

/// Without an early exit, so that it becomes vector code.
fn all_finite(values: &[f32]) -> bool {
    values.iter().fold(true, |all, x| all & x.is_finite())
}
