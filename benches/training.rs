//! What a step of joint training costs: `cargo bench -p zhengzi-benches --bench training -- [SHAPE] [SECONDS] [THREADS]`.
//!
//! SHAPE is `tiny` (generator 128 × 4, discriminator 256 × 4, 64 sentences of 64 tokens, the shapes of `tiny-zh`) or
//! `small` (ELECTRA-small and its generator, 64 × 128). Random weights, random ids, 15 % masked, drawn, both
//! gradients, clipping and AdamW: all that a step is. It writes one line of JSON, which `benches/training.py` reads to
//! race PyTorch.

use std::time::Instant;

use zhengzi_kernels::Isa;
use zhengzi_model::electra::{Batch, Config};
use zhengzi_model::training::{
    Embeddings, Exercise, Masking, Objective, Optimizer, Pair, Purpose, Random, Replacements, Row,
};
use zhengzi_runtime::{Arena, Cpu};

/// vocabulary, sentences, tokens of each, layers, and of each half hidden states, heads and the feed-forward width.
type Shape = (usize, usize, usize, usize, [[usize; 3]; 2]);
const TINY: Shape = (9216, 64, 64, 4, [[128, 2, 512], [256, 4, 1024]]);
const SMALL: Shape = (21128, 64, 128, 12, [[64, 1, 256], [256, 4, 1024]]);

fn main() {
    let typed: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let name = typed.first().map_or("tiny", String::as_str);
    let seconds: f64 = typed.get(1).map_or(10.0, |n| n.parse().expect("seconds"));
    let threads: usize = typed.get(2).map_or(2, |n| n.parse().expect("threads"));
    let (vocabulary, sentences, length, layers, halves) = match name {
        "tiny" => TINY,
        "small" => SMALL,
        other => panic!("no shape {other}: tiny or small"),
    };
    let [generator, discriminator] = halves.map(|half| config(vocabulary, layers, half));
    let mut pair = Pair::fresh(&generator, &discriminator, Embeddings::Shared, 1).unwrap();
    let mut optimizer = Optimizer::new(pair.layout());
    let mut gradients = Row::of(pair.layout());
    let mut arena = Arena::new();
    let cpu = Cpu::new(Isa::best(), threads).unwrap();
    let masking = Masking { rate: 0.15, unchanged: 0.15, mask: 4, special: (0..5).collect() };

    let (mut times, mut loss) = (Vec::new(), [0.0; 2]);
    let began = Instant::now();
    for step in 0.. {
        let mut random = Random::new(1, step, Purpose::Masking);
        let mut batch = Batch::new();
        for _ in 0..sentences {
            let ids: Vec<u32> =
                (0..length).map(|_| 5 + random.below(vocabulary - 5) as u32).collect();
            batch.push(&ids);
        }
        let begin = Instant::now();
        let masked = masking.mask(&batch, &mut random);
        let uniforms: Vec<f64> = masked.rows.iter().map(|_| random.uniform()).collect();
        let replacements = Replacements::Drawn(&uniforms);
        let exercise = Exercise { batch: &batch, masked: &masked, replacements };
        gradients.values_mut().fill(0.0);
        let lesson = pair.learn(&cpu, &exercise, &Objective::default(), &mut gradients, &mut arena);
        pair.step(&cpu, &mut optimizer, &gradients, 1e-4);
        times.push(begin.elapsed().as_secs_f64());
        loss = [lesson.generator_loss, lesson.discriminator_loss];
        if times.len() >= 3 && began.elapsed().as_secs_f64() >= seconds {
            break;
        }
    }
    times.remove(0);
    times.sort_by(f64::total_cmp);
    let tokens = (sentences * length) as f64;
    println!(
        "{{\"shape\": \"{name}\", \"isa\": \"{}\", \"threads\": {threads}, \"steps\": {}, \
         \"min_s\": {:.4}, \"median_s\": {:.4}, \"tokens_per_s\": {:.0}, \"losses\": [{:.4}, {:.4}], \
         \"peak_mb\": {}}}",
        cpu.isa().level(),
        times.len(),
        times[0],
        times[times.len() / 2],
        tokens / times[0],
        loss[0],
        loss[1],
        peak_mb().map_or("null".to_owned(), |mb| format!("{mb:.0}")),
    );
}

fn config(vocabulary: usize, layers: usize, [h, heads, f]: [usize; 3]) -> Config {
    let text = format!(
        "{{\"vocab_size\": {vocabulary}, \"embedding_size\": 128, \"hidden_size\": {h}, \
         \"num_hidden_layers\": {layers}, \"num_attention_heads\": {heads}, \
         \"intermediate_size\": {f}, \"max_position_embeddings\": 512}}"
    );
    Config::parse(text.as_bytes(), "config.json".as_ref()).unwrap()
}

/// The most memory this process has had.
fn peak_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1000.0)
}
