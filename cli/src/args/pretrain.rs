//! What `pretrain` is told.

use std::path::PathBuf;

use clap::ValueEnum;
use zhengzi_model::training;

use super::LearningArgs;
use super::learning::{positive, share};

pub const EXAMPLES: &str = "\
Examples:
  zhengzi pretrain config.json --vocab vocab.txt --corpus *.xz -o mine --minutes 120
  zhengzi pretrain shapes --corpus *.xz -o mine --steps 20000 --two-stage   generator first
  zhengzi pretrain mine --corpus law.txt -o law --steps 2000    train a pair further
  zhengzi pretrain … -o mine --resume                           go on after an interruption
  zhengzi plot mine/log.jsonl                                   the curves";

#[derive(clap::Args)]
pub struct PretrainArgs {
    /// The config.json of a discriminator; or a folder with generator/config.json and
    /// discriminator/config.json; or a trained pair, to be trained further
    #[arg(value_name = "CONFIG")]
    pub config: PathBuf,

    /// Text to learn from, a sentence or a paragraph a line, plain or packed by xz
    #[arg(long, value_name = "FILES", required = true, num_args = 1..)]
    pub corpus: Vec<PathBuf>,

    /// The vocabulary [default: the vocab.txt beside CONFIG]
    #[arg(long, value_name = "FILE")]
    pub vocab: Option<PathBuf>,

    /// The generator's share of the discriminator's width, where CONFIG is a config.json [default: 0.25]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub generator_size: Option<f64>,

    /// Two blocks of embeddings instead of one that both halves share
    #[arg(long)]
    pub apart: bool,

    /// Train the generator alone for a share of the run, then both, the discriminator begun as a
    /// copy of the generator, widened if need be
    #[arg(long, value_name = "SHARE", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "0.5", value_parser = share)]
    pub two_stage: Option<f64>,

    /// In the second stage the generator, and embeddings that it shares, stay as they are
    #[arg(long, requires = "two_stage")]
    pub frozen: bool,

    /// Weights to begin with
    #[arg(long, value_enum, default_value_t)]
    pub start: Start,

    /// Share of a sentence's tokens that the generator is asked about
    #[arg(long, value_name = "SHARE", default_value = "0.15", value_parser = share)]
    pub mask_rate: f64,

    /// What the discriminator's loss counts beside the generator's
    #[arg(long, value_name = "W", default_value = "50", value_parser = positive)]
    pub discriminator_weight: f64,

    /// Above 1 the generator's words are drawn more evenly, below less
    #[arg(long, value_name = "T", default_value = "1", value_parser = positive)]
    pub temperature: f64,

    /// Share of the sentences whose wrong words are slips by sound and shape, and not the generator's
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = share)]
    pub confusions: f64,

    #[command(flatten)]
    pub learning: LearningArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Start {
    /// By fan-in, with sinusoidal positions and a first layer that looks at neighbours
    #[default]
    FanIn,
    /// As the paper has it: all matrices of deviation 0.02
    Paper,
}

impl Start {
    /// What it says to the model.
    pub fn start(self) -> training::Start {
        match self {
            Start::FanIn => training::Start::FanIn,
            Start::Paper => training::Start::Paper,
        }
    }
}
