//! A whole model of width 8 and one layer, or any that fits into a panel file: loaded, then run.
#![no_main]

use std::path::Path;
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use zhengzi_fuzz::{mend, properties};
use zhengzi_kernels::Isa;
use zhengzi_model::config::Config;
use zhengzi_model::electra::{Batch, Discriminator, Generator};
use zhengzi_runtime::{Arenas, Checkpoint, Cpu};

/// The shape of the seeds.
const TINY: &str = r#"{"vocab_size":48,"embedding_size":12,"hidden_size":8,"num_hidden_layers":1,
"num_attention_heads":2,"intermediate_size":20,"max_position_embeddings":24}"#;

static CPU: LazyLock<Cpu> = LazyLock::new(|| Cpu::new(Isa::best(), 1).expect("no thread to start"));

fuzz_target!(|bytes: &[u8]| {
    let Some(checkpoint) = properties::open(bytes).map(Arc::new) else { return };
    if let Some(config) = config(&checkpoint, "discriminator") {
        match Discriminator::load(Arc::clone(&checkpoint), &config, &CPU) {
            Ok(model) => agree(&config, |batch, arenas| {
                let logits = model.logits(batch, arenas).map_err(|error| error.to_string())?;
                assert_eq!(logits.len(), batch.tokens());
                Ok(logits[logits.len() - 5..].to_vec())
            }),
            Err(error) => properties::assert_one_line(&error),
        }
    }
    if let Some(config) = config(&checkpoint, "generator") {
        match Generator::load(Arc::clone(&checkpoint), &config, &CPU) {
            Ok(model) => agree(&config, |batch, arenas| {
                let positions = [batch.tokens() - 2];
                let logits =
                    model.logits(batch, &positions, arenas).map_err(|error| error.to_string())?;
                assert_eq!(logits.len(), config.vocab_size);
                Ok(logits)
            }),
            Err(error) => properties::assert_one_line(&error),
        }
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let size = fuzzer_mutate(data, size, max_size);
    match data {
        [b'P', b'K', ..] => {
            mend::zip(&mut data[..size]);
            size
        }
        [0x80, ..] => {
            mend::legacy(&mut data[..size]);
            size
        }
        _ if seed.is_multiple_of(4) => size,
        _ => mend::safetensors(&mut data[..max_size], size),
    }
});

/// The config in a panel file, else that of the seeds. A model of more than 64 MiB does not fit into an
/// input, so one that claims to be larger must fail to load: nothing to filter.
fn config(checkpoint: &Checkpoint, half: &str) -> Option<Config> {
    let json = match checkpoint.panels() {
        None => TINY,
        Some(_) => checkpoint.metadata().get(&format!("{half}.config"))?,
    };
    Config::parse(json.as_bytes(), Path::new("config.json")).ok()
}

/// The last sentence of a batch is answered as it is by itself, to the last bit; numbers are finite.
fn agree(config: &Config, run: impl Fn(&Batch, &Arenas) -> Result<Vec<f32>, String>) {
    let sentence = |length: usize, first: usize| -> Vec<u32> {
        let length = length.min(config.max_positions);
        (0..length).map(|i| ((first + 7 * i) % config.vocab_size) as u32).collect()
    };
    if config.max_positions < 5 {
        return;
    }
    let (mut alone, mut among) = (Batch::new(), Batch::new());
    alone.push(&sentence(5, 3));
    for (length, first) in [(3, 1), (17, 2), (5, 3)] {
        among.push(&sentence(length, first));
    }
    let arenas = Arenas::new();
    match (run(&alone, &arenas), run(&among, &arenas)) {
        (Ok(alone), Ok(among)) => {
            let bits = |logits: &[f32]| logits.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert!(alone.iter().all(|x| x.is_finite()));
            assert_eq!(bits(&alone), bits(&among));
        }
        // Another sentence of the batch may overflow where this one does not.
        (alone, among) => {
            assert!(among.is_err(), "alone it fails: {alone:?}");
            let refusals = [alone.err(), among.err()];
            refusals.iter().flatten().for_each(properties::assert_one_line);
        }
    }
}
