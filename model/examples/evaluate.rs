//! Scores both policies on `wrong<TAB>right` files.
//!
//! ```sh
//! cargo run --release -p zhengzi-model --example evaluate -- [--margin M] FILE.tsv …
//! ```
//!
//! With `--margin`, only the default policy, at that margin.

use std::time::Instant;

use zhengzi_kernels::Isa;
use zhengzi_model::ModelPaths;
use zhengzi_model::corrector::{Corrector, Passage, Policy, Settings};
use zhengzi_model::evaluation::{Pair, Score};
use zhengzi_runtime::Cpu;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads = std::thread::available_parallelism()?.get();
    let cpu = Cpu::new(Isa::best(), threads)?;
    println!(
        "{:24} {:8} {:>6} | detection P R F1  | correction P R F1 | false alarms, %",
        "file", "policy", "pairs"
    );
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut policies = vec![("compat", Policy::Compat), ("default", Policy::Default)];
    let mut margin = None;
    if arguments.first().is_some_and(|word| word == "--margin") {
        margin = Some(arguments.get(1).ok_or("--margin needs a number")?.parse()?);
        arguments.drain(..2);
        policies.remove(0);
    }
    for path in arguments {
        let text = std::fs::read_to_string(&path)?;
        let pairs = Pair::parse(&text).map_err(|(line, why)| format!("{path}:{line}: {why}"))?;
        for &(name, policy) in &policies {
            let settings = Settings { policy, margin, ..Settings::default() };
            let mut corrector = Corrector::open(&ModelPaths::default(), settings, &cpu)?;
            let begin = Instant::now();
            let mut score = Score::default();
            for pairs in pairs.chunks(64) {
                let lines: Vec<Passage> = pairs.iter().map(|pair| pair.wrong[..].into()).collect();
                for (pair, corrections) in pairs.iter().zip(corrector.correct(&lines)?) {
                    score.add(pair, &corrections);
                }
            }
            let file = path.rsplit('/').next().unwrap_or(&path);
            let rate = pairs.len() as f64 / begin.elapsed().as_secs_f64();
            println!("{file:24} {name:8} {score} | {rate:.0} sentences/s");
        }
    }
    Ok(())
}
