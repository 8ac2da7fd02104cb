//! What the corrector saw in sentences whose right form is known, and what it should have chosen.

use super::newton::Choice;
use crate::Error;
use crate::corrector::Corrector;
use crate::corrector::detector::Line;
use crate::corrector::rounds::{Suspect, Trial, hearing, on_trial, propose, suspects};
use crate::corrector::scorer::{Hearing, TERMS, VERIFICATION_TERMS};
use crate::evaluation::Pair;

/// Every suspect in `pairs`, with what should have been chosen.
pub fn choices(corrector: &mut Corrector, pairs: &[Pair]) -> Result<Vec<Choice<TERMS>>, Error> {
    let (lines, suspects) = read(corrector, pairs)?;
    let proposals = propose(corrector, &lines, &suspects)?;
    let choices = suspects.iter().zip(proposals).map(|(suspect, options)| {
        let truth = meant(corrector, &pairs[suspect.line], &lines[suspect.line], suspect.at);
        Choice {
            terms: options.iter().map(|option| option.evidence.terms()).collect(),
            truth: options.iter().position(|option| Some(option.candidate.id) == truth),
        }
    });
    Ok(choices.collect())
}

/// What the discriminator says after the best candidates took their places for a trial, as the
/// policy would have it: for each a choice between it and what stood there.
pub fn verifications(
    corrector: &mut Corrector,
    pairs: &[Pair],
) -> Result<Vec<Choice<VERIFICATION_TERMS>>, Error> {
    let (mut lines, suspects) = read(corrector, pairs)?;
    let proposals = propose(corrector, &lines, &suspects)?;
    let on_trial = on_trial(&suspects, &proposals, corrector.calibration.hopeless);
    let mut applied = Vec::new();
    for ((suspect, options), trial) in suspects.iter().zip(&proposals).zip(on_trial) {
        if trial == Trial::Now {
            let hearing = hearing(&lines, suspect, options);
            let truth = meant(corrector, &pairs[suspect.line], &lines[suspect.line], suspect.at);
            let id = options[0].candidate.id;
            applied.push((*suspect, id, hearing, truth == Some(id)));
        }
    }
    for (suspect, id, ..) in &applied {
        lines[suspect.line].put(suspect, *id);
    }
    corrector.detector.read(&mut lines)?;
    let choices = applied.into_iter().map(|(suspect, _, hearing, is_right)| {
        let hearing = Hearing { after: lines[suspect.line].logits[suspect.at], ..hearing };
        Choice { terms: vec![hearing.terms()], truth: is_right.then_some(0) }
    });
    Ok(choices.collect())
}

/// The discriminator's logit for every character of `pairs` that could be wrong.
pub fn logits(
    corrector: &mut Corrector,
    pairs: &[Pair],
    logits: &mut Vec<f32>,
) -> Result<(), Error> {
    let detector = &mut corrector.detector;
    let mut lines: Vec<Line> =
        pairs.iter().map(|pair| Line::new(detector, pair.wrong.as_str().into())).collect();
    detector.read(&mut lines)?;
    for line in &lines {
        let open = (0..line.ids.len()).filter(|&at| line.can_be_wrong(at, &detector.tokenizer));
        logits.extend(open.map(|at| line.logits[at]));
    }
    Ok(())
}

fn read<'a>(
    corrector: &mut Corrector,
    pairs: &'a [Pair],
) -> Result<(Vec<Line<'a>>, Vec<Suspect>), Error> {
    let threshold = corrector.threshold();
    let detector = &mut corrector.detector;
    let mut lines: Vec<Line> =
        pairs.iter().map(|pair| Line::new(detector, pair.wrong.as_str().into())).collect();
    detector.read(&mut lines)?;
    let suspects = suspects(detector, &lines, threshold);
    Ok((lines, suspects))
}

/// The id of the character that should stand at token `at`, where it is not what stands there.
fn meant(corrector: &Corrector, pair: &Pair, line: &Line, at: usize) -> Option<u32> {
    let place = pair.wrong[..line.spans[at].start].chars().count();
    let right = pair.right.chars().nth(place)?;
    let id = corrector.detector.tokenizer.id(right.encode_utf8(&mut [0; 4]))?;
    (id != line.ids[at]).then_some(id)
}
