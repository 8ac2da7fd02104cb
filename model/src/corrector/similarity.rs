//! Which characters sound alike, and which look alike.
//!
//! A wrong character is seldom any character: it was typed by its sound or picked by its shape.
//! The table behind this module tells, for some twelve thousand Han characters, how each is read
//! and which others look like it. It is derived from the Unihan database and from the glyphs of
//! one font by `examples/make_similarity`; `data/NOTICE.md` holds the licences of both.
//!
//! * **Sound** of two characters: the best over their readings of `tone · initial · rest`, with
//!   the factors in `similarity/sound.rs`.
//! * **Shape** of two characters: `0.6 · cos(glyphs) + 0.4 · cos(Cangjie codes)`, in steps of
//!   0.04 from 0.4 upward, for the pairs in which one is among the other's nearest (16 everyday
//!   and 4 other common characters); 0 for any other pair. The `shape.rs` of the example
//!   defines both cosines.
//! * **Common** characters are the only ones ever proposed: the first 6,500 of the Table of
//!   General Standard Chinese Characters, the traditional forms of these, and the characters
//!   that Hong Kong teaches in primary school.
//! * **Script**: a text is written in one, so a character of the mainland's standards only is
//!   never proposed for one of Taiwan's only, nor the other way round.
//!
//! # The file
//!
//! `data/similarity.bin`, version 1; integers are little-endian, sections follow each other
//! without padding. An index of a character or syllable is its place in its section, from 0.
//!
//! ```text
//! 8 bytes  "ZZSIM" 0 0 1          magic, then the version
//! u64      checksum               FNV-1a of what follows, taken as 64-bit words, the last one
//!                                 filled with zeros: h = 0xcbf29ce484222325, then for each
//!                                 word h = (h ^ word) · 0x100000001b3 mod 2^64
//! u32 × 5  S, C, R, V, B          numbers of syllables, characters, readings and variant
//!                                 pairs; bytes of the last section
//! S × 6    syllables, ascending   ASCII letters padded with zeros; ü is v after n and l
//! C × u32  characters, ascending  bits 0–20 code point; 21 common; 22 in the standards of the
//!                                 mainland (GB 2312 or the General Standard table); 23 in Big5;
//!                                 24–31 frequency: round(15 · log2(1 + n))
//! R × u16  readings               bits 0–2 tone, 1 to 4, 5 neutral; 3–14 syllable;
//!                                 15 set on the last reading of a character.
//!                                 In order of characters, each one's commonest reading first
//! V × 2u16 variants, ascending    a, b: two characters, a < b
//! C × u16  lengths                of each character's list of neighbours in shape
//! B bytes  shapes                 for each character a in order, a number for each of its
//!                                 neighbours b > a, ascending: (b − previous b, at first − a)
//!                                 · 16 + level, as LEB128. Those before a were met already, so
//!                                 its list is at an end when it has its length;
//!                                 shape(a, b) = shape(b, a) = 0.4 + 0.04 · level
//! ```

mod sound;
mod table;

use std::sync::OnceLock;

use table::{Facts, Lists, Table};

pub use table::SimilarityError;

/// A reading of a character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading<'a> {
    /// Without tone, ü as `v` after n and l: `xin`, `lv`.
    pub syllable: &'a str,
    /// 1 to 4; 5 is the neutral tone.
    pub tone: u8,
}

impl std::fmt::Display for Reading<'_> {
    /// As a dictionary writes it: `xīn`, `lǜ`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&sound::with_tone_mark(self.syllable, self.tone))
    }
}

/// A character that could have been meant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The character.
    pub ch: char,
    /// As [`Similarity::sound`].
    pub sound: f32,
    /// As [`Similarity::shape`].
    pub shape: f32,
}

/// The table of sound and shape.
pub struct Similarity {
    table: Table,
    /// Syllable → the common characters read so, ascending.
    by_syllable: Lists<u16>,
}

impl Similarity {
    /// The least sound that makes a candidate: one near substitution in any tone (0.45 and up),
    /// two of the nearest kind in any (0.44), two of the next only in the same tone (0.42).
    /// Measured on the training errors, a lower bound adds characters and next to no hits.
    pub const NEAR_SOUND: f32 = 0.4;

    /// The table compiled into this program, read at the first call.
    pub fn builtin() -> &'static Self {
        static BUILTIN: OnceLock<Similarity> = OnceLock::new();
        BUILTIN.get_or_init(|| {
            Self::from_bytes(include_bytes!("../../data/similarity.bin"))
                .expect("the table in the repository is sound, as a test proves")
        })
    }

    /// Reads a table from the bytes of a file. Any bytes are safe to give.
    ///
    /// # Errors
    /// If the bytes are not a whole and sound table of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SimilarityError> {
        let table = Table::read(bytes)?;
        let mut by_syllable = Vec::new();
        for (index, _) in table.facts.iter().enumerate().filter(|(_, facts)| facts.common) {
            let readings = table.readings.get(index);
            for (i, &(syllable, _)) in readings.iter().enumerate() {
                // Two tones of one syllable make one entry.
                if readings[..i].iter().all(|&(earlier, _)| earlier != syllable) {
                    by_syllable.push((syllable, index as u16));
                }
            }
        }
        let by_syllable = Lists::grouped(table.syllables.len(), &by_syllable);
        Ok(Self { table, by_syllable })
    }

    /// Every character of the table, ascending.
    pub fn chars(&self) -> &[char] {
        &self.table.chars
    }

    /// Whether the table knows the character.
    pub fn contains(&self, ch: char) -> bool {
        self.index(ch).is_some()
    }

    /// Whether the character is one that may be proposed.
    pub fn is_common(&self, ch: char) -> bool {
        self.facts(ch).is_some_and(|facts| facts.common)
    }

    /// Whether the mainland's standards (GB 2312, the General Standard table) hold the character.
    pub fn is_mainland(&self, ch: char) -> bool {
        self.facts(ch).is_some_and(|facts| facts.mainland)
    }

    /// Whether Taiwan's Big5 holds the character.
    pub fn is_taiwan(&self, ch: char) -> bool {
        self.facts(ch).is_some_and(|facts| facts.taiwan)
    }

    /// How often the character, or its simplified form, occurs in a corpus of about a million
    /// characters: `log2(1 + n)`, 0 to 17. Unihan counts 3,800 characters; the others have 0.
    pub fn log_frequency(&self, ch: char) -> f32 {
        self.facts(ch).map_or(0.0, |facts| f32::from(facts.frequency) / 15.0)
    }

    /// How the character is read, commonest first; empty if unknown.
    pub fn readings(&self, ch: char) -> impl Iterator<Item = Reading<'_>> {
        self.readings_of(self.index(ch)).iter().map(|&(syllable, tone)| Reading {
            syllable: &self.table.syllables[usize::from(syllable)].spelling,
            tone,
        })
    }

    /// Likeness in sound, 0 to 1: the best over the readings of both; 0 if one is unknown.
    pub fn sound(&self, a: char, b: char) -> f32 {
        self.sound_of(self.readings_of(self.index(a)), self.readings_of(self.index(b)))
    }

    /// Likeness in shape, 0 to 1; 0 if below 0.4 or not among the nearest, or one is unknown.
    pub fn shape(&self, a: char, b: char) -> f32 {
        match (self.index(a), self.index(b)) {
            (Some(a), Some(b)) if a == b => 1.0,
            (Some(a), Some(b)) => self.shape_of(a, b),
            _ => 0.0,
        }
    }

    /// Whether one is the traditional, simplified or otherwise variant form of the other.
    pub fn are_variants(&self, a: char, b: char) -> bool {
        match (self.index(a), self.index(b)) {
            (Some(a), Some(b)) => self.table.variants.get(a).binary_search(&(b as u16)).is_ok(),
            _ => false,
        }
    }

    /// The traditional, simplified and other variant forms of a character, ascending.
    pub fn variants(&self, ch: char) -> impl Iterator<Item = char> {
        let variants = self.index(ch).map_or(&[][..], |index| self.table.variants.get(index));
        variants.iter().map(|&index| self.table.chars[usize::from(index)])
    }

    /// The common characters with a reading in common, tone aside, ascending, without `ch` and
    /// those of the other script.
    pub fn same_sound(&self, ch: char) -> Vec<char> {
        let Some(own) = self.index(ch) else { return Vec::new() };
        self.sounding(own, 1.0).into_iter().map(|i| self.table.chars[i]).collect()
    }

    /// The common characters of at least [`Self::NEAR_SOUND`], ascending, without `ch`.
    pub fn near_in_sound(&self, ch: char) -> Vec<(char, f32)> {
        let near = self.candidates(ch).into_iter().filter(|c| c.sound >= Self::NEAR_SOUND);
        near.map(|c| (c.ch, c.sound)).collect()
    }

    /// The common characters near in shape, ascending, without `ch`.
    pub fn near_in_shape(&self, ch: char) -> Vec<(char, f32)> {
        let near = self.candidates(ch).into_iter().filter(|c| c.shape > 0.0);
        near.map(|c| (c.ch, c.shape)).collect()
    }

    /// The common characters near in sound or in shape, ascending, without `ch` and those of
    /// the other script.
    pub fn candidates(&self, ch: char) -> Vec<Candidate> {
        let Some(own) = self.index(ch) else { return Vec::new() };
        let readings = self.table.readings.get(own);
        // The tone can only lower a likeness, so none is lost by leaving it out at first.
        let mut near = self.sounding(own, Self::NEAR_SOUND);
        near.retain(|&i| self.sound_of(readings, self.table.readings.get(i)) >= Self::NEAR_SOUND);
        let shapes = self.table.shapes.get(own).iter().map(|&(i, _)| usize::from(i));
        near.extend(shapes.filter(|&i| self.may_replace(own, i)));
        near.sort_unstable();
        near.dedup();
        near.into_iter()
            .map(|i| Candidate {
                ch: self.table.chars[i],
                sound: self.sound_of(readings, self.table.readings.get(i)),
                shape: self.shape_of(own, i),
            })
            .collect()
    }

    fn index(&self, ch: char) -> Option<usize> {
        self.table.chars.binary_search(&ch).ok()
    }

    fn facts(&self, ch: char) -> Option<Facts> {
        self.index(ch).map(|i| self.table.facts[i])
    }

    fn readings_of(&self, index: Option<usize>) -> &[(u16, u8)] {
        index.map_or(&[], |i| self.table.readings.get(i))
    }

    /// The characters that may replace `own` and whose toneless likeness is at least `least`.
    fn sounding(&self, own: usize, least: f32) -> Vec<usize> {
        let syllables = &self.table.syllables;
        let mut found = Vec::new();
        for &(reading, _) in self.table.readings.get(own) {
            for (other, syllable) in syllables.iter().enumerate() {
                if syllables[usize::from(reading)].likeness(syllable) >= least {
                    found.extend(self.by_syllable.get(other).iter().map(|&i| usize::from(i)));
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found.retain(|&i| self.may_replace(own, i));
        found
    }

    /// Whether `other` is another character, common, and of a script that one text can hold.
    fn may_replace(&self, own: usize, other: usize) -> bool {
        let (a, b) = (self.table.facts[own], self.table.facts[other]);
        let apart = |a: Facts, b: Facts| a.mainland && !a.taiwan && b.taiwan && !b.mainland;
        own != other && b.common && !apart(a, b) && !apart(b, a)
    }

    fn sound_of(&self, a: &[(u16, u8)], b: &[(u16, u8)]) -> f32 {
        let syllables = &self.table.syllables;
        let mut best = 0.0f32;
        for &(x, x_tone) in a {
            for &(y, y_tone) in b {
                let x = (&syllables[usize::from(x)], x_tone);
                let y = (&syllables[usize::from(y)], y_tone);
                best = best.max(sound::likeness(x, y));
            }
        }
        best
    }

    fn shape_of(&self, a: usize, b: usize) -> f32 {
        let near = self.table.shapes.get(a);
        match near.binary_search_by_key(&(b as u16), |&(i, _)| i) {
            Ok(at) => 0.4 + 0.04 * f32::from(near[at].1),
            Err(_) => 0.0,
        }
    }
}
