//! What `plot` is told.

use std::path::PathBuf;

pub const EXAMPLES: &str = "\
Examples:
  zhengzi plot mine/log.jsonl             into mine/log.svg
  zhengzi plot mine/log.jsonl -o a.svg    into another file";

#[derive(clap::Args)]
pub struct PlotArgs {
    /// The log.jsonl of a run
    #[arg(value_name = "LOG")]
    pub log: PathBuf,

    /// Where to draw it [default: the log's name, with svg]
    #[arg(short, long, value_name = "FILE.svg")]
    pub output: Option<PathBuf>,
}
