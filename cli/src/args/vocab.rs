//! What `vocab` is told.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;

pub const EXAMPLES: &str = "\
Examples:
  zhengzi vocab corpus/*.txt.xz -o vocab.txt      from all of a corpus
  zhengzi vocab text.txt -o vocab.txt --size 4000  a small one";

#[derive(clap::Args)]
pub struct VocabArgs {
    /// Text in UTF-8, a sentence or a paragraph a line, plain or packed by xz
    #[arg(value_name = "FILES", required = true)]
    pub files: Vec<PathBuf>,

    /// The vocab.txt to write
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,

    /// Tokens at most
    #[arg(long, value_name = "N", default_value = "9216", value_parser = size())]
    pub size: usize,
}

fn size() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(16..=65536)
}
