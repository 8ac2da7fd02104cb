//! `fill`: what the generator would write at each `[MASK]` of a text.

use std::ops::Range;
use std::sync::Arc;

use zhengzi_kernels::log_sum_exp::log_sum_exp;
use zhengzi_runtime::{Arenas, Checkpoint, Cpu, Need};

use super::Alternative;
use super::reading::{Gap, filled, top};
use super::segmenter::windows;
use crate::Error;
use crate::config::Fill;
use crate::electra::{Generator, memory};
use crate::pair::{ModelPaths, Pair};
use crate::tokenizer::Tokenizer;

/// A mask and what could stand there.
#[derive(Clone, Debug, PartialEq)]
pub struct Blank {
    /// Bytes of `[MASK]` in the text.
    pub span: Range<usize>,
    /// The likeliest tokens of the whole vocabulary, best first.
    pub alternatives: Vec<Alternative>,
}

/// Fills masks with a generator.
pub struct Filler {
    tokenizer: Arc<Tokenizer>,
    generator: Generator,
    arenas: Arenas,
}

impl Filler {
    /// Loads the generator and no discriminator.
    pub fn open(paths: &ModelPaths, cpu: &Cpu) -> Result<Filler, Error> {
        let (tokenizer, generator) = Pair::resolve(paths)?.load_generator(cpu)?;
        Ok(Filler { tokenizer, generator, arenas: Arenas::new() })
    }

    /// The file of the generator's weights.
    pub fn checkpoint(&self) -> &Checkpoint {
        self.generator.checkpoint()
    }

    /// What it takes in memory, at most.
    pub fn memory(&self, cpu: &Cpu) -> Need {
        memory::need(&[(self.checkpoint(), "generator")], cpu)
    }

    /// The `top_k` likeliest tokens at every `[MASK]` of `text`; all masks are read at once.
    pub fn fill(&mut self, text: &str, top_k: usize) -> Result<Vec<Blank>, Error> {
        let mask = self.tokenizer.mask();
        self.asked(text, top_k, |id, _| id == mask)
    }

    /// The `top_k` likeliest tokens in the place of the character at `span`, which the generator reads
    /// or does not, as its config says. `None` where it is no token of its own.
    pub fn instead(
        &mut self,
        text: &str,
        span: &Range<usize>,
        top_k: usize,
    ) -> Result<Option<Blank>, Error> {
        let blanks = match self.generator.config().fill {
            Fill::Mask => {
                let masked = format!("{}[MASK]{}", &text[..span.start], &text[span.end..]);
                self.fill(&masked, top_k)?
            }
            Fill::Seen => self.asked(text, top_k, |_, token| token == span)?,
        };
        Ok(blanks.into_iter().find(|blank| blank.span.start == span.start))
    }

    /// The same for every token that `is_asked`, by its id and span.
    fn asked(
        &mut self,
        text: &str,
        top_k: usize,
        is_asked: impl Fn(u32, &Range<usize>) -> bool,
    ) -> Result<Vec<Blank>, Error> {
        let Filler { tokenizer, generator, arenas } = self;
        let encoding = tokenizer.encode_with_specials(text);
        let mut places = Vec::new();
        let mut gaps = Vec::new();
        for window in windows(text, &encoding.spans, generator.config().max_positions - 2) {
            let is_asked = |&at: &usize| is_asked(encoding.ids[at], &encoding.spans[at]);
            let asked: Vec<usize> = window.judged.filter(is_asked).collect();
            if !asked.is_empty() {
                gaps.push(Gap {
                    ids: encoding.ids[window.tokens.clone()].to_vec(),
                    at: asked.iter().map(|at| at - window.tokens.start).collect(),
                });
                places.push(asked);
            }
        }
        let mut blanks = Vec::new();
        filled(generator, tokenizer, &gaps, arenas, |gap, place, logits| {
            let whole = log_sum_exp(generator.isa(), logits);
            let alternatives = top(logits, top_k).into_iter().map(|id| Alternative {
                text: tokenizer.token(id).to_owned(),
                probability: (logits[id as usize] - whole).exp(),
            });
            blanks.push(Blank {
                span: encoding.spans[places[gap][place]].clone(),
                alternatives: alternatives.collect(),
            });
        })?;
        Ok(blanks)
    }
}
