//! safetensors: a length, a JSON header, and the tensors one after another to the end of the file.
//!
//! The `safetensors` crate reads the header and demands that the tensors cover the rest of the
//! file without gap or overlap. What it lets pass we look for first: one name given twice (the
//! last would win), and offsets so large that its own sums overflow; and gaps, since it would name now
//! one tensor, now another, as its hash map has them.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use ::safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::{Container, Contents, DESCRIPTION_LIMIT};
use crate::mapped::MappedFile;
use crate::tensor::{StoredTensor, Window};
use crate::{CheckpointError, DType};

/// Where the header begins: after its length.
const HEADER: usize = size_of::<u64>();

/// Names that a header may have; an ELECTRA has a few hundred.
const TENSORS: usize = 1 << 14;

const AGAIN: &str = "the file is damaged or cut short: download it again";

pub(super) fn read(file: &Arc<MappedFile>) -> Result<Contents, CheckpointError> {
    let bytes = file.bytes();
    let declared = bytes.first_chunk().map_or(u64::MAX, |length| u64::from_le_bytes(*length));
    let rest = bytes.len().saturating_sub(HEADER);
    let length = usize::try_from(declared).unwrap_or(usize::MAX);
    if length > rest {
        let what = format!("its header of {declared} bytes does not fit the {rest} that follow");
        return Err(file.error(what).at(0).hint(AGAIN));
    }
    if length > DESCRIPTION_LIMIT {
        let what = format!("its header of {declared} bytes is longer than {DESCRIPTION_LIMIT}");
        return Err(file.error(what).at(0));
    }
    let invalid = |error: &dyn fmt::Display| file.error(error.to_string()).at(HEADER).hint(AGAIN);
    let Names(mut names) = serde_json::from_slice(&bytes[HEADER..HEADER + length])
        .map_err(|error| invalid(&format_args!("its header is not valid: {error}")))?;
    if names.len() > TENSORS {
        let what = format!("its header names {} tensors, more than {TENSORS}", names.len());
        return Err(file.error(what).at(HEADER));
    }
    let mut seen = HashSet::with_capacity(names.len());
    for (name, (_, end)) in &names {
        if !seen.insert(name) {
            return Err(file.error("its header names a tensor twice").at(HEADER).tensor(name));
        }
        if *end > (rest - length) as u64 {
            let what =
                format!("data_offsets end at {end}, past the {} bytes there are", rest - length);
            return Err(file.error(what).at(HEADER).tensor(name).hint(AGAIN));
        }
    }
    // In the order of the file; the header's where they begin together, as empty ones do.
    names.sort_by_key(|(_, offsets)| *offsets);
    let mut end = 0;
    for (name, offsets) in &names {
        if offsets.0 != end {
            let what = format!(
                "its header is not valid: data_offsets begin at {}, not at {end} where the last end",
                offsets.0
            );
            return Err(file.error(what).at(HEADER).tensor(name).hint(AGAIN));
        }
        end = offsets.1;
    }
    let (_, header) = SafeTensors::read_metadata(bytes)
        .map_err(|error| invalid(&format_args!("its header is not valid: {error}")))?;

    let mut tensors = Vec::with_capacity(names.len());
    for (name, _) in &names {
        let info = header.info(name).expect("a key of the same header");
        let (start, end) = info.data_offsets;
        let storage = HEADER + length + start..HEADER + length + end;
        let refuse = |what: String| file.error(what).at(storage.start).tensor(name);
        let dtype = dtype(info.dtype)
            .ok_or_else(|| refuse(format!("its type {:?} is not read", info.dtype)))?;
        let shape = info.shape.clone();
        let strides = row_major(&shape);
        let window = Window { dtype, storage: storage.clone(), offset: 0, shape, strides };
        tensors.push(StoredTensor::new(file, name.clone(), window).map_err(refuse)?);
    }
    let metadata =
        header.metadata().clone().unwrap_or_default().into_iter().collect::<BTreeMap<_, _>>();
    Ok(Contents { container: Container::Safetensors, tensors, metadata })
}

/// Strides of a tensor without gaps. Saturating: the crate has multiplied the shape, but a
/// dimension of 0 hides what the others would make.
fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = shape[i].saturating_mul(strides[i]);
    }
    strides
}

fn dtype(dtype: Dtype) -> Option<DType> {
    Some(match dtype {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::Bf16,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::I16 => DType::I16,
        Dtype::I8 => DType::I8,
        Dtype::U8 => DType::U8,
        Dtype::BOOL => DType::Bool,
        _ => return None,
    })
}

/// Every name of the header in order, doubles included, with the begin and the end of its data.
struct Names(Vec<(String, (u64, u64))>);

#[derive(Deserialize)]
struct Entry {
    data_offsets: (u64, u64),
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NamesVisitor)
    }
}

struct NamesVisitor;

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = Names;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tensors by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
        let mut names = Vec::new();
        let mut metadata = false;
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                if std::mem::replace(&mut metadata, true) {
                    return Err(A::Error::custom("__metadata__ is there twice"));
                }
                map.next_value::<IgnoredAny>()?;
            } else {
                names.push((name, map.next_value::<Entry>()?.data_offsets));
            }
        }
        Ok(Names(names))
    }
}
