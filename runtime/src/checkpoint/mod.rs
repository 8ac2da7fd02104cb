//! Checkpoints of any era: a file is mapped, told by its bytes, and listed; nothing is copied.
//!
//! ```text
//! open ─ recognise ─┬─ zip ─────┬─ pickle ─ state_dict ─┐
//!                   ├─ legacy ──┘                       ├─ names ─ Checkpoint
//!                   ├─ safetensors ─────────────────────┤
//!                   └─ shards ─ each of these ──────────┘
//! ```
//!
//! Model files are untrusted. Nothing in them is ever executed, no size they declare is
//! allocated before it is checked against what is there, and every fault is one line
//! ([`CheckpointError`]). `docs/checkpoint-formats.md` tells the containers byte by byte.

#[cfg(fuzzing)]
pub mod fuzzing;
mod globals;
mod item;
mod legacy;
mod names;
mod opcodes;
mod pickle;
mod recognise;
mod records;
mod safetensors;
mod shards;
mod state_dict;
pub(crate) mod zip;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zhengzi_kernels::Precision;

use crate::error::nearest;
use crate::mapped::{Access, MappedFile};
use crate::panels::FORMAT;
use crate::tensor::StoredTensor;
use crate::{CheckpointError, TensorView};
use recognise::Format;

/// What kind of file holds the tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// `torch.save` since 1.6: a zip of a pickle and one entry per storage.
    Zip,
    /// `torch.save` before 1.6: pickles, then the storages one after another.
    Legacy,
    /// A JSON header, then the tensors.
    Safetensors,
}

/// An open model file: names, shapes, and bytes where they lie.
pub struct Checkpoint {
    path: PathBuf,
    container: Container,
    files: Vec<Arc<MappedFile>>,
    tensors: Vec<StoredTensor>,
    by_name: HashMap<String, usize>,
    metadata: BTreeMap<String, String>,
    panels: Option<Precision>,
}

/// What one file of a checkpoint holds.
struct Contents {
    container: Container,
    tensors: Vec<StoredTensor>,
    metadata: BTreeMap<String, String>,
}

/// Bytes of a pickle or of a JSON header that are read at most. ELECTRA needs some 60 KiB.
const DESCRIPTION_LIMIT: usize = 4 << 20;

/// What a model folder is searched for, in this order.
const MODEL_FILES: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

impl Checkpoint {
    /// Opens a file (its container told from its bytes), an index of shards (`*.index.json`), or
    /// a folder (`model.safetensors`, its index, `pytorch_model.bin`, its index: the first there).
    pub fn open(path: &Path) -> Result<Checkpoint, CheckpointError> {
        Checkpoint::open_by(path, Access::Mapped)
    }

    /// The same with its files mapped or read.
    pub fn open_by(path: &Path, access: Access) -> Result<Checkpoint, CheckpointError> {
        if path.is_dir() {
            return Checkpoint::open_by(&model_file(path)?, access);
        }
        Checkpoint::of(MappedFile::open(path, access)?, access)
    }

    fn of(file: Arc<MappedFile>, access: Access) -> Result<Checkpoint, CheckpointError> {
        match recognise::format(&file)? {
            Format::Index => shards::read(&file, access),
            Format::Container(container) => {
                let contents = read(&file, container)?;
                Checkpoint::assemble(file.path(), vec![Arc::clone(&file)], contents)
            }
        }
    }

    /// The same over bytes compiled into the program; `name` stands for the path in messages.
    /// Align them to 64 bytes where f32 is to be used in place. An index of shards cannot be
    /// opened so.
    pub fn from_static(name: &str, bytes: &'static [u8]) -> Result<Checkpoint, CheckpointError> {
        let file = MappedFile::from_static(name, bytes);
        match recognise::format(&file)? {
            Format::Index => Err(file.error("is an index, whose shards are files elsewhere")),
            Format::Container(container) => {
                let contents = read(&file, container)?;
                Checkpoint::assemble(Path::new(name), vec![file], contents)
            }
        }
    }

    /// Gives the tensors their canonical names, of which there may be one each.
    fn assemble(
        path: &Path,
        files: Vec<Arc<MappedFile>>,
        contents: Contents,
    ) -> Result<Checkpoint, CheckpointError> {
        let Contents { container, mut tensors, metadata } = contents;
        if tensors.is_empty() {
            return Err(CheckpointError::new(path, "holds no tensors")
                .hint("save a state dict: torch.save(model.state_dict(), path)"));
        }
        names::canonicalise(&mut tensors);
        let mut by_name = HashMap::with_capacity(tensors.len());
        for (i, tensor) in tensors.iter().enumerate() {
            if let Some(first) = by_name.insert(tensor.name.clone(), i) {
                let first = &tensors[first].stored_name;
                let what = format!("holds {} twice, first as {first}", tensor.name);
                return Err(CheckpointError::new(path, what).tensor(&tensor.stored_name));
            }
        }
        let panels = panels(path, &metadata)?;
        let path = path.to_owned();
        Ok(Checkpoint { path, container, files, tensors, by_name, metadata, panels })
    }

    /// The file that was opened: for a folder the one found in it, for shards their index.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The kind of file (of the first shard, where there are several).
    pub fn container(&self) -> Container {
        self.container
    }

    /// The files mapped: one, or the shards.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path())
    }

    /// The same with their bytes.
    pub(crate) fn mapped(&self) -> &[Arc<MappedFile>] {
        &self.files
    }

    /// All tensors in file order, under canonical names.
    pub fn tensors(&self) -> impl Iterator<Item = TensorView<'_>> {
        self.tensors.iter().map(StoredTensor::view)
    }

    /// The tensor of that canonical name, if there.
    pub fn get(&self, name: &str) -> Option<TensorView<'_>> {
        self.by_name.get(name).map(|&i| self.tensors[i].view())
    }

    /// The tensor of that canonical name, or an error that names it and its nearest neighbour.
    pub fn tensor(&self, name: &str) -> Result<TensorView<'_>, CheckpointError> {
        self.get(name).ok_or_else(|| {
            let near = nearest(name, self.tensors.iter().map(|tensor| tensor.name.as_str()));
            let hint = match near {
                Some((near, _)) => format!("the nearest it holds is {near}"),
                None => "is this the model meant?".into(),
            };
            CheckpointError::new(&self.path, "a tensor is missing").tensor(name).hint(hint)
        })
    }

    /// The `__metadata__` of safetensors: free text under free keys. Empty for other containers.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// What a panel file (`zhengzi convert`) holds its matrices in; `None` for any other file.
    pub fn panels(&self) -> Option<Precision> {
        self.panels
    }

    /// An error if a mapped file was written to since it was opened. To be asked when something
    /// was computed from it and before that is believed.
    pub fn check_unchanged(&self) -> Result<(), CheckpointError> {
        self.files.iter().try_for_each(|file| file.check())
    }

    /// Whether its files are mapped or were read. (Bytes in the program count as mapped.)
    pub fn access(&self) -> Access {
        self.files.first().map_or(Access::Mapped, |file| file.access())
    }

    /// Bytes of the mapped files.
    pub fn mapped_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes().len() as u64).sum()
    }
}

fn read(file: &Arc<MappedFile>, container: Container) -> Result<Contents, CheckpointError> {
    match container {
        Container::Zip => zip::read(file),
        Container::Legacy => legacy::read(file),
        Container::Safetensors => safetensors::read(file),
    }
}

/// What the metadata say of a panel file.
fn panels(
    path: &Path,
    metadata: &BTreeMap<String, String>,
) -> Result<Option<Precision>, CheckpointError> {
    let Some(format) = metadata.get("zhengzi.format") else { return Ok(None) };
    if format != FORMAT {
        let what = format!("is a panel file of format {format:?}, where {FORMAT:?} is read");
        return Err(CheckpointError::new(path, what).hint("convert the model again"));
    }
    let precision = metadata.get("zhengzi.precision").map(String::as_str).unwrap_or_default();
    precision.parse().map(Some).map_err(|error| {
        CheckpointError::new(path, format!("zhengzi.precision: {error}"))
            .hint("convert the model again")
    })
}

/// The model file in a folder.
fn model_file(folder: &Path) -> Result<PathBuf, CheckpointError> {
    if let Some(found) = MODEL_FILES.iter().map(|name| folder.join(name)).find(|p| p.exists()) {
        return Ok(found);
    }
    let error = CheckpointError::new(folder, "the folder holds no model");
    Err(error.hint(recognise::folder_hint(folder)))
}
