//! What `bench` is told.

use clap::ValueEnum;
use zhengzi_kernels::Level;

use super::model::{Asked, precision, size};
use super::{ModelArgs, count};

pub const EXAMPLES: &str = "\
Examples:
  zhengzi bench                              the model inside, on all cores
  zhengzi bench --model small --length 32,128,512 --batch 1,32
  zhengzi bench --detector base --threads 1,2 --isa avx2 -o csv
  zhengzi bench --profile --length 128       where the time of a pass goes
  zhengzi bench --machine --threads 1,2      what the machine can do at best";

#[derive(clap::Args)]
pub struct BenchArgs {
    /// Tokens of a sentence; a list with commas, as all that follow
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = count())]
    #[arg(default_value = "32,128")]
    pub length: Vec<usize>,

    /// Sentences of a pass
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = count())]
    #[arg(default_value = "1")]
    pub batch: Vec<usize>,

    /// In what the products of matrices are computed: auto, f32, bf16 or int8
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = precision)]
    #[arg(default_value = "auto")]
    pub precision: Vec<Asked>,

    /// Threads to compute with [default: physical cores]
    #[arg(long, value_name = "N,…", env = "ZHENGZI_THREADS", hide_env_values = true)]
    #[arg(value_delimiter = ',', value_parser = count(), help_heading = "Machine")]
    pub threads: Vec<usize>,

    /// Memory to take at most, in bytes or as 500M, 2G: what needs more is refused before it is taken
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "Machine")]
    pub max_memory: Option<u64>,

    /// Instruction set, as `inspect` lists them (avx2, say) [default: the strongest there is]
    #[arg(long, value_name = "NAME", help_heading = "Machine")]
    pub isa: Option<Level>,

    /// How long passes are repeated for each row, at least
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub seconds: f64,

    /// How to write the rows
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,

    /// Tell where the time of the fastest pass went instead, step by step
    #[arg(long)]
    pub profile: bool,

    /// Tell the machine's limits instead: operations and bytes read in a second, the cost of
    /// sharing a step among threads
    #[arg(long, conflicts_with_all = ["model", "detector", "generator", "length", "batch", "precision", "profile"])]
    pub machine: bool,

    #[command(flatten)]
    pub model: ModelArgs,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A Markdown table
    #[default]
    Md,
    /// Values with commas between them, the names in the first line
    Csv,
    /// A JSON object a line
    Jsonl,
}

fn seconds(typed: &str) -> Result<f64, String> {
    match typed.parse() {
        Ok(seconds) if (0.0..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("not a number of seconds from 0 to 3600".to_owned()),
    }
}
