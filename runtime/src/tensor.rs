//! Tensors where they lie in a file.
//!
//! A stored tensor is a window onto a storage: element `(i, j, …)` lies at
//! `start + (i·stride₀ + j·stride₁ + …) · size_of(dtype)`, in bytes from the start of the file.
//! A transposed `Linear` and two tied weights are therefore the same bytes seen through other
//! windows. Every window is checked once, when it is made; after that all reads are in bounds.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use zhengzi_kernels::matrix::Shared;

use crate::CheckpointError;
use crate::mapped::MappedFile;

/// Number type of a stored tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum DType {
    F64,
    F32,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl DType {
    /// Bytes of one number.
    pub fn size(self) -> usize {
        match self {
            DType::F64 | DType::I64 => 8,
            DType::F32 | DType::I32 => 4,
            DType::F16 | DType::Bf16 | DType::I16 => 2,
            DType::I8 | DType::U8 | DType::Bool => 1,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            DType::F64 => "f64",
            DType::F32 => "f32",
            DType::F16 => "f16",
            DType::Bf16 => "bf16",
            DType::I64 => "i64",
            DType::I32 => "i32",
            DType::I16 => "i16",
            DType::I8 => "i8",
            DType::U8 => "u8",
            DType::Bool => "bool",
        })
    }
}

/// A tensor where it lies: borrowed from its checkpoint.
#[derive(Clone, Copy)]
pub struct TensorView<'a>(&'a StoredTensor);

/// What a checkpoint keeps of a tensor. Made by [`StoredTensor::new`] only, which checks that
/// every element lies inside `file`.
pub(crate) struct StoredTensor {
    pub(crate) name: String,
    pub(crate) stored_name: String,
    pub(crate) file: Arc<MappedFile>,
    dtype: DType,
    /// Byte offset in the file of the first element.
    start: usize,
    shape: Vec<usize>,
    /// In elements.
    strides: Vec<usize>,
}

/// A window as a file describes it: nothing of it is believed yet.
pub(crate) struct Window {
    pub(crate) dtype: DType,
    /// The bytes of the storage it looks onto.
    pub(crate) storage: Range<usize>,
    /// Elements of the storage before the first.
    pub(crate) offset: usize,
    pub(crate) shape: Vec<usize>,
    /// In elements.
    pub(crate) strides: Vec<usize>,
}

/// PyTorch allows 64 dimensions; no network has more than a handful.
const MAX_RANK: usize = 16;

impl StoredTensor {
    /// Checks a window: all sizes multiply without overflow, all elements lie inside the storage
    /// and the storage inside the file, and no two elements share a place. The last makes the
    /// number of elements at most that of the storage, so that no tiny file can ask for a huge
    /// tensor (an expanded one, of stride 0, is refused with it).
    pub(crate) fn new(
        file: &Arc<MappedFile>,
        name: String,
        window: Window,
    ) -> Result<StoredTensor, String> {
        let Window { dtype, storage, offset, shape, strides } = window;
        if shape.len() > MAX_RANK {
            return Err(format!("has {} dimensions, more than {MAX_RANK}", shape.len()));
        }
        if shape.len() != strides.len() {
            return Err(format!("has {} dimensions but {} strides", shape.len(), strides.len()));
        }
        let held = file.bytes().get(storage.clone()).ok_or("lies outside the file")?.len();
        let held = held / dtype.size();
        let span = span(&shape, &strides)
            .ok_or_else(|| format!("has a shape {shape:?} with strides {strides:?} in which elements overlap or overflow"))?;
        if offset.checked_add(span).is_none_or(|end| end > held) {
            return Err(format!(
                "of shape {shape:?} with strides {strides:?} and offset {offset} reaches past its storage of {held} elements"
            ));
        }
        // In bounds: offset ≤ held, and held · size is at most the length of the file.
        let start = storage.start + offset * dtype.size();
        let file = Arc::clone(file);
        Ok(StoredTensor {
            name: name.clone(),
            stored_name: name,
            file,
            dtype,
            start,
            shape,
            strides,
        })
    }

    pub(crate) fn view(&self) -> TensorView<'_> {
        TensorView(self)
    }
}

/// Elements from the first to the last of a window, both included; 0 if it holds none. `None`
/// if two elements share a place or a product overflows.
fn span(shape: &[usize], strides: &[usize]) -> Option<usize> {
    if shape.contains(&0) {
        return Some(0);
    }
    // By growing stride, each dimension must step over all that the smaller ones reach. Every
    // view made of slices and transpositions does; what does not is taken to overlap.
    let mut dims: Vec<(usize, usize)> =
        strides.iter().copied().zip(shape.iter().copied()).collect();
    dims.retain(|&(_, size)| size > 1);
    dims.sort_unstable();
    dims.iter().try_fold(1usize, |reach, &(stride, size)| {
        (stride >= reach).then_some(())?;
        (size - 1).checked_mul(stride)?.checked_add(reach)
    })
}

impl<'a> TensorView<'a> {
    /// Canonical name: without wrappers, old spellings replaced.
    pub fn name(&self) -> &'a str {
        &self.0.name
    }

    /// Its name as the file spells it.
    pub fn stored_name(&self) -> &'a str {
        &self.0.stored_name
    }

    /// Number type as stored.
    pub fn dtype(&self) -> DType {
        self.0.dtype
    }

    /// Extent of each dimension; none for a scalar.
    pub fn shape(&self) -> &'a [usize] {
        &self.0.shape
    }

    /// Step of each dimension, in elements.
    pub fn strides(&self) -> &'a [usize] {
        &self.0.strides
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        // Cannot overflow: at most the elements of the storage, or 0.
        if self.0.shape.contains(&0) { 0 } else { self.0.shape.iter().product() }
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether its elements lie in row-major order without gaps.
    pub fn is_contiguous(&self) -> bool {
        let (shape, strides) = (self.shape(), self.strides());
        let mut step = 1;
        self.is_empty()
            || shape.iter().zip(strides).rev().all(|(&size, &stride)| {
                let fits = size == 1 || stride == step;
                step *= size;
                fits
            })
    }

    /// The file it lies in: one of several in a sharded checkpoint.
    pub fn path(&self) -> &'a Path {
        self.0.file.path()
    }

    /// Byte offset in the file of its first element. Two tensors of equal path, offset, shape
    /// and strides are one weight under two names.
    pub fn byte_offset(&self) -> u64 {
        self.0.start as u64
    }

    /// The bytes from its first element to its last: all of it where it is contiguous, else
    /// with foreign elements between.
    pub fn bytes(&self) -> &'a [u8] {
        &self.0.file.bytes()[self.byte_range()]
    }

    /// The values in row-major order as f32 (f64 and large integers rounded to the nearest, true
    /// as 1). Refuses NaN and infinity, and f64 too large for f32, naming the place.
    pub fn to_f32(&self) -> Result<Vec<f32>, CheckpointError> {
        let mut values = Vec::with_capacity(self.len());
        let finite = self.for_each_block(|block| {
            values.extend_from_slice(block);
            all_finite(block)
        });
        self.release();
        match finite {
            true => Ok(values),
            false => {
                let first = values.iter().position(|x| !x.is_finite());
                Err(self.not_finite(first.expect("one of them is not")))
            }
        }
    }

    /// Like `to_f32`, but contiguous f32 on a 4-byte boundary is used in place, not copied and
    /// not looked at: the map stays untouched until somebody reads it. Anything else is copied.
    pub fn shared_f32(&self) -> Result<Shared<f32>, CheckpointError> {
        if self.dtype() == DType::F32 && self.is_contiguous() {
            let place = InPlace { file: Arc::clone(&self.0.file), range: self.byte_range() };
            if place.file.as_f32(place.range.clone()).is_some() {
                return Ok(Arc::new(place));
            }
        }
        Ok(Arc::new(self.to_f32()?))
    }

    /// Its bytes as words of four, in place where they lie on a 4-byte boundary, else copied.
    pub(crate) fn shared_words(&self) -> Result<Shared<u32>, CheckpointError> {
        if !self.is_contiguous() || !self.bytes().len().is_multiple_of(4) {
            return Err(self.error("is not words of four bytes, one behind the other"));
        }
        let place = InPlace { file: Arc::clone(&self.0.file), range: self.byte_range() };
        if place.file.as_u32(place.range.clone()).is_some() {
            return Ok(Arc::new(place));
        }
        let (words, _) = self.bytes().as_chunks::<4>();
        Ok(Arc::new(words.iter().map(|word| u32::from_ne_bytes(*word)).collect::<Vec<_>>()))
    }

    /// The values of a contiguous i32 tensor.
    pub(crate) fn to_i32(self) -> Result<Vec<i32>, CheckpointError> {
        if self.dtype() != DType::I32 || !self.is_contiguous() {
            return Err(self.error(format!("is of {}, where i32 is needed", self.dtype())));
        }
        let (values, _) = self.bytes().as_chunks::<4>();
        Ok(values.iter().map(|value| i32::from_le_bytes(*value)).collect())
    }

    /// Says that its values were copied: its pages need not stay in memory, and are read again
    /// from the file if somebody asks for them.
    pub(crate) fn release(&self) {
        self.0.file.release(self.byte_range());
    }

    /// What is wrong with a tensor that holds a NaN or an infinity (or an f64 beyond f32): the first of
    /// them and how many there are. Reads all of it.
    pub fn non_finite(&self) -> Option<CheckpointError> {
        let (mut seen, mut count, mut first) = (0, 0, None);
        self.for_each_block(|block| {
            if !all_finite(block) {
                count += block.iter().filter(|x| !x.is_finite()).count();
                first = first.or_else(|| Some(seen + block.iter().position(|x| !x.is_finite())?));
            }
            seen += block.len();
            true
        });
        let error = self.not_finite(first?);
        let what = format!("{}, like {} more", error.what, count - 1);
        Some(if count > 1 { CheckpointError { what, ..error } } else { error })
    }

    /// An error about this tensor, with file, offset and name filled in.
    pub fn error(&self, what: impl Into<String>) -> CheckpointError {
        self.0.file.error(what).at(self.0.start).tensor(self.stored_name())
    }

    fn byte_range(&self) -> Range<usize> {
        let span = span(self.shape(), self.strides()).expect("checked when it was made");
        self.0.start..self.0.start + span * self.dtype().size()
    }

    fn not_finite(&self, index: usize) -> CheckpointError {
        let mut rest = index;
        let place: usize = self
            .shape()
            .iter()
            .zip(self.strides())
            .rev()
            .map(|(&size, &stride)| {
                let i = rest % size;
                rest /= size;
                i * stride
            })
            .sum();
        self.error(format!("element {index} is not a finite f32 number"))
            .at(self.0.start + place * self.dtype().size())
            .hint("the file is damaged or its training diverged: get another copy")
    }

    /// Hands out the values in row-major order, a block at a time, until `visit` says false.
    /// Returns whether it never did.
    fn for_each_block(&self, mut visit: impl FnMut(&[f32]) -> bool) -> bool {
        let mut block = [0.0; BLOCK];
        self.for_each_run(|bytes, count, step| {
            (0..count).step_by(BLOCK).all(|first| {
                let block = &mut block[..BLOCK.min(count - first)];
                decode(self.dtype(), &bytes[first * step..], step, block);
                visit(block)
            })
        })
    }

    /// Calls `visit(bytes, count, step)` for each run of `count` elements that lie `step` bytes
    /// apart, in row-major order, until it says false. A contiguous tensor is one run.
    fn for_each_run(&self, mut visit: impl FnMut(&[u8], usize, usize) -> bool) -> bool {
        let (bytes, size) = (self.bytes(), self.dtype().size());
        if self.is_contiguous() {
            return visit(bytes, self.len(), size);
        }
        // Not contiguous, hence at least one dimension and at least one element.
        let (&count, outer) = self.shape().split_last().expect("a scalar is contiguous");
        let (&stride, outer_strides) = self.strides().split_last().expect("one for each dimension");
        let mut index = vec![0; outer.len()];
        let mut place = 0;
        loop {
            if !visit(&bytes[place * size..], count, stride * size) {
                return false;
            }
            // An odometer over the outer dimensions, the last one turning fastest.
            let mut dim = outer.len();
            loop {
                if dim == 0 {
                    return true;
                }
                dim -= 1;
                index[dim] += 1;
                place += outer_strides[dim];
                if index[dim] < outer[dim] {
                    break;
                }
                place -= index[dim] * outer_strides[dim];
                index[dim] = 0;
            }
        }
    }
}

impl fmt::Debug for TensorView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{:?}", self.name(), self.dtype(), self.shape())
    }
}

/// Values decoded at once: they and their bytes stay in the first-level cache.
const BLOCK: usize = 1024;

/// Elements `step` bytes apart, the first at the start of `bytes`, as f32.
fn decode(dtype: DType, bytes: &[u8], step: usize, out: &mut [f32]) {
    match dtype {
        DType::F64 => each(bytes, step, out, |b| f64::from_le_bytes(b) as f32),
        DType::F32 => each(bytes, step, out, f32::from_le_bytes),
        DType::F16 => {
            // By slices: `half` then converts eight at a time where the CPU can.
            let mut halves = [f16::ZERO; BLOCK];
            let halves = &mut halves[..out.len()];
            each(bytes, step, halves, f16::from_le_bytes);
            halves.convert_to_f32_slice(out);
        }
        DType::Bf16 => each(bytes, step, out, |b| bf16::from_le_bytes(b).to_f32()),
        DType::I64 => each(bytes, step, out, |b| i64::from_le_bytes(b) as f32),
        DType::I32 => each(bytes, step, out, |b| i32::from_le_bytes(b) as f32),
        DType::I16 => each(bytes, step, out, |b| i16::from_le_bytes(b).into()),
        DType::I8 => each(bytes, step, out, |b| i8::from_le_bytes(b).into()),
        DType::U8 => each(bytes, step, out, |[b]| b.into()),
        DType::Bool => each(bytes, step, out, |[b]| f32::from(b != 0)),
    }
}

fn each<const N: usize, T>(bytes: &[u8], step: usize, out: &mut [T], f: impl Fn([u8; N]) -> T) {
    if step == N {
        // The common case apart: its loop becomes vector code.
        let (elements, _) = bytes[..out.len() * N].as_chunks::<N>();
        out.iter_mut().zip(elements).for_each(|(out, element)| *out = f(*element));
    } else {
        for (i, out) in out.iter_mut().enumerate() {
            let element = bytes[i * step..].first_chunk::<N>().expect("inside the span");
            *out = f(*element);
        }
    }
}

/// Without an early exit, so that it becomes vector code.
fn all_finite(values: &[f32]) -> bool {
    values.iter().fold(true, |all, x| all & x.is_finite())
}

/// Part of a file used in place; keeps it mapped. Made where its alignment was seen to be right.
struct InPlace {
    file: Arc<MappedFile>,
    range: Range<usize>,
}

impl AsRef<[f32]> for InPlace {
    fn as_ref(&self) -> &[f32] {
        self.file.as_f32(self.range.clone()).expect("asked when it was made")
    }
}

impl AsRef<[u32]> for InPlace {
    fn as_ref(&self) -> &[u32] {
        self.file.as_u32(self.range.clone()).expect("asked when it was made")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: &[usize], strides: &[usize], offset: usize) -> Result<Vec<f32>, String> {
        let bytes: Vec<u8> = (0..12i16).flat_map(i16::to_le_bytes).collect();
        let file = MappedFile::from_static("test", bytes.leak());
        let (shape, strides) = (shape.to_vec(), strides.to_vec());
        let window = Window { dtype: DType::I16, storage: 0..24, offset, shape, strides };
        let stored = StoredTensor::new(&file, "t".into(), window)?;
        stored.view().to_f32().map_err(|error| error.to_string())
    }

    #[test]
    fn windows_of_all_kinds_read_in_row_major_order() {
        assert_eq!(tensor(&[2, 3], &[3, 1], 0).unwrap(), [0., 1., 2., 3., 4., 5.]);
        assert_eq!(tensor(&[3, 2], &[1, 3], 0).unwrap(), [0., 3., 1., 4., 2., 5.]);
        assert_eq!(tensor(&[2, 2], &[6, 2], 1).unwrap(), [1., 3., 7., 9.]);
        assert_eq!(tensor(&[2, 2, 2], &[1, 6, 2], 0).unwrap(), [0., 2., 6., 8., 1., 3., 7., 9.]);
        assert_eq!(tensor(&[], &[], 11).unwrap(), [11.]);
        assert_eq!(tensor(&[1, 12], &[0, 1], 0).unwrap().len(), 12);
        assert!(tensor(&[0, 1 << 40], &[7, 7], 12).unwrap().is_empty());
    }

    #[test]
    fn windows_past_the_storage_or_over_themselves_are_refused() {
        let refused = |shape: &[usize], strides: &[usize], offset, what: &str| {
            let error = tensor(shape, strides, offset).unwrap_err();
            assert!(error.contains(what), "{error}");
        };
        refused(&[13], &[1], 0, "past its storage");
        refused(&[2, 2], &[11, 1], 0, "past its storage");
        refused(&[1], &[1], 12, "past its storage");
        refused(&[1], &[1], usize::MAX, "past its storage");
        refused(&[0], &[1], 13, "past its storage");
        refused(&[1 << 40], &[0], 0, "overlap");
        refused(&[3, 3], &[2, 1], 0, "overlap");
        refused(&[2, usize::MAX], &[usize::MAX, 2], 0, "overflow");
        refused(&[1 << 32, 1 << 32, 1 << 32], &[1 << 33, 1, 1 << 63], 0, "overlap");
        refused(&[2], &[1, 1], 0, "1 dimensions but 2 strides");
        refused(&[1; 17], &[1; 17], 0, "17 dimensions");
    }
}
