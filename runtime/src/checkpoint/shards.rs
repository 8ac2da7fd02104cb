//! A checkpoint in several files: `{"metadata": …, "weight_map": {tensor: file, …}}`.
//!
//! The index and the shards must agree: every tensor it maps is in the shard it names, and no
//! shard holds another. File names are names in the same folder, nothing else.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Component, Path};
use std::sync::Arc;

use serde::Deserialize;

use super::recognise::{self, Format};
use super::{Checkpoint, Contents, DESCRIPTION_LIMIT};
use crate::CheckpointError;
use crate::mapped::{Access, MappedFile};

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

pub(super) fn read(index: &Arc<MappedFile>, access: Access) -> Result<Checkpoint, CheckpointError> {
    let bytes = index.bytes();
    if bytes.len() > DESCRIPTION_LIMIT {
        return Err(index.error(format!("JSON longer than {DESCRIPTION_LIMIT} bytes is not read")));
    }
    let Index { weight_map } = serde_json::from_slice(bytes).map_err(|error| {
        index
            .error(format!("is JSON, but not an index of shards: {error}"))
            .hint("name the model file, or the folder that holds it")
    })?;

    let folder = index.path().parent().unwrap_or(Path::new(""));
    let names: BTreeSet<&String> = weight_map.values().collect();
    if let Some(name) = names.iter().find(|name| !is_file_name(name)) {
        let what = format!("names the shard {name}, which is not a file of the same folder");
        return Err(index.error(what).hint("do not use this file"));
    }
    let open = |name: &&String| MappedFile::open(&folder.join(name), access);
    let files: Vec<_> = names.iter().map(open).collect::<Result<_, _>>()?;

    let mut all: Option<Contents> = None;
    for (name, shard) in names.into_iter().zip(&files) {
        let Format::Container(container) = recognise::format(shard)? else {
            return Err(shard.error("is an index where a shard was expected"));
        };
        let contents = super::read(shard, container)?;
        for tensor in &contents.tensors {
            if weight_map.get(&tensor.stored_name) != Some(name) {
                let error = shard.error("holds a tensor that the index does not place here");
                return Err(error.tensor(&tensor.stored_name).hint(AGAIN));
            }
        }
        match &mut all {
            None => all = Some(contents),
            Some(all) => {
                all.tensors.extend(contents.tensors);
                all.metadata.extend(contents.metadata);
            }
        }
    }
    let contents = all.ok_or_else(|| index.error("is an index of no shards"))?;

    let held: HashSet<&str> = contents.tensors.iter().map(|t| t.stored_name.as_str()).collect();
    if let Some((name, file)) = weight_map.iter().find(|(name, _)| !held.contains(name.as_str())) {
        let error = index.error(format!("places a tensor in {file}, which does not hold it"));
        return Err(error.tensor(name).hint(AGAIN));
    }
    Checkpoint::assemble(index.path(), files, contents)
}

const AGAIN: &str = "the files are not of one model: download all of them again";

/// Whether joining `name` to a folder stays in that folder.
fn is_file_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    // The backslash separates on Windows only, but the answer should not depend on the host.
    matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name)
        && !name.contains(['\\', '\0', ':'])
}
