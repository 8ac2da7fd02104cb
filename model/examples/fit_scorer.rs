//! Fits the weights in `model/src/corrector/scorer.rs` on `wrong<TAB>right` files.
//!
//! ```sh
//! cargo run --release -p zhengzi-model --example fit_scorer -- TRAIN.tsv …
//! ```
//!
//! Both sides of each pair are read: the right sides teach when to keep. Every fifth pair is
//! left out: on those the margin is chosen, with `evaluate --margin M`.

use zhengzi_kernels::Isa;
use zhengzi_model::ModelPaths;
use zhengzi_model::corrector::fitting::{choices, fit, verifications};
use zhengzi_model::corrector::{Corrector, Settings};
use zhengzi_model::evaluation::Pair;
use zhengzi_runtime::Cpu;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads = std::thread::available_parallelism()?.get();
    let cpu = Cpu::new(Isa::best(), threads)?;
    let mut corrector = Corrector::open(&ModelPaths::default(), Settings::default(), &cpu)?;
    let mut pairs = Vec::new();
    for path in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&path)?;
        let read = Pair::parse(&text).map_err(|(line, why)| format!("{path}:{line}: {why}"))?;
        let right = |pair: &Pair| Pair { wrong: pair.right.clone(), right: pair.right.clone() };
        for (_, pair) in read.into_iter().enumerate().filter(|(i, _)| i % 5 != 0) {
            pairs.extend([right(&pair), pair]);
        }
    }
    let first = choices(&mut corrector, &pairs)?;
    let weights = fit(&first);
    let changed = first.iter().filter(|choice| choice.truth.is_some()).count();
    println!(
        "{} suspects, {changed} of them with the right character among their candidates",
        first.len()
    );
    println!("pub const WEIGHTS: Weights = {weights:?};");
    let second = verifications(&mut corrector, &pairs, &weights)?;
    println!("{} verifications", second.len());
    println!("pub const VERIFICATION_WEIGHTS: [f32; VERIFICATION_TERMS] = {:?};", fit(&second));
    Ok(())
}
