//! What a run of the corrector saw and did, told to whoever asks why.
//!
//! Each policy tells its [`Trace`] what it read, considered and decided, at the place where that
//! happens: an explanation is the account of a real run, never a second opinion. Where nobody
//! asked, a call is one branch.

use std::ops::Range;

use super::detector::{Detector, Line, is_han_char};
use super::rounds::{Scored, Suspect, Trial};
use super::scorer::{Part, Weights};
use super::{Correction, Passage, probability, single};

/// Why a passage was corrected as it was. Spans are bytes of [`Explanation::text`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explanation {
    /// The passage as the networks read it: after the user's own decisions.
    pub text: String,
    /// What the discriminator first said of each token that it read.
    pub tokens: Vec<Token>,
    /// The probability from which a character was a suspect.
    pub threshold: f32,
    /// By how much a change had to win; `compat` weighs nothing.
    pub margin: Option<f32>,
    /// The suspects of every round, in the order in which they were looked at.
    pub suspects: Vec<Suspicion>,
    /// What came of it, in bytes of the passage itself.
    pub corrections: Vec<Correction>,
}

/// A token as the discriminator first read it.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// Where it stands.
    pub span: Range<usize>,
    /// That it was replaced.
    pub probability: f32,
    /// Whether it could have been a suspect.
    pub standing: Standing,
}

/// Whether a token can be a suspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A Han character that the vocabulary knows.
    Open,
    /// A Han character that has to stay.
    Frozen,
    /// Anything else is never flagged.
    Exempt,
}

/// A suspect, what was considered for its place, and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspicion {
    /// The round that looked at it, from 1.
    pub round: usize,
    /// Where it stands.
    pub span: Range<usize>,
    /// That it was replaced, as the discriminator said in this round.
    pub probability: f32,
    /// The generator's probability for the character itself.
    pub own: Option<f32>,
    /// What was considered, best first.
    pub options: Vec<Considered>,
    /// The second look at the best option, if it came to that.
    pub verification: Option<Verification>,
    /// What was decided in this round.
    pub verdict: Verdict,
}

/// A candidate for a place.
#[derive(Clone, Debug, PartialEq)]
pub struct Considered {
    /// The token.
    pub text: String,
    /// The generator's probability for it.
    pub probability: f32,
    /// Whether the policy lets it take the place at all; only `compat` looks at others.
    pub is_eligible: bool,
    /// Its score, where the policy weighs evidence: the sum of its parts.
    pub score: Option<f32>,
    /// What the score is made of.
    pub parts: Vec<Part>,
}

/// The discriminator's word on the corrected sentence.
#[derive(Clone, Debug, PartialEq)]
pub struct Verification {
    /// The probability that the new character was replaced.
    pub probability: f32,
    /// The verified score: the sum of its parts.
    pub score: f32,
    /// What it is made of.
    pub parts: Vec<Part>,
}

/// What was decided on a suspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The best option took its place.
    Changed,
    /// The best option was on trial and did not win by the margin.
    TakenBack,
    /// No option was worth a trial.
    Hopeless,
    /// An option of its neighbour was better: that was tried first.
    Outranked,
    /// It has to stay, whatever it looks like.
    Frozen,
    /// The generator expects it where it stands (`compat`).
    Expected,
    /// Nothing that the generator proposed may take its place (`compat`).
    Unmatched,
}

/// The account of a run; off unless somebody asked.
#[derive(Default)]
pub(super) struct Trace {
    /// One for each passage.
    lines: Option<Vec<Explanation>>,
}

impl Trace {
    /// Of a run over so many passages.
    pub(super) fn of(passages: usize) -> Trace {
        Trace { lines: Some(vec![Explanation::default(); passages]) }
    }

    /// What was told, with what came of it.
    pub(super) fn finish(self, corrections: Vec<Vec<Correction>>) -> Vec<Explanation> {
        let lines = self.lines.unwrap_or_default().into_iter().zip(corrections);
        lines.map(|(line, corrections)| Explanation { corrections, ..line }).collect()
    }

    /// The account of `line`, if anybody asked for one.
    pub(super) fn line(&mut self, line: usize) -> Option<&mut Explanation> {
        self.lines.as_mut().map(|lines| &mut lines[line])
    }
}

/// What `rounds` tells.
impl Detector {
    /// The first reading is done, of which characters are suspects from `threshold` on.
    pub(super) fn trace_reading(&mut self, lines: &[Line], threshold: f32, margin: f32) {
        for (l, line) in lines.iter().enumerate() {
            let Some(told) = self.trace.line(l) else { return };
            let token = |at: usize| Token {
                span: line.spans[at].clone(),
                probability: probability(line.logits[at]),
                standing: Standing::of(
                    line.passage,
                    &line.spans[at],
                    line.can_be_wrong(at, &self.tokenizer),
                ),
            };
            let tokens: Vec<Token> = (0..line.ids.len()).map(token).collect();
            told.read(line.passage.text, tokens, threshold);
            told.margin = Some(margin);
        }
    }

    /// The suspects of a round have their options, and which of these go on trial is known.
    pub(super) fn trace_trials(
        &mut self,
        round: usize,
        lines: &[Line],
        suspects: &[Suspect],
        (proposals, weights): (&[Vec<Scored>], &Weights),
        trials: &[Trial],
    ) {
        for ((suspect, options), trial) in suspects.iter().zip(proposals).zip(trials) {
            let Some(told) = self.trace.line(suspect.line) else { return };
            let considered = options.iter().map(|option| Considered {
                text: self.tokenizer.token(option.candidate.id).to_owned(),
                probability: option.evidence.chosen.exp(),
                is_eligible: true,
                score: Some(option.score),
                parts: option.evidence.parts(weights),
            });
            told.suspects.push(Suspicion {
                round,
                span: lines[suspect.line].spans[suspect.at].clone(),
                probability: probability(suspect.logit),
                own: options.first().map(|option| option.evidence.original.exp()),
                options: considered.collect(),
                verification: None,
                verdict: match trial {
                    Trial::Now => Verdict::TakenBack,
                    Trial::Later => Verdict::Outranked,
                    Trial::Never => Verdict::Hopeless,
                },
            });
        }
    }

    /// What stands on trial for `suspect` was read again, which makes the verified score of `parts`, and
    /// is kept or taken back.
    pub(super) fn trace_verdict(
        &mut self,
        suspect: &Suspect,
        line: &Line,
        parts: &[Part],
        is_kept: bool,
    ) {
        let Some(told) = self.trace.line(suspect.line) else { return };
        let span = &line.spans[suspect.at];
        let last = told.suspects.iter_mut().rev().find(|told| told.span == *span);
        let last = last.expect("a trial is told of before its outcome");
        let probability = probability(line.logits[suspect.at]);
        let score = parts.iter().map(Part::product).sum();
        last.verification = Some(Verification { probability, score, parts: parts.to_vec() });
        last.verdict = if is_kept { Verdict::Changed } else { Verdict::TakenBack };
    }
}

impl Standing {
    /// Of what stands at `span`, given whether its policy could have flagged it.
    pub(super) fn of(passage: Passage, span: &Range<usize>, is_open: bool) -> Standing {
        let is_han = || single(&passage.text[span.clone()]).is_some_and(is_han_char);
        match is_open {
            true => Standing::Open,
            false if passage.is_frozen(span) && is_han() => Standing::Frozen,
            false => Standing::Exempt,
        }
    }
}

impl Explanation {
    /// Adds what was read, a whole passage or a part of it.
    pub(super) fn read(&mut self, text: &str, tokens: Vec<Token>, threshold: f32) {
        if self.text.is_empty() {
            self.text.push_str(text);
        }
        self.threshold = threshold;
        // What has to stay is no suspect, and a reader wonders why: it is told of first.
        let frozen = tokens
            .iter()
            .filter(|token| token.standing == Standing::Frozen && token.probability >= threshold);
        self.suspects.extend(frozen.map(|token| Suspicion {
            round: 1,
            span: token.span.clone(),
            probability: token.probability,
            own: None,
            options: Vec::new(),
            verification: None,
            verdict: Verdict::Frozen,
        }));
        self.tokens.extend(tokens);
    }
}
