//! Which characters look replaced: windows, the discriminator, a threshold.

use std::cell::OnceCell;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use zhengzi_runtime::{Arenas, Checkpoint, Cpu, Need};

use super::rounds::Suspect;
use super::script::{Script, Written};
use super::segmenter::{Window, windows};
use super::trace::Trace;
use super::{Correction, Passage, Policy, Settings, Stages, compat, reading, single};
use crate::Error;
use crate::electra::{Discriminator, memory};
use crate::pair::{ModelPaths, Pair};
use crate::tokenizer::{Encoding, Tokenizer};

/// The probability from which `detect` reports a character: "replaced" is the likelier.
const REPORTED: f32 = 0.5;

/// Finds wrong characters; knows no better ones.
pub struct Detector {
    pub(super) tokenizer: Arc<Tokenizer>,
    pub(super) discriminator: Discriminator,
    pub(super) settings: Settings,
    pub(super) arenas: Arenas,
    pub(super) stages: Stages,
    pub(super) trace: Trace,
}

impl Detector {
    /// Loads the discriminator (or a fine-tuned token classifier) and no generator.
    pub fn open(paths: &ModelPaths, settings: Settings, cpu: &Cpu) -> Result<Detector, Error> {
        let (tokenizer, discriminator) = Pair::resolve(paths)?.load_detector(cpu)?;
        Ok(Detector::new(tokenizer, discriminator, settings))
    }

    pub(super) fn new(
        tokenizer: Arc<Tokenizer>,
        discriminator: Discriminator,
        settings: Settings,
    ) -> Detector {
        Detector {
            tokenizer,
            discriminator,
            settings,
            arenas: Arenas::new(),
            stages: Stages::default(),
            trace: Trace::default(),
        }
    }

    /// The file of the discriminator's weights.
    pub fn checkpoint(&self) -> &Checkpoint {
        self.discriminator.checkpoint()
    }

    /// What it takes in memory, at most.
    pub fn memory(&self, cpu: &Cpu) -> Need {
        memory::need(&[(self.checkpoint(), "discriminator")], cpu)
    }

    /// Where the time of all calls so far went.
    pub fn stages(&self) -> Stages {
        self.stages
    }

    /// The suspicious characters of every passage, in order, and those that the user decided
    /// on; `right` is `None`.
    pub fn detect(&mut self, passages: &[Passage]) -> Result<Vec<Vec<Correction>>, Error> {
        let decisions = Arc::clone(&self.settings.decisions);
        let mut found = decisions.around(passages, |passages| match self.settings.policy {
            Policy::Default => {
                let threshold = self.settings.threshold.unwrap_or(REPORTED);
                self.above(threshold, passages)
            }
            Policy::Compat => compat::detect(self, passages),
        })?;
        found.iter_mut().flatten().for_each(|correction| correction.right = None);
        Ok(found)
    }

    /// The characters whose probability of being wrong reaches the threshold.
    pub(super) fn above(
        &mut self,
        threshold: f32,
        passages: &[Passage],
    ) -> Result<Vec<Vec<Correction>>, Error> {
        let threshold = logit(threshold);
        let mut lines: Vec<Line> =
            passages.iter().map(|&passage| Line::new(self, passage)).collect();
        self.read(&mut lines)?;
        let findings = lines.iter().map(|line| {
            let suspicious = (0..line.ids.len()).filter(|&at| {
                line.can_be_wrong(at, &self.tokenizer) && line.logits[at] >= threshold
            });
            let text = line.passage.text;
            suspicious
                .map(|at| Correction::suspicion(text, line.spans[at].clone(), line.logits[at]))
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
        let logits = self.replaced(&sequences)?;
        for ((l, w), logits) in stale.into_iter().zip(logits) {
            let Line { windows, logits: judged, stale, .. } = &mut lines[l];
            let Window { tokens, judged: part } = &windows[w];
            judged[part.clone()]
                .copy_from_slice(&logits[part.start - tokens.start..part.end - tokens.start]);
            stale[w] = false;
        }
        Ok(())
    }

    /// The logit "was replaced" of every token of every sequence.
    pub(super) fn replaced(&mut self, sequences: &[&[u32]]) -> Result<Vec<Vec<f32>>, Error> {
        let begin = Instant::now();
        let Detector { discriminator, tokenizer, arenas, .. } = self;
        let logits = reading::replaced(discriminator, tokenizer, sequences, arenas)?;
        self.stages.discriminator += begin.elapsed();
        self.stages.tokens.discriminator += count(sequences.iter().copied());
        Ok(logits)
    }

    /// The tokens of a text.
    pub(super) fn encode(&mut self, text: &str) -> Encoding {
        let begin = Instant::now();
        let encoding = self.tokenizer.encode(text);
        self.stages.tokenizer += begin.elapsed();
        self.stages.tokens.text += encoding.ids.len() as u64;
        encoding
    }
}

/// Tokens in all.
pub(super) fn count<'a>(sequences: impl Iterator<Item = &'a [u32]>) -> u64 {
    sequences.map(|ids| ids.len() as u64).sum()
}

/// A line of text as the corrector reads it.
pub(super) struct Line<'a> {
    pub(super) passage: Passage<'a>,
    /// The tokens, with the corrections made so far.
    pub(super) ids: Vec<u32>,
    /// The bytes of the text that each came from.
    pub(super) spans: Vec<Range<usize>>,
    pub(super) windows: Vec<Window>,
    /// Windows whose tokens have changed since they were read.
    pub(super) stale: Vec<bool>,
    /// The discriminator's logit for each token, from the window that judges it.
    pub(super) logits: Vec<f32>,
    /// Counted when the first candidate asks.
    written: OnceCell<Written>,
}

impl<'a> Line<'a> {
    pub(super) fn new(detector: &mut Detector, passage: Passage<'a>) -> Line<'a> {
        // A line without a single character that could be wrong has nothing to judge: in logs,
        // code and foreign text that is most of them.
        let mut chars = passage.text.char_indices();
        let worth_reading =
            chars.any(|(at, c)| is_han_char(c) && !passage.is_frozen(&(at..at + c.len_utf8())));
        let encoding = match worth_reading {
            true => detector.encode(passage.text),
            false => Encoding::default(),
        };
        let windows = windows(passage.text, &encoding.spans, detector.window());
        Line {
            passage,
            stale: vec![true; windows.len()],
            logits: vec![f32::NEG_INFINITY; encoding.ids.len()],
            ids: encoding.ids,
            spans: encoding.spans,
            windows,
            written: OnceCell::new(),
        }
    }

    /// The script that it is written in.
    pub(super) fn written(&self, setting: Script) -> Written {
        *self.written.get_or_init(|| setting.of(self.passage.text))
    }

    /// The mean of the discriminator's logits over what `window` judges.
    pub(super) fn mean_logit(&self, window: usize) -> f32 {
        let judged = &self.logits[self.windows[window].judged.clone()];
        judged.iter().sum::<f32>() / judged.len() as f32
    }

    /// What was read of the part that `window` judges.
    pub(super) fn judged(&self, window: usize) -> Vec<f32> {
        self.logits[self.windows[window].judged.clone()].to_vec()
    }

    /// The tokens of `window` are again what they were when it was read as `logits`.
    pub(super) fn restore(&mut self, window: usize, logits: &[f32]) {
        self.logits[self.windows[window].judged.clone()].copy_from_slice(logits);
        self.stale[window] = false;
    }

    /// Puts `id` in the place of a suspect; its window must be read again.
    pub(super) fn put(&mut self, suspect: &Suspect, id: u32) {
        self.ids[suspect.at] = id;
        self.stale[suspect.window] = true;
    }

    /// Whether the token is one Han character that the vocabulary knows and nobody froze:
    /// nothing else is ever flagged or replaced.
    pub(super) fn can_be_wrong(&self, at: usize, tokenizer: &Tokenizer) -> bool {
        self.ids[at] != tokenizer.unk() && is_open_han(self.passage, &self.spans[at])
    }
}

fn is_open_han(passage: Passage, span: &Range<usize>) -> bool {
    single(&passage.text[span.clone()]).is_some_and(is_han_char) && !passage.is_frozen(span)
}

/// A CJK unified ideograph of any block.
pub(super) fn is_han_char(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{20000}'..='\u{3FFFF}')
}

/// z with sigmoid(z) = p.
pub(super) fn logit(p: f32) -> f32 {
    (p / (1.0 - p)).ln()
}
