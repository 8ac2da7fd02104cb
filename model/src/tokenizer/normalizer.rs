//! One character of the text at a time becomes none, one or several normalised ones, each with the
//! span of the source character that it stands for.
//!
//! Canonical decomposition (Unicode Standard Annex #15) needs to look ahead: marks after a starter
//! are sorted by combining class. They wait in a block until the next starter. Which source character
//! a sorted mark stands for is a convention, and it must be the oracle's: the k-th *first* character
//! of a decomposition takes the span of the k-th source character, whatever moved past it, and the
//! other characters of a decomposition take the span of the character in front of them.

use std::ops::Range;

use unicode_normalization_alignments::char::{canonical_combining_class, decompose_canonical};

use super::unicode::{is_dropped, is_han, is_nonspacing_mark};
use super::wordpiece::WordPiece;

pub(super) struct Normalizer {
    lower_case: bool,
    strip_accents: bool,
    /// Marks since the last starter, in the order of the text.
    marks: Vec<Mark>,
    /// Spans of the source characters that the first characters among `marks` came from.
    sources: Vec<Range<usize>>,
    /// Span of the character that was emitted last.
    last: Range<usize>,
}

struct Mark {
    class: u8,
    c: char,
    /// Whether this is the first character of a decomposition (or was not decomposed at all).
    first: bool,
}

impl Normalizer {
    pub(super) fn new(lower_case: bool, strip_accents: bool) -> Self {
        Self { lower_case, strip_accents, marks: Vec::new(), sources: Vec::new(), last: 0..0 }
    }

    /// Takes the next character of the text, the bytes `span`.
    pub(super) fn push(&mut self, c: char, span: Range<usize>, words: &mut WordPiece) {
        if c.is_ascii_graphic() {
            self.sort_marks(words);
            self.last = span.clone();
            let c = if self.lower_case { c.to_ascii_lowercase() } else { c };
            words.push(c, span);
        } else if matches!(c, ' ' | '\t' | '\n' | '\r') {
            self.end_word(words);
        } else if is_dropped(c) {
            // A word goes on across a dropped character.
        } else if c.is_whitespace() {
            self.end_word(words);
        } else if is_han(c) {
            self.end_word(words);
            self.decompose(c, span, words);
            self.end_word(words);
        } else {
            self.decompose(c, span, words);
        }
    }

    /// Ends the word: what follows is not part of it.
    pub(super) fn end_word(&mut self, words: &mut WordPiece) {
        self.sort_marks(words);
        words.end_word();
    }

    fn decompose(&mut self, c: char, span: Range<usize>, words: &mut WordPiece) {
        if !self.strip_accents {
            self.emit(c, span, words);
            return;
        }
        let mut first = true;
        decompose_canonical(c, |c| {
            let class = canonical_combining_class(c);
            if class == 0 {
                self.sort_marks(words);
                if first {
                    self.last = span.clone();
                }
                self.emit(c, self.last.clone(), words);
            } else {
                self.marks.push(Mark { class, c, first });
                if first {
                    self.sources.push(span.clone());
                }
            }
            first = false;
        });
    }

    fn sort_marks(&mut self, words: &mut WordPiece) {
        if self.marks.is_empty() {
            return;
        }
        let mut marks = std::mem::take(&mut self.marks);
        let mut sources = std::mem::take(&mut self.sources);
        marks.sort_by_key(|mark| mark.class); // stable, as the annex asks
        let mut spans = sources.drain(..);
        for mark in marks.drain(..) {
            if mark.first {
                self.last = spans.next().expect("a span was kept for every first character");
            }
            self.emit(mark.c, self.last.clone(), words);
        }
        drop(spans);
        (self.marks, self.sources) = (marks, sources); // keep what they have allocated
    }

    fn emit(&self, c: char, span: Range<usize>, words: &mut WordPiece) {
        if self.strip_accents && is_nonspacing_mark(c) {
            return;
        }
        if self.lower_case {
            // Character by character: a final Σ becomes σ like any other.
            c.to_lowercase().for_each(|c| words.push(c, span.clone()));
        } else {
            words.push(c, span);
        }
    }
}
