//! Which readings of a character count, and how often it is met.
//!
//! Dictionaries list readings that hardly anybody meets (和 has eight), and each would bring
//! false candidates. `kHanyuPinlu` counts readings in a corpus of about a million characters, so
//! a reading stays if it has at least 1/200 of its character's occurrences; one that a dictionary
//! lists and the corpus never met counts as half an occurrence, and so survives only where the
//! whole character is rare.
//!
//! The dictionaries are `kMandarin` (the customary reading), `kTGHZ2013` (one for the General
//! Standard table) and, for characters outside the latter, `kXHC1983`. Counts are of simplified
//! characters: a traditional one takes the readings of its simplified forms that `kHanyuPinyin`,
//! an exhaustive dictionary, grants to it too. So 髮 is read fà, as 发 is, but not fā.

use crate::unihan::Unihan;

/// A syllable without tone (ASCII, ü as `v`), and its tone, 1 to 5.
pub type Reading = (String, u8);

/// The readings of a character, commonest first; equals in the order of the dictionaries.
pub fn readings(unihan: &Unihan, ch: char) -> Vec<Reading> {
    let mut counted = counted(unihan, ch);
    let own: Vec<_> = counted.iter().map(|(reading, _)| reading.clone()).collect();
    let granted = exhaustive(unihan, ch);
    for simplified in unihan.simplified(ch) {
        for (reading, halves) in self::counted(unihan, simplified) {
            if own.contains(&reading) || granted.contains(&reading) {
                add(&mut counted, reading, halves);
            }
        }
    }
    let total: u32 = counted.iter().map(|&(_, halves)| halves).sum();
    counted.retain(|&(_, halves)| halves * LEAST_SHARE >= total);
    counted.sort_by_key(|&(_, halves)| std::cmp::Reverse(halves));
    counted.into_iter().map(|(reading, _)| reading).collect()
}

/// `round(15 · log2(1 + n))`, n being the occurrences of the character or, if it has none of its
/// own, of the commonest of its simplified forms. 15 keeps the commonest (的) below 256.
pub fn frequency(unihan: &Unihan, ch: char) -> u8 {
    let occurrences = |ch| pinlu(unihan, ch).iter().map(|&(_, n)| n).sum::<u32>();
    let n = match occurrences(ch) {
        0 => unihan.simplified(ch).map(occurrences).max().unwrap_or(0),
        n => n,
    };
    (15.0 * f64::from(1 + n).log2()).round() as u8
}

/// One in so many occurrences is the least that keeps a reading.
const LEAST_SHARE: u32 = 200;

/// The readings that the corpus or a dictionary gives, with twice their number of occurrences;
/// 1, half an occurrence, for one that was never met.
fn counted(unihan: &Unihan, ch: char) -> Vec<(Reading, u32)> {
    let mut counted = Vec::new();
    for text in unihan.values(ch, "kMandarin") {
        add(&mut counted, parse(text), 1);
    }
    for (reading, n) in pinlu(unihan, ch) {
        add(&mut counted, reading, 2 * n);
    }
    let standard = unihan.values(ch, "kTGHZ2013").next().is_some();
    let dictionary = if standard { "kTGHZ2013" } else { "kXHC1983" };
    // 0283.010,0283.020:ēn
    for text in unihan.values(ch, dictionary).filter_map(|value| value.split(':').nth(1)) {
        add(&mut counted, parse(text), 1);
    }
    counted.retain(|((syllable, _), _)| !VOWELLESS.contains(&syllable.as_str()));
    counted
}

/// Two sources of one reading do not add up: the better of them counts.
fn add(counted: &mut Vec<(Reading, u32)>, reading: Reading, halves: u32) {
    match counted.iter_mut().find(|(known, _)| *known == reading) {
        Some((_, known)) => *known = halves.max(*known),
        None => counted.push((reading, halves)),
    }
}

/// `le(30101) liǎo(654)`: readings with their occurrences.
fn pinlu(unihan: &Unihan, ch: char) -> Vec<(Reading, u32)> {
    let value = |value: &str| {
        let (text, n) = value.strip_suffix(')')?.split_once('(')?;
        Some((parse(text), n.parse().ok()?))
    };
    unihan.values(ch, "kHanyuPinlu").filter_map(value).collect()
}

/// `10048.060:liǎo,le,liào`: every reading there ever was.
fn exhaustive(unihan: &Unihan, ch: char) -> Vec<Reading> {
    let lists = unihan.values(ch, "kHanyuPinyin").filter_map(|value| value.split(':').nth(1));
    lists.flat_map(|list| list.split(',')).map(parse).collect()
}

/// Not syllables of their own: the r that 儿 adds to the one before, and humming.
const VOWELLESS: [&str; 4] = ["r", "m", "hm", "hng"];

/// `lǜ` → (`lv`, 4). The interjections ń and ńg become en, and ê becomes ei, as both are typed.
fn parse(text: &str) -> Reading {
    let mut syllable = String::new();
    let mut tone = 5;
    for letter in text.chars() {
        let marked = MARKED.iter().find_map(|(plain, row)| {
            let at = row.chars().position(|marked| marked == letter && marked != '_')?;
            Some((*plain, at as u8 + 1))
        });
        match (letter, marked) {
            (_, Some((plain, marked))) => {
                syllable.push_str(plain);
                tone = marked;
            }
            ('ü', _) => syllable.push('v'),
            ('ê', _) => syllable.push_str("ei"),
            _ => syllable.push(letter),
        }
    }
    if matches!(syllable.as_str(), "n" | "ng") {
        syllable = "en".to_owned();
    }
    (syllable, tone)
}

/// Plain spelling and its forms in tones 1 to 4; `_` where there is none. The first row is the
/// four combining marks, which follow letters that have no marked form of their own.
const MARKED: [(&str, &str); 10] = [
    ("", "\u{304}\u{301}\u{30c}\u{300}"),
    ("a", "āáǎà"),
    ("e", "ēéěè"),
    ("i", "īíǐì"),
    ("o", "ōóǒò"),
    ("u", "ūúǔù"),
    ("v", "ǖǘǚǜ"),
    ("ei", "_ế_ề"),
    ("n", "_ńňǹ"),
    ("m", "_ḿ__"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tone_marks_become_numbers() {
        for (text, syllable, tone) in [
            ("lǜ", "lv", 4),
            ("lüè", "lve", 4),
            ("zhuāng", "zhuang", 1),
            ("de", "de", 5),
            ("ňg", "en", 3),
            ("ê\u{304}", "ei", 1),
            ("ề", "ei", 4),
            ("m\u{300}", "m", 4),
        ] {
            assert_eq!(parse(text), (syllable.to_owned(), tone));
        }
    }
}
