//! The matrix product against the machine's limit and against the `gemm` crate.
//!
//! ```sh
//! cargo bench -p zhengzi-benches --bench gemm             # the table
//! cargo bench -p zhengzi-benches --bench gemm -- avx2     # of a lower level
//! ```
//!
//! Ours, the crate and the peak take turns; a run is the best of its turns, which is what neighbours
//! on the machine spared, and each figure the median of five runs. Peak: multiply-adds in registers (`kernels/src/machine.rs`) on
//! as many threads. The crate packs W in every call; ours was packed when the model was opened,
//! which is the point. Its instructions are always the best of the CPU, whatever level is asked for.

#[path = "../tests/kernels/rival.rs"]
mod rival;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use zhengzi_kernels::gemm::{Epilogue, PackedB, gemm};
use zhengzi_kernels::machine::Engine;
use zhengzi_kernels::parallel::{self, Crew};
use zhengzi_kernels::{Isa, Level, MatMut, MatRef, Precision};

const RUNS: usize = 5;
const TURNS: usize = 10;

/// m × n × k: a long text in base, a sentence and a heap of short ones in small, a single row.
const SHAPES: [(usize, usize, usize); 6] = [
    (512, 768, 3072),
    (512, 3072, 768),
    (128, 256, 256),
    (32, 256, 1024),
    (32, 1024, 256),
    (1, 256, 1024),
];

fn main() {
    let (mut isa, mut precision) = (Isa::best(), Precision::F32);
    for word in std::env::args().skip(1).filter(|argument| !argument.starts_with("--")) {
        match word.parse() {
            Ok(named) => precision = named,
            Err(_) => {
                let level: Level = word.parse().unwrap_or_else(|error| panic!("{error}"));
                isa = Isa::new(level).unwrap_or_else(|| panic!("this CPU has no {level}"));
            }
        }
    }
    let engine = zhengzi_kernels::gemm::engine(isa, precision);
    println!("{engine}, GFLOP/s, median of {RUNS} runs, each the best of {TURNS} turns\n");
    println!("| m × n × k | threads | peak | ours | of peak | gemm crate | ours ÷ crate |");
    println!("|---|---|---|---|---|---|---|");
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let crew = Crew::new(threads).unwrap();
        for shape in SHAPES {
            crew.run(|| row(isa, precision, &pool, shape));
        }
    }
}

fn row(isa: Isa, precision: Precision, pool: &rayon::ThreadPool, (m, n, k): (usize, usize, usize)) {
    let threads = parallel::threads();
    let engine = Engine::of(isa, precision).expect("a level that machine.rs measures");
    // Rows as the arena keeps them: not a multiple of 4 KiB apart.
    let stride = k + 16;
    let a: Vec<f32> = (0..m * stride).map(|i| (i % 13) as f32 - 6.0).collect();
    let w: Vec<f32> = (0..n * k).map(|i| (i % 7) as f32 - 3.0).collect();
    let (a, w) = (MatRef::with_stride(&a, m, k, stride), MatRef::new(&w, n, k));
    let packed = PackedB::pack(Isa::best(), precision, &[w]);
    let (mut ours, mut theirs) = (vec![0.0; m * n], vec![0.0; m * n]);
    let flops = 2 * m * n * k;
    // About a millisecond at a time: long for the clock, short for the neighbours.
    let rounds = (100_000_000 / flops).max(1);
    let mut rates = [const { Vec::new() }; 3];
    for _ in 0..RUNS {
        let mut best = [0.0f64; 3];
        for _ in 0..TURNS {
            let peak = rate(|| {
                let count = AtomicUsize::new(0);
                parallel::each(threads, &|_| {
                    count.fetch_add(engine.multiply_add(200_000), Relaxed);
                });
                count.into_inner()
            });
            let our = rate(|| {
                for _ in 0..rounds {
                    gemm(isa, a, &packed, Epilogue::None, MatMut::new(&mut ours, m, n));
                }
                rounds * flops
            });
            let their = rate(|| {
                pool.install(|| {
                    for _ in 0..rounds {
                        rival::gemm_crate(threads, a, w, MatMut::new(&mut theirs, m, n));
                    }
                });
                rounds * flops
            });
            // The crate's pool looks for work a while longer, on a core that we measure next.
            std::thread::sleep(Duration::from_millis(1));
            best = [best[0].max(peak), best[1].max(our), best[2].max(their)];
        }
        rates.iter_mut().zip(best).for_each(|(rates, best)| rates.push(best));
    }
    assert!(
        precision != Precision::F32 || ours == theirs,
        "small whole numbers leave nothing to round"
    );
    let share = median(rates[1].iter().zip(&rates[0]).map(|(ours, peak)| ours / peak));
    let lead = median(rates[1].iter().zip(&rates[2]).map(|(ours, theirs)| ours / theirs));
    let [peak, ours, theirs] = rates.map(|rates| median(rates.into_iter()));
    println!(
        "| {m} × {n} × {k} | {threads} | {peak:.0} | {ours:.0} | {:.0} % | {theirs:.0} | {lead:.2} |",
        100.0 * share
    );
}

/// GFLOP/s of something that returns its flops.
fn rate(work: impl FnOnce() -> usize) -> f64 {
    let begin = Instant::now();
    let flops = work();
    flops as f64 / begin.elapsed().as_secs_f64() / 1e9
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
