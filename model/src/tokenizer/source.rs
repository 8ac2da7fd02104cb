//! What a tokenizer is made from: the text of `vocab.txt`, and what `tokenizer_config.json` says of
//! how text is cut.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Tokenizer, TokenizerError, vocabulary};
use crate::beside;

/// A vocabulary and its rules, read but not yet understood.
#[derive(Clone, Debug)]
pub struct Source {
    file: String,
    vocabulary: Vec<u8>,
    rules: Rules,
}

/// The keys of `tokenizer_config.json` that change how text is cut. All else in it is for Python.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Rules {
    #[serde(skip_serializing_if = "Option::is_none")]
    do_lower_case: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strip_accents: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokenize_chinese_chars: Option<bool>,
}

impl Source {
    /// Reads `vocab.txt` in the folder `dir` and, where there is one, `tokenizer_config.json`.
    ///
    /// # Errors
    /// When a file cannot be read, or the configuration is not JSON or asks for what is not supported.
    pub fn open(dir: &Path) -> Result<Source, TokenizerError> {
        let rules = Rules::open(&dir.join("tokenizer_config.json"))?;
        let path = dir.join("vocab.txt");
        let file = path.display().to_string();
        match beside::read(&path, vocabulary::LIMIT) {
            Ok(vocabulary) => Ok(Source { file, vocabulary, rules }),
            Err(error) => Err(TokenizerError {
                file,
                what: error.to_string(),
                hint: "the vocabulary belongs beside the model: copy the vocab.txt it was published with",
            }),
        }
    }

    /// From texts that lie elsewhere, `rules` being those of a `tokenizer_config.json`; `file` stands
    /// in messages.
    ///
    /// # Errors
    /// As [`Source::open`].
    pub fn new(vocabulary: &str, rules: &str, file: &str) -> Result<Source, TokenizerError> {
        let rules = Rules::parse(rules.as_bytes(), file)?;
        Ok(Source { file: file.to_owned(), vocabulary: vocabulary.into(), rules })
    }

    /// The tokenizer. Without a word on it, text is lower-cased.
    ///
    /// # Errors
    /// As [`Tokenizer::new`].
    pub fn tokenizer(&self) -> Result<Tokenizer, TokenizerError> {
        let lower_case = self.rules.do_lower_case.unwrap_or(true);
        Tokenizer::new(&self.vocabulary, &self.file, lower_case, self.rules.strip_accents)
    }

    /// What messages call it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The text of `vocab.txt`.
    pub fn vocabulary(&self) -> &[u8] {
        &self.vocabulary
    }

    /// The rules, as they would stand in a `tokenizer_config.json`.
    pub fn rules(&self) -> String {
        serde_json::to_string(&self.rules).expect("three booleans")
    }
}

/// Whether they make the same tokenizer.
impl PartialEq for Source {
    fn eq(&self, other: &Source) -> bool {
        self.vocabulary == other.vocabulary && self.rules == other.rules
    }
}

impl Rules {
    fn open(path: &Path) -> Result<Rules, TokenizerError> {
        let file = path.display().to_string();
        match beside::read(path, beside::JSON_LIMIT) {
            Ok(bytes) => Rules::parse(&bytes, &file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Rules::default()),
            Err(error) => Err(TokenizerError {
                file,
                what: error.to_string(),
                hint: "make it readable, or remove it",
            }),
        }
    }

    fn parse(json: &[u8], file: &str) -> Result<Rules, TokenizerError> {
        let refuse = |what, hint| TokenizerError { file: file.to_owned(), what, hint };
        let json = json.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(json);
        let rules: Rules = serde_json::from_slice(json).map_err(|error| {
            refuse(error.to_string(), "fetch it again, or remove it: text is then lower-cased")
        })?;
        match rules.tokenize_chinese_chars {
            Some(false) => Err(refuse(
                "tokenize_chinese_chars is false".into(),
                "only models that read each Chinese character by itself are supported",
            )),
            _ => Ok(rules),
        }
    }
}
