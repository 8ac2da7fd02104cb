//! The promise of equal bits: what a sentence answers depends on the instruction set, the precision
//! and the sentence; not on threads, on the size of the batch, or on its neighbours.

use std::sync::Arc;

use zhengzi_kernels::{Isa, Precision};
use zhengzi_model::electra::{Batch, Config, Discriminator, Generator};
use zhengzi_runtime::{Arenas, Cpu};

use super::weights::{self, Head, WeightFile};

const VOCABULARY: usize = 500;
const MASK: u32 = 4;

/// Small, and with widths that are no multiple of anything.
fn config(generator: bool) -> Config {
    let json = format!(
        r#"{{"vocab_size":{VOCABULARY},"embedding_size":20,"hidden_size":{},"num_hidden_layers":2,
            "num_attention_heads":3,"intermediate_size":75,"max_position_embeddings":140}}"#,
        if generator { 33 } else { 42 }
    );
    Config::parse(json.as_bytes(), std::path::Path::new("config.json")).unwrap()
}

/// 1,000 sentences, most of them short, a few long.
fn sentences() -> Vec<Vec<u32>> {
    let lengths = weights::ids("lengths", 1000, 60);
    let lengths = lengths.iter().enumerate().map(|(i, &n)| match i % 40 {
        0 => 70 + n as usize,
        _ => 3 + n as usize,
    });
    lengths
        .enumerate()
        .map(|(i, n)| weights::ids(&format!("sentence {i}"), n, VOCABULARY))
        .collect()
}

/// One answer a sentence, its bits, read `together` at a time.
fn answers(
    sentences: &[Vec<u32>],
    together: usize,
    read: impl Fn(&Batch) -> Vec<Vec<f32>>,
) -> Vec<Vec<u32>> {
    let batches = sentences.chunks(together).map(|sentences| {
        let mut batch = Batch::new();
        sentences.iter().for_each(|ids| batch.push(ids));
        read(&batch)
    });
    let bits = |answer: Vec<f32>| answer.into_iter().map(f32::to_bits).collect();
    batches.flatten().map(bits).collect()
}

#[test]
fn a_thousand_sentences_have_the_same_bits_for_any_threads_batch_and_neighbours() {
    let discriminator = WeightFile::of(&config(false), Head::Discriminator);
    let generator = WeightFile::of(&config(true), Head::Generator);
    let (all, arenas) = (sentences(), Arenas::new());
    let masked: Vec<Vec<u32>> = all[..200]
        .iter()
        .map(|ids| ids.iter().enumerate().map(|(i, &id)| if i % 9 == 1 { MASK } else { id }))
        .map(Iterator::collect)
        .collect();
    for precision in Precision::ALL {
        let mut first = None;
        for threads in [1, 2, 4, 8] {
            let cpu = Cpu::new(Isa::best(), threads).unwrap().with_precision(Some(precision));
            let discriminator =
                Discriminator::load(Arc::clone(&discriminator.checkpoint), &config(false), &cpu)
                    .unwrap();
            let generator =
                Generator::load(Arc::clone(&generator.checkpoint), &config(true), &cpu).unwrap();
            for together in [1, 7, 32] {
                let judged = answers(&all, together, |batch| {
                    let logits = discriminator.logits(batch, &arenas).unwrap();
                    let offsets = batch.offsets().windows(2);
                    offsets.map(|s| logits[s[0]..s[1]].to_vec()).collect()
                });
                let filled = answers(&masked, together, |batch| {
                    let masks = |s: &[usize]| {
                        let is_mask = |row: &usize| batch.ids()[*row] == MASK;
                        (s[0]..s[1]).filter(is_mask).collect::<Vec<_>>()
                    };
                    let rows: Vec<Vec<usize>> = batch.offsets().windows(2).map(masks).collect();
                    let logits = generator.logits(batch, &rows.concat(), &arenas).unwrap();
                    let mut logits = logits.chunks(VOCABULARY);
                    let mut take = |count| logits.by_ref().take(count).flatten().copied().collect();
                    rows.iter().map(|rows| take(rows.len())).collect()
                });
                assert!(judged.len() == 1000 && filled.iter().any(|answer| !answer.is_empty()));
                let (before, after) = first.get_or_insert((judged.clone(), filled.clone()));
                assert!(*before == judged, "{precision}, {threads} threads, {together} at a time");
                assert!(*after == filled, "{precision}, {threads} threads, {together} at a time");
            }
        }
    }
}
