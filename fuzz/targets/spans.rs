//! The tokenizer against its spans, over any text and a vocabulary with a bit of everything.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use zhengzi_fuzz::properties::assert_spans;
use zhengzi_fuzz::vocabulary;
use zhengzi_model::tokenizer::Tokenizer;

static TOKENIZERS: LazyLock<[Tokenizer; 4]> = LazyLock::new(|| {
    [(true, None), (false, None), (true, Some(false)), (false, Some(true))].map(|(lower, strip)| {
        let text = vocabulary::sample();
        Tokenizer::new(text.as_bytes(), "vocab.txt", lower, strip).expect("well formed")
    })
});

fuzz_target!(|text: &str| {
    for tokenizer in TOKENIZERS.iter() {
        assert_spans(tokenizer, text);
    }
});
