//! The text of a corpus: files of lines, each a sentence or a paragraph, plain or packed by xz.
//!
//! What is packed is told from its first bytes, not from its name. Lines are UTF-8; a byte order mark, line ends
//! of either kind and blank lines are no part of the text. A file that holds no text (a NUL, other encodings, lines
//! of a mebibyte) is refused with the line where that shows: to train on it would cost hours and teach nothing.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use lzma_rust2::XzReader;

use super::{Purpose, Random, Sentences};
use crate::Error;
use crate::tokenizer::Tokenizer;

/// The longest line, in bytes: what is longer is no sentence and no paragraph.
const LONGEST: usize = 1 << 20;

/// KiB that unpacking may take: xz -9 asks for 65 MiB, a hostile file for 4 GiB.
const UNPACKING: u32 = 256 << 10;

const TEXT: &str = "give text in UTF-8, a sentence or a paragraph a line, plain or packed by xz";

/// Tells each line of some files, in order, with its number in its file.
///
/// # Errors
/// For a file that cannot be read, is no text, or holds none at all.
pub fn each_line(
    files: &[PathBuf],
    mut told: impl FnMut(&Path, usize, &str) -> Result<(), Error>,
) -> Result<(), Error> {
    for path in files {
        let (mut lines, mut count) = (0, 0);
        let mut reader = open(path)?;
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let read = reader.by_ref().take(LONGEST as u64 + 1).read_until(b'\n', &mut bytes);
            match read.map_err(|error| broken(path, lines, &error))? {
                0 => break,
                _ => lines += 1,
            }
            let line = text(&bytes, lines).map_err(|what| Error::new(path, what, TEXT))?;
            if !line.trim().is_empty() {
                count += 1;
                told(path, lines, line)?;
            }
        }
        if count == 0 {
            return Err(Error::new(path, "holds no text", TEXT));
        }
    }
    Ok(())
}

/// The text of a file, unpacked.
fn open(path: &Path) -> Result<Box<dyn BufRead>, Error> {
    let failed = |error: std::io::Error| Error::new(path, format!("cannot read: {error}"), TEXT);
    let mut reader = BufReader::with_capacity(1 << 16, File::open(path).map_err(failed)?);
    let start = reader.fill_buf().map_err(failed)?;
    let begins = |magic: &[u8]| start.starts_with(magic);
    if begins(b"\xfd7zXZ\0") {
        let reader = XzReader::new_mem_limit(reader, true, UNPACKING);
        return Ok(Box::new(BufReader::with_capacity(1 << 16, reader)));
    }
    let packed = [&b"\x1f\x8b"[..], b"BZh", b"\x28\xb5\x2f\xfd", b"PK\x03\x04"];
    if packed.into_iter().any(begins) {
        return Err(Error::new(path, "is packed, and not by xz", "unpack it first"));
    }
    Ok(Box::new(reader))
}

fn broken(path: &Path, line: usize, error: &std::io::Error) -> Error {
    let what = match error.kind() {
        ErrorKind::UnexpectedEof => format!("ends in the middle, after line {line}"),
        _ => format!("cannot read behind line {line}: {error}"),
    };
    Error::new(path, what, "fetch it again")
}

/// What a line says, or why it says nothing.
fn text(bytes: &[u8], number: usize) -> Result<&str, String> {
    if bytes.len() > LONGEST {
        return Err(format!("line {number}: longer than {LONGEST} bytes"));
    }
    if bytes.contains(&0) {
        return Err(format!("line {number}: holds a NUL, which no text does"));
    }
    let line = std::str::from_utf8(bytes).map_err(|_| format!("line {number}: not UTF-8"))?;
    let line = line.trim_end_matches(['\n', '\r']);
    Ok(if number == 1 { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line })
}

/// The sentences of a corpus as token ids, and some that are held out.
#[derive(Clone, Debug, Default)]
pub struct Corpus {
    /// To learn from.
    pub sentences: Sentences,
    /// To be asked of, and never learned from.
    pub held: Sentences,
}

impl Corpus {
    /// Reads files. What is longer than `length` tokens, `[CLS]` and `[SEP]` included, is cut, behind the end of a
    /// sentence where there is one. Of the lines a `share` is held out, by number and seed.
    ///
    /// # Errors
    /// As [`each_line`].
    pub fn read(
        files: &[PathBuf],
        tokenizer: &Tokenizer,
        length: usize,
        (share, seed): (f64, u64),
        mut told: impl FnMut(u64),
    ) -> Result<Corpus, Error> {
        let mut corpus = Corpus::default();
        let cut = Cut::new(tokenizer, length);
        let mut random = Random::new(seed, 0, Purpose::Holding);
        each_line(files, |_, _, line| {
            told(line.len() as u64);
            let ids = tokenizer.encode(line).ids;
            let place = match random.uniform() < share {
                true => &mut corpus.held,
                false => &mut corpus.sentences,
            };
            cut.pieces(&ids, |piece| place.push(piece));
            Ok(())
        })?;
        Ok(corpus)
    }
}

/// Cuts what is too long.
pub(super) struct Cut {
    /// Tokens between `[CLS]` and `[SEP]`.
    most: usize,
    cls: u32,
    sep: u32,
    /// Marks behind which a text is cut, the best first.
    ends: [Vec<u32>; 2],
}

impl Cut {
    pub(super) fn new(tokenizer: &Tokenizer, length: usize) -> Cut {
        let ids = |marks: &[&str]| marks.iter().filter_map(|mark| tokenizer.id(mark)).collect();
        let ends =
            [ids(&["。", "！", "？", "!", "?"]), ids(&["；", "，", "、", ":", "：", ",", ";"])];
        Cut { most: length - 2, cls: tokenizer.cls(), sep: tokenizer.sep(), ends }
    }

    /// Tells each piece with `[CLS]` and `[SEP]` around it.
    pub(super) fn pieces(&self, mut ids: &[u32], mut told: impl FnMut(&[u32])) {
        let mut piece = Vec::with_capacity(self.most + 2);
        while !ids.is_empty() {
            let (first, rest) = ids.split_at(self.end(ids));
            piece.clear();
            piece.push(self.cls);
            piece.extend_from_slice(first);
            piece.push(self.sep);
            told(&piece);
            ids = rest;
        }
    }

    /// Where the first piece ends: in the second half of what it may hold, if any mark stands there.
    pub(super) fn end(&self, ids: &[u32]) -> usize {
        if ids.len() <= self.most {
            return ids.len();
        }
        let half = self.most / 2;
        let behind = |marks: &Vec<u32>| {
            let place = ids[half..self.most].iter().rposition(|id| marks.contains(id))?;
            Some(half + place + 1)
        };
        self.ends.iter().find_map(behind).unwrap_or(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokenizer() -> Tokenizer {
        let words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n一\n二\n三\n。\n，\n";
        Tokenizer::new(words.as_bytes(), "vocab.txt", true, None).unwrap()
    }

    fn cut(length: usize, text: &str) -> Vec<String> {
        let tokenizer = tokenizer();
        let mut pieces = Vec::new();
        Cut::new(&tokenizer, length).pieces(&tokenizer.encode(text).ids, |ids| {
            assert_eq!((ids[0], ids[ids.len() - 1]), (2, 3));
            let tokens = ids[1..ids.len() - 1].iter().map(|&id| tokenizer.token(id));
            pieces.push(tokens.collect::<String>());
        });
        pieces
    }

    #[test]
    fn long_lines_are_cut_behind_sentences_or_at_least_parts_of_them() {
        assert_eq!(cut(8, "一二三"), ["一二三"]);
        assert_eq!(cut(8, "一二三。一二三"), ["一二三。", "一二三"]);
        assert_eq!(cut(8, "一二三。一，二三"), ["一二三。", "一，二三"]);
        assert_eq!(cut(8, "一二三，一二三。一"), ["一二三，", "一二三。一"]);
        assert_eq!(cut(8, "一。一二三一二三"), ["一。一二三一", "二三"]);
        assert_eq!(cut(8, ""), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_text_is_told_with_its_line() {
        for (bytes, number, refusal) in [
            (&b"\xff\xfe"[..], 3, "line 3: not UTF-8"),
            (b"a\0b", 1, "line 1: holds a NUL"),
            (&vec![b'a'; LONGEST + 1], 2, "line 2: longer than 1048576 bytes"),
        ] {
            assert!(text(bytes, number).unwrap_err().starts_with(refusal));
        }
        assert_eq!(text("\u{feff}好\r\n".as_bytes(), 1), Ok("好"));
        assert_eq!(text("\u{feff}好\n".as_bytes(), 2), Ok("\u{feff}好"));
    }
}
