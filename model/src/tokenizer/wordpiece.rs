//! Normalised characters to words, words to tokens.
//!
//! A punctuation mark is a word of its own. A word is cut from the left, each time at the longest
//! token that the vocabulary holds; after the first, tokens are looked up with `##` before them. When
//! some part is in no token, or the word is longer than [`LONGEST_WORD`], all of it is one `[UNK]`.

use std::ops::Range;

use super::Encoding;
use super::unicode::is_punctuation;
use super::vocabulary::Vocabulary;

/// In characters after normalisation. Google's code says 200; the published tokenizers say 100.
const LONGEST_WORD: usize = 100;

pub(super) struct WordPiece<'t> {
    vocabulary: &'t Vocabulary,
    unk: u32,
    encoding: &'t mut Encoding,
    /// The word so far.
    word: Vec<Character>,
    /// Who is told of each word, if anybody.
    told: Option<&'t mut dyn FnMut(&str)>,
}

struct Character {
    c: char,
    /// Where it came from in the text.
    source: Range<usize>,
}

impl<'t> WordPiece<'t> {
    pub(super) fn new(vocabulary: &'t Vocabulary, unk: u32, encoding: &'t mut Encoding) -> Self {
        Self { vocabulary, unk, encoding, word: Vec::new(), told: None }
    }

    /// The same, telling each word before it is cut.
    pub(super) fn telling(self, told: &'t mut dyn FnMut(&str)) -> Self {
        Self { told: Some(told), ..self }
    }

    /// Takes the next normalised character.
    pub(super) fn push(&mut self, c: char, source: Range<usize>) {
        if is_punctuation(c) {
            self.end_word();
            self.append(c, source);
            self.end_word();
        } else {
            self.append(c, source);
        }
    }

    /// Cuts the word collected so far, if any, into its tokens.
    pub(super) fn end_word(&mut self) {
        if self.word.is_empty() {
            return;
        }
        if let Some(told) = &mut self.told {
            told(&self.word.iter().map(|character| character.c).collect::<String>());
        }
        let tokens_before = self.encoding.ids.len();
        if self.word.len() > LONGEST_WORD || !self.cut() {
            self.encoding.ids.truncate(tokens_before);
            self.encoding.spans.truncate(tokens_before);
            let last = self.word.len() - 1;
            self.token(self.unk, self.source(0, last));
        }
        self.word.clear();
    }

    /// Adds a token that is no part of a word.
    pub(super) fn token(&mut self, id: u32, source: Range<usize>) {
        self.encoding.push(id, source);
    }

    fn append(&mut self, c: char, source: Range<usize>) {
        self.word.push(Character { c, source });
    }

    /// False when some part of the word is in no token.
    fn cut(&mut self) -> bool {
        let mut first = 0;
        while first < self.word.len() {
            let Some((last, id)) = self.longest_token(first) else { return false };
            self.token(id, self.source(first, last));
            first = last + 1;
        }
        true
    }

    /// The longest token that begins at character `first`: its last character and its id.
    fn longest_token(&self, first: usize) -> Option<(usize, u32)> {
        let mut node = match first {
            0 => self.vocabulary.root(),
            _ => self.vocabulary.continuation()?,
        };
        let mut longest = None;
        for (i, character) in self.word.iter().enumerate().skip(first) {
            let Some(child) = self.vocabulary.child(node, character.c) else { break };
            node = child;
            if let Some(id) = self.vocabulary.id_at(node) {
                longest = Some((i, id));
            }
        }
        longest
    }

    fn source(&self, first: usize, last: usize) -> Range<usize> {
        self.word[first].source.start..self.word[last].source.end
    }
}
