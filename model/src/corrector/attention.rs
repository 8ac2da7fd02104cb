//! Maps of attention over a text that was explained.

use std::ops::Range;

use super::trace::{Explanation, Verdict};
use super::{Corrector, Detector};
use crate::Error;
use crate::config::Fill;
use crate::electra::Attention;

/// Which half of the pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// It reads the text as it is.
    Discriminator,
    /// It reads the text with the most suspicious character masked, if it asks for masks.
    Generator,
}

/// Where one head looks while the text is read.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionMap {
    /// Whose head it is.
    pub network: Network,
    /// From 1.
    pub layer: usize,
    /// From 1.
    pub head: usize,
    /// What was read, `[CLS]` and `[SEP]` included: n tokens.
    pub tokens: Vec<String>,
    /// `[n, n]`, a row for each token that looks; each sums to 1.
    pub weights: Vec<f32>,
}

impl Corrector {
    /// Number of layers, and of heads in each.
    pub fn shape(&self, network: Network) -> (usize, usize) {
        let config = match network {
            Network::Discriminator => self.detector.discriminator.config(),
            Network::Generator => self.generator.config(),
        };
        (config.layers, config.heads)
    }

    /// The maps of these places, (layer, head) from 1, over the text of `told`, read in one piece: what
    /// does not fit the network is left off its end. `compat` read it in smaller ones.
    ///
    /// Panics where the network has no such layer or head.
    pub fn attention(
        &mut self,
        told: &Explanation,
        network: Network,
        places: &[(usize, usize)],
    ) -> Result<Vec<AttentionMap>, Error> {
        let room = self.detector.window();
        let encoding = self.detector.encode(&told.text);
        let Detector { tokenizer, discriminator, arenas, .. } = &self.detector;
        let text = |span: &Range<usize>| told.text[span.clone()].to_owned();
        let mut tokens: Vec<String> = encoding.spans.iter().take(room).map(text).collect();
        let mut ids: Vec<u32> = encoding.ids.iter().take(room).copied().collect();
        if network == Network::Generator && self.generator.config().fill == Fill::Mask {
            let suspects = told.suspects.iter().filter(|s| s.verdict != Verdict::Frozen);
            let worst = suspects.max_by(|a, b| a.probability.total_cmp(&b.probability));
            let at = worst.and_then(|worst| encoding.spans.iter().position(|s| *s == worst.span));
            if let Some(at) = at.filter(|&at| at < ids.len()) {
                ids[at] = tokenizer.mask();
                tokens[at] = tokenizer.token(tokenizer.mask()).to_owned();
            }
        }
        for (at, id) in [(0, tokenizer.cls()), (ids.len() + 1, tokenizer.sep())] {
            ids.insert(at, id);
            tokens.insert(at, tokenizer.token(id).to_owned());
        }
        // A pass for each layer, whichever heads of it are wanted.
        let mut read: Option<(usize, Attention)> = None;
        let maps = places.iter().map(|&(layer, head)| {
            if read.as_ref().is_none_or(|&(other, _)| other != layer) {
                let attention = match network {
                    Network::Discriminator => discriminator.attention(&ids, layer - 1, arenas),
                    Network::Generator => self.generator.attention(&ids, layer - 1, arenas),
                };
                read = Some((layer, attention?));
            }
            let (_, attention) = read.as_ref().expect("it was just read");
            let weights = attention.weights(head - 1);
            Ok(AttentionMap { network, layer, head, tokens: tokens.clone(), weights })
        });
        maps.collect()
    }
}
