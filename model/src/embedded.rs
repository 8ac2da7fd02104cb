//! The model inside the program: `tiny-zh` as an int8 panel file, opened like any other.
//!
//! Its model card is `model/data/tiny-zh/README.md`, which tells how `zhengzi convert` made it.

use zhengzi_runtime::{Checkpoint, CheckpointError};

/// Puts bytes where a cache line begins, so that panels in them are aligned as in a file
/// that is mapped.
#[repr(C, align(64))]
struct Aligned<T: ?Sized>(T);

static TINY_ZH: &Aligned<[u8]> =
    &Aligned(*include_bytes!("../data/tiny-zh/tiny-zh-int8.safetensors"));

/// What stands for its path.
pub(crate) const NAME: &str = "embedded model";

/// Both halves of `tiny-zh`.
pub fn checkpoint() -> Result<Checkpoint, CheckpointError> {
    Checkpoint::from_static(NAME, &TINY_ZH.0)
}
