//! A vocabulary, and a text read with it: the input is `vocab.txt`, a byte 0xff, and the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zhengzi_fuzz::properties::{assert_one_line, assert_spans};
use zhengzi_model::tokenizer::Tokenizer;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |byte| *byte == 0xff);
    let (vocabulary, text) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let rules = [(true, None), (false, None), (true, Some(false)), (false, Some(true))];
    let (lower_case, strip_accents) = rules[bytes.len() % 4];
    let tokenizer = match Tokenizer::new(vocabulary, "vocab.txt", lower_case, strip_accents) {
        Ok(tokenizer) => tokenizer,
        Err(error) => return assert_one_line(&error),
    };
    let lines = str::from_utf8(vocabulary).expect("it passed").split_inclusive('\n').count();
    assert_eq!(tokenizer.len(), lines);
    for id in 0..tokenizer.len() as u32 {
        assert_eq!(tokenizer.id(tokenizer.token(id)), Some(id));
    }
    if let Ok(text) = str::from_utf8(text) {
        assert_spans(&tokenizer, text);
    }
});
