//! What every command that trains is told.

use std::error::Error;
use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use zhengzi_kernels::Level;
use zhengzi_runtime::Cpu;

use super::count;
use super::model::proven;
use crate::cores;

#[derive(clap::Args)]
#[command(next_help_heading = "Training")]
pub struct LearningArgs {
    /// The folder to make, with `generator` and `discriminator`, the log and the state of the run
    #[arg(short, long, value_name = "DIR", help_heading = None)]
    pub out: PathBuf,

    /// Go on where the run in the folder was broken off; begin where there is none
    #[arg(long, help_heading = None)]
    pub resume: bool,

    /// Steps to take
    #[arg(long, value_name = "N", value_parser = steps(), required_unless_present = "minutes")]
    pub steps: Option<u64>,

    /// Or minutes to take: then the rate falls by the clock, and no two runs are alike
    #[arg(long, value_name = "M", value_parser = positive, conflicts_with = "steps")]
    pub minutes: Option<f64>,

    /// Learning rate, where it is highest [default: 0.0005; finetune: 0.0001]
    #[arg(long, value_name = "RATE", value_parser = positive)]
    pub rate: Option<f64>,

    /// Steps until it is reached [default: 1000, at most a tenth of --steps]
    #[arg(long, value_name = "N")]
    pub warmup: Option<u64>,

    /// Tokens of a batch
    #[arg(long, value_name = "TOKENS", default_value = "4096", value_parser = tokens())]
    pub batch: usize,

    /// Tokens of a sentence at most: what is longer is cut
    #[arg(long, value_name = "TOKENS", default_value = "128", value_parser = tokens())]
    pub length: usize,

    /// What all that is drawn depends on
    #[arg(long, value_name = "N", default_value = "1")]
    pub seed: u64,

    /// Share of the lines to hold out and to be asked of, or a file of such lines
    #[arg(long, value_name = "SHARE|FILE", default_value = "0.002")]
    pub validate: String,

    /// Steps between two checkpoints, each with a look at held-out lines
    #[arg(long, value_name = "N", default_value = "500", value_parser = steps())]
    pub every: u64,

    /// Threads to compute with [default: physical cores]
    #[arg(long, value_name = "N", env = "ZHENGZI_THREADS", hide_env_values = true)]
    #[arg(value_parser = count(), help_heading = "Machine")]
    pub threads: Option<usize>,

    /// Instruction set, as `inspect` lists them (avx2, say) [default: the strongest there is]
    #[arg(long, value_name = "NAME", help_heading = "Machine")]
    pub isa: Option<Level>,
}

impl LearningArgs {
    /// The processor as it is to be used.
    pub fn cpu(&self) -> Result<Cpu, Box<dyn Error>> {
        Ok(Cpu::new(proven(self.isa)?, self.threads.unwrap_or_else(cores::physical))?)
    }

    /// What of the lines is held out.
    pub fn held_out(&self) -> HeldOut {
        match self.validate.parse() {
            Ok(share) if (0.0..1.0).contains(&share) => HeldOut::Share(share),
            _ => HeldOut::File(PathBuf::from(&self.validate)),
        }
    }
}

/// What is asked of in validation.
pub enum HeldOut {
    /// A share of the lines.
    Share(f64),
    /// The lines of a file.
    File(PathBuf),
}

fn steps() -> RangedU64ValueParser<u64> {
    RangedU64ValueParser::new().range(1..=1_000_000_000)
}

fn tokens() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(4..=1 << 20)
}

/// A number above 0.
pub(super) fn positive(typed: &str) -> Result<f64, String> {
    match typed.parse::<f64>() {
        Ok(x) if x > 0.0 && x.is_finite() => Ok(x),
        _ => Err("must be a number above 0".to_owned()),
    }
}

/// From 0 to 1.
pub(super) fn share(typed: &str) -> Result<f64, String> {
    match typed.parse::<f64>() {
        Ok(x) if (0.0..=1.0).contains(&x) => Ok(x),
        _ => Err("a share is a number from 0 to 1".to_owned()),
    }
}
