//! What could have been meant: characters near in sound or shape, known to the vocabulary.

use std::collections::HashMap;

use super::{Similarity, single};
use crate::tokenizer::Tokenizer;

/// A token that could stand for a character.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) id: u32,
    /// Nearness in sound, 0 to 1.
    pub(super) sound: f32,
    /// Nearness in shape, 0 to 1.
    pub(super) shape: f32,
}

/// The candidates of every character met so far, by its id: texts repeat their characters.
#[derive(Default)]
pub(super) struct Candidates {
    known: HashMap<u32, Vec<Candidate>>,
}

impl Candidates {
    /// The tokens near `id` in sound or shape, by ascending id; without `id` itself.
    pub(super) fn of(&mut self, tokenizer: &Tokenizer, id: u32) -> &[Candidate] {
        self.known.entry(id).or_insert_with(|| {
            let Some(wrong) = single(tokenizer.token(id)) else { return Vec::new() };
            let near = Similarity::builtin().candidates(wrong).into_iter();
            let mut found: Vec<Candidate> = near
                .filter_map(|near| {
                    let id = tokenizer.id(near.ch.encode_utf8(&mut [0; 4]))?;
                    Some(Candidate { id, sound: near.sound, shape: near.shape })
                })
                .collect();
            found.sort_unstable_by_key(|candidate| candidate.id);
            found
        })
    }
}
