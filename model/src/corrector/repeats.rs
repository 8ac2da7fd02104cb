//! A mistake that a document repeats is decided once.
//!
//! Who types 因该 for 应该 does so again, but not every sentence makes the corrector sure of it. A change
//! that wins somewhere is therefore made in the other places of the same word, if
//!
//! - the character is a suspect there, and the same candidate is its best one;
//! - the change has won in a third of all places of the word in the document, at least. A word that is
//!   hardly ever suspected is a word of its text: its one wrong correction must not spread.
//!
//! A word is the character and a Han character beside it, before or behind. `docs/correction.md`, "Repeated
//! errors", has the figures of this rule and of others.

use std::collections::HashMap;

use super::detector::is_han_char;
use super::{Correction, single};

/// Of how many places of a word one has to have won.
const PLACES: usize = 3;

/// A suspect and the character beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Word {
    Before(char, char),
    Behind(char, char),
}

/// What became of a word.
#[derive(Default)]
struct Fate {
    /// Places of the word in the document.
    places: usize,
    /// What took the character's place, how often, and how sure the corrector was at best.
    changes: Vec<(String, usize, f32)>,
}

/// Decides what [`Corrector::examine`](super::Corrector::examine) left open in the texts of a document: a
/// suspicion becomes the change that the same word underwent elsewhere, of several the surest, or goes away.
pub fn settle(texts: &[&str], found: &mut [Vec<Correction>]) {
    assert_eq!(texts.len(), found.len(), "what was found in each text");
    let fates = fates(texts, found);
    for (text, found) in texts.iter().zip(found) {
        for doubt in found.iter_mut().filter(|doubt| doubt.right.is_none()) {
            let Some(best) = doubt.alternatives.first().map(|best| best.text.clone()) else {
                continue;
            };
            let decides = |fate: &Fate| {
                let (_, won, confidence) =
                    fate.changes.iter().find(|(right, ..)| *right == best)?;
                (won * PLACES >= fate.places).then_some(*confidence)
            };
            let surest = words(text, doubt)
                .filter_map(|word| decides(fates.get(&word)?))
                .max_by(f32::total_cmp);
            if let Some(confidence) = surest {
                (doubt.right, doubt.confidence) = (Some(best), confidence);
            }
        }
        found.retain(|correction| correction.right.is_some());
    }
}

/// The words that were changed somewhere.
fn fates(texts: &[&str], found: &[Vec<Correction>]) -> HashMap<Word, Fate> {
    let mut fates: HashMap<Word, Fate> = HashMap::new();
    for (text, found) in texts.iter().zip(found) {
        for change in found {
            let Some(right) = &change.right else { continue };
            for word in words(text, change) {
                let changes = &mut fates.entry(word).or_default().changes;
                match changes.iter_mut().find(|(known, ..)| known == right) {
                    Some((_, won, confidence)) => {
                        *won += 1;
                        *confidence = confidence.max(change.confidence);
                    }
                    None => changes.push((right.clone(), 1, change.confidence)),
                }
            }
        }
    }
    if !fates.is_empty() {
        for text in texts {
            for (a, b) in text.chars().zip(text.chars().skip(1)) {
                for word in [Word::Before(a, b), Word::Behind(a, b)] {
                    fates.entry(word).and_modify(|fate| fate.places += 1);
                }
            }
        }
    }
    fates
}

/// The words that a wrong character is part of: two, one, or none.
fn words(text: &str, correction: &Correction) -> impl Iterator<Item = Word> {
    let wrong = single(&correction.wrong);
    let before = text[..correction.span.start].chars().next_back().filter(|&c| is_han_char(c));
    let behind = text[correction.span.end..].chars().next().filter(|&c| is_han_char(c));
    let before = wrong.zip(before).map(|(wrong, c)| Word::Before(c, wrong));
    let behind = wrong.zip(behind).map(|(wrong, c)| Word::Behind(wrong, c));
    before.into_iter().chain(behind)
}

#[cfg(test)]
mod tests {
    use super::super::{Alternative, apply};
    use super::*;

    /// What was found at the first 因 of a text, whose best candidate is 应 unless it became another.
    fn at(text: &str, right: Option<&str>, confidence: f32) -> Correction {
        let start = text.find('因').expect("the text holds it");
        let candidate = |text: &str| Alternative { text: text.into(), probability: 0.1 };
        Correction {
            span: start..start + '因'.len_utf8(),
            wrong: "因".into(),
            right: right.map(str::to_owned),
            detection: 0.5,
            confidence,
            alternatives: vec![candidate(right.unwrap_or("应")), candidate("音")],
        }
    }

    /// The texts with all that is decided of what was found in them; where confidence is 0, nothing was.
    fn settled(found: &[(&str, Option<&str>, f32)]) -> Vec<String> {
        let texts: Vec<&str> = found.iter().map(|one| one.0).collect();
        let suspect = |&(text, right, confidence): &(&str, Option<&str>, f32)| {
            (confidence > 0.0).then(|| at(text, right, confidence)).into_iter().collect()
        };
        let mut corrections: Vec<Vec<Correction>> = found.iter().map(suspect).collect();
        settle(&texts, &mut corrections);
        texts.iter().zip(&corrections).map(|(text, found)| apply(text, found)).collect()
    }

    #[test]
    fn what_wins_once_is_made_wherever_the_word_is_suspected() {
        let won = ("你因该来", Some("应"), 0.9);
        let made = settled(&[won, ("我因该去", None, 0.2), ("他因该不去", None, 0.2)]);
        assert_eq!(made, ["你应该来", "我应该去", "他应该不去"]);
        // The same character in another word, and where it is no suspect.
        let kept = settled(&[won, ("因为下雨", None, 0.2), ("我因该去", None, 0.0)]);
        assert_eq!(kept, ["你应该来", "因为下雨", "我因该去"]);
        // The other character of the word may stand before it.
        let made = settled(&[("不因。", Some("应"), 0.9), ("不因", None, 0.2)]);
        assert_eq!(made, ["不应。", "不应"]);
    }

    #[test]
    fn a_word_that_is_hardly_ever_changed_is_right() {
        let won = ("你因该来", Some("应"), 0.9);
        let other = ("我因该去", None, 0.0);
        let kept = settled(&[won, ("他因该去", None, 0.2), other, other]);
        assert_eq!(kept[1], "他因该去", "one of four");
        let made = settled(&[won, won, ("他因该去", None, 0.2), other, other, other]);
        assert_eq!(made[2], "他应该去", "two of six");
    }

    #[test]
    fn what_is_not_the_best_candidate_or_no_word_stays() {
        let kept = settled(&[("你因该来", Some("音"), 0.9), ("我因该去", None, 0.2)]);
        assert_eq!(kept, ["你音该来", "我因该去"]);
        let kept = settled(&[("，因。", Some("应"), 0.9), ("，因。", None, 0.2)]);
        assert_eq!(kept, ["，应。", "，因。"]);
    }

    #[test]
    fn the_confidence_is_that_of_the_surest_place() {
        let texts = ["你因该来", "他因该来", "我因该去", "无"];
        let [sure, surer] = [0.7, 0.9].map(|confidence| vec![at(texts[0], Some("应"), confidence)]);
        let mut found = vec![sure, surer, vec![at(texts[2], None, 0.2)], vec![]];
        settle(&texts, &mut found);
        assert_eq!((found[2][0].confidence, found[2][0].detection), (0.9, 0.5));
        assert!(found[3].is_empty());
    }
}
