//! What a file is, told from its bytes; and for what we do not read, what to do instead.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use super::{Container, MODEL_FILES, pickle};
use crate::CheckpointError;
use crate::mapped::MappedFile;

/// What we read.
pub(super) enum Format {
    Container(Container),
    /// JSON that says which shard holds which tensor.
    Index,
}

/// Tells the format from the first bytes, or says what else the file is.
pub(super) fn format(file: &MappedFile) -> Result<Format, CheckpointError> {
    let bytes = file.bytes();
    if bytes.is_empty() {
        return Err(file.error("is empty").hint("download or copy it again"));
    }
    // Before safetensors: eight letters and a brace could pass for a length and a header.
    if let Some((what, hint)) = foreign(bytes) {
        return Err(file.error(what).at(0).hint(hint));
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return Ok(Format::Container(Container::Zip));
    }
    if is_legacy(bytes) {
        return Ok(Format::Container(Container::Legacy));
    }
    // One header of safetensors in 32 has a length that begins as a pickle does.
    let is_safetensors = bytes.get(8) == Some(&b'{');
    if is_pickle(bytes) && !(is_safetensors && has_header(bytes)) {
        return Err(bare_pickle(file));
    }
    if is_safetensors {
        return Ok(Format::Container(Container::Safetensors));
    }
    if bytes.trim_ascii_start().starts_with(b"{") {
        return Ok(Format::Index);
    }
    if let Some((what, hint)) = foreign_by_name(file.path()) {
        return Err(file.error(what).hint(hint));
    }
    let error = match bytes.len() {
        0..64 => file.error(format!("holds only {} bytes, too few for a model", bytes.len())),
        _ => file.error("is none of the formats we know").at(0),
    };
    Err(error.hint("expected a PyTorch checkpoint (.bin, .pt) or safetensors: download it again"))
}

/// Whether it begins as a pickle does: with the header of protocols 2 to 5, or, in older ones, with
/// an import of two lines of letters.
fn is_pickle(bytes: &[u8]) -> bool {
    let is_name = |line: &[u8]| {
        !line.is_empty() && line.iter().all(|b| b.is_ascii_alphanumeric() || b"._".contains(b))
    };
    match bytes {
        [0x80, ..] => true,
        [b'c', rest @ ..] => {
            let mut lines = rest[..rest.len().min(512)].split(|byte| *byte == b'\n');
            lines.next().is_some_and(is_name) && lines.next().is_some_and(is_name)
        }
        _ => false,
    }
}

/// Whether the first eight bytes are the length of a header that the file can hold: those of a pickle
/// are too great a number.
fn has_header(bytes: &[u8]) -> bool {
    let length = bytes.first_chunk().map(|length| u64::from_le_bytes(*length));
    length.is_some_and(|length| length <= bytes.len() as u64 - 8)
}

/// A pickle without torch around it is refused even if it is harmless; where it is not, that is told.
fn bare_pickle(file: &MappedFile) -> CheckpointError {
    const WHAT: &str = "is a bare pickle (or a damaged PyTorch file), not a checkpoint";
    let error = match pickle::transcode(file, 0..file.bytes().len()) {
        Ok(_) => file.error(WHAT).at(0),
        Err(fault) => CheckpointError { what: format!("{WHAT}: {}", fault.what), ..fault },
    };
    error.hint("nothing of it was executed; save a state dict with torch.save")
}

/// torch's magic number, as a pickle says it: LONG1, ten bytes, 0x1950a86a20f9469cfc6c.
const LEGACY_MAGIC: [u8; 12] = *b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

/// Whether a pickle of that number comes first, in protocol 2 or 3, or 4 with its frame.
fn is_legacy(bytes: &[u8]) -> bool {
    let number_at = if bytes.get(2) == Some(&0x95) { 11 } else { 2 };
    bytes.first() == Some(&0x80)
        && bytes.get(number_at..).is_some_and(|rest| rest.starts_with(&LEGACY_MAGIC))
}

const TO_PYTORCH: &str = "convert it to PyTorch with transformers, or get the PyTorch weights";
const UNPACK: &str = "unpack it and name the model file or folder inside";
const DOWNLOAD: &str = "download the file itself (its raw form), not the page that shows it";

/// Formats told by their first bytes (`offset`, bytes, what it is, what to do).
const SIGNATURES: [(usize, &[u8], &str, &str); 21] = [
    (0, b"version https://git-lfs", "is a Git LFS pointer, not the model", "run `git lfs pull`"),
    (0, b"\x89HDF\r\n\x1a\n", "is HDF5 (Keras, TensorFlow)", TO_PYTORCH),
    (0, b"GGUF", "is GGUF (llama.cpp)", "get the PyTorch or safetensors weights"),
    (0, b"lmgg", "is GGML (llama.cpp)", "get the PyTorch or safetensors weights"),
    (
        0,
        b"\x1f\x8b",
        "is compressed with gzip",
        "gunzip it, or tar -xf if a folder is packed in it",
    ),
    (0, b"\xfd7zXZ\0", "is compressed with xz", "decompress it first: unxz"),
    (0, b"BZh", "is compressed with bzip2", "decompress it first: bunzip2"),
    (0, b"\x28\xb5\x2f\xfd", "is compressed with zstd", "decompress it first: unzstd"),
    (0, b"7z\xbc\xaf\x27\x1c", "is a 7z archive", UNPACK),
    (0, b"Rar!", "is a RAR archive", UNPACK),
    (0, b"PK\x05\x06", "is an empty zip archive", "download it again"),
    (0, b"PK\x07\x08", "is a zip archive in several parts", "join the parts first"),
    (0, b"PYTORCH1", "is an unfinished PyTorch format of 2018", "save it again with torch.save"),
    (0, b"\x93NUMPY", "is a NumPy array", "save a state dict with torch.save"),
    (0, b"model_checkpoint_path:", "is TensorFlow's list of checkpoints", TO_PYTORCH),
    (0, b"\x89PNG", "is a picture", DOWNLOAD),
    (0, b"%PDF", "is a PDF", DOWNLOAD),
    (0, b"\x7fELF", "is a program", DOWNLOAD),
    (
        257,
        b"ustar",
        "is a tar archive",
        "unpack it; if torch before 0.1.10 wrote it, load and save it again with torch 1.x",
    ),
    (4, b"TFL3", "is a TensorFlow Lite model", TO_PYTORCH),
    (0, b"\xef\xbb\xbf{", "is JSON with a byte-order mark", "save it as plain UTF-8"),
];

/// The last eight bytes of TensorFlow's `.index`, which is a LevelDB table.
const TENSORFLOW_INDEX: [u8; 8] = *b"\x57\xfb\x80\x8b\x24\x75\x47\xdb";

fn foreign(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    for (offset, signature, what, hint) in SIGNATURES {
        if bytes.get(offset..).is_some_and(|rest| rest.starts_with(signature)) {
            return Some((what, hint));
        }
    }
    let start = bytes[..bytes.len().min(512)].trim_ascii_start().to_ascii_lowercase();
    if [&b"<!doctype html"[..], b"<html", b"<?xml", b"<head"]
        .iter()
        .any(|tag| start.starts_with(tag))
    {
        return Some(("is a web page, not the model", DOWNLOAD));
    }
    if bytes.ends_with(&TENSORFLOW_INDEX) {
        return Some(("is the index of a TensorFlow checkpoint", TO_PYTORCH));
    }
    // A protobuf whose field 1 is a small number (the version of the format) and whose field 2
    // or 3 is text (the producer) is how ONNX begins.
    if matches!(bytes, [0x08, 1..=0x20, 0x12 | 0x1a, 1..=0x40, ..]) {
        return Some(("looks like ONNX", "get the PyTorch or safetensors weights"));
    }
    None
}

/// Formats that have no signature.
fn foreign_by_name(path: &Path) -> Option<(&'static str, &'static str)> {
    let name = path.file_name()?.to_string_lossy();
    if name.contains(".data-00000-of-") || name.ends_with(".ckpt") || name.ends_with(".meta") {
        return Some(("is part of a TensorFlow checkpoint", TO_PYTORCH));
    }
    name.ends_with(".msgpack").then_some(("is a Flax model", TO_PYTORCH))
}

/// Why a zip archive without torch's `data.pkl` is no checkpoint, told by the names of its
/// entries: models are often handed around as packed folders.
pub(super) fn foreign_zip(file: &MappedFile, names: &[Cow<str>]) -> CheckpointError {
    let is_model =
        |path: &&Path| MODEL_FILES.iter().any(|name| path.file_name() == Some(name.as_ref()));
    let mut folders =
        names.iter().map(|name| Path::new(&**name)).filter(is_model).filter_map(Path::parent);
    if let Some(folder) = folders.next() {
        // Discriminator and generator are wanted together.
        let is_one = folders.all(|other| other == folder);
        let folder = if is_one { folder } else { folder.parent().unwrap_or(folder) };
        let (zip, stem) = (file.path().display(), file.path().with_extension(""));
        let what = "is an archive of a model folder, not a model";
        return file.error(what).hint(match folder.as_os_str().is_empty() {
            true => {
                format!("unpack it (`unzip {zip} -d {0}`) and give the folder {0}", stem.display())
            }
            false => format!("unpack it (`unzip {zip}`) and give the folder {}", folder.display()),
        });
    }
    let foreign = [".h5", ".ckpt", ".index", ".msgpack", ".onnx"];
    if let Some(name) = names.iter().find(|name| foreign.iter().any(|end| name.ends_with(end))) {
        let what = format!("is an archive of a model that is not PyTorch (it holds {name})");
        return file.error(what).hint(TO_PYTORCH);
    }
    let error = file.error("is a zip archive, but torch.save did not make it: no data.pkl");
    error.hint("if a model folder is packed in it, unpack it and name that folder")
}

/// What to do about a folder without a model: tells what it does hold.
pub(super) fn folder_hint(folder: &Path) -> String {
    let mut names: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .take(1000)
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    let ends = |ends: &[&str]| {
        let named = |name: &&String| ends.iter().any(|end| name.ends_with(end));
        names.iter().find(named)
    };
    if let Some(name) = ends(&[".bin", ".pt", ".pth", ".safetensors", ".index.json"]) {
        return format!("it holds {name}: name that file itself");
    }
    if let Some(name) = ends(&[".h5", ".ckpt.index", ".index", ".msgpack", ".onnx", ".gguf"]) {
        return format!("it holds {name}, which is not PyTorch: {TO_PYTORCH}");
    }
    let holds_model = |name: &&String| {
        MODEL_FILES.iter().any(|file| folder.join(name.as_str()).join(file).exists())
    };
    // A discriminator and a generator, as `--model` wants them, are two models.
    let below: Vec<String> = names.iter().filter(holds_model).map(|n| format!("{n}/")).collect();
    if !below.is_empty() {
        return format!("models lie below it, in {}: name one of these", below.join(" and "));
    }
    format!("expected {}", MODEL_FILES.join(" or "))
}
