//! The rewritten pickle as typed records, decoded by `serde_pickle`.

use std::cell::Cell;
use std::fmt;

use serde::Deserialize;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess,
    Visitor,
};
use serde_pickle::DeOptions;

use super::globals::storage_dtype;
use super::item::TENSOR;
use crate::mapped::MappedFile;
use crate::{CheckpointError, DType};

/// A value of the pickle, as far as it concerns us.
pub(super) enum Node {
    Tensor(Box<TensorRecord>),
    Dict(Vec<(Node, Node)>),
    List(Vec<Node>),
    Text(String),
    /// Numbers, flags, `None`.
    Other,
    /// What a call begins with: see `item`.
    Tag(Vec<u8>),
}

/// What a call of `_rebuild_tensor` or `_rebuild_tensor_v2` says.
pub(super) struct TensorRecord {
    /// Byte of the file where it says so.
    pub(super) at: usize,
    pub(super) args: TensorArgs,
}

/// The arguments; of those behind the stride (requires_grad, hooks, metadata) nothing is used.
#[derive(Deserialize)]
pub(super) struct TensorArgs {
    pub(super) storage: StorageRecord,
    /// In elements, like the strides.
    pub(super) offset: i64,
    pub(super) shape: Vec<i64>,
    pub(super) strides: Vec<i64>,
}

/// A persistent id: `("storage", type, key, location, elements[, view])`.
#[derive(Deserialize)]
pub(super) struct StorageRecord {
    #[allow(dead_code)] // its only use is that nothing else decodes
    tag: StorageTag,
    #[serde(deserialize_with = "dtype")]
    pub(super) dtype: DType,
    pub(super) key: String,
    #[allow(dead_code)] // the device it was on
    location: IgnoredAny,
    pub(super) elements: i64,
    /// `None` in every file since torch 0.4; a view onto another storage before.
    #[serde(default)]
    #[allow(dead_code)]
    view: (),
}

#[derive(Deserialize)]
enum StorageTag {
    #[serde(rename = "storage")]
    Storage,
}

fn dtype<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DType, D::Error> {
    let name = String::deserialize(deserializer)?;
    storage_dtype(&name).ok_or_else(|| D::Error::custom(format!("{name} is no type of storage")))
}

/// Decodes any rewritten pickle, whose original begins at byte `start` of the file.
pub(super) fn decode<T: DeserializeOwned>(
    file: &MappedFile,
    start: usize,
    code: &[u8],
) -> Result<T, CheckpointError> {
    serde_pickle::from_slice(code, DeOptions::new()).map_err(|error| fault(file, start, &error))
}

/// Decodes the value of a rewritten pickle.
pub(super) fn value(file: &MappedFile, start: usize, code: &[u8]) -> Result<Node, CheckpointError> {
    let at = Cell::new(start);
    let mut deserializer = serde_pickle::Deserializer::new(code, DeOptions::new());
    let node = NodeSeed { at: &at }.deserialize(&mut deserializer);
    node.map_err(|error| fault(file, at.get(), &error))
}

fn fault(file: &MappedFile, at: usize, error: &serde_pickle::Error) -> CheckpointError {
    // The position that serde_pickle adds is one in the rewritten pickle: of no use to anybody.
    let what = match error {
        serde_pickle::Error::Syntax(code) | serde_pickle::Error::Eval(code, _) => code.to_string(),
        other => other.to_string(),
    };
    file.error(format!("the pickle does not describe tensors as torch does: {what}"))
        .at(at)
        .hint("the file is damaged: download it again")
}

/// Decodes a [`Node`]; `at` tells which call it was in when it failed.
#[derive(Clone, Copy)]
struct NodeSeed<'a> {
    at: &'a Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tensor or a dictionary of tensors")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self)? {
            match item {
                Node::Tag(tag) => return self.call(&tag, seq),
                item => items.push(item),
            }
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key_seed(self)? {
            entries.push((key, map.next_value_seed(self)?));
        }
        Ok(Node::Dict(entries))
    }

    fn visit_byte_buf<E>(self, tag: Vec<u8>) -> Result<Node, E> {
        Ok(Node::Tag(tag))
    }

    fn visit_string<E>(self, text: String) -> Result<Node, E> {
        Ok(Node::Text(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Other)
    }
}

impl NodeSeed<'_> {
    /// A call, behind its tag: the byte where it is, and its arguments.
    fn call<'de, A: SeqAccess<'de>>(self, tag: &[u8], mut seq: A) -> Result<Node, A::Error> {
        let missing = || A::Error::custom("a call lacks its arguments");
        let at = seq.next_element()?.ok_or_else(missing)?;
        self.at.set(at);
        if tag == TENSOR {
            let args = seq.next_element()?.ok_or_else(missing)?;
            return Ok(Node::Tensor(Box::new(TensorRecord { at, args })));
        }
        // A parameter is a tensor in a wrapper: data, requires_grad, hooks.
        match seq.next_element_seed(self)? {
            Some(Node::List(args)) => args.into_iter().next().ok_or_else(missing),
            _ => Err(missing()),
        }
    }
}
