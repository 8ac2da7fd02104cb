//! What the rewriting pass keeps on its stack, and the plain opcodes it is made of.

use super::globals::Global;
use super::opcodes as op;

/// Tag of a tensor made by a call.
pub(super) const TENSOR: &[u8] = b"tensor";
/// Tag of a parameter: a tensor in a wrapper.
pub(super) const PARAMETER: &[u8] = b"parameter";

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Text,
    Global(Global),
    /// With its number of items.
    Tuple(usize),
    List,
    Dict,
    Other,
}

/// An item of the stack: the plain opcodes that push it.
#[derive(Clone)]
pub(super) struct Item {
    pub(super) kind: Kind,
    pub(super) code: Vec<u8>,
    /// Steps it took: what a copy of it costs.
    pub(super) steps: usize,
    /// Containers inside each other.
    pub(super) depth: usize,
}

impl Item {
    /// The text of a text or the name of a global, as [`text_code`] made it.
    pub(super) fn text(&self) -> Option<&str> {
        match self.kind {
            Kind::Text | Kind::Global(_) => str::from_utf8(self.code.get(5..)?).ok(),
            _ => None,
        }
    }
}

/// Opcodes that push a text.
pub(super) fn text_code(text: &str) -> Vec<u8> {
    let length = text.len() as u32; // at most DESCRIPTION_LIMIT
    [&[op::BINUNICODE], &length.to_le_bytes()[..], text.as_bytes()].concat()
}

/// Opcodes that push a place in the file.
pub(super) fn position_code(at: usize) -> Vec<u8> {
    [&[op::LONG1, 8], &(at as u64).to_le_bytes()[..]].concat()
}

/// Opcodes that push a list of what each of `items` pushes.
pub(super) fn list_code<'a>(items: impl IntoIterator<Item = &'a Vec<u8>>) -> Vec<u8> {
    let mut code = vec![op::EMPTY_LIST];
    for item in items {
        code.extend(item);
        code.push(op::APPEND);
    }
    code
}
