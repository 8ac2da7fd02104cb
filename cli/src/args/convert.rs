//! What `convert` is told.

use std::path::PathBuf;

use clap::ValueEnum;
use zhengzi_kernels::Precision;
use zhengzi_model::ModelPaths;

use super::access;
use super::model::size;

pub const EXAMPLES: &str = "\
Examples:
  zhengzi convert models/small -o small.safetensors        a pair in one file, in int8
  zhengzi correct --model small.safetensors draft.txt      the file in use
  zhengzi convert small -o s.safetensors --precision f32   four bytes a weight, nothing rounded
  zhengzi convert --layout hf -o folder                    the model inside, for transformers";

#[derive(clap::Args)]
pub struct ConvertArgs {
    /// A folder with `discriminator` and `generator` in it, or one model, or a name in the local
    /// Hugging Face cache [default: the model inside]
    #[arg(value_name = "MODEL")]
    model: Option<PathBuf>,

    /// The discriminator or token classifier, where it is not found through MODEL
    #[arg(long, value_name = "PATH|NAME", help_heading = "Model")]
    detector: Option<PathBuf>,

    /// The generator, where it is not found through MODEL
    #[arg(long, value_name = "PATH|NAME", help_heading = "Model")]
    generator: Option<PathBuf>,

    /// Read the files into memory instead of mapping them: then they may be written to meanwhile
    #[arg(long, help_heading = "Model")]
    no_mmap: bool,

    /// The file to write; with --layout hf the folder to make
    #[arg(short, long, value_name = "PATH")]
    pub output: PathBuf,

    /// Memory to take at most, in bytes or as 500M, 2G: what needs more is refused before it is taken
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "Machine")]
    pub max_memory: Option<u64>,

    /// How to store the weights [default: int8; f32 with --layout hf]
    #[arg(long, value_name = "f32|bf16|int8")]
    pub precision: Option<Precision>,

    /// How to lay them out
    #[arg(long, value_enum, default_value_t)]
    pub layout: Layout,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Layout {
    /// One file with all that belongs to the model, used as it lies there
    #[default]
    Panels,
    /// Hugging Face's folders: config.json, vocab.txt, model.safetensors
    Hf,
}

impl ConvertArgs {
    /// Where the model lies; nowhere is the model inside.
    pub fn paths(&self) -> ModelPaths {
        let ConvertArgs { model, detector, generator, no_mmap, .. } = self;
        ModelPaths {
            model: model.clone(),
            detector: detector.clone(),
            generator: generator.clone(),
            access: access(*no_mmap),
        }
    }
}
