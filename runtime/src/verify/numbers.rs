//! NaN and infinity: what no weight may be.

use super::{Verdict, Watch};
use crate::{DType, TensorView};

/// Counts them, tensor by tensor. Integers cannot be either.
pub(super) fn check(tensors: &[TensorView], watch: Watch) -> Verdict {
    let (mut faults, mut numbers) = (Vec::new(), 0);
    for tensor in tensors {
        numbers += tensor.len();
        if matches!(tensor.dtype(), DType::F64 | DType::F32 | DType::F16 | DType::Bf16) {
            faults.extend(tensor.non_finite());
            watch(tensor.bytes().len() as u64);
        }
    }
    Verdict::of(faults, || format!("{numbers} in {} tensors, all finite", tensors.len()))
}
