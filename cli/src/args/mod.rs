//! What was typed, and what it means.

// The doc comments below are what --help prints: brackets in them are for its reader.
#![allow(rustdoc::broken_intra_doc_links, rustdoc::invalid_html_tags)]

mod bench;
mod calibrate;
mod convert;
mod decision;
mod evaluate;
mod explain;
mod finetune;
mod learning;
mod model;
mod plot;
mod pretrain;
mod text;
mod verify;
mod vocab;

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use bench::EXAMPLES as BENCH_EXAMPLES;
pub use bench::{BenchArgs, Output};
pub use calibrate::CalibrateArgs;
use calibrate::EXAMPLES as CALIBRATE_EXAMPLES;
use convert::EXAMPLES as CONVERT_EXAMPLES;
pub use convert::{ConvertArgs, Layout};
pub use decision::DecisionArgs;
use evaluate::EXAMPLES as EVALUATE_EXAMPLES;
pub use evaluate::EvaluateArgs;
use explain::EXAMPLES as EXPLAIN_EXAMPLES;
pub use explain::{ExplainArgs, Form};
use finetune::EXAMPLES as FINETUNE_EXAMPLES;
pub use finetune::{FinetuneArgs, Only};
pub use learning::{HeldOut, LearningArgs};
pub use model::{Asked, CpuArgs, ModelArgs, access, available_isas, bounded, proven};
use plot::EXAMPLES as PLOT_EXAMPLES;
pub use plot::PlotArgs;
use pretrain::EXAMPLES as PRETRAIN_EXAMPLES;
pub use pretrain::PretrainArgs;
pub use text::{CorrectArgs, DetectArgs, Format, Input, TextArgs, able_terminal};
use verify::EXAMPLES as VERIFY_EXAMPLES;
pub use verify::VerifyArgs;
use vocab::EXAMPLES as VOCAB_EXAMPLES;
pub use vocab::VocabArgs;

const USAGE: &str = "\
zhengzi <COMMAND> [OPTIONS] [FILES]...
       zhengzi <COMMAND> [OPTIONS] -t <TEXT>";

const EXAMPLES: &str = "\
Examples:
  zhengzi correct -t 今天新情很好            correct a sentence
  zhengzi correct draft.txt > better.txt     correct a file
  zhengzi correct -w draft.txt notes/*.md    correct files where they are
  zhengzi correct --diff draft.txt           show what would change
  zhengzi detect -r docs                     list what looks wrong; status 1 if anything does
  cat log | zhengzi correct --format json    a JSON object per line
  zhengzi fill '今天[MASK]情很好'            what fits there
  zhengzi explain 今天新情很好               why it is corrected so
  zhengzi inspect pytorch_model.bin          what is in a model file
  zhengzi evaluate pairs.tsv                 how good the corrections are

Exit status: 0 done; 1 detect or --check found something; 2 an error; 130 interrupted.";

const UNREAD: &str = "\
Lines that are not UTF-8, hold a NUL or are longer than 1 MiB are not examined: they come
out as they went in, and standard error tells where they are (-q: not even that).

From a word zhengzi-disable (in a comment, say) to zhengzi-enable nothing is examined.
A zhengzi.toml in this folder or above sets what is not set here; --dump-config shows it.";

const CORRECT_EXAMPLES: &str = "\
Examples:
  zhengzi correct draft.txt > better.txt     the corrected text
  zhengzi correct --diff draft.txt           what would change, as git apply reads it
  zhengzi correct -w --backup draft.txt      in place; the old file becomes draft.txt.bak
  zhengzi correct --check -r docs            only report; status 1 if anything would change
  zhengzi correct --input jsonl              a service: {\"id\":1,\"text\":\"…\"} a line, in and out";

const DETECT_EXAMPLES: &str = "\
Examples:
  zhengzi detect *.txt                       what looks wrong, with probabilities
  zhengzi detect -r -g '*.md' .              all Markdown below here that git does not ignore
  zhengzi detect --format sarif -r docs      for code scanning
  zhengzi detect --threshold 0.3 draft.txt   suspect more";

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
    #[command(args_override_self = true, after_help = CORRECT_EXAMPLES, after_long_help = format!("{CORRECT_EXAMPLES}\n\n{UNREAD}"))]
    Correct(CorrectArgs),

    /// List characters that look wrong; exit with status 1 if there are any
    ///
    /// One line each: path:line:column: character (probability). Columns count code points
    /// from 1; standard input is called <stdin>, texts of the command line <text>.
    #[command(args_override_self = true, after_help = DETECT_EXAMPLES, after_long_help = format!("{DETECT_EXAMPLES}\n\n{UNREAD}"))]
    Detect(DetectArgs),

    /// Say what fits at each [MASK] of a text
    ///
    /// One line for each proposal, best first: column, text and probability, separated by
    /// tabs. Columns count code points from 1.
    #[command(args_override_self = true)]
    Fill(FillArgs),

    /// Show why a text is corrected as it is, character by character
    ///
    /// A heat line tells how likely each character is wrong. For each suspect it lists the
    /// candidates with every part of their scores, a weight times a value each, what the second
    /// reading said, and what was decided, as the corrector itself tells it.
    ///
    /// Without colours, digits stand for the heat: tenths of the probability. As HTML or SVG it
    /// is one file that needs no other, light or dark as the reader's screen is.
    #[command(args_override_self = true, after_help = EXPLAIN_EXAMPLES)]
    Explain(ExplainArgs),

    /// Measure how good corrections are, on sentences whose right form is known
    ///
    /// Each line of a file is a sentence, a tab, and the sentence as it should be. Or a file is
    /// the input of a shared task of SIGHAN, `(NID=A2-0011-1)`, a tab and a sentence a line, and
    /// --truth names its truth, `A2-0011-1, 4, 座` or `A2-0023-1, 0` a line.
    ///
    /// Strict, as in the literature: a sentence is a hit where exactly its wrong characters were
    /// changed (detection), and to the right ones (correction). Precision P is hits over all
    /// changed sentences, recall R is hits over all wrong ones, F1 their harmonic mean.
    ///
    /// Loose, as in pycorrector: precision is hits over hits and false alarms; a wrong sentence
    /// that was changed wrongly is only missed.
    ///
    /// By character: the same as strict, each wrong or changed character counting for itself.
    ///
    /// False alarms: the share of correct sentences that were changed. Accuracy: the share of
    /// all sentences that came out as they should be. With ±: half the 95 % interval of strict
    /// correction's F1. A mean is over the files that have the figure, each counting the same.
    ///
    /// Sentences whose right form is longer or shorter count like the others, as wrong in one
    /// place; how many they are is told.
    #[command(args_override_self = true, after_help = EVALUATE_EXAMPLES)]
    Evaluate(EvaluateArgs),

    /// Fit what decides (thresholds, weights, margins) to a model
    ///
    /// Networks differ in how sure they are of themselves. This reads sentences whose right form
    /// is known, four fifths of them to find the weights of what speaks for a change, the rest to
    /// see what each margin finds and alarms, and to choose one for each --mode:
    ///
    /// careful: the lowest that changes at most 1 in 100 correct sentences. balanced: that of the
    /// greatest F1 (strict correction), of those that change at most 1 in 25. eager: that of the
    /// greatest F2, where recall counts twice as much, of those that change at most 1 in 10.
    ///
    /// The small file that comes out is found beside the discriminator's weights or in the folder
    /// above, goes with `convert` into a model file, or is named with --calibration.
    #[command(args_override_self = true, after_help = CALIBRATE_EXAMPLES)]
    Calibrate(CalibrateArgs),

    /// Write a model in the layout that is fastest to open, or in another precision
    ///
    /// The file holds both halves of a pair with config and vocabulary, and --model takes it. It
    /// is mapped and used as it lies there: nothing is packed when it is opened.
    #[command(args_override_self = true, after_help = CONVERT_EXAMPLES)]
    Convert(ConvertArgs),

    /// Show what a model file or folder holds and how it would be run
    Inspect(InspectArgs),

    /// Look for damage in model files: checksums, numbers, names and shapes
    ///
    /// One line for each check of each file: ok, failed or not checked. A failed one tells file,
    /// place, tensor and what to do; one that could not be made tells what would help.
    ///
    /// Looked at are: what must be right for the file to be read; the CRC-32 of each entry of a
    /// zip archive; the SHA-256 of each file that a SHA256SUMS beside it or the Hugging Face cache
    /// tells; NaN and infinity among the weights; bytes and sums of int8 panels; names and shapes
    /// of all tensors, and the vocabulary, against the config.
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(VerifyArgs),

    /// Measure how fast a model runs, and how near that is to what the machine can do
    ///
    /// A row for each combination of what is listed: a warm forward pass over random ids, again
    /// and again for --seconds; the median and the least time of a pass. The discriminator says
    /// something of every token, the generator of one masked place in each sentence. No
    /// vocabulary is needed.
    ///
    /// gflops: operations of the matrix products that the answer needs, in 10⁹ a second of the
    /// least time. peak_share: that, of the multiply-adds that so many threads do at the same
    /// time with nothing to load. vmhwm_mb: the most memory that was held while the row's model
    /// was opened and run, in 10⁶ bytes (Linux).
    #[command(after_help = BENCH_EXAMPLES)]
    Bench(BenchArgs),

    /// Make a vocabulary from text, as BERT and ELECTRA have it
    ///
    /// [PAD], [UNK], [CLS], [SEP] and [MASK] come first, then characters by how often they were
    /// read, then pieces of words that are not Chinese. The same text gives the same file.
    #[command(after_help = VOCAB_EXAMPLES)]
    Vocab(VocabArgs),

    /// Train a generator and a discriminator on text, as ELECTRA does
    ///
    /// The generator is asked what stands at masked places, the discriminator which words the
    /// generator put there; both learn at once. The folder that comes out is taken by --model,
    /// and its halves by transformers. It also holds log.jsonl, a line for each step, and the
    /// state from which --resume goes on, bit for bit.
    #[command(after_help = PRETRAIN_EXAMPLES)]
    Pretrain(PretrainArgs),

    /// Train a pair to find and correct wrong characters
    ///
    /// The discriminator learns which characters are wrong, the generator what should stand
    /// there: from pairs of sentences, and from text that errors are put into. Log, checkpoints
    /// and --resume are those of `pretrain`.
    #[command(after_help = FINETUNE_EXAMPLES)]
    Finetune(FinetuneArgs),

    /// Draw the curves of a training run as SVG
    ///
    /// Losses, accuracy, precision, recall, AUC and the rate, a panel each: as the log tells them
    /// step by step, and as held-out lines do. The run may be going on.
    #[command(after_help = PLOT_EXAMPLES)]
    Plot(PlotArgs),

    /// Write the completions of a shell
    ///
    /// For bash: zhengzi completions bash > ~/.local/share/bash-completion/completions/zhengzi
    Completions {
        /// For which shell
        shell: Shell,
    },

    /// Write the manual page, of zhengzi or of one of its commands
    ///
    /// To read it at once: zhengzi man correct | man -l -
    Man {
        /// Of this command
        command: Option<String>,
    },
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
    pub format: Answer,

    /// Say what was loaded, on standard error
    #[arg(short, long)]
    pub verbose: bool,

    #[command(flatten)]
    pub model: ModelArgs,

    #[command(flatten)]
    pub cpu: CpuArgs,

    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(clap::Args)]
pub struct InspectArgs {
    /// A model file, a folder with one, or a name in the local Hugging Face cache
    pub path: PathBuf,

    /// How to write the answer
    #[arg(long, value_enum, default_value_t)]
    pub format: Answer,

    /// Read the file into memory instead of mapping it
    #[arg(long, help_heading = "Model")]
    pub no_mmap: bool,

    #[command(flatten)]
    pub cpu: CpuArgs,
}

/// How commands that are asked one question answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Answer {
    /// For people
    #[default]
    Plain,
    /// For programs: one object, or one a file
    Json,
}

/// Looked at by [`crate::config`] before the rest is parsed in earnest.
#[derive(Clone, clap::Args)]
#[command(next_help_heading = "Configuration")]
pub struct ConfigArgs {
    /// Read this file instead of the zhengzi.toml of this folder or the nearest above
    #[arg(long, value_name = "FILE", conflicts_with = "no_config")]
    pub config: Option<PathBuf>,

    /// Read no zhengzi.toml
    #[arg(long)]
    pub no_config: bool,

    /// Show the settings that would apply, as a zhengzi.toml, and stop
    #[arg(long)]
    pub dump_config: bool,
}

fn count() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_of_the_arguments_is_sound() {
        Args::command().debug_assert();
    }
}
