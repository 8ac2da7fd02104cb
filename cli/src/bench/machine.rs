//! The machine's own limits, by the loops of `zhengzi_kernels::machine`.

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::io;
use std::process::ExitCode;
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use zhengzi_kernels::machine::{Engine, fork_and_join, read};
use zhengzi_kernels::{Isa, Level};
use zhengzi_runtime::Cpu;

use super::table::{Cell, Table};
use super::{MACHINE_KEYS, threads};
use crate::args::{BenchArgs, proven};

/// A slice of measuring: long for the clock, short for the neighbours.
const SLICE: Duration = Duration::from_millis(5);

/// Slices of which the best counts.
const SLICES: usize = 20;

/// Writes the limits.
pub fn run(args: &BenchArgs) -> Result<ExitCode, Box<dyn Error>> {
    let isa = proven(args.isa)?;
    let mut table = Table::new(io::stdout().lock(), args.output, MACHINE_KEYS);
    let counts = threads(args);
    let text = |text: &str| Cell::Text(text.to_owned());
    let engines = Engine::available().into_iter();
    for engine in engines.filter(|e| args.isa.is_none() || is_of(*e, isa)) {
        for &threads in &counts {
            let value = Cell::Number(peak(engine, threads) / 1e9, 1);
            let level = text(engine.level().name());
            let count = Cell::Count(threads);
            table.row(&[text(engine.name()), level, count, Cell::Unknown, value, text("Gop/s")])?;
        }
    }
    for &threads in &counts {
        for (name, bytes) in Caches::find().blocks(threads) {
            let value = Cell::Number(bandwidth(isa, bytes, threads) / 1e9, 1);
            let (level, kib) = (text(isa.level().name()), Cell::Count(bytes >> 10));
            table.row(&[text(name), level, Cell::Count(threads), kib, value, text("GB/s")])?;
        }
    }
    for &threads in &counts {
        let cpu = Cpu::new(isa, threads)?;
        let value = Cell::Number(cpu.run(fork_seconds) * 1e6, 2);
        let (name, level) = (text("fork and join"), text(isa.level().name()));
        table.row(&[name, level, Cell::Count(threads), Cell::Unknown, value, text("µs")])?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Operations that `threads` threads do in a second together.
pub fn peak(engine: Engine, threads: usize) -> f64 {
    let work = |rounds| engine.multiply_add(rounds) as f64;
    rate(threads, || work)
}

fn is_of(engine: Engine, isa: Isa) -> bool {
    let level: Level = engine.level();
    level.vectors() == isa.vectors() && level <= isa.level()
}

/// Bytes that `threads` threads read in a second together, each from a block of its own.
fn bandwidth(isa: Isa, bytes: usize, threads: usize) -> f64 {
    rate(threads, || {
        // Not zeros: of those the system would keep one page for all.
        let block = black_box(vec![1.0f32; bytes / 4]);
        move |rounds| {
            (0..rounds).for_each(|_| read(isa, &block));
            (rounds * bytes) as f64
        }
    })
}

/// What an empty step costs in the pool around this.
fn fork_seconds() -> f64 {
    let rounds = 500;
    let time = |_| {
        let begin = Instant::now();
        fork_and_join(rounds);
        begin.elapsed().as_secs_f64() / rounds as f64
    };
    (0..SLICES).map(time).fold(f64::INFINITY, f64::min)
}

/// What `threads` threads get done in a second of their best slice. Each prepares a work of its own,
/// which takes a number of rounds and returns how much that was.
fn rate<W: FnMut(usize) -> f64>(threads: usize, prepare: impl Fn() -> W + Sync) -> f64 {
    let together = Barrier::new(threads);
    let zero = Instant::now();
    let slices = Mutex::new([(f64::INFINITY, 0.0f64, 0.0f64); SLICES]);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut work = prepare();
                let rounds = calibrated(&mut work);
                for slice in 0..SLICES {
                    together.wait();
                    let from = zero.elapsed().as_secs_f64();
                    let done = work(rounds);
                    let to = zero.elapsed().as_secs_f64();
                    let mut slices = slices.lock().expect("nobody panics with it");
                    let (first, last, sum) = &mut slices[slice];
                    (*first, *last, *sum) = (first.min(from), last.max(to), *sum + done);
                }
            });
        }
    });
    let slices = slices.into_inner().expect("nobody panicked with it");
    slices.iter().map(|(first, last, done)| done / (last - first)).fold(0.0, f64::max)
}

/// How many rounds last a slice. (And the clock of wide vectors gets its moment.)
fn calibrated(work: &mut impl FnMut(usize) -> f64) -> usize {
    let mut rounds = 1;
    loop {
        let begin = Instant::now();
        work(rounds);
        if begin.elapsed() >= SLICE {
            return rounds;
        }
        rounds *= 2;
    }
}

/// Bytes of the second and the third level.
struct Caches {
    l2: usize,
    l3: usize,
}

impl Caches {
    /// As Linux tells; elsewhere what is common.
    fn find() -> Caches {
        let size = |level: u8| {
            (0..8).find_map(|index| {
                let folder = format!("/sys/devices/system/cpu/cpu0/cache/index{index}");
                let told = fs::read_to_string(format!("{folder}/level")).ok()?;
                let size = fs::read_to_string(format!("{folder}/size")).ok()?;
                (told.trim() == level.to_string()).then(|| bytes(&size)).flatten()
            })
        };
        Caches { l2: size(2).unwrap_or(1 << 19), l3: size(3).unwrap_or(8 << 20) }
    }

    /// What each of `threads` threads reads to be served by L2, by L3, by memory: well below the one
    /// cache and well above the other.
    fn blocks(&self, threads: usize) -> [(&'static str, usize); 3] {
        let l3 = (4 * self.l2).min(self.l3 / (2 * threads));
        let dram = (4 * self.l3).clamp(128 << 20, 512 << 20) / threads;
        [("read L2", self.l2 / 2), ("read L3", l3), ("read DRAM", dram)]
            .map(|(name, bytes)| (name, bytes.next_multiple_of(1 << 12)))
    }
}

/// "1280K"
fn bytes(size: &str) -> Option<usize> {
    let size = size.trim();
    let (digits, scale) = match size.strip_suffix('K') {
        Some(digits) => (digits, 10),
        None => match size.strip_suffix('M') {
            Some(digits) => (digits, 20),
            None => (size, 0),
        },
    };
    digits.parse::<usize>().ok().filter(|&n| n > 0).map(|n| n << scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_caches_are_read_as_linux_writes_them() {
        assert_eq!(bytes("1280K\n"), Some(1280 << 10));
        assert_eq!((bytes("48M"), bytes("4096")), (Some(48 << 20), Some(4096)));
        assert_eq!((bytes("0K"), bytes("")), (None, None));
    }

    #[test]
    fn blocks_lie_between_the_caches() {
        for threads in [1, 2, 64] {
            let caches = Caches { l2: 1 << 20, l3: 32 << 20 };
            let [(_, l2), (_, l3), (_, dram)] = caches.blocks(threads);
            assert!(l2 < caches.l2 && l3 * threads <= caches.l3 && dram * threads > caches.l3);
        }
    }

    #[test]
    fn a_rate_counts_what_every_thread_did() {
        let done = rate(2, || {
            |rounds: usize| {
                thread::sleep(Duration::from_micros(100) * rounds as u32);
                rounds as f64
            }
        });
        // Two threads sleep at most 10,000 rounds a second each.
        assert!(done > 0.0 && done <= 20_001.0, "{done}");
    }
}
