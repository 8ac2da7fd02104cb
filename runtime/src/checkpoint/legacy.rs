//! `torch.save` before 1.6, and since then with `_use_new_zipfile_serialization=False`.
//!
//! Five pickles one after another (magic number, protocol number, system, object, list of storage
//! keys), then for each key in that order an i64 count and that many numbers, without padding:
//! the weights lie on any byte. Nothing may follow.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::state_dict::{StateDict, Storage};
use super::{Container, Contents, pickle, records};
use crate::CheckpointError;
use crate::mapped::MappedFile;

/// The protocol of every file there is.
const PROTOCOL: u32 = 1001;

const AGAIN: &str = "the file is damaged or cut short: download it again";

#[derive(Deserialize)]
struct System {
    protocol_version: u32,
    little_endian: bool,
}

pub(super) fn read(file: &Arc<MappedFile>) -> Result<Contents, CheckpointError> {
    let mut at = 0;
    // The magic number is how the file was recognised.
    next_pickle(file, &mut at)?;
    let protocol: u32 = next(file, &mut at)?;
    let system: System = next(file, &mut at)?;
    if protocol != PROTOCOL || system.protocol_version != PROTOCOL {
        return Err(file.error(format!("is of protocol {protocol}, not {PROTOCOL}")).at(15));
    }
    if !system.little_endian {
        let error = file.error("was written by a big-endian machine").at(15);
        return Err(error.hint("load and save it again with PyTorch"));
    }
    let object_at = at;
    let object = next_pickle(file, &mut at)?;
    let state_dict = StateDict::new(file, object_at, &object)?;
    let keys_at = at;
    let keys: Vec<String> = next(file, &mut at)?;

    let by_key: HashMap<&str, &Storage> =
        state_dict.storages.iter().map(|storage| (storage.key.as_str(), storage)).collect();
    let mut places = HashMap::new();
    for key in &keys {
        let Some(storage) = by_key.get(key.as_str()) else {
            let what = format!("lists storage {key}, which no tensor uses");
            return Err(file.error(what).at(keys_at));
        };
        let count_at = at;
        let refuse =
            |what: String| file.error(format!("storage {key}: {what}")).at(count_at).hint(AGAIN);
        let rest = &file.bytes()[count_at..];
        let count = rest.first_chunk().ok_or_else(|| refuse("its count is cut off".into()))?;
        let count = i64::from_le_bytes(*count);
        if usize::try_from(count) != Ok(storage.elements) {
            return Err(refuse(format!(
                "{count} elements where the pickle says {}",
                storage.elements
            )));
        }
        let start = count_at + size_of::<i64>();
        let left = file.bytes().len() - start;
        if storage.length > left {
            return Err(refuse(format!("needs {} bytes of the {left} left", storage.length)));
        }
        at = start + storage.length;
        if places.insert(key.as_str(), start..at).is_some() {
            return Err(refuse("is listed twice".into()));
        }
    }
    if at != file.bytes().len() {
        let extra = file.bytes().len() - at;
        return Err(file
            .error(format!("{extra} bytes follow the last storage"))
            .at(at)
            .hint(AGAIN));
    }
    let tensors = state_dict.place(file, &places)?;
    Ok(Contents { container: Container::Legacy, tensors, metadata: Default::default() })
}

fn next<T: DeserializeOwned>(file: &MappedFile, at: &mut usize) -> Result<T, CheckpointError> {
    let start = *at;
    let plain = next_pickle(file, at)?;
    records::decode(file, start, &plain.value)
}

fn next_pickle(file: &MappedFile, at: &mut usize) -> Result<pickle::Plain, CheckpointError> {
    let plain = pickle::transcode(file, *at..file.bytes().len())?;
    *at = plain.end;
    Ok(plain)
}
