//! Writes the table in the layout that the head of `model/src/corrector/similarity.rs` gives.

use std::collections::BTreeSet;

use crate::readings::Reading;

/// All that the table says of one character but its neighbours.
pub struct Character {
    pub ch: char,
    pub common: bool,
    /// Decides which neighbours are kept; not written.
    pub everyday: bool,
    pub mainland: bool,
    pub taiwan: bool,
    pub frequency: u8,
    pub readings: Vec<Reading>,
}

impl Character {
    /// Whether one text can hold both: not if one is of the mainland's standards only and the
    /// other of Taiwan's only.
    pub fn shares_script_with(&self, other: &Self) -> bool {
        let apart = |a: &Self, b: &Self| a.mainland && !a.taiwan && b.taiwan && !b.mainland;
        !apart(self, other) && !apart(other, self)
    }
}

/// `characters`, `variants` and `shapes` ascend; every character has a reading.
pub fn encode(
    characters: &[Character],
    variants: &[(u16, u16)],
    shapes: &[(u16, u16, u8)],
) -> Vec<u8> {
    assert!(characters.len() <= 1 << 16, "an index of a character is 16 bits");
    let readings = || characters.iter().flat_map(|character| &character.readings);
    let syllables: BTreeSet<&str> = readings().map(|(syllable, _)| syllable.as_str()).collect();
    let syllables: Vec<&str> = syllables.into_iter().collect();
    let (lengths, shapes) = encode_shapes(characters.len(), shapes);

    let counts =
        [syllables.len(), characters.len(), readings().count(), variants.len(), shapes.len()];
    let mut body = Vec::new();
    for count in counts {
        body.extend((count as u32).to_le_bytes());
    }
    for syllable in &syllables {
        let mut padded = [0; 6];
        padded[..syllable.len()].copy_from_slice(syllable.as_bytes());
        body.extend(padded);
    }
    for character in characters {
        let word = u32::from(character.ch)
            | u32::from(character.common) << 21
            | u32::from(character.mainland) << 22
            | u32::from(character.taiwan) << 23
            | u32::from(character.frequency) << 24;
        body.extend(word.to_le_bytes());
    }
    for character in characters {
        for (i, (syllable, tone)) in character.readings.iter().enumerate() {
            let index = syllables.binary_search(&syllable.as_str()).expect("collected above");
            let last = u16::from(i + 1 == character.readings.len());
            let word = u16::from(*tone) | (index as u16) << 3 | last << 15;
            body.extend(word.to_le_bytes());
        }
    }
    for (a, b) in variants {
        body.extend(a.to_le_bytes());
        body.extend(b.to_le_bytes());
    }
    body.extend(lengths.iter().flat_map(|length| length.to_le_bytes()));
    body.extend(shapes);

    let mut file = b"ZZSIM\0\0\x01".to_vec();
    file.extend(fnv1a(&body).to_le_bytes());
    file.extend(body);
    file
}

/// The lengths of all lists, and the pairs.
fn encode_shapes(characters: usize, shapes: &[(u16, u16, u8)]) -> (Vec<u16>, Vec<u8>) {
    let mut lengths = vec![0; characters];
    let mut bytes = Vec::new();
    let mut previous = (0, 0);
    for &(a, b, level) in shapes {
        lengths[usize::from(a)] += 1;
        lengths[usize::from(b)] += 1;
        let from = if a == previous.0 { previous.1.max(a) } else { a };
        leb128(&mut bytes, u32::from(b - from) << 4 | u32::from(level));
        previous = (a, b);
    }
    (lengths, bytes)
}

fn leb128(bytes: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// By words of 64 bits, the last one filled with zeros.
fn fnv1a(bytes: &[u8]) -> u64 {
    let words = bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    words.fold(0xcbf2_9ce4_8422_2325, |hash, word| (hash ^ word).wrapping_mul(0x0100_0000_01b3))
}
