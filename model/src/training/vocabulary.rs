//! A vocabulary from text, as BERT has it.
//!
//! ```text
//! [PAD] [UNK] [CLS] [SEP] [MASK]     always the first five
//! 的 ， 一 是 …                        characters that stand alone: Chinese ones, marks, and what begins a word
//! ##a ##1 …                          characters inside words
//! linux ##tion 2023 …                pieces of words
//! ```
//!
//! Everything but the first five is there for how often it was read. Characters go before pieces: one that is missing makes
//! `[UNK]` of a whole word, a missing piece only makes two tokens of one. Pieces are found as in byte-pair
//! encoding (Sennrich et al., arXiv:1508.07909): again and again the two neighbours that stand together most often
//! become one. Equals are told apart by their text, so one corpus gives one vocabulary.

use std::collections::HashMap;

use crate::tokenizer::{SPECIALS, Words};

/// Read fewer times, a character teaches nobody anything.
const LEAST: u64 = 3;

/// Words that were read fewer times have no say in which pieces there are.
const LEAST_WORD: u64 = 5;

/// One in so many tokens is kept for a piece, if there are as many.
const PIECES: usize = 8;

/// The words of a corpus, counted.
#[derive(Default)]
pub struct Count {
    words: Words,
    counts: HashMap<String, u64>,
}

impl Count {
    /// Counts the words of a line.
    pub fn read(&mut self, line: &str) {
        let counts = &mut self.counts;
        self.words.each(line, &mut |word| match counts.get_mut(word) {
            Some(count) => *count += 1,
            None => _ = counts.insert(word.to_owned(), 1),
        });
    }

    /// The lines of a `vocab.txt`, at most `size`.
    pub fn vocabulary(&self, size: usize) -> Vec<String> {
        let mut characters: HashMap<String, u64> = HashMap::new();
        for (word, &count) in &self.counts {
            for (i, c) in word.chars().enumerate() {
                *characters.entry(token(i, c)).or_default() += count;
            }
        }
        characters.retain(|_, count| *count >= LEAST);
        let mut characters: Vec<(String, u64)> = characters.into_iter().collect();
        characters.sort_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
        let room = size.saturating_sub(SPECIALS.len());
        let pieces = self.pieces((room / PIECES).max(room.saturating_sub(characters.len())));
        characters.truncate(room - pieces.len());
        let characters = characters.into_iter().map(|(token, _)| token);
        SPECIALS.map(str::to_owned).into_iter().chain(characters).chain(pieces).collect()
    }

    /// The pieces of two characters and more that are made first.
    fn pieces(&self, most: usize) -> Vec<String> {
        let mut merges = Merges::default();
        let is_long = |word: &&String| word.chars().nth(1).is_some();
        let mut words: Vec<&String> = self.counts.keys().filter(is_long).collect();
        words.sort_unstable();
        for word in words {
            if self.counts[word] >= LEAST_WORD {
                merges.add(word, self.counts[word]);
            }
        }
        std::iter::from_fn(|| merges.next()).take(most).collect()
    }
}

/// A character where it begins a word, or within one.
fn token(place: usize, c: char) -> String {
    if place == 0 { c.to_string() } else { format!("##{c}") }
}

/// Words as rows of tokens, in which neighbours become one.
#[derive(Default)]
struct Merges {
    /// The text of each token.
    tokens: Vec<String>,
    known: HashMap<String, u32>,
    words: Vec<(Vec<u32>, u64)>,
    /// How often two tokens stand together, and in which words they once did.
    pairs: HashMap<(u32, u32), (u64, Vec<u32>)>,
}

impl Merges {
    fn id(&mut self, token: String) -> u32 {
        let next = self.tokens.len() as u32;
        *self.known.entry(token).or_insert_with_key(|token| {
            self.tokens.push(token.clone());
            next
        })
    }

    fn add(&mut self, word: &str, count: u64) {
        let ids: Vec<u32> = word.chars().enumerate().map(|(i, c)| self.id(token(i, c))).collect();
        let index = self.words.len() as u32;
        for pair in ids.windows(2) {
            let (total, words) = self.pairs.entry((pair[0], pair[1])).or_default();
            *total += count;
            words.push(index);
        }
        self.words.push((ids, count));
    }

    fn merged(&self, (a, b): (u32, u32)) -> String {
        let [a, b] = [a, b].map(|id| &self.tokens[id as usize]);
        format!("{a}{}", b.strip_prefix("##").unwrap_or(b))
    }

    /// The token that the most frequent two neighbours make.
    fn next(&mut self) -> Option<String> {
        loop {
            let (&pair, &(count, _)) = self.pairs.iter().max_by(|(a, (m, _)), (b, (n, _))| {
                m.cmp(n).then_with(|| self.merged(**b).cmp(&self.merged(**a))).then(b.cmp(a))
            })?;
            if count < LEAST_WORD {
                return None;
            }
            let token = self.merged(pair);
            let is_new = !self.known.contains_key(&token);
            let id = self.id(token.clone());
            self.merge(pair, id);
            // Two ways may lead to one token: a b c is (ab) c and a (bc).
            if is_new {
                return Some(token);
            }
        }
    }

    /// Puts `id` wherever the pair stands.
    fn merge(&mut self, pair: (u32, u32), id: u32) {
        let (_, mut places) = self.pairs.remove(&pair).unwrap_or_default();
        places.dedup();
        for index in places {
            let (ids, count) = &mut self.words[index as usize];
            let count = *count;
            if !ids.windows(2).any(|two| (two[0], two[1]) == pair) {
                continue;
            }
            for two in ids.windows(2) {
                if let Some((total, _)) = self.pairs.get_mut(&(two[0], two[1])) {
                    *total -= count;
                }
            }
            let (mut merged, mut i) = (Vec::with_capacity(ids.len()), 0);
            while i < ids.len() {
                let is_pair = ids.get(i + 1).is_some_and(|&next| (ids[i], next) == pair);
                merged.push(if is_pair { id } else { ids[i] });
                i += 1 + usize::from(is_pair);
            }
            *ids = merged;
            for two in ids.windows(2) {
                let (total, words) = self.pairs.entry((two[0], two[1])).or_default();
                *total += count;
                words.push(index);
            }
        }
        // What the merge leaves behind of the pair itself (none: no such neighbours are left).
        self.pairs.remove(&pair);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::Tokenizer;

    fn count(lines: &[(&str, usize)]) -> Count {
        let mut count = Count::default();
        for (line, times) in lines {
            (0..*times).for_each(|_| count.read(line));
        }
        count
    }

    #[test]
    fn characters_come_by_frequency_and_pieces_behind_them() {
        let count = count(&[("今天，Linux", 9), ("今天lint", 6), ("今", 1), ("罕", 2)]);
        let vocabulary = count.vocabulary(100);
        assert_eq!(vocabulary[..5], SPECIALS);
        assert_eq!(vocabulary[5..9], ["今", "##i", "##n", "l"]);
        assert_eq!(vocabulary[9..12], ["天", "##u", "##x"]);
        assert!(!vocabulary.contains(&"罕".to_owned()));
        // i and n stand together 15 times, and so does all of "lin".
        let pieces = ["##in", "lin", "##ux", "linux", "lint"];
        assert_eq!(vocabulary[vocabulary.len() - 5..], pieces, "{vocabulary:?}");
    }

    #[test]
    fn a_small_vocabulary_keeps_to_its_size_and_has_more_characters_than_pieces() {
        let lines = [("abcdefgh", 9), ("天地人你我他", 5)];
        let vocabulary = count(&lines).vocabulary(21);
        assert_eq!(vocabulary.len(), 21);
        let is_piece = |token: &&String| token.trim_start_matches('#').chars().count() > 1;
        assert_eq!(vocabulary[5..].iter().filter(is_piece).count(), 2, "{vocabulary:?}");
        assert_eq!(count(&lines).vocabulary(21), vocabulary);
    }

    #[test]
    fn nothing_that_was_read_is_unknown_then() {
        let lines = [("Ünïcode 2023年，“引号”……ＡＢＣ！カタカナ", 5)];
        let vocabulary = count(&lines).vocabulary(1000).join("\n");
        let tokenizer = Tokenizer::new(vocabulary.as_bytes(), "v", true, None).unwrap();
        for (line, _) in lines {
            let ids = tokenizer.encode(line).ids;
            assert!(!ids.contains(&tokenizer.unk()), "{ids:?}");
        }
    }
}
