//! `vocab`: a vocabulary from text.

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use zhengzi_model::training::{Count, each_line};

use crate::args::{VocabArgs, able_terminal};
use crate::message;
use crate::new_file;
use crate::progress::Progress;

/// Runs the command.
pub fn run(args: &VocabArgs) -> Result<ExitCode, Box<dyn Error>> {
    let output = &args.output;
    if !new_file::folder_of(output).is_dir() {
        return Err(format!("{}: its folder does not exist", output.display()).into());
    }
    let shown = io::stderr().is_terminal() && able_terminal();
    let (mut count, mut progress) = (Count::default(), Progress::new(None, shown));
    each_line(&args.files, |_, _, line| {
        progress.advance(line.len() as u64, 0);
        count.read(line);
        Ok(())
    })?;
    drop(progress);
    let vocabulary = count.vocabulary(args.size);
    let text = vocabulary.join("\n") + "\n";
    new_file::write(output, |out| out.write_all(text.as_bytes()))
        .map_err(|error| format!("{}: {error}", output.display()))?;
    message::say(format_args!("{}: {} tokens", output.display(), vocabulary.len()));
    Ok(ExitCode::SUCCESS)
}
