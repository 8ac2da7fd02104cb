//! `--policy default`: read, propose, decide, and read again.
//!
//! 1. The discriminator reads whole windows. Characters whose probability of being replaced
//!    reaches the threshold are suspects.
//! 2. Each suspect is masked and the generator says what could stand there. Its candidates
//!    are the characters near in sound or shape, and the generator's own top k.
//! 3. The best candidate takes its place for a trial, unless its score is hopeless. Of
//!    neighbours only the better one: a pair of wrong changes would spoil each other's trial.
//! 4. The discriminator reads the changed windows again. What it says of the new character
//!    completes the score: a change that does not win by the margin is taken back. New
//!    suspects in the changed windows go through 2 and 3.

use std::collections::HashSet;
use std::ops::Range;
use std::time::Instant;

use zhengzi_kernels::log_sum_exp::log_sum_exp;

use super::candidates::Candidate;
use super::detector::{Detector, Line, is_han_char, logit};
use super::reading::{Gap, filled, top};
use super::scorer::{Evidence, WEIGHTS, Weights, score, verified};
use super::script::Written;
use super::{Alternative, Correction, Corrector, Passage, probability, single};
use crate::Error;
use crate::tokenizer::Tokenizer;

/// The probability from which a character is a suspect. Low: the discriminator nominates,
/// the score decides.
const SUSPECT: f32 = 0.12;

/// The score below which a candidate is not worth a second reading.
const HOPELESS: f32 = -2.0;

/// Tokens on either side of its mask that the generator sees: the sentence and its neighbours.
/// A whole window for each suspect would cost the square of the window's length.
const CONTEXT: usize = 64;

/// By how much a change must win. Below 0 because the weights were fitted where an error is
/// rarer than a suspicion: `docs/correction.md` shows what each margin finds and alarms.
const MARGIN: f32 = -0.5;

/// Alternatives that a correction carries.
const ALTERNATIVES: usize = 5;

/// The corrections of every passage.
pub(super) fn correct(
    corrector: &mut Corrector,
    passages: &[Passage],
) -> Result<Vec<Vec<Correction>>, Error> {
    let settings = &corrector.detector.settings;
    let (rounds, margin) = (settings.rounds, settings.margin.unwrap_or(MARGIN));
    let mut read: Vec<Line> =
        passages.iter().map(|&passage| Line::new(&mut corrector.detector, passage)).collect();
    let mut changes: Vec<Change> = Vec::new();
    // Places that were tried, by line and token: none is tried twice.
    let mut tried: HashSet<(usize, usize)> = HashSet::new();
    // The windows worth another round; at first all of them.
    let mut windows: Option<HashSet<(usize, usize)>> = None;
    for round in 1..=rounds {
        corrector.detector.read(&mut read)?;
        if round == 1 {
            let threshold = threshold(&corrector.detector);
            corrector.detector.trace_reading(&read, threshold, margin);
        }
        let mut suspects = suspects(&corrector.detector, &read);
        suspects.retain(|suspect| {
            let is_open =
                windows.as_ref().is_none_or(|w| w.contains(&(suspect.line, suspect.window)));
            is_open && !tried.contains(&(suspect.line, suspect.at))
        });
        let proposals = propose(corrector, &read, &suspects)?;
        let on_trial = on_trial(&suspects, &proposals);
        let scored = (&proposals[..], &WEIGHTS);
        corrector.detector.trace_trials(round, &read, &suspects, scored, &on_trial);
        let mut trials = Vec::new();
        let mut again = HashSet::new();
        for ((suspect, options), outcome) in suspects.into_iter().zip(proposals).zip(on_trial) {
            match outcome {
                Trial::Now => {
                    read[suspect.line].put(&suspect, options[0].candidate.id);
                    tried.insert((suspect.line, suspect.at));
                    trials.push((suspect, options));
                }
                Trial::Later => drop(again.insert((suspect.line, suspect.window))),
                Trial::Never => {}
            }
        }
        corrector.detector.read(&mut read)?;
        let first_new = changes.len();
        for (suspect, options) in trials {
            let line = &mut read[suspect.line];
            let (tried, logit) = (options[0].score, line.logits[suspect.at]);
            let score = verified(tried, suspect.logit, logit);
            let wins = score >= margin;
            corrector.detector.trace_verdict(&suspect, line, (tried, logit), wins);
            if wins {
                changes.push(Change { suspect, options, score });
            } else {
                line.put(&suspect, suspect.id);
            }
        }
        again.extend(changes[first_new..].iter().map(|c| (c.suspect.line, c.suspect.window)));
        if again.is_empty() {
            break;
        }
        windows = Some(again);
    }
    let mut corrections = vec![Vec::new(); passages.len()];
    for change in changes {
        let line = &read[change.suspect.line];
        corrections[change.suspect.line]
            .push(change.into_correction(line, &corrector.detector.tokenizer));
    }
    for line in &mut corrections {
        line.sort_by_key(|correction| correction.span.start);
    }
    Ok(corrections)
}

/// A character that may be wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Suspect {
    pub(super) line: usize,
    /// The token of the line.
    pub(super) at: usize,
    /// The window that judges it.
    pub(super) window: usize,
    /// What stands there.
    pub(super) id: u32,
    /// The discriminator's logit for it.
    pub(super) logit: f32,
}

/// When the best candidate of a suspect takes its place for a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trial {
    Now,
    /// A neighbour's candidate is better: after its trial.
    Later,
    /// Hopeless.
    Never,
}

/// The trial of each suspect, `suspects` in order of their places.
pub(super) fn on_trial(suspects: &[Suspect], proposals: &[Vec<Scored>]) -> Vec<Trial> {
    let score = |i: usize| proposals[i].first().map_or(f32::NEG_INFINITY, |best| best.score);
    let beats = |i: usize, j: usize| {
        let (a, b) = (&suspects[i], &suspects[j]);
        a.line == b.line && a.at.abs_diff(b.at) == 1 && score(i) > score(j)
    };
    let trial = |i: usize| {
        if score(i) < HOPELESS {
            Trial::Never
        } else if (i > 0 && beats(i - 1, i)) || (i + 1 < suspects.len() && beats(i + 1, i)) {
            Trial::Later
        } else {
            Trial::Now
        }
    };
    (0..suspects.len()).map(trial).collect()
}

/// A candidate with its score.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scored {
    pub(super) candidate: Candidate,
    pub(super) evidence: Evidence,
    pub(super) score: f32,
}

/// A suspect, its candidates, of which the first took its place, and the verified score.
struct Change {
    suspect: Suspect,
    options: Vec<Scored>,
    score: f32,
}

impl Change {
    fn into_correction(self, line: &Line, tokenizer: &Tokenizer) -> Correction {
        let span: Range<usize> = line.spans[self.suspect.at].clone();
        let text = |id: u32| tokenizer.token(id).to_owned();
        let alternatives = self.options.iter().take(ALTERNATIVES).map(|option| Alternative {
            text: text(option.candidate.id),
            probability: option.evidence.chosen.exp(),
        });
        Correction {
            wrong: line.passage.text[span.clone()].to_owned(),
            span,
            right: Some(text(self.options[0].candidate.id)),
            detection: probability(self.suspect.logit),
            confidence: probability(self.score),
            alternatives: alternatives.collect(),
        }
    }
}

fn threshold(detector: &Detector) -> f32 {
    detector.settings.threshold.unwrap_or(SUSPECT)
}

/// Every character that reaches the threshold, line by line, left to right.
pub(super) fn suspects(detector: &Detector, lines: &[Line]) -> Vec<Suspect> {
    let threshold = logit(threshold(detector));
    let mut suspects = Vec::new();
    for (l, line) in lines.iter().enumerate() {
        for (window, part) in line.windows.iter().enumerate() {
            for at in part.judged.clone() {
                let logit = line.logits[at];
                if logit >= threshold && line.can_be_wrong(at, &detector.tokenizer) {
                    suspects.push(Suspect { line: l, at, window, id: line.ids[at], logit });
                }
            }
        }
    }
    suspects
}

/// For each suspect its candidates, best first.
pub(super) fn propose(
    corrector: &mut Corrector,
    lines: &[Line],
    suspects: &[Suspect],
) -> Result<Vec<Vec<Scored>>, Error> {
    let Corrector { detector, generator, candidates } = corrector;
    let Detector { tokenizer, arenas, settings, stages, .. } = detector;
    // One mask a reading: several at once cost less and lose a fifth of the corrections.
    let gaps: Vec<Gap> = suspects
        .iter()
        .map(|suspect| {
            let line = &lines[suspect.line];
            let window = &line.windows[suspect.window].tokens;
            let start = window.start.max(suspect.at.saturating_sub(CONTEXT));
            let end = window.end.min(suspect.at + CONTEXT + 1);
            let at = suspect.at - start;
            let mut ids = line.ids[start..end].to_vec();
            ids[at] = tokenizer.mask();
            Gap { ids, at: vec![at] }
        })
        .collect();
    let mut proposals = Vec::with_capacity(suspects.len());
    let begin = Instant::now();
    let network = filled(generator, tokenizer, &gaps, arenas, |gap, _, logits| {
        let suspect = &suspects[gap];
        let written = lines[suspect.line].written(settings.script);
        let candidates = candidates.of(tokenizer, suspect.id, written);
        let logits = (logits, log_sum_exp(generator.isa(), logits));
        proposals.push(options(tokenizer, candidates, written, settings.top_k, suspect, logits));
    })?;
    stages.generator += network;
    stages.scoring += begin.elapsed().saturating_sub(network);
    Ok(proposals)
}

/// The candidates for one suspect, and the generator's own, scored, best first; given the logits and
/// their [`log_sum_exp`].
fn options(
    tokenizer: &Tokenizer,
    candidates: &[Candidate],
    written: Written,
    top_k: usize,
    suspect: &Suspect,
    (logits, whole): (&[f32], f32),
) -> Vec<Scored> {
    let mut found = candidates.to_vec();
    let original = single(tokenizer.token(suspect.id));
    for id in top(logits, top_k) {
        let is_new = id != suspect.id && found.iter().all(|candidate| candidate.id != id);
        // A character for a character: nothing else is ever put in a text.
        let admitted = original.zip(single(tokenizer.token(id)));
        let is_admitted = |(o, c)| is_han_char(c) && written.admits(o, c);
        if is_new && admitted.is_some_and(is_admitted) {
            found.push(Candidate { id, sound: 0.0, shape: 0.0 });
        }
    }
    let mut options: Vec<Scored> = found
        .into_iter()
        .map(|candidate| {
            let evidence = Evidence {
                chosen: logits[candidate.id as usize] - whole,
                original: logits[suspect.id as usize] - whole,
                suspicion: suspect.logit,
                sound: candidate.sound,
                shape: candidate.shape,
            };
            Scored { candidate, evidence, score: 0.0 }
        })
        .collect();
    rescore(&WEIGHTS, &mut options);
    options
}

/// Scores the candidates anew and puts the best first.
pub(super) fn rescore(weights: &Weights, options: &mut [Scored]) {
    for option in options.iter_mut() {
        option.score = score(weights, &option.evidence);
    }
    options.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.candidate.id.cmp(&b.candidate.id)));
}
