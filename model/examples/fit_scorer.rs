//! Fits the weights in `model/src/corrector/scorer.rs` on `wrong<TAB>right` files.
//!
//! ```sh
//! cargo run --release -p zhengzi-model --example fit_scorer -- TRAIN.tsv …
//! ```
//!
//! Both sides of each pair are read: the right sides teach when to keep. Every fifth pair is
//! left out: on those the margin is chosen, with `zhengzi evaluate --margin M`.

use std::path::PathBuf;

use zhengzi_kernels::Isa;
use zhengzi_model::ModelPaths;
use zhengzi_model::corrector::fitting::{choices, fit, verifications};
use zhengzi_model::corrector::{Corrector, Settings};
use zhengzi_model::evaluation::{Pair, TestSet};
use zhengzi_runtime::Cpu;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads = std::thread::available_parallelism()?.get();
    let cpu = Cpu::new(Isa::best(), threads)?;
    let mut corrector = Corrector::open(&ModelPaths::default(), Settings::default(), &cpu)?;
    let mut pairs = Vec::new();
    let files: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    for set in TestSet::read(&files, &[])? {
        let right = |pair: &Pair| Pair { wrong: pair.right.clone(), ..pair.clone() };
        // Which character should stand where is known only of sides of equal length.
        let read = set.pairs.into_iter().filter(Pair::is_of_equal_length);
        for (_, pair) in read.enumerate().filter(|(i, _)| i % 5 != 0) {
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
