//! What `calibrate` is told.

use std::path::PathBuf;

use super::decision::probability;
use super::{CpuArgs, ModelArgs};

pub const EXAMPLES: &str = "\
Examples:
  zhengzi calibrate --model mine train/*.tsv           into the folder of the model
  zhengzi calibrate --detector tuned -o tuned.json t.tsv
  zhengzi correct --detector tuned --calibration tuned.json --mode careful text.txt
  zhengzi calibrate --plot curve.svg -o c.json t.tsv   what each margin finds and alarms";

#[derive(clap::Args)]
pub struct CalibrateArgs {
    /// Files of sentences and what they should be, as `evaluate` reads them; never those that you
    /// will evaluate on
    #[arg(value_name = "FILES", required = true)]
    pub files: Vec<PathBuf>,

    /// What is wrong in the sentences of SIGHAN among the files; may be repeated
    #[arg(long, value_name = "FILE")]
    pub truth: Vec<PathBuf>,

    /// Where to write the calibration [default: zhengzi-calibration.json in the folder of --model]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Draw precision and recall at each margin as SVG
    #[arg(long, value_name = "FILE.svg")]
    pub plot: Option<PathBuf>,

    /// Probability from which a character counts as suspicious, 0 to 1 [default: what 7 in
    /// 100 characters reach]
    #[arg(long, value_name = "P", value_parser = probability)]
    pub threshold: Option<f32>,

    /// Say what was loaded, on standard error
    #[arg(short, long)]
    pub verbose: bool,

    #[command(flatten)]
    pub model: ModelArgs,

    #[command(flatten)]
    pub cpu: CpuArgs,
}
