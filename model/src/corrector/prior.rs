//! What the generator expects of a place of which it is told nothing: the frequencies that it learned.
//!
//! A rare character is improbable in any context, and a frequent one is proposed too readily. The odds
//! of the two where nothing is known, ln g₀(o) − ln g₀(c), set that right, whatever the text that the
//! generator was trained on: no table of frequencies is needed.

use std::time::Duration;

use zhengzi_kernels::log_sum_exp::log_sum_exp;
use zhengzi_runtime::Arenas;

use super::reading::{Gap, filled};
use crate::Error;
use crate::electra::Generator;
use crate::tokenizer::Tokenizer;

/// Masks that are read, as far as they fit; the middle one is asked. A single one would be a line of a
/// single character, and there are not many of those.
const MASKS: usize = 9;

/// ln g₀ of each token.
#[derive(Default)]
pub(super) struct Prior(Vec<f32>);

impl Prior {
    /// That of `generator`, and how much time it took: none where it is known. The few masks are read once, and
    /// are no part of what a text costs.
    pub(super) fn learn(
        &mut self,
        generator: &Generator,
        tokenizer: &Tokenizer,
        arenas: &Arenas,
    ) -> Result<Duration, Error> {
        if !self.0.is_empty() {
            return Ok(Duration::ZERO);
        }
        let masks = MASKS.min(generator.config().max_positions - 2);
        let gap = Gap { ids: vec![tokenizer.mask(); masks], at: vec![masks / 2] };
        filled(generator, tokenizer, &[gap], arenas, |_, _, logits| {
            let whole = log_sum_exp(generator.isa(), logits);
            self.0 = logits.iter().map(|logit| logit - whole).collect();
        })
    }

    /// ln g₀(`original`) − ln g₀(`candidate`), by their ids.
    pub(super) fn odds(&self, original: u32, candidate: u32) -> f32 {
        self.0[original as usize] - self.0[candidate as usize]
    }
}
