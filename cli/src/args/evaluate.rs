//! What `evaluate` is told.

use std::path::PathBuf;

use super::{Answer, ConfigArgs, CpuArgs, DecisionArgs, ModelArgs};

pub const EXAMPLES: &str = "\
Examples:
  zhengzi evaluate test/*.tsv                a table of all files, with the mean
  zhengzi evaluate --policy compat t.tsv     as pycorrector would decide
  zhengzi evaluate --truth truth.txt in.txt  SIGHAN's own two files
  zhengzi evaluate --ignore 的地得 t.tsv     as SIGHAN13 is usually scored
  zhengzi evaluate --dump misses.jsonl t.tsv what was missed or wrongly changed, and how likely
  zhengzi evaluate --format json t.tsv       an object for each file";

#[derive(clap::Args)]
pub struct EvaluateArgs {
    /// Files of sentences and what they should be
    #[arg(value_name = "FILES", required = true)]
    pub files: Vec<PathBuf>,

    /// What is wrong in the sentences of SIGHAN among the files; may be repeated
    #[arg(long, value_name = "FILE")]
    pub truth: Vec<PathBuf>,

    /// Characters of which one in the place of another counts neither as wrong nor as changed
    #[arg(long, value_name = "CHARACTERS")]
    pub ignore: Option<String>,

    /// Write each sentence that was not corrected as it should be, and each false alarm, with
    /// probabilities, to this file (- for standard output) as JSON, an object a line
    #[arg(long, value_name = "FILE")]
    pub dump: Option<PathBuf>,

    /// Also count how far the wrong characters came: suspected, the right one among the
    /// candidates, ranked first, changed. (Slower)
    #[arg(long)]
    pub funnel: bool,

    /// Decide repeated mistakes together, as `correct --document` does; a blank line ends a document
    #[arg(long, conflicts_with = "funnel")]
    pub document: bool,

    /// How to write the figures
    #[arg(long, value_enum, default_value_t)]
    pub format: Answer,

    /// Say what was loaded, on standard error
    #[arg(short, long)]
    pub verbose: bool,

    #[command(flatten)]
    pub model: ModelArgs,

    #[command(flatten)]
    pub decision: DecisionArgs,

    #[command(flatten)]
    pub cpu: CpuArgs,

    /// Take settings from this zhengzi.toml; none is looked for, so that figures depend on
    /// nothing but what is typed
    #[arg(long, value_name = "FILE", help_heading = "Configuration")]
    pub config: Option<PathBuf>,
}

impl EvaluateArgs {
    /// As if --no-config had been typed.
    pub fn config(&self) -> ConfigArgs {
        ConfigArgs { config: self.config.clone(), no_config: true, dump_config: false }
    }
}
