//! Random documents go through every format and come back: what a format says of a finding
//! leads, in that format's own unit, to the characters that were found.

mod offsets;
mod patches;

use zhengzi_model::corrector::Correction;

use super::{Examined, Place, Report};
use crate::input::{Defect, Source};

struct Document {
    source: Source,
    rows: Vec<Row>,
}

enum Row {
    Examined { text: String, terminator: &'static str, corrections: Vec<Correction> },
    Unread { parts: Vec<Vec<u8>> },
}

impl Document {
    /// The bytes of the file, with or without its corrections.
    fn bytes(&self, corrected: bool) -> Vec<u8> {
        let row = |row: &Row| match row {
            Row::Unread { parts } => parts.concat(),
            Row::Examined { text, terminator, corrections } => {
                let corrections = if corrected { &corrections[..] } else { &[] };
                (zhengzi_model::corrector::apply(text, corrections) + terminator).into_bytes()
            }
        };
        self.rows.iter().flat_map(row).collect()
    }
}

/// All that the format makes of the documents.
fn written(report: &mut dyn Report, documents: &[Document]) -> Vec<u8> {
    let mut out = Vec::new();
    report.start(&mut out).unwrap();
    for Document { source, rows } in documents {
        for (row, line) in rows.iter().zip(1..) {
            let place = Place { source, line };
            match row {
                Row::Examined { text, terminator, corrections } => {
                    let terminator = terminator.as_bytes();
                    let line = Examined { place, text, terminator, corrections };
                    report.examined(&mut out, &line).unwrap();
                }
                Row::Unread { parts } => {
                    report.unread(&mut out, place, &parts[0], Defect::TooLong).unwrap();
                    for part in &parts[1..] {
                        report.unread_part(&mut out, part).unwrap();
                    }
                }
            }
        }
        report.end_of(&mut out, source).unwrap();
    }
    report.finish(&mut out).unwrap();
    out
}

/// Numbers that are random enough, and the same on every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % end
    }

    /// Any character that may stand in a line; every other one such as programs stumble over.
    fn character(&mut self) -> char {
        const STUMBLING: [char; 20] = [
            '新', '心', 'a', ' ', '𠀀', '😀', '\u{301}', '\u{200d}', '\u{feff}', '\u{2028}', '"',
            '\\', '%', ':', ',', '{', '\t', '\r', '\u{1b}', '\u{fffd}',
        ];
        match self.below(2) {
            0 => STUMBLING[self.below(STUMBLING.len())],
            _ => char::from_u32(self.below(0x11_0000) as u32)
                .filter(|c| !matches!(c, '\0' | '\n'))
                .unwrap_or('好'),
        }
    }

    fn text(&mut self, longest: usize) -> String {
        (0..self.below(longest + 1)).map(|_| self.character()).collect()
    }

    /// Findings in a text: of one or two characters, never overlapping, the byte order mark
    /// not among them.
    fn corrections(&mut self, text: &str) -> Vec<Correction> {
        let mut corrections = Vec::new();
        let mut end = if text.starts_with('\u{feff}') { 3 } else { 0 };
        for (start, _) in text.char_indices() {
            if start < end || self.below(4) > 0 {
                continue;
            }
            let characters = 1 + self.below(2);
            let wrong: String = text[start..].chars().take(characters).collect();
            end = start + wrong.len();
            let right = (self.below(4) > 0).then(|| self.text(2));
            corrections.push(Correction {
                span: start..end,
                wrong,
                right,
                detection: 0.75,
                confidence: 0.5,
                alternatives: Vec::new(),
            });
        }
        corrections
    }

    fn row(&mut self) -> Row {
        let text = self.text(24);
        let corrections = self.corrections(&text);
        Row::Examined { text, terminator: ["\n", "\r\n"][self.below(2)], corrections }
    }
}
