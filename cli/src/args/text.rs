//! What `correct` and `detect` are told.

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use clap::ValueEnum;

use super::{ConfigArgs, CpuArgs, DecisionArgs, ModelArgs};

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

    /// Decide the lines of a file together: what is corrected in one is corrected in all where the
    /// same character of the same word is suspicious. So do -w, --check and --diff with files
    #[arg(long, conflicts_with = "input", help_heading = "Decision")]
    pub document: bool,

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
    pub decision: DecisionArgs,

    #[command(flatten)]
    pub cpu: CpuArgs,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub config: ConfigArgs,
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

impl Color {
    /// Whether a file too is to be coloured.
    pub fn is_always(self) -> bool {
        matches!(self, Color::Always)
    }

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
