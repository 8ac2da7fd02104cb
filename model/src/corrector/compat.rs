//! `--policy compat`: the ELECTRA corrector of pycorrector, step by step.
//!
//! 1. The line is split into blocks: runs of Han characters (U+4E00–U+9FA5), Latin letters,
//!    digits and `+#&`. What lies between is passed over. A block is read without its context.
//! 2. The discriminator flags the tokens whose logit is above 0.
//! 3. From left to right, each flagged Han character is masked and the generator asked, the
//!    corrections made so far in place. If the character is among the top five of the whole
//!    vocabulary it stays; else the first of the five that is a candidate (same sound
//!    without tone, or near in shape) takes its place.
//!
//! Three things differ. It used the index of a token as that of a character; here spans say
//! where a token lies. It failed on blocks of more than 510 tokens; a longer block is read in
//! pieces. It could flag `[UNK]`; nobody can say what is wrong with a character that the
//! vocabulary lacks. (Source: pycorrector at 816ed87, `pycorrector/electra/electra_corrector.py`.)

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Instant;

use zhengzi_kernels::log_sum_exp::log_sum_exp;

use super::detector::Detector;
use super::detector::count;
use super::reading::{Gap, filled, top};
use super::trace::{Considered, Standing, Suspicion, Token, Verdict};
use super::{Alternative, Correction, Corrector, Passage, Similarity, probability, single};
use crate::Error;
use crate::tokenizer::Tokenizer;

/// How many of the generator's proposals are looked at.
const TOP: usize = 5;

/// The probability of the logit above which a token is flagged.
const FLAGGED: f32 = 0.5;

/// The flagged characters of every line.
pub(super) fn detect(
    detector: &mut Detector,
    lines: &[Passage],
) -> Result<Vec<Vec<Correction>>, Error> {
    let mut findings = vec![Vec::new(); lines.len()];
    for piece in flagged_pieces(detector, lines)? {
        for &(at, logit) in &piece.flagged {
            let span = piece.spans[at].clone();
            findings[piece.line].push(Correction::suspicion(lines[piece.line].text, span, logit));
        }
    }
    Ok(findings)
}

/// The corrections of every line.
pub(super) fn correct(
    corrector: &mut Corrector,
    lines: &[Passage],
) -> Result<Vec<Vec<Correction>>, Error> {
    let mut pieces = flagged_pieces(&mut corrector.detector, lines)?;
    let mut corrections = vec![Vec::new(); lines.len()];
    let Corrector {
        generator, detector: Detector { tokenizer, arenas, stages, trace, .. }, ..
    } = corrector;
    // Pieces do not see each other: the n-th flagged character of all of them is one batch.
    while !pieces.is_empty() {
        let asked: Vec<(usize, f32)> = pieces
            .iter_mut()
            .map(|piece| piece.flagged.pop_front().expect("decided pieces are dropped"))
            .collect();
        let gaps: Vec<Gap> = pieces
            .iter()
            .zip(&asked)
            .map(|(piece, &(at, _))| {
                Gap::new(generator.config().fill, tokenizer, piece.ids.clone(), vec![at])
            })
            .collect();
        let begin = Instant::now();
        let network = filled(generator, tokenizer, &gaps, arenas, |gap, _, logits| {
            let (piece, (at, logit)) = (&mut pieces[gap], asked[gap]);
            let original = piece.ids[at];
            let best = top(logits, TOP);
            let choice = choose(tokenizer, original, &best);
            let whole = log_sum_exp(generator.isa(), logits);
            let confidence = |id: u32| (logits[id as usize] - whole).exp();
            if let Some(told) = trace.line(piece.line) {
                let near = near(tokenizer, original);
                told.suspects.push(Suspicion {
                    round: 1,
                    span: piece.spans[at].clone(),
                    probability: probability(logit),
                    own: Some(confidence(original)),
                    options: best
                        .iter()
                        .map(|&id| Considered {
                            text: tokenizer.token(id).to_owned(),
                            probability: confidence(id),
                            is_eligible: is_among(&near, tokenizer, id),
                            score: None,
                            parts: Vec::new(),
                        })
                        .collect(),
                    verification: None,
                    verdict: choice.err().unwrap_or(Verdict::Changed),
                });
            }
            if let Ok(chosen) = choice {
                let alternatives = best.iter().map(|&id| Alternative {
                    text: tokenizer.token(id).to_owned(),
                    probability: confidence(id),
                });
                corrections[piece.line].push(Correction {
                    span: piece.spans[at].clone(),
                    wrong: tokenizer.token(original).to_owned(),
                    right: Some(tokenizer.token(chosen).to_owned()),
                    detection: probability(logit),
                    confidence: confidence(chosen),
                    alternatives: alternatives.collect(),
                });
                piece.ids[at] = chosen;
            }
        })?;
        stages.generator += network;
        stages.tokens.generator += count(gaps.iter().map(|gap| &gap.ids[..]));
        stages.scoring += begin.elapsed().saturating_sub(network);
        pieces.retain(|piece| !piece.flagged.is_empty());
    }
    for line in &mut corrections {
        line.sort_by_key(|correction| correction.span.start);
    }
    Ok(corrections)
}

/// What of the generator's `best` replaces the Han character `original`, or why nothing does.
fn choose(tokenizer: &Tokenizer, original: u32, best: &[u32]) -> Result<u32, Verdict> {
    if best.contains(&original) {
        return Err(Verdict::Expected);
    }
    let near = near(tokenizer, original);
    let chosen = best.iter().copied().find(|&id| is_among(&near, tokenizer, id));
    chosen.ok_or(Verdict::Unmatched)
}

/// The characters that may replace `original`: of the same sound, or near in shape.
fn near(tokenizer: &Tokenizer, original: u32) -> Vec<char> {
    let Some(wrong) = single(tokenizer.token(original)) else { return Vec::new() };
    let similarity = Similarity::builtin();
    let mut near = similarity.same_sound(wrong);
    near.extend(similarity.near_in_shape(wrong).into_iter().map(|(c, _)| c));
    near
}

fn is_among(near: &[char], tokenizer: &Tokenizer, id: u32) -> bool {
    single(tokenizer.token(id)).is_some_and(|c| near.contains(&c))
}

/// A block, or a piece of one that is too long, as it is read.
struct Piece {
    line: usize,
    ids: Vec<u32>,
    /// Bytes of the line.
    spans: Vec<Range<usize>>,
    /// Flagged Han characters not yet decided: place in `ids`, logit.
    flagged: VecDeque<(usize, f32)>,
}

/// The pieces in which the discriminator flagged a Han character.
fn flagged_pieces(detector: &mut Detector, lines: &[Passage]) -> Result<Vec<Piece>, Error> {
    let max = detector.window();
    let mut pieces = Vec::new();
    for (line, &passage) in lines.iter().enumerate() {
        if let Some(told) = detector.trace.line(line) {
            told.read(passage.text, Vec::new(), FLAGGED);
        }
        for block in blocks(passage.text) {
            let encoding = detector.encode(&passage.text[block.clone()]);
            let spans: Vec<_> = encoding
                .spans
                .iter()
                .map(|span| block.start + span.start..block.start + span.end)
                .collect();
            for (ids, spans) in encoding.ids.chunks(max).zip(spans.chunks(max)) {
                // Nothing can be flagged where there is no Han character, or all are frozen.
                if spans.iter().any(|span| is_open_han(passage, span)) {
                    let (ids, spans) = (ids.to_vec(), spans.to_vec());
                    pieces.push(Piece { line, ids, spans, flagged: VecDeque::new() });
                }
            }
        }
    }
    let sequences: Vec<&[u32]> = pieces.iter().map(|piece| &piece.ids[..]).collect();
    let logits = detector.replaced(&sequences)?;
    for (piece, logits) in pieces.iter_mut().zip(logits) {
        if let Some(told) = detector.trace.line(piece.line) {
            let passage = lines[piece.line];
            let token = |(span, logit): (&Range<usize>, &f32)| Token {
                span: span.clone(),
                probability: probability(*logit),
                standing: Standing::of(passage, span, is_open_han(passage, span)),
            };
            let tokens = piece.spans.iter().zip(&logits).map(token).collect();
            told.read(passage.text, tokens, FLAGGED);
        }
        let flagged = logits.into_iter().enumerate().filter(|&(at, logit)| {
            let is_open = is_open_han(lines[piece.line], &piece.spans[at]);
            // A character outside the vocabulary is [UNK], and nobody can say what is wrong with it.
            logit > 0.0 && is_open && piece.ids[at] != detector.tokenizer.unk()
        });
        piece.flagged = flagged.collect();
    }
    pieces.retain(|piece| !piece.flagged.is_empty());
    Ok(pieces)
}

/// Byte ranges of the runs of `[\u{4E00}-\u{9FA5}a-zA-Z0-9+#&]`.
fn blocks(text: &str) -> Vec<Range<usize>> {
    let mut blocks: Vec<Range<usize>> = Vec::new();
    for (at, c) in text.char_indices() {
        if matches!(c, '\u{4E00}'..='\u{9FA5}' | 'a'..='z' | 'A'..='Z' | '0'..='9' | '+' | '#' | '&')
        {
            let end = at + c.len_utf8();
            match blocks.last_mut() {
                Some(block) if block.end == at => block.end = end,
                _ => blocks.push(at..end),
            }
        }
    }
    blocks
}

/// One character of U+4E00–U+9FA5, the range that pycorrector calls Chinese, and not frozen.
fn is_open_han(passage: Passage, span: &Range<usize>) -> bool {
    let is_han = |c| ('\u{4E00}'..='\u{9FA5}').contains(&c);
    single(&passage.text[span.clone()]).is_some_and(is_han) && !passage.is_frozen(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_runs_of_han_latin_digits_and_three_signs() {
        let text = "我用iPhone12，拍 照+#&。𠀀好";
        let found: Vec<&str> = blocks(text).into_iter().map(|block| &text[block]).collect();
        assert_eq!(found, ["我用iPhone12", "拍", "照+#&", "好"]);
    }
}
