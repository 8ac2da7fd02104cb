//! The command line: arguments in, reports out. The text goes to standard output,
//! everything said about it to standard error, one line each.
//!
//! Exit status, the same in every format: 0 done; 1 `detect` or `--check` found something;
//! 2 an error; 130 interrupted. A reader that went away (`zhengzi correct … | head`) has seen
//! what it wanted: that is success, as in ripgrep.

mod args;
mod bench;
mod calibrate;
mod config;
mod convert;
mod cores;
mod correct;
mod evaluate;
mod explain;
mod fill;
mod finetune;
mod in_place;
mod input;
mod inspect;
mod interrupt;
mod learn;
mod locale;
mod manual;
mod message;
mod new_file;
mod offset;
mod plot;
mod pretrain;
mod progress;
mod report;
mod service;
mod sources;
mod stream;
mod svg;
mod verify;
mod vocab;

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use args::{Args, Command, ConfigArgs};
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use config::Config;
use zhengzi_runtime::last_words;
use zhengzi_runtime::memory::Allocator;

/// Ends the program with a line where there is no memory.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    last_words::prepare(message::line);
    interrupt::listen();
    let error = match run() {
        Ok(status) => return status,
        Err(error) => error,
    };
    last_words::take_the_word();
    // Only writing to standard output lets an `io::Error` come up as far as here.
    match error.downcast_ref::<io::Error>() {
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
        Some(error) => message::say(format_args!("standard output: {error}")),
        None => message::say(error),
    }
    ExitCode::from(2)
}

fn run() -> Result<ExitCode, Box<dyn Error>> {
    let typed: Vec<OsString> = env::args_os().collect();
    let (mut matches, mut args) = parse(&typed);
    if let Some(asked) = args.config() {
        let config = Config::find(&asked)?;
        if let Some(config) = &config {
            (matches, args) = parse(&config.before(&typed));
            if args.verbose() {
                message::say(format_args!("settings: {}", config.path().display()));
            }
        }
        if args.config().is_some_and(|asked| asked.dump_config) {
            let (name, matches) = matches.subcommand().expect("clap asks for a command");
            let whole = Args::command();
            let command = whole.find_subcommand(name).expect("clap found it");
            config::dump(matches, command, config.as_ref())?;
            return Ok(ExitCode::SUCCESS);
        }
    }
    match &args.command {
        Command::Correct(args) => correct::correct(args),
        Command::Detect(args) => correct::detect(&args.text),
        Command::Fill(args) => fill::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Calibrate(args) => calibrate::run(args),
        Command::Convert(args) => convert::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Pretrain(args) => pretrain::run(args),
        Command::Finetune(args) => finetune::run(args),
        Command::Plot(args) => plot::run(args),
        Command::Vocab(args) => vocab::run(args),
        Command::Completions { shell } => {
            manual::completions(Args::command(), *shell, &mut io::stdout().lock())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Man { command } => {
            manual::man(Args::command(), command.as_deref(), &mut io::stdout().lock())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// What was typed; a mistake in it, and --help, end the program here.
fn parse(typed: &[OsString]) -> (ArgMatches, Args) {
    let parsed = locale::localized(Args::command()).try_get_matches_from(typed);
    let matches = parsed.unwrap_or_else(|error| stop(error));
    let args = Args::from_arg_matches(&matches).unwrap_or_else(|error| stop(error));
    (matches, args)
}

/// Help was asked for, or needed.
fn stop(error: clap::Error) -> ! {
    if error.use_stderr() && locale::is_chinese() {
        eprint!("{}", locale::translate_lines(&error.to_string()));
        std::process::exit(error.exit_code());
    }
    error.exit()
}

impl Args {
    /// How the command is to be configured, if it can be.
    fn config(&self) -> Option<ConfigArgs> {
        match &self.command {
            Command::Correct(args) => Some(args.text.config.clone()),
            Command::Detect(args) => Some(args.text.config.clone()),
            Command::Fill(args) => Some(args.config.clone()),
            Command::Explain(args) => Some(args.config.clone()),
            Command::Evaluate(args) => Some(args.config()),
            _ => None,
        }
    }

    fn verbose(&self) -> bool {
        match &self.command {
            Command::Correct(args) => args.text.output.verbose,
            Command::Detect(args) => args.text.output.verbose,
            Command::Fill(args) => args.verbose,
            Command::Explain(args) => args.verbose,
            Command::Evaluate(args) => args.verbose,
            _ => false,
        }
    }
}
