//! Which characters look replaced: windows, the discriminator, a threshold.

use std::ops::Range;
use std::sync::Arc;

use zhengzi_runtime::{Arena, Checkpoint, Cpu};

use super::rounds::Suspect;
use super::segmenter::{Window, windows};
use super::{Correction, Policy, Settings, compat, reading, single};
use crate::Error;
use crate::electra::Discriminator;
use crate::pair::{ModelPaths, Pair};
use crate::tokenizer::Tokenizer;

/// The probability from which `detect` reports a character: "replaced" is the likelier.
const REPORTED: f32 = 0.5;

/// Finds wrong characters; knows no better ones.
pub struct Detector {
    pub(super) tokenizer: Arc<Tokenizer>,
    pub(super) discriminator: Discriminator,
    pub(super) settings: Settings,
    pub(super) arena: Arena,
}

impl Detector {
    /// Loads the discriminator (or a fine-tuned token classifier) and no generator.
    pub fn open(paths: &ModelPaths, settings: Settings, cpu: &Cpu) -> Result<Detector, Error> {
        let (tokenizer, discriminator) =
            Pair::resolve(paths)?.detector()?.load_discriminator(cpu)?;
        Ok(Detector::new(Arc::new(tokenizer), discriminator, settings))
    }

    pub(super) fn new(
        tokenizer: Arc<Tokenizer>,
        discriminator: Discriminator,
        settings: Settings,
    ) -> Detector {
        Detector { tokenizer, discriminator, settings, arena: Arena::new() }
    }

    /// The file of the discriminator's weights.
    pub fn checkpoint(&self) -> &Checkpoint {
        self.discriminator.checkpoint()
    }

    /// The suspicious characters of every line, in order; `right` is `None`.
    pub fn detect(&mut self, lines: &[&str]) -> Result<Vec<Vec<Correction>>, Error> {
        if self.settings.policy == Policy::Compat {
            return compat::detect(self, lines);
        }
        let threshold = logit(self.settings.threshold.unwrap_or(REPORTED));
        let mut read: Vec<Line> = lines.iter().map(|text| Line::new(self, text)).collect();
        self.read(&mut read)?;
        let findings = read.iter().map(|line| {
            let suspicious = (0..line.ids.len()).filter(|&at| {
                line.can_be_wrong(at, &self.tokenizer) && line.logits[at] >= threshold
            });
            suspicious
                .map(|at| Correction::suspicion(line.text, line.spans[at].clone(), line.logits[at]))
                .collect()
        });
        Ok(findings.collect())
    }

    /// Tokens that fit the network beside `[CLS]` and `[SEP]`.
    pub(super) fn window(&self) -> usize {
        self.discriminator.config().max_positions - 2
    }

    /// Reads, or reads again, every window that changed since it was last read.
    pub(super) fn read(&mut self, lines: &mut [Line]) -> Result<(), Error> {
        let stale: Vec<(usize, usize)> = lines
            .iter()
            .enumerate()
            .flat_map(|(l, line)| {
                (0..line.windows.len()).filter(|&w| line.stale[w]).map(move |w| (l, w))
            })
            .collect();
        let sequences: Vec<&[u32]> =
            stale.iter().map(|&(l, w)| &lines[l].ids[lines[l].windows[w].tokens.clone()]).collect();
        let Detector { discriminator, tokenizer, arena, .. } = self;
        let logits = reading::replaced(discriminator, tokenizer, &sequences, arena)?;
        for ((l, w), logits) in stale.into_iter().zip(logits) {
            let Line { windows, logits: judged, stale, .. } = &mut lines[l];
            let Window { tokens, judged: part } = &windows[w];
            judged[part.clone()]
                .copy_from_slice(&logits[part.start - tokens.start..part.end - tokens.start]);
            stale[w] = false;
        }
        Ok(())
    }
}

/// A line of text as the corrector reads it.
pub(super) struct Line<'a> {
    pub(super) text: &'a str,
    /// The tokens, with the corrections made so far.
    pub(super) ids: Vec<u32>,
    /// The bytes of `text` that each came from.
    pub(super) spans: Vec<Range<usize>>,
    pub(super) windows: Vec<Window>,
    /// Windows whose tokens have changed since they were read.
    pub(super) stale: Vec<bool>,
    /// The discriminator's logit for each token, from the window that judges it.
    pub(super) logits: Vec<f32>,
}

impl<'a> Line<'a> {
    pub(super) fn new(detector: &Detector, text: &'a str) -> Line<'a> {
        let encoding = detector.tokenizer.encode(text);
        // A line without a single Han character has nothing to judge.
        let worth_reading = encoding.spans.iter().any(|span| is_han(&text[span.clone()]));
        let windows = match worth_reading {
            true => windows(text, &encoding.spans, detector.window()),
            false => Vec::new(),
        };
        Line {
            text,
            stale: vec![true; windows.len()],
            logits: vec![f32::NEG_INFINITY; encoding.ids.len()],
            ids: encoding.ids,
            spans: encoding.spans,
            windows,
        }
    }

    /// Puts `id` in the place of a suspect; its window must be read again.
    pub(super) fn put(&mut self, suspect: &Suspect, id: u32) {
        self.ids[suspect.at] = id;
        self.stale[suspect.window] = true;
    }

    /// Whether the token is one Han character that the vocabulary knows: nothing else is
    /// ever flagged or replaced.
    pub(super) fn can_be_wrong(&self, at: usize, tokenizer: &Tokenizer) -> bool {
        self.ids[at] != tokenizer.unk() && is_han(&self.text[self.spans[at].clone()])
    }
}

fn is_han(text: &str) -> bool {
    single(text).is_some_and(is_han_char)
}

/// A CJK unified ideograph of any block.
pub(super) fn is_han_char(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{20000}'..='\u{3FFFF}')
}

/// z with sigmoid(z) = p.
pub(super) fn logit(p: f32) -> f32 {
    (p / (1.0 - p)).ln()
}
