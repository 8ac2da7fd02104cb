//! The command line: arguments in, reports out. The text goes to standard output,
//! everything said about it to standard error, one line each.
//!
//! Exit status: 0 done; 1 `detect` found something; 2 an error. A reader that went away
//! (`zhengzi correct … | head`) has seen what it wanted: that is success, as in ripgrep.

mod args;
mod cores;
mod correct;
mod fill;
mod input;
mod inspect;
mod message;
mod offset;
mod report;

use std::error::Error;
use std::io;
use std::process::ExitCode;

use args::{Args, Command};
use clap::Parser;
use correct::Task;

fn main() -> ExitCode {
    let error = match run(&Args::parse()) {
        Ok(status) => return status,
        Err(error) => error,
    };
    // Only writing to standard output lets an `io::Error` come up as far as here.
    match error.downcast_ref::<io::Error>() {
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
        Some(error) => message::say(format_args!("standard output: {error}")),
        None => message::say(error),
    }
    ExitCode::from(2)
}

fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    match &args.command {
        Command::Correct(args) => correct::run(args, Task::Correct),
        Command::Detect(args) => correct::run(args, Task::Detect),
        Command::Fill(args) => fill::run(args),
        Command::Inspect(args) => inspect::run(args),
    }
}
