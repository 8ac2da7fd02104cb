//! What a character is mistaken for: by sound, by shape, or for any other.
//!
//! ```text
//! by sound   candidates of the table that sound alike:   weight  sound⁴ · √frequency
//! by shape   candidates that look alike:                 weight  shape⁴ · √frequency
//! any        common characters, not of another script:  weight  √frequency
//! ```
//!
//! An input method offers frequent characters first, and whoever mistypes seldom hits on a rare one: hence the
//! frequency (Unihan's count), under a root, since the discriminator is to know the others too. The fourth power keeps
//! near sounds behind equal ones. Only characters of the vocabulary are replaced, and only by such.

use super::Random;
use crate::corrector::{Similarity, single};
use crate::tokenizer::Tokenizer;

/// How often a character is mistaken, for what.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// For one that sounds alike: a share of the characters.
    pub sound: f64,
    /// For one that looks alike.
    pub shape: f64,
    /// For any.
    pub any: f64,
}

impl Rates {
    /// Together.
    pub fn sum(&self) -> f64 {
        self.sound + self.shape + self.any
    }
}

/// Ids, each with the sum of its weight and all before it.
type Wheel = Vec<(u32, f32)>;

/// For each id of a vocabulary what it is mistaken for.
pub struct Confusions {
    by_sound: Vec<Wheel>,
    by_shape: Vec<Wheel>,
    any: Wheel,
    /// Whether the standards of the mainland, and Taiwan's, hold it.
    standards: Vec<[bool; 2]>,
}

/// How often another character is drawn where the first is of another script.
const TRIES: usize = 8;

impl Confusions {
    /// Those among the tokens of a vocabulary.
    pub fn new(tokenizer: &Tokenizer) -> Confusions {
        let table = Similarity::builtin();
        let (mut by_sound, mut by_shape, mut any) = (Vec::new(), Vec::new(), Vec::new());
        let mut standards = Vec::new();
        // The table counts in log₂: half of it under the root.
        let weight =
            |ch: char, likeness: f32| likeness.powi(4) * (table.log_frequency(ch) / 2.0).exp2();
        for id in 0..tokenizer.len() as u32 {
            let own = single(tokenizer.token(id));
            let (mut sound, mut shape) = (Vec::new(), Vec::new());
            for near in own.map(|own| table.candidates(own)).unwrap_or_default() {
                let Some(id) = tokenizer.id(near.ch.encode_utf8(&mut [0; 4])) else { continue };
                if near.sound >= Similarity::NEAR_SOUND {
                    sound.push((id, weight(near.ch, near.sound)));
                }
                if near.shape > 0.0 {
                    shape.push((id, weight(near.ch, near.shape)));
                }
            }
            standards.push(own.map_or([false; 2], |c| [table.is_mainland(c), table.is_taiwan(c)]));
            by_sound.push(wheel(sound));
            by_shape.push(wheel(shape));
            if let Some(own) = own.filter(|&own| table.is_common(own)) {
                any.push((id, weight(own, 1.0)));
            }
        }
        Confusions { by_sound, by_shape, any: wheel(any), standards }
    }

    /// What `id` is mistaken for, by these rates: nearly always for nothing. A character that nothing sounds or
    /// looks like is then mistaken for none.
    pub fn draw(&self, id: u32, rates: &Rates, random: &mut Random) -> Option<u32> {
        // What was not read as a Han character alone has no wheel and is left.
        let [sound, shape] = [&self.by_sound, &self.by_shape].map(|all| &all[id as usize]);
        let (which, at) = (random.uniform(), random.uniform());
        if sound.is_empty() && shape.is_empty() {
            return None;
        }
        let other = match which {
            x if x < rates.sound => spin(sound, at)?,
            x if x < rates.sound + rates.shape => spin(shape, at)?,
            x if x < rates.sum() => (0..TRIES)
                .filter_map(|_| spin(&self.any, random.uniform()))
                .find(|&other| !self.are_apart(id, other))?,
            _ => return None,
        };
        Some(other).filter(|&other| other != id)
    }

    /// Whether no text is written in the scripts of both.
    fn are_apart(&self, a: u32, b: u32) -> bool {
        let [a, b] = [a, b].map(|id| self.standards[id as usize]);
        matches!((a, b), ([true, false], [false, true]) | ([false, true], [true, false]))
    }
}

/// The id at a place of the wheel, 0 to 1.
fn spin(wheel: &Wheel, at: f64) -> Option<u32> {
    let (_, sum) = *wheel.last()?;
    let at = (at * f64::from(sum)) as f32;
    let place = wheel.partition_point(|&(_, sum)| sum <= at).min(wheel.len() - 1);
    Some(wheel[place].0)
}

fn wheel(mut weights: Wheel) -> Wheel {
    let mut sum = 0.0;
    for (_, weight) in &mut weights {
        sum += *weight;
        *weight = sum;
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::Purpose;

    #[test]
    fn characters_are_mistaken_as_often_as_asked_and_for_what_is_alike() {
        let words =
            "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n心\n新\n欣\n必\n，\na\n的\n坐\n座\n做\n們\n门\n们";
        let tokenizer = Tokenizer::new(words.as_bytes(), "v", true, None).unwrap();
        let confusions = Confusions::new(&tokenizer);
        let mut random = Random::new(1, 0, Purpose::Confusing);
        let mut share = |token: &str, rates: Rates| {
            let id = tokenizer.id(token).unwrap();
            let drawn: Vec<Option<u32>> =
                (0..10_000).map(|_| confusions.draw(id, &rates, &mut random)).collect();
            let mut kinds: Vec<&str> =
                drawn.iter().flatten().map(|&id| tokenizer.token(id)).collect();
            let count = kinds.len();
            kinds.sort_unstable();
            kinds.dedup();
            (count, kinds.concat())
        };
        let (count, kinds) = share("心", Rates { sound: 0.2, ..Rates::default() });
        assert!((1850..2150).contains(&count) && kinds == "新欣", "{count} {kinds}");
        let (count, kinds) = share("心", Rates { shape: 0.2, ..Rates::default() });
        assert!((1850..2150).contains(&count) && kinds.contains('必'), "{count} {kinds}");
        let (count, kinds) = share("坐", Rates { any: 1.0, ..Rates::default() });
        assert!(count < 10_000 && kinds.contains('的') && kinds.contains('新'), "{kinds}");
        let (_, kinds) = share("们", Rates { any: 1.0, ..Rates::default() });
        assert!(kinds.contains('的') && !kinds.contains('們'), "{kinds}");
        for token in ["，", "a", "[MASK]"] {
            assert_eq!(share(token, Rates { any: 1.0, ..Rates::default() }).0, 0, "{token}");
        }
    }
}
