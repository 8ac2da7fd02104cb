//! What `correct` and `detect` are told.

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;
use zhengzi_model::corrector::{self, Decisions, Settings};

use super::{ConfigArgs, CpuArgs, ModelArgs, count};

#[derive(clap::Args)]
pub struct CorrectArgs {
    #[command(flatten)]
    pub text: TextArgs,

    /// Correct the files where they are; each is replaced at once or not at all
    #[arg(short, long, conflicts_with_all = ["text", "check", "input"], help_heading = "Files")]
    pub write: bool,

    /// With -w: keep the file as it was, under its name and SUFFIX
    #[arg(long, value_name = "SUFFIX", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = ".bak", requires = "write", help_heading = "Files")]
    pub backup: Option<OsString>,

    /// Only report; exit with status 1 if anything would change
    #[arg(long, help_heading = "Files")]
    pub check: bool,

    /// The same as --format diff
    #[arg(long, conflicts_with = "format", help_heading = "Output")]
    pub diff: bool,
}

#[derive(clap::Args)]
pub struct DetectArgs {
    #[command(flatten)]
    pub text: TextArgs,
}

#[derive(clap::Args)]
pub struct TextArgs {
    /// Files to read; standard input where none is named, or for -
    #[arg(value_name = "FILES")]
    pub files: Vec<PathBuf>,

    /// A text given here instead of in a file; may be repeated
    #[arg(short, long, value_name = "TEXT", conflicts_with = "files", allow_hyphen_values = true)]
    pub text: Vec<OsString>,

    /// Read folders with all below them, but for binary files, hidden ones, backups, and what
    /// a .gitignore or .ignore leaves out
    #[arg(short, long, conflicts_with = "text", help_heading = "Files")]
    pub recursive: bool,

    /// With -r: only files that match, or with a ! before it, only those that do not; may be
    /// repeated
    #[arg(short, long, value_name = "GLOB", requires = "recursive", help_heading = "Files")]
    pub glob: Vec<String>,

    /// Treat every file as Markdown, not only *.md: code, URLs, front matter and HTML are
    /// left alone
    #[arg(long, help_heading = "Files")]
    pub markdown: bool,

    /// What comes in: text, or JSON objects with the keys id and text, one a line
    #[arg(long, value_enum, default_value_t, value_name = "KIND")]
    #[arg(conflicts_with_all = ["text", "recursive", "markdown"], help_heading = "Files")]
    pub input: Input,

    #[command(flatten)]
    pub model: ModelArgs,

    #[command(flatten)]
    decision: DecisionArgs,

    #[command(flatten)]
    pub cpu: CpuArgs,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Decision")]
struct DecisionArgs {
    /// How to decide: `compat` takes pycorrector's steps one by one
    #[arg(long, value_enum, default_value_t)]
    policy: Policy,

    /// Probability from which a character counts as suspicious, 0 to 1 [default: the policy's]
    #[arg(long, value_name = "P", value_parser = probability)]
    threshold: Option<f32>,

    /// How far a change must be ahead of the original [default: the policy's]
    #[arg(long, value_name = "M", value_parser = finite, allow_negative_numbers = true)]
    margin: Option<f32>,

    /// Candidates to ask the generator for at each place [default: the policy's]
    #[arg(long, value_name = "K", value_parser = count())]
    top_k: Option<usize>,

    /// How many times a sentence is read at most, each time with the last corrections made
    /// [default: the policy's]
    #[arg(long, value_name = "N", value_parser = count())]
    rounds: Option<usize>,

    /// Which characters the text is meant to be in; auto leaves each line its own script
    #[arg(long, value_enum, default_value_t)]
    script: Script,

    /// A file of words that are right as they are, one a line; may be repeated
    #[arg(long, value_name = "FILE")]
    protect: Vec<PathBuf>,

    /// A file of corrections to make wherever they fit, `wrong right` a line; may be repeated
    #[arg(long, value_name = "FILE")]
    confusion: Vec<PathBuf>,
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

    /// Say nothing of lines that could not be examined and of files that were written
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say what was loaded, what each stage took, and each correction, on standard error
    #[arg(short, long)]
    pub verbose: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Plain,
    /// A unified diff, as git apply and patch read it
    Diff,
    /// path:line:column: message, columns in bytes, for Vim and reviewdog
    Line,
    /// One object per line of input
    Json,
    /// The same with pycorrector's keys
    Pycorrector,
    /// Reviewdog's diagnostics
    Rdjson,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Annotations of GitHub Actions
    Github,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Input {
    #[default]
    Text,
    Jsonl,
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

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Script {
    #[default]
    Auto,
    Simplified,
    Traditional,
}

impl TextArgs {
    /// How to decide: what was asked for over the defaults.
    pub fn settings(&self) -> Result<Settings, zhengzi_model::Error> {
        let (asked, default) = (&self.decision, Settings::default());
        Ok(Settings {
            policy: match asked.policy {
                Policy::Default => corrector::Policy::Default,
                Policy::Compat => corrector::Policy::Compat,
            },
            threshold: asked.threshold.or(default.threshold),
            margin: asked.margin.or(default.margin),
            top_k: asked.top_k.unwrap_or(default.top_k),
            rounds: asked.rounds.unwrap_or(default.rounds),
            script: match asked.script {
                Script::Auto => corrector::Script::Auto,
                Script::Simplified => corrector::Script::Simplified,
                Script::Traditional => corrector::Script::Traditional,
            },
            decisions: Arc::new(Decisions::read(&asked.protect, &asked.confusion)?),
        })
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
            Color::Auto => able_terminal() && io::stdout().is_terminal(),
        }
    }
}

/// Whether a terminal, if there is one, understands more than letters.
pub fn able_terminal() -> bool {
    env::var_os("TERM").map_or(cfg!(windows), |term| term != "dumb")
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
