//! One place in a line, in the three units that the world counts in.

use serde::Serialize;

/// A distance from the start of a line. `情` is 3 bytes, 1 code point, 1 UTF-16 unit;
/// a character beyond the basic plane is 4, 1 and 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offset {
    pub byte: usize,
    pub char: usize,
    pub utf16: usize,
}

/// Measures places of one line from left to right: the whole line is walked once,
/// however many places are asked for.
pub struct Ruler<'a> {
    text: &'a str,
    /// Bytes before `text` that places are given with, and that do not count.
    skipped: usize,
    reached: Offset,
}

/// The half-open range `start..end` in each unit: `"byte":[6,9],"char":[2,3],"utf16":[2,3]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    pub byte: [usize; 2],
    pub char: [usize; 2],
    pub utf16: [usize; 2],
}

impl<'a> Ruler<'a> {
    pub fn new(text: &'a str) -> Ruler<'a> {
        Ruler { text, skipped: 0, reached: Offset::default() }
    }

    /// For the first line of a file as an editor shows it: a byte order mark is not part
    /// of the text and counts for nothing. Places are still asked for with it.
    pub fn past_mark(line: &'a str) -> Ruler<'a> {
        let text = line.strip_prefix('\u{feff}').unwrap_or(line);
        Ruler { text, skipped: line.len() - text.len(), reached: Offset::default() }
    }

    /// The place `byte` bytes from the start: on a character boundary, and not left of
    /// the last place that was asked for.
    pub fn at(&mut self, byte: usize) -> Offset {
        let byte = byte.saturating_sub(self.skipped);
        for c in self.text[self.reached.byte..byte].chars() {
            self.reached.char += 1;
            self.reached.utf16 += c.len_utf16();
        }
        self.reached.byte = byte;
        self.reached
    }

    /// Both ends of a range of bytes.
    pub fn span(&mut self, bytes: &std::ops::Range<usize>) -> Span {
        let (start, end) = (self.at(bytes.start), self.at(bytes.end));
        Span {
            byte: [start.byte, end.byte],
            char: [start.char, end.char],
            utf16: [start.utf16, end.utf16],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_counts_its_own_way() {
        // One letter, a character of Extension B, e with a combining accent, a hit.
        let text = "a𠀀e\u{301}情!";
        let at = text.find('情').unwrap();
        let span = Ruler::new(text).span(&(at..at + 3));
        assert_eq!(span, Span { byte: [8, 11], char: [4, 5], utf16: [5, 6] });
    }

    #[test]
    fn a_byte_order_mark_is_not_part_of_the_text_that_an_editor_shows() {
        let line = "\u{feff}𠀀情";
        let shown = Span { byte: [4, 7], char: [1, 2], utf16: [2, 3] };
        assert_eq!(Ruler::past_mark(line).span(&(7..10)), shown);
        assert_eq!(Ruler::past_mark(&line[3..]).span(&(4..7)), shown);
        assert_eq!(Ruler::past_mark(line).at(0), Offset::default());
        assert_eq!(Ruler::new(line).span(&(7..10)).char, [2, 3]);
    }

    #[test]
    fn every_place_agrees_with_counting_from_the_start() {
        let text = "\u{feff}今天👨‍👩‍👧新情\t很𪚥好\0é";
        let mut ruler = Ruler::new(text);
        for (byte, _) in text.char_indices() {
            let before = &text[..byte];
            let (char, utf16) = (before.chars().count(), before.encode_utf16().count());
            assert_eq!(ruler.at(byte), Offset { byte, char, utf16 });
        }
    }
}
