//! What could have been meant: characters near in sound or shape, known to the vocabulary.

use std::collections::HashMap;

use super::script::{Written, forms};
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

/// The candidates of every character met so far, by its id and what its line admits: texts
/// repeat their characters.
#[derive(Default)]
pub(super) struct Candidates {
    known: HashMap<(u32, Written), Vec<Candidate>>,
}

impl Candidates {
    /// The tokens near `id` in sound or shape that its line admits, by ascending id; without
    /// `id` itself.
    pub(super) fn of(&mut self, tokenizer: &Tokenizer, id: u32, written: Written) -> &[Candidate] {
        self.known.entry((id, written)).or_insert_with(|| {
            let Some(wrong) = single(tokenizer.token(id)) else { return Vec::new() };
            let table = Similarity::builtin();
            let near = table.candidates(wrong).into_iter().map(|c| (c.ch, c.sound, c.shape));
            // Other forms, in case the line admits them, need be near in neither.
            let forms = forms(wrong).filter(|&form| table.is_common(form));
            let forms =
                forms.map(|form| (form, table.sound(wrong, form), table.shape(wrong, form)));
            let mut found: Vec<Candidate> = near
                .chain(forms)
                .filter(|&(ch, ..)| written.admits(wrong, ch))
                .filter_map(|(ch, sound, shape)| {
                    let id = tokenizer.id(ch.encode_utf8(&mut [0; 4]))?;
                    Some(Candidate { id, sound, shape })
                })
                .collect();
            found.sort_unstable_by_key(|candidate| candidate.id);
            found.dedup_by_key(|candidate| candidate.id);
            found
        })
    }
}
