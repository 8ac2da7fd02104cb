//! `config.json`: what passes is the shape of a network that can be.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use zhengzi_fuzz::properties::assert_one_line;
use zhengzi_model::config::Config;

fuzz_target!(|bytes: &[u8]| {
    let parse = |bytes: &[u8]| Config::parse(bytes, Path::new("config.json"));
    let config = match parse(bytes) {
        Ok(config) => config,
        Err(error) => return assert_one_line(&error),
    };
    assert_eq!(parse(bytes).ok().as_ref(), Some(&config), "the same file, another answer");
    let sizes = [
        config.vocab_size,
        config.embedding_size,
        config.hidden_size,
        config.layers,
        config.heads,
        config.intermediate_size,
        config.max_positions,
        config.token_types,
    ];
    // No product of two of them overflows, on machines of 64 bits.
    assert!(sizes.iter().all(|size| (1..=1 << 24).contains(size)), "{config:?}");
    assert!(config.hidden_size.is_multiple_of(config.heads) && config.max_positions >= 3);
    assert!((0.0..1.0).contains(&config.layer_norm_eps), "{config:?}");
});
