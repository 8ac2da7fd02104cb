//! What `finetune` is told.

use std::path::PathBuf;

use clap::ValueEnum;
use zhengzi_model::config;
use zhengzi_model::training::Owner;

use super::LearningArgs;
use super::learning::{positive, share};

pub const EXAMPLES: &str = "\
Examples:
  zhengzi finetune mine --pairs train/*.tsv --corpus *.xz -o tuned --steps 4000
  zhengzi finetune mine --pairs t.tsv -o tuned --steps 500 --only discriminator
  zhengzi finetune mine --corpus *.xz --sound 0.05 --shape 0.02 -o tuned --minutes 30
  zhengzi calibrate --model tuned train/*.tsv         what decides has to be fitted anew";

#[derive(clap::Args)]
pub struct FinetuneArgs {
    /// A folder with `discriminator` and `generator` in it, as `pretrain` leaves one, or the name of a
    /// pair in the local Hugging Face cache
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,

    /// Files of pairs: a sentence, a tab, and the sentence as it should be, on each line
    #[arg(long, value_name = "FILES", num_args = 1.., required_unless_present = "corpus")]
    pub pairs: Vec<PathBuf>,

    /// Right text, which errors are put into
    #[arg(long, value_name = "FILES", num_args = 1..)]
    pub corpus: Vec<PathBuf>,

    /// Share of a batch that is from pairs, where there are pairs and text
    #[arg(long, value_name = "SHARE", default_value = "0.5", value_parser = share)]
    pub pairs_share: f64,

    /// Train this half alone; the other stays bit for bit
    #[arg(long, value_enum)]
    pub only: Option<Only>,

    /// Let each half have embeddings of its own from now on, as --only always does
    #[arg(long)]
    pub apart: bool,

    /// What the generator reads where it is asked [default: what its config says]
    #[arg(long, value_enum)]
    pub fill: Option<Fill>,

    /// Share of the text's characters to replace by some that sound alike
    #[arg(long, value_name = "RATE", default_value = "0.03", value_parser = share, help_heading = "Errors")]
    pub sound: f64,

    /// By some that look alike
    #[arg(long, value_name = "RATE", default_value = "0.01", value_parser = share, help_heading = "Errors")]
    pub shape: f64,

    /// By any
    #[arg(long, value_name = "RATE", default_value = "0.005", value_parser = share, help_heading = "Errors")]
    pub any: f64,

    /// By what the generator draws
    #[arg(long, value_name = "RATE", default_value = "0", value_parser = share, help_heading = "Errors")]
    pub drawn: f64,

    /// Share of right characters that the generator is asked about, too
    #[arg(long, value_name = "SHARE", default_value = "0.1", value_parser = share)]
    pub others: f64,

    /// What the rate is multiplied by for each layer further from the head
    #[arg(long, value_name = "FACTOR", default_value = "0.8", value_parser = positive)]
    pub layer_decay: f64,

    /// What the discriminator's loss counts beside the generator's
    #[arg(long, value_name = "W", default_value = "50", value_parser = positive)]
    pub discriminator_weight: f64,

    #[command(flatten)]
    pub learning: LearningArgs,
}

/// A half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Only {
    /// The detector
    Discriminator,
    /// The corrector
    Generator,
}

impl Only {
    /// The half that stays.
    pub fn other(self) -> Owner {
        match self {
            Only::Discriminator => Owner::Generator,
            Only::Generator => Owner::Discriminator,
        }
    }
}

/// What a generator reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Fill {
    /// `[MASK]`
    Mask,
    /// The character that stands there
    Seen,
}

impl Fill {
    /// What it says to the model.
    pub fn fill(self) -> config::Fill {
        match self {
            Fill::Mask => config::Fill::Mask,
            Fill::Seen => config::Fill::Seen,
        }
    }
}
