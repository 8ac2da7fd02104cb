//! Proves that tokens and spans are those of Hugging Face's `tokenizers`, character for character, and
//! that a wrong vocabulary is refused in one line.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::bert::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{AddedToken, Tokenizer as Oracle};
use zhengzi_model::tokenizer::{Encoding, Tokenizer};

const SPECIALS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// What `do_lower_case` and `strip_accents` may say.
const RULES: [(bool, Option<bool>); 4] =
    [(true, None), (false, None), (true, Some(false)), (false, Some(true))];

/// Our tokenizer and the oracle, the latter with and without its special tokens.
struct Pair {
    ours: Tokenizer,
    plain: Oracle,
    special: Oracle,
}

impl Pair {
    fn new(vocabulary: &[u8], (lower_case, strip_accents): (bool, Option<bool>)) -> Self {
        // As transformers builds BertTokenizerFast and ElectraTokenizerFast from a vocab.txt.
        let lines = WordPiece::read_bytes(vocabulary).unwrap();
        let model = WordPiece::builder().vocab(lines).build().unwrap();
        let mut plain = Oracle::new(model);
        let normalizer = BertNormalizer::new(true, true, strip_accents, lower_case);
        plain.with_normalizer(Some(normalizer)).unwrap();
        plain.with_pre_tokenizer(Some(BertPreTokenizer));
        let mut special = plain.clone();
        special.add_special_tokens(SPECIALS.map(|token| AddedToken::from(token, true))).unwrap();
        let ours = Tokenizer::new(vocabulary, "vocab.txt", lower_case, strip_accents).unwrap();
        Self { ours, plain, special }
    }

    fn compare(&self, text: &str) {
        self.same(text, "encode", self.ours.encode(text), &self.plain);
        self.same(
            text,
            "encode_with_specials",
            self.ours.encode_with_specials(text),
            &self.special,
        );
    }

    fn same(&self, text: &str, what: &str, ours: Encoding, oracle: &Oracle) {
        let theirs = oracle.encode(text, false).unwrap();
        let spans = theirs.get_offsets().iter().map(|&(start, end)| start..end);
        let theirs = Encoding { ids: theirs.get_ids().to_vec(), spans: spans.collect() };
        assert!(
            ours == theirs,
            "{what} of {text:?} ({})\nours:   {}\noracle: {}",
            text.escape_unicode(),
            self.show(&ours),
            self.show(&theirs)
        );
    }

    fn show(&self, encoding: &Encoding) -> String {
        let mut shown = String::new();
        for (&id, span) in encoding.ids.iter().zip(&encoding.spans) {
            write!(shown, "{} {span:?}  ", self.ours.token(id)).unwrap();
        }
        shown
    }
}

/// A vocabulary that tells nearly all characters apart: those of planes 0 to 2, alone and continuing
/// a word, and some longer tokens for the longest match to choose from.
fn every_character() -> Vec<u8> {
    let mut lines = SPECIALS.join("\n");
    for c in (0x21..0x3_0000).filter_map(char::from_u32) {
        // The oracle's reader trims white space at the end of a line; no token ever holds any.
        if !c.is_whitespace() {
            write!(lines, "\n{c}\n##{c}").unwrap();
        }
    }
    for word in
        ["the", "play", "playing", "##ing", "##in", "iph", "phone", "##phone", "##one", "12"]
    {
        write!(lines, "\n{word}").unwrap();
    }
    for word in
        ["##12", "中国", "##\u{ac00}", "e\u{301}", "##ss", "##ßs", "aaaa", "##aaaaaaa", "ii"]
    {
        if !lines.lines().any(|line| line == word) {
            write!(lines, "\n{word}").unwrap();
        }
    }
    lines.into_bytes()
}

/// A vocabulary with holes: most words have a part that is in no token.
fn few_characters() -> Vec<u8> {
    let lines = "的\n中\n国\n豈\n，\n。\n!\n[\n]\nmask\n##sk\na\n##a\n##aa\nb\n##b\nα\nσ\n##σ\ni\n##i\ne\n##e\nᄀ\n##ᅡ\nplay\n##ing";
    format!("{}\n{lines}\n", SPECIALS.join("\n")).into_bytes()
}

/// xorshift64*: every run makes the same strings.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n as u64) as usize
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.below(from.len())]
    }

    fn between(&mut self, first: u32, last: u32) -> char {
        loop {
            let c = first + self.below((last - first + 1) as usize) as u32;
            if let Some(c) = char::from_u32(c) {
                return c;
            }
        }
    }

    /// Pieces that each strain some rule, side by side in any order.
    fn text(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..self.below(14) {
            match self.below(20) {
                0 => text.push(self.between(0, 0x10_ffff)),
                1 => text.push(self.between(0, 0xffff)),
                2 => text.push(self.between(0, 0x2ff)),
                3..=5 => text.push(self.between(0x4e00, 0x9fff)),
                6 => text.push(self.between(0x3400, 0x4dbf)),
                7 => {
                    let plane = [(0x2_a700, 0x2_ebef), (0x2_f800, 0x2_fa1f), (0xf900, 0xfaff)];
                    let (first, last) = plane[self.below(3)];
                    text.push(self.between(first, last));
                }
                8 => text.push(self.between(0xac00, 0xd7a3)),
                9 => text.push(self.between(0x1e00, 0x1fff)),
                10 => (0..=self.below(4)).for_each(|_| text.push(self.between(0x300, 0x36f))),
                // Marks that survive, marks of many classes, and signs that decompose into both.
                11 => (0..=self.below(4)).for_each(|_| text.push_str(self.pick(&MARKS))),
                12 => text.push_str(self.pick(&SPACES_AND_CONTROLS)),
                13 => text.push_str(self.pick(&BRACKETS)),
                14 | 15 => text.push_str(self.pick(&WORDS)),
                16 => text.push(self.between(0x21, 0x7e)),
                17 => text.push(self.between(0x3000, 0x30ff)),
                18 => text.push(self.between(0xfe00, 0xffff)),
                _ => self.long_word(&mut text),
            }
        }
        text
    }

    /// 99 to 102 letters, or as many that only become so when marks or controls are dropped.
    fn long_word(&mut self, text: &mut String) {
        let letter = self.pick(&["a", "é", "e\u{301}", "b\u{0}", "σ", "각", "İ", "中"]);
        let count = if letter == "각" { 32 + self.below(3) } else { 99 + self.below(4) };
        (0..count).for_each(|_| text.push_str(letter));
    }
}

const MARKS: [&str; 20] = [
    "\u{1d15e}",
    "\u{1d160}",
    "\u{1d1bf}",
    "\u{1d165}",
    "\u{1d16d}",
    "\u{302e}",
    "\u{327}",
    "\u{323}",
    "\u{301}",
    "\u{344}",
    "\u{8d4}",
    "\u{1e944}",
    "\u{1ac0}",
    "\u{ccb}",
    "\u{1b44}",
    "\u{5b0}",
    "\u{1134b}",
    "\u{cd5}",
    "e",
    "\u{1e000}",
];

const SPACES_AND_CONTROLS: [&str; 18] = [
    " ",
    "  ",
    "\t",
    "\r\n",
    "\n",
    "\0",
    "\u{a0}",
    "\u{3000}",
    "\u{2028}",
    "\u{85}",
    "\u{b}",
    "\u{200b}",
    "\u{200d}",
    "\u{feff}",
    "\u{fffd}",
    "\u{e000}",
    "\u{f0001}",
    "\u{ad}",
];

const BRACKETS: [&str; 10] =
    ["[MASK]", "[SEP]", "[CLS]", "[PAD]", "[UNK]", "[mask]", "[MASK", "[[MASK]]", "[MA\0SK]", "##"];

const WORDS: [&str; 16] = [
    "playing",
    "iPhone12",
    "ΣΑΣ",
    "İstanbul",
    "Straße",
    "ẞ",
    "Ǆ",
    "ﬁn",
    "≠",
    "the",
    "café",
    "Ångström",
    "THE",
    "中国",
    "１２",
    "aaaaaaaaaaaa",
];

fn compare_generated(vocabulary: &[u8], strings: usize, seed: u64) {
    for rules in RULES {
        let pair = Pair::new(vocabulary, rules);
        let mut random = Random(seed);
        // All of them under the two rules in use; an eighth under the two that nobody sets.
        let strings = if rules.1.is_none() { strings } else { strings / 8 };
        (0..strings).for_each(|_| pair.compare(&random.text()));
    }
}

#[test]
fn tokens_and_spans_of_generated_strings_are_the_oracles() {
    compare_generated(&every_character(), 100_000, 1);
}

#[test]
fn words_with_a_part_in_no_token_become_unk_as_the_oracles_do() {
    compare_generated(&few_characters(), 20_000, 2);
}

#[test]
fn every_code_point_is_kept_dropped_split_and_folded_as_the_oracle_does() {
    let vocabulary = every_character();
    // The tables are the same without lower-casing; there only the way through them differs.
    for (rules, last) in [((true, None), char::MAX), ((false, None), '\u{1ffff}')] {
        let pair = Pair::new(&vocabulary, rules);
        let mut text = String::new();
        for c in '\0'..=last {
            // Inside a word, after a mark that sorts late, alone.
            write!(text, "a{c}b e\u{345}{c} {c} ").unwrap();
            if c as u32 % 64 == 63 {
                let whole = pair.ours.encode(&text);
                let theirs = pair.plain.encode(text.as_str(), false).unwrap();
                if whole.ids != theirs.get_ids() {
                    text.split_inclusive(' ').for_each(|part| pair.compare(part));
                }
                pair.same(&text, "encode", whole, &pair.plain);
                text.clear();
            }
        }
    }
}

#[test]
fn published_vocabularies_give_the_oracles_tokens_on_generated_strings() {
    for path in ["vocab/chinese_bert_21128.txt", "models/tiny-zh/discriminator/vocab.txt"] {
        let Some(vocabulary) = shared(path) else { continue };
        compare_generated(&std::fs::read(vocabulary).unwrap(), 100_000, 3);
    }
}

#[test]
fn tokens_and_spans_of_corpus_lines_are_the_oracles() {
    let (Some(corpus), Some(vocabulary)) =
        (shared("corpus"), shared("vocab/chinese_bert_21128.txt"))
    else {
        return;
    };
    let pair = Pair::new(&std::fs::read(vocabulary).unwrap(), (true, None));
    let mut files: Vec<_> = std::fs::read_dir(corpus)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "xz"))
        .collect();
    files.sort();
    let mut compared = 0;
    for (i, file) in files.iter().enumerate() {
        let xz = Command::new("xz").arg("-dc").arg(file).stdout(Stdio::piped()).spawn();
        let Ok(mut xz) = xz else {
            eprintln!("skipped: the program xz is not installed");
            return;
        };
        // An equal share of what is left for each file, so that short ones are made up for.
        let share = (100_000 - compared) / (files.len() - i);
        for line in BufReader::new(xz.stdout.take().unwrap()).lines().take(share) {
            pair.compare(&line.unwrap());
            compared += 1;
        }
        xz.kill().and_then(|()| xz.wait()).unwrap();
    }
    assert_eq!(compared, 100_000);
}

#[test]
fn reference_sentences_of_the_tiny_model_give_the_ids_that_transformers_gave() {
    let Some(model) = shared("models/tiny-zh") else { return };
    let tokenizer = Tokenizer::open(&model.join("discriminator")).unwrap();
    for line in std::fs::read_to_string(model.join("reference.jsonl")).unwrap().lines() {
        let reference: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = reference["text"].as_str().unwrap();
        let Encoding { ids, spans } = tokenizer.encode(text);
        let code_points = |byte| text[..byte].chars().count();
        let spans = spans.iter().map(|span| [code_points(span.start), code_points(span.end)]);
        let ids: Vec<_> =
            [tokenizer.cls()].into_iter().chain(ids).chain([tokenizer.sep()]).collect();
        let spans: Vec<_> = [[0, 0]].into_iter().chain(spans).chain([[0, 0]]).collect();
        assert_eq!(serde_json::json!(ids), reference["ids"], "{text}");
        assert_eq!(serde_json::json!(spans), reference["spans"], "{text}");
    }
}

#[test]
fn brackets_typed_by_a_user_are_text_and_only_fill_reads_them() {
    let tokenizer = Tokenizer::new(&few_characters(), "vocab.txt", true, None).unwrap();
    let text = "中[MASK]国";
    let tokens = |encoding: &Encoding| -> Vec<String> {
        encoding.ids.iter().map(|&id| tokenizer.token(id).to_owned()).collect()
    };
    let plain = tokenizer.encode(text);
    assert_eq!(tokens(&plain), ["中", "[", "mask", "]", "国"]);
    assert_eq!(plain.spans, [0..3, 3..4, 4..8, 8..9, 9..12]);
    let special = tokenizer.encode_with_specials(text);
    assert_eq!(tokens(&special), ["中", "[MASK]", "国"]);
    assert_eq!(special.spans, [0..3, 3..9, 9..12]);
    assert_eq!(special.ids[1], tokenizer.mask());
}

#[test]
fn an_empty_text_has_no_tokens() {
    let tokenizer = Tokenizer::new(&few_characters(), "vocab.txt", true, None).unwrap();
    assert_eq!(tokenizer.encode(""), Encoding::default());
    assert_eq!(tokenizer.encode_with_specials("\0 \u{ad}\n"), Encoding::default());
}

#[test]
fn ids_are_line_numbers_with_crlf_and_byte_order_mark_too() {
    let lf = String::from_utf8(few_characters()).unwrap();
    let crlf = format!("\u{feff}{}", lf.replace('\n', "\r\n"));
    for vocabulary in [lf.as_str(), crlf.as_str(), lf.trim_end(), crlf.trim_end()] {
        let tokenizer = Tokenizer::new(vocabulary.as_bytes(), "vocab.txt", true, None).unwrap();
        assert_eq!(tokenizer.len(), lf.lines().count());
        for (line, token) in lf.lines().enumerate() {
            assert_eq!(tokenizer.id(token), Some(line as u32));
            assert_eq!(tokenizer.token(line as u32), token);
        }
        let specials =
            [tokenizer.pad(), tokenizer.unk(), tokenizer.cls(), tokenizer.sep(), tokenizer.mask()];
        assert_eq!(specials, [0, 1, 2, 3, 4]);
        assert_eq!(tokenizer.id("no such token"), None);
    }
}

#[test]
fn a_wrong_vocabulary_is_refused_in_one_line_that_says_what_to_do() {
    let good = String::from_utf8(few_characters()).unwrap();
    let without = |token: &str| good.replacen(&format!("{token}\n"), "", 1).into_bytes();
    let repeated = format!("{good}国\n").into_bytes();
    let cases: [(Vec<u8>, &str); 11] = [
        (vec![], "the file is empty"),
        (b"\xef\xbb\xbf".to_vec(), "the file is empty"),
        (b"[PAD]\n\xff\n".to_vec(), "not UTF-8 at byte 6"),
        (repeated, "lines 8 and 33 both read \"国\""),
        (without("[PAD]"), "no line reads [PAD]"),
        (without("[UNK]"), "no line reads [UNK]"),
        (without("[CLS]"), "no line reads [CLS]"),
        (without("[SEP]"), "no line reads [SEP]"),
        (without("[MASK]"), "no line reads [MASK]"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n".to_vec(),
            "a Git LFS pointer",
        ),
        (b"\n<!DOCTYPE html>\n<html>\n".to_vec(), "a web page"),
    ];
    for (bytes, what) in cases {
        let error = Tokenizer::new(&bytes, "a/vocab.txt", true, None).err().unwrap().to_string();
        assert!(error.starts_with(&format!("a/vocab.txt: {what}")), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn a_folder_is_read_with_its_vocabulary_and_its_configuration() {
    let dir = std::env::temp_dir().join(format!("zhengzi-tokenizer-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let refused = |file: &str| {
        let error = Tokenizer::open(&dir).err().unwrap().to_string();
        assert!(error.starts_with(&dir.join(file).display().to_string()), "{error}");
        assert!(!error.contains('\n'), "{error}");
    };
    let unknown = |config: &str| {
        std::fs::write(dir.join("tokenizer_config.json"), config).unwrap();
        let tokenizer = Tokenizer::open(&dir).unwrap();
        tokenizer.encode("PLAY").ids == [tokenizer.unk()]
    };

    refused("vocab.txt");
    std::fs::write(dir.join("vocab.txt"), few_characters()).unwrap();
    assert_eq!(Tokenizer::open(&dir).unwrap().encode("PLAYing").ids.len(), 2);
    assert!(!unknown(r#"{"init_inputs": []}"#));
    assert!(!unknown(r#"{"do_lower_case": null, "model_max_length": 1e30}"#));
    assert!(unknown(r#"{"do_lower_case": false}"#));
    for config in ["{", "7", r#"{"do_lower_case": "yes"}"#, r#"{"tokenize_chinese_chars": false}"#]
    {
        std::fs::write(dir.join("tokenizer_config.json"), config).unwrap();
        refused("tokenizer_config.json");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

/// A file that is measured against but does not belong to the repository; `None`, aloud, without it.
fn shared(path: &str) -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")).join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is not there", path.display());
    None
}
