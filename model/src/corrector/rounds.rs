//! `--policy default`: read, propose, decide, and read again.
//!
//! 1. The discriminator reads whole windows. Characters whose probability of being replaced
//!    reaches the threshold are suspects.
//! 2. Each suspect is masked and the generator says what could stand there (one whose config says
//!    `"zhengzi_fill": "seen"` reads the suspect itself). Its candidates are the characters near in
//!    sound or shape, and the generator's own top k.
//! 3. The best candidate takes its place for a trial, unless its score is hopeless. Of
//!    neighbours only the better one: a pair of wrong changes would spoil each other's trial.
//! 4. The discriminator reads the changed windows again. What it says of the new character
//!    completes the score: a change that does not win by the margin is taken back. New
//!    suspects in the changed windows go through 2 and 3.
//!
//! What becomes of a suspect that keeps its place is for `repeats` to say.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::time::Instant;

use zhengzi_kernels::log_sum_exp::log_sum_exp;

use super::calibration::Calibration;
use super::candidates::Candidate;
use super::detector::{Detector, Line, count, is_han_char, logit};
use super::reading::{Gap, filled, top};
use super::scorer::{Evidence, Hearing, Weights, score, verified};
use super::script::Written;
use super::{Alternative, Correction, Corrector, Passage, probability, single};
use crate::Error;
use crate::config::Fill;
use crate::tokenizer::Tokenizer;

/// Tokens on either side of its mask that the generator sees: the clause, more or less. A whole window
/// for each suspect would cost the square of the window's length.
const CONTEXT: usize = 8;

/// Tokens from one mask to the next in a reading, at least. At this distance they hardly cost a
/// correction; masks side by side hide from the generator what it has to go by.
const APART: usize = 4;

/// Alternatives that a correction carries.
const ALTERNATIVES: usize = 5;

/// The corrections of every passage, and the suspects that were not corrected.
pub(super) fn correct(
    corrector: &mut Corrector,
    passages: &[Passage],
) -> Result<Vec<Vec<Correction>>, Error> {
    let settings = &corrector.detector.settings;
    let rounds = settings.rounds;
    let margin = settings.margin.unwrap_or(corrector.calibration.margins.of(settings.mode));
    let threshold = corrector.threshold();
    let mut read: Vec<Line> =
        passages.iter().map(|&passage| Line::new(&mut corrector.detector, passage)).collect();
    // All suspects, by line and token, as they were last looked at.
    let mut cases: HashMap<(usize, usize), Case> = HashMap::new();
    // Places that were tried: none is tried twice.
    let mut tried: HashSet<(usize, usize)> = HashSet::new();
    // The windows worth another round; at first all of them.
    let mut windows: Option<HashSet<(usize, usize)>> = None;
    for round in 1..=rounds {
        corrector.detector.read(&mut read)?;
        if round == 1 {
            corrector.detector.trace_reading(&read, threshold, margin);
        }
        let mut suspects = suspects(&corrector.detector, &read, threshold);
        suspects.retain(|suspect| {
            let is_open =
                windows.as_ref().is_none_or(|w| w.contains(&(suspect.line, suspect.window)));
            is_open && !tried.contains(&(suspect.line, suspect.at))
        });
        let proposals = propose(corrector, &read, &suspects)?;
        let Calibration { score, hopeless, .. } = corrector.calibration;
        let on_trial = on_trial(&suspects, &proposals, hopeless);
        let scored = (&proposals[..], &score);
        corrector.detector.trace_trials(round, &read, &suspects, scored, &on_trial);
        let mut trials = Vec::new();
        let mut again = HashSet::new();
        for ((suspect, options), outcome) in suspects.into_iter().zip(proposals).zip(on_trial) {
            match outcome {
                Trial::Now => {
                    let hearing = hearing(&read, &suspect, &options);
                    read[suspect.line].put(&suspect, options[0].candidate.id);
                    tried.insert((suspect.line, suspect.at));
                    trials.push((suspect, options, hearing));
                }
                Trial::Later | Trial::Never => {
                    if outcome == Trial::Later {
                        again.insert((suspect.line, suspect.window));
                    }
                    cases.insert((suspect.line, suspect.at), Case { suspect, options, won: None });
                }
            }
        }
        // What the windows on trial were before it: if nothing in one is kept, it is that again.
        let place = |suspect: &Suspect| (suspect.line, suspect.window);
        let before: HashMap<(usize, usize), Vec<f32>> = trials
            .iter()
            .map(|(suspect, ..)| (place(suspect), read[suspect.line].judged(suspect.window)))
            .collect();
        corrector.detector.read(&mut read)?;
        let mut kept = HashSet::new();
        for (suspect, options, hearing) in trials {
            let line = &mut read[suspect.line];
            let hearing = Hearing { after: line.logits[suspect.at], ..hearing };
            let weights = &corrector.calibration.verification;
            let score = verified(weights, &hearing);
            let wins = score >= margin;
            corrector.detector.trace_verdict(&suspect, line, &hearing.parts(weights), wins);
            match wins {
                true => drop(kept.insert(place(&suspect))),
                false => line.put(&suspect, suspect.id),
            }
            let won = wins.then_some(score);
            cases.insert((suspect.line, suspect.at), Case { suspect, options, won });
        }
        for ((line, window), logits) in before {
            if !kept.contains(&(line, window)) {
                read[line].restore(window, &logits);
            }
        }
        again.extend(kept);
        if again.is_empty() {
            break;
        }
        windows = Some(again);
    }
    let mut corrections = vec![Vec::new(); passages.len()];
    for ((line, _), case) in cases {
        corrections[line].push(case.into_correction(&read[line], &corrector.detector.tokenizer));
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
pub(super) fn on_trial(
    suspects: &[Suspect],
    proposals: &[Vec<Scored>],
    hopeless: f32,
) -> Vec<Trial> {
    let score = |i: usize| proposals[i].first().map_or(f32::NEG_INFINITY, |best| best.score);
    let beats = |i: usize, j: usize| {
        let (a, b) = (&suspects[i], &suspects[j]);
        a.line == b.line && a.at.abs_diff(b.at) == 1 && score(i) > score(j)
    };
    let trial = |i: usize| {
        if score(i) < hopeless {
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

/// A suspect, its candidates, and the verified score of the first of them if that took its place.
struct Case {
    suspect: Suspect,
    options: Vec<Scored>,
    won: Option<f32>,
}

impl Case {
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
            right: self.won.map(|_| text(self.options[0].candidate.id)),
            detection: probability(self.suspect.logit),
            confidence: probability(self.won.unwrap_or(self.suspect.logit)),
            alternatives: alternatives.collect(),
        }
    }
}

/// What is known of the best of `options` before it takes the place of `suspect`.
pub(super) fn hearing(lines: &[Line], suspect: &Suspect, options: &[Scored]) -> Hearing {
    let best = options[0].score;
    let next = options.get(1).map_or(f32::NEG_INFINITY, |next| next.score);
    Hearing {
        score: best,
        ahead: (best - next).min(Hearing::FAR_AHEAD),
        before: suspect.logit,
        after: suspect.logit,
        line: lines[suspect.line].mean_logit(suspect.window),
    }
}

/// Every character that reaches the threshold, line by line, left to right.
pub(super) fn suspects(detector: &Detector, lines: &[Line], threshold: f32) -> Vec<Suspect> {
    let threshold = logit(threshold);
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
    let Corrector { detector, generator, candidates, prior, calibration, .. } = corrector;
    let Detector { tokenizer, arenas, settings, stages, .. } = detector;
    if !suspects.is_empty() {
        stages.generator += prior.learn(generator, tokenizer, arenas)?;
    }
    let fill = generator.config().fill;
    let apart = match fill {
        Fill::Mask => APART,
        // What is seen hides nothing.
        Fill::Seen => 1,
    };
    let readings = readings(suspects, apart);
    let gap = |reading: &Vec<usize>| {
        let places = reading.iter().map(|&i| suspects[i].at);
        let (first, last) = (&suspects[reading[0]], &suspects[reading[reading.len() - 1]]);
        let line = &lines[first.line];
        let window = &line.windows[first.window].tokens;
        let start = window.start.max(first.at.saturating_sub(CONTEXT));
        let end = window.end.min(last.at + CONTEXT + 1);
        let at = places.map(|place| place - start).collect();
        Gap::new(fill, tokenizer, line.ids[start..end].to_vec(), at)
    };
    let gaps: Vec<Gap> = readings.iter().map(gap).collect();
    let mut proposals = vec![Vec::new(); suspects.len()];
    let begin = Instant::now();
    let network = filled(generator, tokenizer, &gaps, arenas, |gap, place, logits| {
        let i = readings[gap][place];
        let suspect = &suspects[i];
        let written = lines[suspect.line].written(settings.script);
        let candidates = candidates.of(tokenizer, suspect.id, written);
        let logits = (logits, log_sum_exp(generator.isa(), logits));
        let mut options = options(tokenizer, candidates, written, settings.top_k, suspect, logits);
        for Scored { candidate, evidence, .. } in &mut options {
            evidence.prior = prior.odds(suspect.id, candidate.id);
        }
        rescore(&calibration.score, &mut options);
        proposals[i] = options;
    })?;
    stages.generator += network;
    stages.tokens.generator += count(gaps.iter().map(|gap| &gap.ids[..]));
    stages.scoring += begin.elapsed().saturating_sub(network);
    Ok(proposals)
}

/// Which suspects are asked for in one reading: those of a window that are at least `apart`, and so no
/// part of what the generator needs to know of each other.
fn readings(suspects: &[Suspect], apart: usize) -> Vec<Vec<usize>> {
    let mut readings: Vec<Vec<usize>> = Vec::new();
    // Those of the window that the suspects have come to.
    let mut open = 0;
    for (i, suspect) in suspects.iter().enumerate() {
        let is_elsewhere = |&first: &usize| {
            let first = &suspects[first];
            (first.line, first.window) != (suspect.line, suspect.window)
        };
        if readings.get(open).is_some_and(|reading| is_elsewhere(&reading[0])) {
            open = readings.len();
        }
        let fits = |reading: &&mut Vec<usize>| {
            let last = &suspects[reading[reading.len() - 1]];
            suspect.at - last.at >= apart
        };
        match readings[open..].iter_mut().find(fits) {
            Some(reading) => reading.push(i),
            None => readings.push(vec![i]),
        }
    }
    readings
}

/// The candidates for one suspect, and the generator's own, not yet scored; given the logits and
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
        let Some((o, c)) = original.zip(single(tokenizer.token(id))) else { continue };
        if is_new && is_han_char(c) && written.admits(o, c) {
            found.push(Candidate { id, sound: 0.0, shape: 0.0 });
        }
    }
    let options = found.into_iter().map(|candidate| {
        let evidence = Evidence {
            chosen: logits[candidate.id as usize] - whole,
            original: logits[suspect.id as usize] - whole,
            prior: 0.0,
            suspicion: suspect.logit,
            sound: candidate.sound,
            shape: candidate.shape,
        };
        Scored { candidate, evidence, score: 0.0 }
    });
    options.collect()
}

/// Scores the candidates anew and puts the best first.
pub(super) fn rescore(weights: &Weights, options: &mut [Scored]) {
    for option in options.iter_mut() {
        option.score = score(weights, &option.evidence);
    }
    options.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.candidate.id.cmp(&b.candidate.id)));
}
