//! int8 panels: what the kernels trust without looking (`kernels/src/gemm/`).
//!
//! No byte is −128: AVX2's product takes magnitudes and would count one as +128. Each column adds up to its sum:
//! the kernels take 128 times the sum off a product whose left factor was shifted by 128.

use super::{Verdict, Watch};
use crate::{Checkpoint, CheckpointError, DType, TensorView};

const CONVERT: &str = "the file is damaged: download it or convert the model again";

/// Columns of a panel.
const WIDTH: usize = 16;

/// The check of all that is int8 in a panel file; `None` where nothing is.
pub(super) fn check(
    checkpoint: &Checkpoint,
    tensors: &[TensorView],
    watch: Watch,
) -> Option<Verdict> {
    checkpoint.panels()?;
    let panels = tensors.iter().filter(|t| t.dtype() == DType::I8 && t.name().ends_with(".weight"));
    let (mut faults, mut columns, mut bytes) = (Vec::new(), 0, 0);
    for tensor in panels {
        bytes += tensor.len();
        faults.extend(lowest(tensor));
        match sums(checkpoint, tensor) {
            Ok(of) => columns += of,
            Err(error) => faults.push(error),
        }
        watch(tensor.len() as u64);
    }
    (bytes > 0).then(|| {
        Verdict::of(faults, || format!("{bytes} bytes of int8, their {columns} columns as summed"))
    })
}

/// What is wrong with a tensor that holds −128.
fn lowest(tensor: &TensorView) -> Option<CheckpointError> {
    let first = tensor.bytes().iter().position(|&byte| byte as i8 == i8::MIN)?;
    let count = tensor.bytes().iter().filter(|&&byte| byte as i8 == i8::MIN).count();
    let error = tensor.error(format!("holds {count} bytes of -128, which no conversion writes"));
    let at = tensor.byte_offset() + first as u64;
    Some(CheckpointError { offset: Some(at), ..error }.hint(CONVERT))
}

/// Holds the panels `[⌈n/16⌉, groups, 16, 4]` against `{name}.sum`; how many columns there are.
fn sums(checkpoint: &Checkpoint, tensor: &TensorView) -> Result<usize, CheckpointError> {
    let refuse = |what: String| tensor.error(what).hint(CONVERT);
    let [panels, groups, WIDTH, group] = *tensor.shape() else {
        return Err(refuse(format!("its shape {:?} is not that of int8 panels", tensor.shape())));
    };
    let stem = tensor.name().strip_suffix(".weight").unwrap_or(tensor.name());
    let sums = checkpoint.tensor(&format!("{stem}.sum"))?.to_i32()?;
    if panels.checked_mul(WIDTH) != Some(sums.len()) {
        return Err(refuse(format!("has {panels} panels and {} sums", sums.len())));
    }
    let mut found = vec![0i32; sums.len()];
    if !tensor.is_empty() {
        let panels = tensor.bytes().chunks_exact(groups * WIDTH * group);
        for (found, panel) in found.chunks_exact_mut(WIDTH).zip(panels) {
            for (lane, column) in panel.chunks_exact(group).enumerate() {
                let sum: i32 = column.iter().map(|&byte| i32::from(byte as i8)).sum();
                found[lane % WIDTH] = found[lane % WIDTH].wrapping_add(sum);
            }
        }
    }
    match found.iter().zip(&sums).position(|(found, sum)| found != sum) {
        None => Ok(sums.len()),
        Some(j) => Err(refuse(format!(
            "column {j} adds up to {} where {stem}.sum says {}",
            found[j], sums[j],
        ))),
    }
}
