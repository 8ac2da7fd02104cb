//! How far do the logits of a pair drift when it is computed in bf16 or int8 instead of f32?
//!
//! ```text
//! cargo run --release -p zhengzi-model --example precision_drift -- PAIR_FOLDER PRECISION EVERY PAIRS.tsv…
//! ```
//!
//! Reads the first column of every EVERY-th line. The discriminator reads each sentence as it is;
//! the generator reads it with one mask, at its first, middle and last token in turn. Printed: mean
//! and largest |Δ logit|, for the discriminator over all tokens and for the generator over the
//! whole vocabulary at the masks; how often the discriminator decides alike at 0.5; and how often
//! the generator's first choice is the same.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use zhengzi_kernels::{Isa, Precision};
use zhengzi_model::electra::{Batch, Config, Discriminator, Generator};
use zhengzi_model::tokenizer::Tokenizer;
use zhengzi_runtime::{Arenas, Checkpoint, Cpu};

/// Sentences that are read together.
const BATCH: usize = 32;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, precision, every, files @ ..] = &arguments[..] else {
        return Err("usage: precision_drift PAIR_FOLDER PRECISION EVERY PAIRS.tsv…".into());
    };
    let (folder, every) = (Path::new(folder), every.parse::<usize>()?);
    let tokenizer = Tokenizer::open(&folder.join("discriminator"))?;
    let cpu = Cpu::new(Isa::best(), std::thread::available_parallelism()?.get())?;
    let pair = |precision| Pair::open(folder, &cpu.clone().with_precision(Some(precision)));
    let (exact, rounded) = (pair(Precision::F32)?, pair(precision.parse()?)?);

    let mut sentences = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file)?;
        for line in text.lines().step_by(every.max(1)) {
            let mut ids = tokenizer.encode(line.split('\t').next().unwrap_or_default()).ids;
            ids.truncate(exact.discriminator.config().max_positions - 2);
            if !ids.is_empty() {
                ids.insert(0, tokenizer.cls());
                ids.push(tokenizer.sep());
                sentences.push(ids);
            }
        }
    }
    let (mut detection, mut filling) = (Drift::default(), Drift::default());
    for (n, sentences) in sentences.chunks(BATCH).enumerate() {
        let (mut batch, mut masked, mut masks) = (Batch::new(), Batch::new(), Vec::new());
        for (i, ids) in sentences.iter().enumerate() {
            let at = [1, ids.len() / 2, ids.len() - 2][(n + i) % 3];
            let mut holed = ids.clone();
            holed[at] = tokenizer.mask();
            masks.push(masked.tokens() + at);
            batch.push(ids);
            masked.push(&holed);
        }
        let arenas = Arenas::new();
        let z = |pair: &Pair| pair.discriminator.logits(&batch, &arenas);
        detection.add(&z(&exact)?, &z(&rounded)?, 1, |z| usize::from(z[0] > 0.0));
        let z = |pair: &Pair| pair.generator.logits(&masked, &masks, &arenas);
        filling.add(&z(&exact)?, &z(&rounded)?, tokenizer.len(), first);
    }
    println!("{precision}, {} sentences", sentences.len());
    println!("discriminator  {detection} decisions alike");
    println!("generator      {filling} first choices alike");
    Ok(())
}

struct Pair {
    discriminator: Discriminator,
    generator: Generator,
}

impl Pair {
    fn open(folder: &Path, cpu: &Cpu) -> Result<Pair, Box<dyn Error>> {
        let half = |name: &str| -> Result<(Arc<Checkpoint>, Config), Box<dyn Error>> {
            let folder = folder.join(name);
            let json = folder.join("config.json");
            let config = Config::parse(&std::fs::read(&json)?, &json)?;
            Ok((Arc::new(Checkpoint::open(&folder)?), config))
        };
        let ((a, b), (c, d)) = (half("discriminator")?, half("generator")?);
        let discriminator = Discriminator::load(a, &b, cpu)?;
        Ok(Pair { discriminator, generator: Generator::load(c, &d, cpu)? })
    }
}

/// What changed between two sets of logits.
#[derive(Default)]
struct Drift {
    sum: f64,
    count: usize,
    largest: f32,
    alike: usize,
    decisions: usize,
}

impl Drift {
    /// Each `width` logits make one decision.
    fn add(&mut self, exact: &[f32], rounded: &[f32], width: usize, decide: fn(&[f32]) -> usize) {
        for (a, b) in exact.iter().zip(rounded) {
            self.sum += f64::from((a - b).abs());
            self.largest = self.largest.max((a - b).abs());
        }
        self.count += exact.len();
        for (a, b) in exact.chunks_exact(width).zip(rounded.chunks_exact(width)) {
            self.alike += usize::from(decide(a) == decide(b));
            self.decisions += 1;
        }
    }
}

impl std::fmt::Display for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mean = self.sum / self.count.max(1) as f64;
        let alike = 100.0 * self.alike as f64 / self.decisions.max(1) as f64;
        let (largest, decisions) = (self.largest, self.decisions);
        write!(f, "|Δ| mean {mean:.4}, largest {largest:.3}; {alike:.2} % of {decisions}")
    }
}

/// The place of the largest.
fn first(z: &[f32]) -> usize {
    (0..z.len()).max_by(|&a, &b| z[a].total_cmp(&z[b])).unwrap_or(0)
}
