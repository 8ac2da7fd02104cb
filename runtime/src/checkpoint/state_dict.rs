//! From the value of a pickle to tensors: finds the state dict, checks every window.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::pickle::Plain;
use super::records::{self, Node, StorageRecord, TensorRecord};
use crate::mapped::MappedFile;
use crate::tensor::{StoredTensor, Window};
use crate::{CheckpointError, DType};

/// What trainers wrap a state dict in, beside an optimiser and an epoch.
const WRAPPERS: [&str; 3] = ["state_dict", "model_state_dict", "model"];

/// A pickle read: its tensors by name, and the storages it speaks of, by key.
pub(super) struct StateDict {
    tensors: Vec<(String, Box<TensorRecord>)>,
    pub(super) storages: Vec<Storage>,
}

/// A storage that a pickle speaks of.
pub(super) struct Storage {
    pub(super) key: String,
    pub(super) dtype: DType,
    pub(super) elements: usize,
    /// Its length in bytes: cannot overflow, checked when it was read.
    pub(super) length: usize,
    /// Byte of the file that speaks of it first.
    pub(super) at: usize,
}

impl StateDict {
    /// From a rewritten pickle whose original begins at byte `start` of the file.
    pub(super) fn new(
        file: &MappedFile,
        start: usize,
        plain: &Plain,
    ) -> Result<Self, CheckpointError> {
        let node = records::value(file, start, &plain.value)?;
        let storages = storages(file, records::decode(file, start, &plain.storages)?)?;
        let mut tensors: Vec<(String, Box<TensorRecord>)> = Vec::new();
        let mut seen = HashMap::new();
        for (name, record) in unwrap(file, start, node)? {
            if let Some(first) = seen.insert(name.clone(), record.at) {
                let what = format!("the pickle names a tensor twice, first at byte {first}, again");
                return Err(file.error(what).at(record.at).tensor(name));
            }
            tensors.push((name, record));
        }
        Ok(StateDict { tensors, storages })
    }

    /// The tensors, given where in the file the storage of each key lies.
    pub(super) fn place(
        &self,
        file: &Arc<MappedFile>,
        places: &HashMap<&str, Range<usize>>,
    ) -> Result<Vec<StoredTensor>, CheckpointError> {
        self.tensors
            .iter()
            .map(|(name, record)| {
                let refuse = |what: String| file.error(what).at(record.at).tensor(name);
                let args = &record.args;
                let storage = places
                    .get(args.storage.key.as_str())
                    .ok_or_else(|| refuse("lies in a storage that is not there".into()))?;
                let window = Window {
                    dtype: args.storage.dtype,
                    storage: storage.clone(),
                    offset: natural(&[args.offset]).ok_or_else(|| refuse(NEGATIVE.into()))?[0],
                    shape: natural(&args.shape).ok_or_else(|| refuse(NEGATIVE.into()))?,
                    strides: natural(&args.strides).ok_or_else(|| refuse(NEGATIVE.into()))?,
                };
                StoredTensor::new(file, name.clone(), window).map_err(refuse)
            })
            .collect()
    }
}

const NEGATIVE: &str = "has a negative size, stride or offset";

fn natural(numbers: &[i64]) -> Option<Vec<usize>> {
    numbers.iter().map(|&n| usize::try_from(n).ok()).collect()
}

/// The tensors of the state dict, which may lie in wrappers.
fn unwrap(
    file: &MappedFile,
    start: usize,
    node: Node,
) -> Result<Vec<(String, Box<TensorRecord>)>, CheckpointError> {
    let Node::Dict(mut entries) = node else {
        let error = file.error("the pickle holds something other than a dictionary of tensors");
        return Err(error
            .at(start)
            .hint("save a state dict: torch.save(model.state_dict(), path)"));
    };
    while let Some(inner) = WRAPPERS.iter().find_map(|wrapper| {
        entries.iter().position(
            |(key, value)| matches!((key, value), (Node::Text(key), Node::Dict(_)) if key == wrapper),
        )
    }) {
        match entries.swap_remove(inner).1 {
            Node::Dict(inner) => entries = inner,
            _ => unreachable!("found as a dictionary"),
        }
    }
    let tensors = entries.into_iter().filter_map(|entry| match entry {
        (Node::Text(name), Node::Tensor(record)) => Some((name, record)),
        _ => None,
    });
    Ok(tensors.collect())
}

/// The storages by key, each once; all who speak of one must agree on it.
fn storages(
    file: &MappedFile,
    mentions: Vec<(usize, StorageRecord)>,
) -> Result<Vec<Storage>, CheckpointError> {
    let mut by_key: HashMap<String, usize> = HashMap::new();
    let mut storages: Vec<Storage> = Vec::new();
    for (at, record) in mentions {
        let refuse = |what: &str| Err(file.error(format!("storage {}: {what}", record.key)).at(at));
        let size = usize::try_from(record.elements)
            .ok()
            .and_then(|elements| Some((elements, elements.checked_mul(record.dtype.size())?)));
        let Some((elements, length)) = size else {
            return refuse(&format!("{} elements are not possible", record.elements));
        };
        match by_key.get(&record.key) {
            Some(&i) if storages[i].dtype != record.dtype || storages[i].elements != elements => {
                return refuse("is described in two ways");
            }
            Some(_) => {}
            None => {
                by_key.insert(record.key.clone(), storages.len());
                storages.push(Storage {
                    key: record.key,
                    dtype: record.dtype,
                    elements,
                    length,
                    at,
                });
            }
        }
    }
    Ok(storages)
}
