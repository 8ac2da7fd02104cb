//! One matrix product, C = A · Wᵀ, on a ladder: each rung a file, one idea more than the rung below.
//!
//! ```text
//! cargo run --release -p zhengzi-kernels --example gemm_ladder -- [RUNG…] [--shape MxNxK] [--threads N] [--rounds N]
//! ```
//!
//! Read the files in order, `ladder.rs` first; `just asm rung6_avx512::multiply` shows what the compiler
//! made of one. Every rung is verified (`verify.rs`) and then timed in turns with the others, so
//! that a busy neighbour slows all of them; the table holds the median call and the best.
//! `docs/gemm-ladder.md` discusses it.

#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // most rungs are missing there
#![allow(clippy::needless_range_loop)] // tiles read best by the indices of the formula

mod arguments;
mod ladder;
mod peak;
mod verify;

#[cfg(target_arch = "x86_64")]
mod amx;
mod rung0_naive;
#[cfg(target_arch = "x86_64")]
mod rung10_amx_int8;
mod rung1_dot;
#[cfg(target_arch = "x86_64")]
mod rung2_register_tile;
#[cfg(target_arch = "x86_64")]
mod rung3_avx2;
#[cfg(target_arch = "x86_64")]
mod rung4_panels;
#[cfg(target_arch = "x86_64")]
mod rung5_blocking;
#[cfg(target_arch = "x86_64")]
mod rung6_avx512;
#[cfg(target_arch = "x86_64")]
mod rung7_threads;
#[cfg(target_arch = "x86_64")]
mod rung8_amx_bf16;
#[cfg(target_arch = "x86_64")]
mod rung9_vnni_int8;

use std::process::ExitCode;
use std::time::Instant;

use arguments::Arguments;
use ladder::{Product, Rung, Shape, rungs};
use peak::Peak;
use verify::{AWKWARD, Truth};

/// A rung at work: its product, and a rate for each call in each round.
struct Climber {
    rung: Rung,
    product: Product,
    threads: usize,
    error: f64,
    rates: Vec<f64>,
}

fn main() -> ExitCode {
    match Arguments::parse(std::env::args().skip(1)).and_then(climb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("gemm_ladder: {message}");
            ExitCode::FAILURE
        }
    }
}

fn climb(Arguments { rungs: chosen, shape, threads, rounds }: Arguments) -> Result<(), String> {
    let mut climbers = Vec::new();
    let (integers, reals) = (Truth::integers(shape), Truth::reals(shape));
    if !cfg!(target_arch = "x86_64") {
        println!("rungs 2 to 10 are written for x86-64: skipped");
    }
    for (_, rung) in rungs().into_iter().enumerate().filter(|(at, _)| chosen.contains(at)) {
        let threads = if rung.threaded { threads } else { 1 };
        match (rung.prepare)(&reals.w, shape, threads) {
            Err(absent) => println!("{}: skipped: {absent}", rung.name),
            Ok(product) => {
                for shape in AWKWARD {
                    Truth::integers(shape).check(&rung, threads)?;
                    Truth::reals(shape).check(&rung, threads)?;
                }
                integers.check(&rung, threads)?;
                let error = reals.check(&rung, threads)?;
                climbers.push(Climber { rung, product, threads, error, rates: Vec::new() });
            }
        }
    }
    let mut peaks: Vec<(Peak, usize, Vec<f64>)> = Vec::new();
    for climber in &climbers {
        let (peak, threads) = (climber.rung.peak, climber.threads);
        if !peaks.iter().any(|known| (known.0, known.1) == (peak, threads)) {
            peaks.push((peak, threads, Vec::new()));
        }
    }
    let mut c = vec![0.0; shape.m * shape.n];
    for _ in 0..rounds {
        for (peak, threads, rates) in &mut peaks {
            rates.extend((0..10).filter_map(|_| peak.measure(*threads)));
        }
        for climber in &mut climbers {
            climber.rates.extend(rates(&climber.product, &reals, &mut c));
        }
    }
    print_table(shape, rounds, &climbers, &peaks);
    Ok(())
}

/// Flops per second of each call during at least 50 ms.
fn rates(product: &Product, truth: &Truth, c: &mut [f32]) -> Vec<f64> {
    let (start, mut rates) = (Instant::now(), Vec::new());
    while start.elapsed().as_millis() < 50 {
        let call = Instant::now();
        product(&truth.a, c);
        rates.push(truth.shape.flops() / call.elapsed().as_secs_f64());
    }
    rates
}

fn print_table(
    shape: Shape,
    rounds: usize,
    climbers: &[Climber],
    peaks: &[(Peak, usize, Vec<f64>)],
) {
    let Shape { m, n, k } = shape;
    println!("\nM×N×K = {m}×{n}×{k}, {rounds} rounds in turns");
    println!("(× below: of the medians; share: the best call of the best of the peak)\n");
    println!(
        "| rung | idea | threads | GFLOP/s, median | best | × below | share of peak | error |"
    );
    println!("|---|---|--:|--:|--:|--:|--:|--:|");
    let mut below = None;
    for Climber { rung, threads, error, rates, .. } in climbers {
        let (middle, best) = (median(rates), best(rates));
        let peak = peaks.iter().find(|peak| (peak.0, peak.1) == (rung.peak, *threads));
        let share = match peak.map(|peak| self::best(&peak.2)) {
            Some(peak) if peak > 0.0 => {
                format!("{:.0} % of {}", 100.0 * best / peak, rung.peak.name())
            }
            _ => "not known".to_owned(),
        };
        let gain = below.map_or(String::new(), |below| format!("{:.2}", middle / below));
        let (name, idea) = (rung.name, rung.idea);
        println!(
            "| `{name}` | {idea} | {threads} | {:.1} | {:.1} | {gain} | {share} | {error:.0e} |",
            middle / 1e9,
            best / 1e9
        );
        below = Some(middle);
    }
    println!("\n| peak, registers only | threads | Gop/s, median | best |\n|---|--:|--:|--:|");
    for (peak, threads, rates) in peaks.iter().filter(|peak| !peak.2.is_empty()) {
        let (middle, best) = (median(rates) / 1e9, best(rates) / 1e9);
        println!("| {} | {threads} | {middle:.0} | {best:.0} |", peak.name());
    }
}

fn best(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
