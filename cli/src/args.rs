//! What was typed, and what it means.

// The doc comments below are what --help prints: brackets in them are for its reader.
#![allow(rustdoc::broken_intra_doc_links, rustdoc::invalid_html_tags)]

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use clap::builder::RangedU64ValueParser;
use clap::{Parser, Subcommand, ValueEnum};
use zhengzi_kernels::{Isa, Level};
use zhengzi_model::ModelPaths;
use zhengzi_model::corrector::{self, Settings};
use zhengzi_runtime::Cpu;

use crate::cores;
use crate::input::Source;

const USAGE: &str = "\
zhengzi <COMMAND> [OPTIONS] [FILES]...
       zhengzi <COMMAND> [OPTIONS] -t <TEXT>";

const EXAMPLES: &str = "\
Examples:
  zhengzi correct -t 今天新情很好            correct a sentence
  zhengzi correct draft.txt > better.txt     correct a file
  zhengzi detect *.txt                       list what looks wrong; status 1 if anything does
  cat log | zhengzi correct --format json    a JSON object per line
  zhengzi fill '今天[MASK]情很好'            what fits there
  zhengzi inspect pytorch_model.bin          what is in a model file

Exit status: 0 done; 1 detect found something; 2 an error.";

const UNREAD: &str = "\
Lines that are not UTF-8, hold a NUL or are longer than 1 MiB are not examined: they come
out as they went in, and standard error tells where they are (-q: not even that).";

/// Finds and corrects wrong characters in Chinese text.
///
/// Works as it is, with a small model inside; --model takes any ELECTRA of Hugging Face's
/// layout (config.json, vocab.txt, model.safetensors or pytorch_model.bin).
#[derive(Parser)]
#[command(name = "zhengzi", version, override_usage = USAGE, after_help = EXAMPLES)]
#[command(arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Write the text with its wrong characters corrected
    ///
    /// Every byte that is not part of a correction comes out as it went in: line ends, tabs,
    /// a missing last newline, a byte order mark. On a terminal what was changed is coloured;
    /// -v lists each change on standard error.
    #[command(after_help = UNREAD)]
    Correct(TextArgs),

    /// List characters that look wrong; exit with status 1 if there are any
    ///
    /// One line each: path:line:column: character (probability). Columns count code points
    /// from 1; standard input is called <stdin>, texts of the command line <text>.
    #[command(after_help = UNREAD)]
    Detect(TextArgs),

    /// Say what fits at each [MASK] of a text
    ///
    /// One line for each proposal, best first: column, text and probability, separated by
    /// tabs. Columns count code points from 1.
    Fill(FillArgs),

    /// Show what a model file or folder holds and how it would be run
    Inspect(InspectArgs),
}

#[derive(clap::Args)]
pub struct TextArgs {
    /// Files to read; standard input where none is named, or for -
    #[arg(value_name = "FILES")]
    files: Vec<PathBuf>,

    /// A text given here instead of in a file; may be repeated
    #[arg(short, long, value_name = "TEXT", conflicts_with = "files", allow_hyphen_values = true)]
    text: Vec<OsString>,

    #[command(flatten)]
    pub model: ModelArgs,

    /// How to decide: `compat` takes pycorrector's steps one by one
    #[arg(long, value_enum, default_value_t, help_heading = "Decision")]
    policy: Policy,

    /// Probability from which a character counts as suspicious, 0 to 1 [default: the policy's]
    #[arg(long, value_name = "P", value_parser = probability, help_heading = "Decision")]
    threshold: Option<f32>,

    /// How far a change must be ahead of the original [default: the policy's]
    #[arg(long, value_name = "M", value_parser = finite, help_heading = "Decision")]
    #[arg(allow_negative_numbers = true)]
    margin: Option<f32>,

    /// Candidates to ask the generator for at each place [default: the policy's]
    #[arg(long, value_name = "K", value_parser = count(), help_heading = "Decision")]
    top_k: Option<usize>,

    /// How many times a sentence is read at most, each time with the last corrections made
    /// [default: the policy's]
    #[arg(long, value_name = "N", value_parser = count(), help_heading = "Decision")]
    rounds: Option<usize>,

    #[command(flatten)]
    pub cpu: CpuArgs,

    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(clap::Args)]
pub struct FillArgs {
    /// The text, with [MASK] wherever a character is wanted
    pub text: String,

    /// Proposals for each place
    #[arg(long, value_name = "K", value_parser = count(), default_value_t = 5)]
    pub top_k: usize,

    /// How to write the answer
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,

    /// Say what was loaded, on standard error
    #[arg(short, long)]
    pub verbose: bool,

    #[command(flatten)]
    pub model: ModelArgs,

    #[command(flatten)]
    pub cpu: CpuArgs,
}

#[derive(clap::Args)]
pub struct InspectArgs {
    /// A model file, or a folder with one
    pub path: PathBuf,

    /// How to write the answer
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,

    #[command(flatten)]
    pub cpu: CpuArgs,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Model")]
pub struct ModelArgs {
    /// A folder with `discriminator` and `generator` in it, or one model
    #[arg(long, value_name = "DIR|FILE")]
    model: Option<PathBuf>,

    /// The discriminator or token classifier, where it is not found through --model
    #[arg(long, value_name = "PATH")]
    detector: Option<PathBuf>,

    /// The generator, where it is not found through --model
    #[arg(long, value_name = "PATH")]
    generator: Option<PathBuf>,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Machine")]
pub struct CpuArgs {
    /// Threads to compute with [default: physical cores]
    #[arg(long, value_name = "N", env = "ZHENGZI_THREADS", hide_env_values = true)]
    #[arg(value_parser = count())]
    threads: Option<usize>,

    /// Instruction set: scalar, avx2, avx512 or neon [default: the strongest there is]
    #[arg(long, value_name = "NAME")]
    isa: Option<Level>,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// How to write the answer
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,

    /// When to colour
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,

    /// Say nothing of lines that could not be examined
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say what was loaded, and list each correction, on standard error
    #[arg(short, long)]
    pub verbose: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Plain,
    /// For programs: one object per line
    Json,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Color {
    /// On a terminal; NO_COLOR, CLICOLOR_FORCE and TERM=dumb are respected
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Policy {
    #[default]
    Default,
    Compat,
}

impl TextArgs {
    /// What to read, in order. A FILE that is not there is refused before anything is
    /// read: most likely somebody typed a sentence.
    pub fn sources(&self) -> Result<Vec<Source>, Box<dyn Error>> {
        if !self.text.is_empty() {
            return Ok(vec![Source::Texts(self.text.clone())]);
        }
        if self.files.is_empty() {
            return Ok(vec![Source::Stdin]);
        }
        self.files.iter().map(|path| Ok(source(path)?)).collect()
    }

    /// How to decide: what was asked for over the defaults.
    pub fn settings(&self) -> Settings {
        let default = Settings::default();
        Settings {
            policy: match self.policy {
                Policy::Default => corrector::Policy::Default,
                Policy::Compat => corrector::Policy::Compat,
            },
            threshold: self.threshold.or(default.threshold),
            margin: self.margin.or(default.margin),
            top_k: self.top_k.unwrap_or(default.top_k),
            rounds: self.rounds.unwrap_or(default.rounds),
            ..default
        }
    }
}

impl ModelArgs {
    /// Where the models lie; nowhere is the model inside.
    pub fn paths(&self) -> ModelPaths {
        let ModelArgs { model, detector, generator } = self;
        ModelPaths {
            model: model.clone(),
            detector: detector.clone(),
            generator: generator.clone(),
        }
    }
}

impl CpuArgs {
    /// The processor as it is to be used. An instruction set that it lacks is an error,
    /// never silently another one.
    pub fn cpu(&self) -> Result<Cpu, Box<dyn Error>> {
        let isa = match self.isa {
            None => Isa::best(),
            Some(level) => Isa::new(level).ok_or_else(|| {
                let available = available_isas().join(", ");
                format!("--isa {level}: this processor does not have it; it has {available}")
            })?,
        };
        Ok(Cpu::new(isa, self.threads.unwrap_or_else(cores::physical))?)
    }
}

impl Color {
    /// Whether standard output is to be coloured (no-color.org, bixense.com/clicolors).
    pub fn for_stdout(self) -> bool {
        let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        match self {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if set("NO_COLOR") => false,
            Color::Auto if set("CLICOLOR_FORCE") => {
                env::var_os("CLICOLOR_FORCE").is_some_and(|value| value != "0")
            }
            Color::Auto => {
                let able = env::var_os("TERM").map_or(cfg!(windows), |term| term != "dumb");
                able && io::stdout().is_terminal()
            }
        }
    }
}

/// Names of the instruction sets of this processor, weakest first.
pub fn available_isas() -> Vec<&'static str> {
    Isa::available().into_iter().map(|isa| isa.level().name()).collect()
}

fn source(path: &Path) -> Result<Source, String> {
    if path.as_os_str() == "-" {
        return Ok(Source::Stdin);
    }
    let shown = path.display();
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            Err(format!("{shown}: is a folder: name the files in it, as in {shown}/*.txt"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(format!("{shown}: no such file: a text on the command line goes after -t"))
        }
        // Any other trouble shows, and is told, when the file's turn comes.
        Ok(_) | Err(_) => Ok(Source::File(path.to_owned())),
    }
}

fn count() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=1024)
}

fn probability(typed: &str) -> Result<f32, String> {
    match typed.parse() {
        Ok(p) if (0.0..=1.0).contains(&p) => Ok(p),
        _ => Err("a probability is a number from 0 to 1".to_owned()),
    }
}

fn finite(typed: &str) -> Result<f32, String> {
    match typed.parse::<f32>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err("not a number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_of_the_arguments_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_threshold_is_a_probability() {
        for typed in ["0", "1", "0.5", "5e-1"] {
            assert!(probability(typed).is_ok(), "{typed}");
        }
        for typed in ["-0.1", "1.1", "NaN", "inf", "", "half", "０.5"] {
            assert!(probability(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn a_margin_is_any_finite_number() {
        assert_eq!(finite("-1.5"), Ok(-1.5));
        for typed in ["NaN", "inf", "1e99", ""] {
            assert!(finite(typed).is_err(), "{typed}");
        }
    }
}
