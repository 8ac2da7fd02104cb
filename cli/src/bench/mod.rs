//! `bench`: how long a forward pass takes, and how near that is to what the machine could do.

mod machine;
mod table;

use std::borrow::Borrow;
use std::error::Error;
use std::fs;
use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use zhengzi_kernels::Precision;
use zhengzi_kernels::machine::Engine;
use zhengzi_model::electra::{Batch, Config, Discriminator, Generator, Profile, Step};
use zhengzi_model::{Error as ModelError, ModelPaths};
use zhengzi_runtime::{Arenas, Checkpoint, Cpu};

use crate::args::{Asked, BenchArgs, bounded, proven};
use crate::cores;
use table::{Cell, Table};

/// The columns of a row of `bench`.
const KEYS: &[&str] = &[
    "model",
    "precision",
    "isa",
    "threads",
    "batch",
    "length",
    "median_ms",
    "min_ms",
    "tokens_per_s",
    "gflops",
    "peak_share",
    "vmhwm_mb",
];

/// Of `bench --profile`: the milliseconds of a step are those of all threads together, where each
/// does it for itself.
const PROFILE_KEYS: &[&str] =
    &["model", "precision", "isa", "threads", "batch", "length", "step", "ms", "share"];

/// And of `bench --machine`; `kib` is what each thread reads, again and again.
const MACHINE_KEYS: &[&str] = &["limit", "isa", "threads", "kib", "value", "unit"];

/// Passes that are timed, however long one takes.
const PASSES: usize = 3;

/// Runs the command.
pub fn run(args: &BenchArgs) -> Result<ExitCode, Box<dyn Error>> {
    if args.machine {
        return machine::run(args);
    }
    let isa = proven(args.isa)?;
    let passes = Pass::all(args);
    let paths = args.model.paths();
    let keys = if args.profile { PROFILE_KEYS } else { KEYS };
    let mut table = Table::new(io::stdout().lock(), args.output, keys);
    for open in [Network::discriminator, Network::generator] {
        for pass in &passes {
            forget_peak_memory();
            let cpu = bounded(Cpu::new(isa, pass.threads)?, args.max_memory);
            let cpu = cpu.with_precision(pass.precision);
            // Opened for each row, so that the row's memory is its own.
            let Some(network) = open(&paths, &cpu)? else { break };
            network.check(&args.length)?;
            match args.profile {
                true => pass.profile(&network, &cpu, args.seconds, &mut table)?,
                false => table.row(&pass.measure(&network, &cpu, args.seconds)?)?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Those that were named, or all cores.
fn threads(args: &BenchArgs) -> Vec<usize> {
    match args.threads.is_empty() {
        true => vec![cores::physical()],
        false => args.threads.clone(),
    }
}

/// What a row tells of.
struct Pass {
    precision: Option<Precision>,
    threads: usize,
    batch: usize,
    length: usize,
}

impl Pass {
    /// Every combination of what is listed.
    fn all(args: &BenchArgs) -> Vec<Pass> {
        let mut all = Vec::new();
        for &Asked(precision) in &args.precision {
            for &threads in &threads(args) {
                for &batch in &args.batch {
                    let pass = |&length| Pass { precision, threads, batch, length };
                    all.extend(args.length.iter().map(pass));
                }
            }
        }
        all
    }

    /// The cells of [`KEYS`].
    fn measure(&self, network: &Network, cpu: &Cpu, seconds: f64) -> Result<Vec<Cell>, ModelError> {
        let input = Input::random(self, network.config().vocab_size);
        let mut times = Vec::new();
        repeat(network, &input, seconds, Profile::off, |time, _| times.push(time))?;
        let memory = peak_memory();
        times.sort();
        let [median, least] = [times[times.len() / 2], times[0]].map(|time| time.as_secs_f64());
        let rate = network.flops(&input) / least;
        let share = Engine::of(cpu.isa(), network.precision())
            .map(|engine| rate / machine::peak(engine, cpu.threads()));
        let mut cells = self.cells(network, cpu);
        cells.extend([
            Cell::Number(median * 1e3, 3),
            Cell::Number(least * 1e3, 3),
            Cell::Number(input.sentences.tokens() as f64 / least, 0),
            Cell::Number(rate / 1e9, 1),
            share.map_or(Cell::Unknown, |share| Cell::Number(share, 3)),
            memory.map_or(Cell::Unknown, |bytes| Cell::Number(bytes as f64 / 1e6, 1)),
        ]);
        Ok(cells)
    }

    /// Rows of [`PROFILE_KEYS`]: the steps of the fastest pass, and the pass.
    fn profile(
        &self,
        network: &Network,
        cpu: &Cpu,
        seconds: f64,
        table: &mut Table,
    ) -> Result<(), Box<dyn Error>> {
        let input = Input::random(self, network.config().vocab_size);
        let mut fastest = (Duration::MAX, Profile::new());
        repeat(network, &input, seconds, Profile::new, |time, profile| {
            if time < fastest.0 {
                fastest = (time, profile);
            }
        })?;
        let (time, profile) = fastest;
        let whole: Duration = Step::ALL.into_iter().map(|step| profile.spent(step)).sum();
        let mut row = |name: &str, time: Duration, share| {
            let mut cells = self.cells(network, cpu);
            let ms = Cell::Number(time.as_secs_f64() * 1e3, 3);
            cells.extend([Cell::Text(name.to_owned()), ms, share]);
            table.row(&cells)
        };
        for step in Step::ALL {
            let spent = profile.spent(step);
            let share = spent.as_secs_f64() / whole.as_secs_f64();
            row(step.name(), spent, Cell::Number(share, 3))?;
        }
        Ok(row("pass", time, Cell::Unknown)?)
    }

    /// What every row begins with.
    fn cells(&self, network: &Network, cpu: &Cpu) -> Vec<Cell> {
        vec![
            Cell::Text(network.name()),
            Cell::Text(network.precision().name().to_owned()),
            Cell::Text(cpu.isa().level().name().to_owned()),
            Cell::Count(cpu.threads()),
            Cell::Count(self.batch),
            Cell::Count(self.length),
        ]
    }
}

/// Passes for so many seconds, at least [`PASSES`], after one that does not count: then the arena
/// has grown, and every page is there.
fn repeat<P: Borrow<Profile>>(
    network: &Network,
    input: &Input,
    seconds: f64,
    profile: impl Fn() -> P,
    mut each: impl FnMut(Duration, P),
) -> Result<(), ModelError> {
    let arenas = Arenas::new();
    network.forward(input, &arenas, Profile::off())?;
    let (mut passes, begin) = (0, Instant::now());
    while passes < PASSES || begin.elapsed().as_secs_f64() < seconds {
        let profile = profile();
        let time = network.forward(input, &arenas, profile.borrow())?;
        each(time, profile);
        passes += 1;
    }
    Ok(())
}

/// What a pass reads.
struct Input {
    sentences: Batch,
    /// A place in each sentence, in its middle: what the generator is asked about.
    places: Vec<usize>,
}

impl Input {
    /// Random ids: what they mean changes no time. The same in each run.
    fn random(pass: &Pass, vocabulary: usize) -> Input {
        let mut state = 1u64;
        let mut sentences = Batch::new();
        for _ in 0..pass.batch {
            let ids: Vec<u32> = (0..pass.length)
                .map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    ((state >> 33) % vocabulary as u64) as u32
                })
                .collect();
            sentences.push(&ids);
        }
        let places = (0..pass.batch).map(|i| i * pass.length + pass.length / 2).collect();
        Input { sentences, places }
    }
}

/// What is timed.
enum Network {
    Discriminator(Discriminator),
    Generator(Generator),
}

impl Network {
    fn discriminator(paths: &ModelPaths, cpu: &Cpu) -> Result<Option<Network>, ModelError> {
        Ok(paths.discriminator(cpu)?.map(Network::Discriminator))
    }

    fn generator(paths: &ModelPaths, cpu: &Cpu) -> Result<Option<Network>, ModelError> {
        Ok(paths.generator(cpu)?.map(Network::Generator))
    }

    fn config(&self) -> &Config {
        match self {
            Network::Discriminator(network) => network.config(),
            Network::Generator(network) => network.config(),
        }
    }

    /// The file; and which half, of one that may hold both.
    fn name(&self) -> String {
        let (checkpoint, half) = match self {
            Network::Discriminator(network) => (network.checkpoint(), "discriminator"),
            Network::Generator(network) => (network.checkpoint(), "generator"),
        };
        let path = checkpoint.path().display();
        match checkpoint.panels() {
            None => path.to_string(),
            Some(_) => format!("{path}: {half}"),
        }
    }

    /// What its products are computed in, whatever was asked for.
    fn precision(&self) -> Precision {
        match self {
            Network::Discriminator(network) => network.precision(),
            Network::Generator(network) => network.precision(),
        }
    }

    fn checkpoint(&self) -> &Checkpoint {
        match self {
            Network::Discriminator(network) => network.checkpoint(),
            Network::Generator(network) => network.checkpoint(),
        }
    }

    /// Whether it has a position for every token.
    fn check(&self, lengths: &[usize]) -> Result<(), String> {
        let positions = self.config().max_positions;
        let path = self.checkpoint().path().display();
        match lengths.iter().find(|&&length| length > positions) {
            Some(length) => Err(format!(
                "--length {length}: {path} has {positions} positions: give no more than that"
            )),
            None => Ok(()),
        }
    }

    fn flops(&self, Input { sentences, places }: &Input) -> f64 {
        match self {
            Network::Discriminator(network) => network.flops(sentences),
            Network::Generator(network) => network.flops(sentences, places),
        }
    }

    /// One pass, and how long it took.
    fn forward(
        &self,
        Input { sentences, places }: &Input,
        arenas: &Arenas,
        profile: &Profile,
    ) -> Result<Duration, ModelError> {
        let begin = Instant::now();
        let logits = match self {
            Network::Discriminator(network) => {
                network.profiled_logits(sentences, arenas, profile)?
            }
            Network::Generator(network) => {
                network.profiled_logits(sentences, places, arenas, profile)?
            }
        };
        let time = begin.elapsed();
        drop(logits);
        Ok(time)
    }
}

/// The most memory that was resident since [`forget_peak_memory`], in bytes, where Linux tells.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = peak.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

/// So that a row does not tell of those before it (man 5 proc, `clear_refs`). Where it is not to be had,
/// the figure is the most of all rows so far.
fn forget_peak_memory() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}
