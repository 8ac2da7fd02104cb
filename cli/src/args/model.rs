//! Which model, and on what to run it.

use std::error::Error;
use std::path::PathBuf;

use zhengzi_kernels::{Isa, Level, Precision};
use zhengzi_model::ModelPaths;
use zhengzi_runtime::{Access, Cpu, memory};

use super::count;
use crate::cores;

#[derive(clap::Args)]
#[command(next_help_heading = "Model")]
pub struct ModelArgs {
    /// A folder with `discriminator` and `generator` in it, or one model, or a file of `convert`,
    /// or the name of a pair in the local Hugging Face cache (hfl/chinese-electra-180g-small)
    #[arg(long, value_name = "DIR|FILE|NAME")]
    model: Option<PathBuf>,

    /// The discriminator or token classifier, where it is not found through --model
    #[arg(long, value_name = "PATH|NAME")]
    detector: Option<PathBuf>,

    /// The generator, where it is not found through --model
    #[arg(long, value_name = "PATH|NAME")]
    generator: Option<PathBuf>,

    /// Read model files into memory instead of mapping them: then they may be written to meanwhile
    #[arg(long)]
    no_mmap: bool,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Machine")]
pub struct CpuArgs {
    /// Threads to compute with [default: physical cores]
    #[arg(long, value_name = "N", env = "ZHENGZI_THREADS", hide_env_values = true)]
    #[arg(value_parser = count())]
    threads: Option<usize>,

    /// Memory to take at most, in bytes or as 500M, 2G: what needs more is refused before it is taken
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_memory: Option<u64>,

    /// Instruction set, as `inspect` lists them (avx2, say) [default: the strongest there is]
    #[arg(long, value_name = "NAME")]
    isa: Option<Level>,

    /// What to multiply; auto is int8 for an int8 file, else bf16 where this processor
    /// multiplies it faster than f32, else f32
    #[arg(long, value_name = "auto|f32|bf16|int8", value_parser = precision)]
    #[arg(default_value = "auto", hide_default_value = true)]
    precision: Asked,
}

/// A precision, or none in particular.
#[derive(Clone, Copy, Debug)]
pub struct Asked(pub Option<Precision>);

impl ModelArgs {
    /// Where the models lie; nowhere is the model inside.
    pub fn paths(&self) -> ModelPaths {
        let ModelArgs { model, detector, generator, no_mmap } = self;
        ModelPaths {
            model: model.clone(),
            detector: detector.clone(),
            generator: generator.clone(),
            access: access(*no_mmap),
        }
    }
}

/// What `--no-mmap` says.
pub fn access(no_mmap: bool) -> Access {
    match no_mmap {
        true => Access::Read,
        false => Access::Mapped,
    }
}

impl CpuArgs {
    /// The processor as it is to be used. An instruction set that it lacks is an error,
    /// never silently another one.
    pub fn cpu(&self) -> Result<Cpu, Box<dyn Error>> {
        let cpu = Cpu::new(proven(self.isa)?, self.threads.unwrap_or_else(cores::physical))?;
        Ok(bounded(cpu, self.max_memory).with_precision(self.precision.0))
    }
}

/// The same, and this process, with `--max-memory`.
pub fn bounded(cpu: Cpu, most: Option<u64>) -> Cpu {
    if let Some(most) = most {
        memory::keep_to(most, cpu.threads());
    }
    cpu.with_most_memory(most)
}

/// Bytes, or with K, M or G after it so many 2¹⁰, 2²⁰, 2³⁰.
pub(super) fn size(typed: &str) -> Result<u64, String> {
    let (number, unit) = match typed.to_ascii_uppercase().strip_suffix(['K', 'M', 'G']) {
        None => (typed, 0),
        Some(number) => match typed.as_bytes()[number.len()].to_ascii_uppercase() {
            b'K' => (&typed[..number.len()], 10),
            b'M' => (&typed[..number.len()], 20),
            _ => (&typed[..number.len()], 30),
        },
    };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << unit));
    bytes.ok_or_else(|| "a size is a number of bytes, or one with K, M or G".to_owned())
}

pub(super) fn precision(typed: &str) -> Result<Asked, String> {
    match typed {
        "auto" => Ok(Asked(None)),
        _ => match typed.parse() {
            Ok(precision) => Ok(Asked(Some(precision))),
            Err(_) => Err("a precision is auto, f32, bf16 or int8".to_owned()),
        },
    }
}

/// The instruction set that was asked for, or the strongest.
pub fn proven(level: Option<Level>) -> Result<Isa, String> {
    let Some(level) = level else { return Ok(Isa::best()) };
    Isa::new(level).ok_or_else(|| {
        let available = available_isas().join(", ");
        format!("--isa {level}: this processor does not have it; it has {available}")
    })
}

/// Names of the instruction sets of this processor, weakest first.
pub fn available_isas() -> Vec<&'static str> {
    Isa::available().into_iter().map(|isa| isa.level().name()).collect()
}
