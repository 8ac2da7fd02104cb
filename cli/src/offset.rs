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
        Ruler { text, reached: Offset::default() }
    }

    /// The place `byte` bytes from the start: on a character boundary, and not left of
    /// the last place that was asked for.
    pub fn at(&mut self, byte: usize) -> Offset {
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
