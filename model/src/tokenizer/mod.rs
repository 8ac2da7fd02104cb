//! Text to vocabulary ids and back to bytes: BERT's tokenizer, where every token knows which bytes of
//! the text it came from.
//!
//! ```text
//! text ──▶ normalizer ──▶ wordpiece ──▶ ids, spans
//!          one character     one word
//! ```
//!
//! 1. *Clean*: U+0000, U+FFFD and control characters go, every white space becomes a space.
//! 2. *Han*: each Chinese character stands between two spaces.
//! 3. *Accents*: canonical decomposition (NFD), then nonspacing marks go; unless told otherwise, only
//!    when lower-casing.
//! 4. *Lower case*, character by character.
//! 5. *Words*: split at spaces, and around every punctuation mark.
//! 6. *WordPiece*: greedy longest match (Wu et al. 2016, arXiv:1609.08144, section 4.1).
//!
//! The steps 1, 3 and 4 change lengths, so each character travels with its source span. Ids and spans
//! are those of Hugging Face's `tokenizers` (Rust, 0.23), slips of its tables included: a published
//! model was trained on them. Where it and the Python `BertTokenizer` differ, it is the judge.

mod normalizer;
mod source;
mod unicode;
mod vocabulary;
mod wordpiece;

use std::fmt;
use std::ops::Range;
use std::path::Path;

use normalizer::Normalizer;
pub use source::Source;
use vocabulary::Vocabulary;
use wordpiece::WordPiece;
use zhengzi_runtime::OneLine;

/// Token ids with the bytes of the text each came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    /// Lines of the vocabulary, from 0.
    pub ids: Vec<u32>,
    /// Byte range of the source text for each id, ascending. Two tokens of one source character (a
    /// decomposed one) have the same span; dropped characters between two tokens belong to none.
    pub spans: Vec<Range<usize>>,
}

/// A vocabulary and the rules by which a text is cut into its tokens.
pub struct Tokenizer {
    vocabulary: Vocabulary,
    specials: [u32; SPECIALS.len()],
    lower_case: bool,
    strip_accents: bool,
}

impl Tokenizer {
    /// Reads `vocab.txt` in the folder `dir` and, where there is one, `tokenizer_config.json`
    /// (`do_lower_case`, `strip_accents`). Without a word on it, text is lower-cased.
    ///
    /// # Errors
    /// As [`Tokenizer::new`], and when a file cannot be read or the configuration is not JSON or asks
    /// for what is not supported.
    pub fn open(dir: &Path) -> Result<Self, TokenizerError> {
        Source::open(dir)?.tokenizer()
    }

    /// Reads a vocabulary: UTF-8, a token a line, its id the number of the line from 0. Lines may end
    /// in CR LF, and a byte order mark is skipped: no token could hold either, since cleaning takes
    /// both out of every text. `strip_accents: None` does as `lower_case` does.
    ///
    /// # Errors
    /// When the bytes are empty, not UTF-8, name a token twice or lack one of `[PAD]`, `[UNK]`,
    /// `[CLS]`, `[SEP]`, `[MASK]`. `name_for_messages` stands for the file in the message.
    pub fn new(
        vocab_bytes: &[u8],
        name_for_messages: &str,
        lower_case: bool,
        strip_accents: Option<bool>,
    ) -> Result<Self, TokenizerError> {
        let refuse = |(what, hint)| TokenizerError { file: name_for_messages.into(), what, hint };
        let vocabulary = Vocabulary::new(vocab_bytes).map_err(refuse)?;
        let mut specials = [0; SPECIALS.len()];
        for (id, literal) in specials.iter_mut().zip(SPECIALS) {
            *id = vocabulary.id(literal).ok_or_else(|| {
                refuse((
                    format!("no line reads {literal}"),
                    "take the vocab.txt of a BERT or ELECTRA model",
                ))
            })?;
        }
        Ok(Self {
            vocabulary,
            specials,
            lower_case,
            strip_accents: strip_accents.unwrap_or(lower_case),
        })
    }

    /// The tokens of `text`, without `[CLS]` and `[SEP]`. Whatever a user types is plain text: a
    /// literal `[MASK]` is a bracket, a word and a bracket.
    pub fn encode(&self, text: &str) -> Encoding {
        let mut encoding = Encoding::for_text(text);
        self.encode_part(text, 0..text.len(), &mut encoding);
        encoding
    }

    /// As [`Tokenizer::encode`], but a literal `[PAD]`, `[UNK]`, `[CLS]`, `[SEP]` or `[MASK]` in the
    /// text, spelt exactly so, is that special token.
    pub fn encode_with_specials(&self, text: &str) -> Encoding {
        let mut encoding = Encoding::for_text(text);
        let mut start = 0;
        for (at, _) in text.match_indices('[') {
            let Some(which) = SPECIALS.iter().position(|literal| text[at..].starts_with(literal))
            else {
                continue;
            };
            let end = at + SPECIALS[which].len();
            self.encode_part(text, start..at, &mut encoding);
            encoding.push(self.specials[which], at..end);
            start = end;
        }
        self.encode_part(text, start..text.len(), &mut encoding);
        encoding
    }

    /// The id of `[PAD]`.
    pub fn pad(&self) -> u32 {
        self.specials[0]
    }

    /// The id of `[UNK]`.
    pub fn unk(&self) -> u32 {
        self.specials[1]
    }

    /// The id of `[CLS]`.
    pub fn cls(&self) -> u32 {
        self.specials[2]
    }

    /// The id of `[SEP]`.
    pub fn sep(&self) -> u32 {
        self.specials[3]
    }

    /// The id of `[MASK]`.
    pub fn mask(&self) -> u32 {
        self.specials[4]
    }

    /// The token of an id.
    ///
    /// # Panics
    /// When `id` is not below [`Tokenizer::len`].
    pub fn token(&self, id: u32) -> &str {
        self.vocabulary.token(id)
    }

    /// The id of a token, spelt as in the vocabulary.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.vocabulary.id(token)
    }

    /// How many tokens there are: the rows that the embedding of a model must have.
    #[expect(clippy::len_without_is_empty, reason = "an empty vocabulary is refused")]
    pub fn len(&self) -> usize {
        self.vocabulary.len()
    }

    /// Encodes `text[part]`; the spans count from the start of `text`.
    fn encode_part(&self, text: &str, part: Range<usize>, encoding: &mut Encoding) {
        let mut words = WordPiece::new(&self.vocabulary, self.unk(), encoding);
        let mut normalizer = Normalizer::new(self.lower_case, self.strip_accents);
        for (at, c) in text[part.clone()].char_indices() {
            let start = part.start + at;
            let span = start..start + c.len_utf8();
            // Most of a Chinese text: no step but the last has anything to do.
            if let Some(id) = self.vocabulary.standalone(c) {
                normalizer.end_word(&mut words);
                words.token(id, span);
            } else {
                normalizer.push(c, span, &mut words);
            }
        }
        normalizer.end_word(&mut words);
    }
}

impl Encoding {
    /// Empty, with room for a token per three bytes: a Chinese character, or most of a Latin word.
    fn for_text(text: &str) -> Self {
        let room = text.len() / 3 + 1;
        Self { ids: Vec::with_capacity(room), spans: Vec::with_capacity(room) }
    }

    fn push(&mut self, id: u32, span: Range<usize>) {
        self.ids.push(id);
        self.spans.push(span);
    }
}

/// Cuts texts into words, normalised (lower-cased, without accents) as a tokenizer sees them before it cuts
/// them into tokens: a Chinese character and a punctuation mark are words of their own.
pub struct Words {
    /// Of nothing: no word is looked up.
    vocabulary: Vocabulary,
}

impl Default for Words {
    fn default() -> Words {
        Words { vocabulary: Vocabulary::new(b"[UNK]").expect("one line of text") }
    }
}

impl Words {
    /// Tells each word of a text.
    pub fn each(&self, text: &str, told: &mut dyn FnMut(&str)) {
        let mut encoding = Encoding::default();
        let mut words = WordPiece::new(&self.vocabulary, 0, &mut encoding).telling(told);
        let mut normalizer = Normalizer::new(true, true);
        for (at, c) in text.char_indices() {
            normalizer.push(c, at..at + c.len_utf8(), &mut words);
        }
        normalizer.end_word(&mut words);
    }
}

/// What was wrong with a vocabulary or its configuration, and what to do: one line.
#[derive(Debug)]
pub struct TokenizerError {
    /// The file.
    pub file: String,
    /// What was wrong, and where in the file.
    pub what: String,
    /// What to do about it.
    pub hint: &'static str,
}

impl fmt::Display for TokenizerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", OneLine(&self.file), OneLine(&self.what), self.hint)
    }
}

impl std::error::Error for TokenizerError {}

/// The tokens that stand for no text.
pub(crate) const SPECIALS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
