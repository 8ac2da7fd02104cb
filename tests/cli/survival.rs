//! Every byte outside the reported spans survives, whatever the text.
//!
//! One file of random lines goes through `correct` twice, for JSON and for text. What the
//! text must be is put together here from the bytes of the file and the spans of the JSON.

use std::fs;

use serde_json::Value;

use super::{run, zhengzi};

/// An emulator takes seconds for a line with Han text, and is asked for fewer.
fn line_count() -> usize {
    let is_emulated = super::words().len() > 1;
    if is_emulated { 1_000 } else { 100_000 }
}

/// One line in so many holds a correction, at least; far fewer would prove little.
const CORRECTED: usize = 200;

#[test]
fn every_byte_outside_the_reported_spans_survives() {
    let count = line_count();
    let input = Random(0x5a48_454e_475a_4921).text(count);
    let survived = survives(&input);
    assert_eq!(survived.lines, count);
    let Survived { corrected, refused, .. } = survived;
    assert!(corrected >= count / CORRECTED, "only {corrected} lines were corrected");
    assert!((count / 50..count / 5).contains(&refused), "{refused} lines were not text");
}

/// What became of the lines of a text.
pub struct Survived {
    pub lines: usize,
    pub corrected: usize,
    pub refused: usize,
}

/// Sends a text through `correct`, and asserts that it came out as the reported spans say.
pub fn survives(input: &[u8]) -> Survived {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("random.txt");
    let lines: Vec<&[u8]> = input.split_inclusive(|&byte| byte == b'\n').collect();
    let count = lines.len();
    fs::write(&path, input).unwrap();

    let run = |args: &[&str]| {
        let output = run(zhengzi().args(args).arg(&path), b"");
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
        output.stdout
    };
    let objects = String::from_utf8(run(&["correct", "-q", "--format", "json"])).unwrap();
    let plain = run(&["correct", "-q"]);

    assert_eq!(objects.lines().count(), count);
    let (mut at, mut corrected, mut refused) = (0, 0, 0);
    for (i, (line, object)) in lines.iter().zip(objects.lines()).enumerate() {
        let object: Value = serde_json::from_str(object).unwrap();
        assert_eq!(object["line"], i + 1, "{object}");
        let expected = expected(line, &object);
        refused += usize::from(object.get("error").is_some());
        corrected += usize::from(expected != *line);
        let rest = &plain[at.min(plain.len())..];
        if !rest.starts_with(&expected) {
            let found = String::from_utf8_lossy(&rest[..rest.len().min(expected.len())]);
            let expected = String::from_utf8_lossy(&expected);
            panic!("line {}: {found:?}, not {expected:?}, from {object}", i + 1);
        }
        at += expected.len();
    }
    assert_eq!(at, plain.len(), "more came out than the lines");
    Survived { lines: count, corrected, refused }
}

/// What becomes of a line with the corrections that its object tells, and nothing else.
fn expected(line: &[u8], object: &Value) -> Vec<u8> {
    let content = line.strip_suffix(b"\n").map_or(line, |l| l.strip_suffix(b"\r").unwrap_or(l));
    let text = match std::str::from_utf8(content) {
        Ok(text) if !text.contains('\0') => text,
        Ok(_) | Err(_) => {
            assert!(object["error"].is_string() && object.get("source").is_none(), "{object}");
            return line.to_vec();
        }
    };
    assert_eq!(object["source"], text);
    let mut target = String::new();
    let mut end = 0;
    for correction in object["corrections"].as_array().unwrap() {
        let span = |unit: &str| {
            [0, 1].map(|side| correction[unit][side].as_u64().expect("an offset") as usize)
        };
        let bytes = span("byte");
        let wrong = &text[bytes[0]..bytes[1]];
        assert_eq!(correction["wrong"], wrong, "{object}");
        assert!(end <= bytes[0] && !wrong.is_empty(), "overlapping or out of order: {object}");
        let before = bytes.map(|byte| &text[..byte]);
        assert_eq!(span("char"), before.map(|text| text.chars().count()), "{object}");
        assert_eq!(span("utf16"), before.map(|text| text.encode_utf16().count()), "{object}");
        let right = correction["right"].as_str().unwrap();
        assert_ne!(wrong, right, "{object}");
        target.push_str(&text[end..bytes[0]]);
        target.push_str(right);
        end = bytes[1];
    }
    target.push_str(&text[end..]);
    assert_eq!(object["target"], target.as_str());
    [target.as_bytes(), &line[content.len()..]].concat()
}

/// With wrong characters: 门 for 们, 因 for 应, 观 for 关, 以 for 已, 有 for 友.
const WRONG: [&str; 6] = ["我门", "他门", "我因该去", "没有观系", "我以经会了", "好朋有"];

/// Han text as it should be, or hardly text.
const HAN: [&str; 8] = ["我们", "天气很好", "你好。", "的", "，", "學生", "去爬山", "吗？"];

/// All that lives beside it in files.
#[rustfmt::skip] // a pool to glance at, not a list to read
const OTHER: [&str; 36] = [
    "a", "Hello ", "iPhone12", "3.14", "x=1;", "[MASK]", "[SEP]", "##s", "/c?d=e", " ", "\t", "  ",
    "\u{3000}", "\u{a0}", "ＡＢＣ", "１２", "！", "ｶﾞ", "é", "e\u{301}", "क्षि", "שלום", "\u{202e}",
    "\u{202c}", "مرحبا", "한국", "😀", "👨‍👩‍👧‍👦", "🇨🇳", "👍🏽", "❤\u{fe0f}", "\u{feff}", "\u{200b}",
    "\u{fffd}", "\u{2028}", "\\n\"{}",
];

/// Among them a carriage return that ends no line.
const CONTROL: [&str; 7] = ["\u{1}", "\u{8}", "\u{b}", "\u{c}", "\u{1b}", "\u{7f}", "\r"];

/// Han beyond the basic plane, compatibility forms, radicals, variants, strokes.
const RARE_HAN: [&str; 8] = ["𠀀", "𪚥", "𰻞", "丽", "豈", "⼈", "葛\u{e0100}", "〇々"];

/// Bytes that end a line's being text: never UTF-8, cut short, overlong, a surrogate, NUL.
const NO_TEXT: [&[u8]; 7] =
    [b"\xff", b"\xe4\xbd", b"\xc0\xaf", b"\xed\xa0\x80", b"\xd6\xd0", b"\xf4\x90\x80\x80", b"\0"];

/// Kinds of pieces by weight, those with Han text last.
const KINDS: usize = 44;
const KINDS_WITHOUT_HAN: usize = 29;

/// xorshift64*: every run makes the same text.
struct Random(u64);

impl Random {
    /// The file: a byte order mark, then lines with every kind of ending, the last with none.
    fn text(&mut self, lines: usize) -> Vec<u8> {
        let mut text = b"\xef\xbb\xbf".to_vec();
        for i in 0..lines {
            // The model takes nearly all the time, so that most lines hold nothing to read.
            let kinds = if self.below(12) == 0 { KINDS } else { KINDS_WITHOUT_HAN };
            for _ in 0..[0, 1, 1, 2, 2, 3, 4][self.below(7)] {
                self.piece(kinds, &mut text);
            }
            match self.below(4) {
                _ if i + 1 == lines => text.extend_from_slice("我门".as_bytes()),
                0 => text.extend_from_slice(b"\r\n"),
                _ => text.push(b'\n'),
            }
        }
        text
    }

    fn piece(&mut self, kinds: usize, text: &mut Vec<u8>) {
        let piece = match self.below(kinds) {
            0..20 => self.pick(&OTHER).as_bytes(),
            20..23 => return text.extend_from_slice(self.any_char().as_bytes()),
            23..26 => self.pick(&CONTROL).as_bytes(),
            26..29 => self.pick(&NO_TEXT),
            KINDS_WITHOUT_HAN..35 => self.pick(&HAN).as_bytes(),
            35..38 => self.pick(&RARE_HAN).as_bytes(),
            _ => self.pick(&WRONG).as_bytes(),
        };
        text.extend_from_slice(piece);
    }

    /// Of any plane; but NUL is no text, and a line ends where the file says.
    fn any_char(&mut self) -> String {
        loop {
            match char::from_u32(self.below(0x11_0000) as u32) {
                None | Some('\0' | '\n') => {}
                Some(c) => return c.to_string(),
            }
        }
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }
}
