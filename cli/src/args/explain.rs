//! What `explain` is told.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;
use zhengzi_model::corrector;

use super::text::Color;
use super::{ConfigArgs, CpuArgs, DecisionArgs, ModelArgs, count};

pub const EXAMPLES: &str = "\
Examples:
  zhengzi explain 今天新情很好               which characters look wrong, and why one was changed
  zhengzi explain -o why.html 今天新情很好   the same as a page to look at and to pass on
  zhengzi explain -o why.svg --attention 12:1 今天新情很好
  zhengzi explain --policy compat < a.txt    as pycorrector would decide
  zhengzi explain --format json 今天新情很好 every number";

#[derive(clap::Args)]
pub struct ExplainArgs {
    /// The text; standard input where none is given, or for -
    #[arg(value_name = "TEXT", allow_hyphen_values = true)]
    pub text: Option<OsString>,

    /// How to write the answer [default: as the name after -o ends, else plain]
    #[arg(long, value_enum, help_heading = "Output")]
    pub format: Option<Form>,

    /// Write it to this file, whose name ends in .html, .svg, .json or .txt
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,

    /// How many candidates to show for each place; JSON has all of them
    #[arg(long, value_name = "N", value_parser = count(), default_value_t = 5)]
    #[arg(help_heading = "Output")]
    pub candidates: usize,

    /// Draw where a head looks, layers and heads counted from 1; may be repeated
    #[arg(long, value_name = "LAYER:HEAD", help_heading = "Output")]
    pub attention: Vec<Head>,

    /// Whose heads: the generator's read the text with its most suspicious character masked
    #[arg(long, value_enum, default_value_t, requires = "attention", help_heading = "Output")]
    pub network: Network,

    /// When to colour
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", help_heading = "Output")]
    pub color: Color,

    /// Say what was loaded, on standard error
    #[arg(short, long, help_heading = "Output")]
    pub verbose: bool,

    #[command(flatten)]
    pub model: ModelArgs,

    #[command(flatten)]
    pub decision: DecisionArgs,

    #[command(flatten)]
    pub cpu: CpuArgs,

    #[command(flatten)]
    pub config: ConfigArgs,
}

/// How an explanation is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For a terminal
    Plain,
    /// For programs: an object for each line of the text
    Json,
    /// A page that needs nothing else
    Html,
    /// The same as a picture
    Svg,
}

/// A head of a network, by layer and number, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub layer: usize,
    pub head: usize,
}

/// Which half of the pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Network {
    #[default]
    Discriminator,
    Generator,
}

impl ExplainArgs {
    /// The form that was asked for by name, or by the name of a file.
    pub fn form(&self) -> Result<Form, String> {
        let Some(path) = &self.output else { return Ok(self.format.unwrap_or(Form::Plain)) };
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let form = match &extension[..] {
            "html" | "htm" => Some(Form::Html),
            "svg" => Some(Form::Svg),
            "json" | "jsonl" => Some(Form::Json),
            "txt" => Some(Form::Plain),
            _ => None,
        };
        self.format.or(form).ok_or_else(|| {
            let hint = "name it .html, .svg, .json or .txt, or give --format";
            format!("{}: the name does not say what to write: {hint}", path.display())
        })
    }
}

impl FromStr for Head {
    type Err = &'static str;

    fn from_str(typed: &str) -> Result<Head, &'static str> {
        let number = |typed: &str| typed.parse().ok().filter(|&number| number > 0);
        let parts = typed.split_once(':');
        let parts = parts.and_then(|(layer, head)| Some((number(layer)?, number(head)?)));
        match parts {
            Some((layer, head)) => Ok(Head { layer, head }),
            None => Err("a layer and a head, both from 1, as in 12:1"),
        }
    }
}

impl Network {
    /// In the corrector's words.
    pub fn meant(self) -> corrector::Network {
        match self {
            Network::Discriminator => corrector::Network::Discriminator,
            Network::Generator => corrector::Network::Generator,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_two_numbers_from_one() {
        assert_eq!("12:1".parse(), Ok(Head { layer: 12, head: 1 }));
        for typed in ["", "3", "0:1", "1:0", "1:1:1", "a:b", "-1:2", "1 : 2"] {
            assert!(typed.parse::<Head>().is_err(), "{typed}");
        }
    }
}
