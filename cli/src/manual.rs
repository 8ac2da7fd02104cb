//! `man` and `completions`: written from the definition of the arguments, so that they
//! cannot tell of an option that is not there.

use std::error::Error;
use std::io::Write;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

/// Of the pages: when the version was made whose options they tell.
const DATE: &str = "2026-11-22";

const STATUS: [(&str, &str); 4] = [
    ("0", "Done; with detect and --check also: nothing was found."),
    ("1", "detect or --check found something."),
    ("2", "An error: standard error tells which; with verify also: something is wrong."),
    ("130", "Interrupted. No file is left half written."),
];

const ENVIRONMENT: [(&str, &str); 6] = [
    ("ZHENGZI_THREADS", "Threads to compute with, where --threads does not say."),
    (
        "HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME, XDG_CACHE_HOME, TRANSFORMERS_CACHE",
        "Where models downloaded from Hugging Face are looked for: the first of \
         $HF_HUB_CACHE, $HUGGINGFACE_HUB_CACHE, $HF_HOME/hub, $XDG_CACHE_HOME/huggingface/hub \
         and ~/.cache/huggingface/hub, then $TRANSFORMERS_CACHE.",
    ),
    ("NO_COLOR", "If not empty, nothing is coloured unless --color asks for it."),
    ("CLICOLOR_FORCE", "If neither empty nor 0, colour even where no terminal is."),
    ("TERM", "A terminal called dumb gets neither colour nor progress."),
    (
        "LC_ALL, LC_MESSAGES, LANG, LANGUAGE",
        "The language of messages and of --help: Chinese or English.",
    ),
];

/// Writes the completions of `command` for `shell`.
///
/// # Errors
/// Those of `out`.
pub fn completions(mut command: Command, shell: Shell, out: &mut dyn Write) -> std::io::Result<()> {
    // In memory first: the generator panics where it cannot write.
    let (name, mut script) = (command.get_name().to_owned(), Vec::new());
    clap_complete::generate(shell, &mut command, name, &mut script);
    out.write_all(&script)
}

/// Writes the manual page of `command`, or of one of its subcommands, in roff.
///
/// # Errors
/// A subcommand that does not exist, told with those that do; and those of `out`.
pub fn man(
    command: Command,
    subcommand: Option<&str>,
    out: &mut dyn Write,
) -> Result<(), Box<dyn Error>> {
    let mut command = command.disable_help_subcommand(true).subcommand_help_heading("COMMANDS");
    command.build();
    let source = format!("{} {}", command.get_name(), command.get_version().unwrap_or_default());
    let page = match subcommand {
        None => command,
        Some(name) => match command.find_subcommand(name) {
            Some(subcommand) => subcommand.clone(),
            None => {
                let known: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
                let known = known.join(", ");
                return Err(format!("{name}: no such command: there are {known}").into());
            }
        },
    };
    let has_subcommands = page.has_subcommands();
    let after_help = page.get_after_long_help().or(page.get_after_help()).map(|s| s.to_string());
    let man = Man::new(page).date(DATE).source(source).manual("User Commands");
    man.render_title(out)?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_description_section(out)?;
    man.render_options_section(out)?;
    if has_subcommands {
        man.render_subcommands_section(out)?;
    }
    let mut rest = Roff::new();
    notes(&mut rest, &after_help.unwrap_or_default());
    table(&mut rest, "EXIT STATUS", &STATUS);
    table(&mut rest, "ENVIRONMENT", &ENVIRONMENT);
    rest.to_writer(out)?;
    Ok(())
}

/// What --help ends with. A paragraph that begins with a line `Examples:` becomes a section
/// of that name, its lines as they stand; the exit status has a section already.
fn notes(roff: &mut Roff, after_help: &str) {
    let mut noted = false;
    for paragraph in after_help.split("\n\n").filter(|text| !text.starts_with("Exit status")) {
        match paragraph.split_once('\n') {
            Some((heading, lines)) if heading.ends_with(':') => {
                roff.control("SH", [heading.trim_end_matches(':').to_uppercase().as_str()]);
                roff.control("nf", []);
                lines.lines().for_each(|line| _ = roff.text([roman(line.trim())]));
                roff.control("fi", []);
                noted = false;
            }
            _ if paragraph.trim().is_empty() => {}
            _ => {
                roff.control(if noted { "PP" } else { "SH" }, (!noted).then_some("NOTES"));
                paragraph.lines().for_each(|line| _ = roff.text([roman(line)]));
                noted = true;
            }
        }
    }
}

fn table(roff: &mut Roff, heading: &str, rows: &[(&str, &str)]) {
    roff.control("SH", [heading]);
    for (name, meaning) in rows {
        roff.control("TP", []);
        roff.text([bold(*name)]);
        roff.text([roman(*meaning)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Args;
    use clap::{CommandFactory, ValueEnum};

    fn page(subcommand: Option<&str>) -> String {
        let mut page = Vec::new();
        man(Args::command(), subcommand, &mut page).expect("memory takes everything");
        String::from_utf8(page).expect("a page is UTF-8")
    }

    /// The lines of a section.
    fn section<'a>(page: &'a str, heading: &str) -> Vec<&'a str> {
        let named = |line: &&str| line.trim_start_matches(".SH ").trim_matches('"') == heading;
        let lines = page.lines().skip_while(|line| !(line.starts_with(".SH") && named(line)));
        lines.skip(1).take_while(|line| !line.starts_with(".SH")).collect()
    }

    #[test]
    fn the_page_of_the_program_lists_its_commands_and_has_every_section() {
        let page = page(None);
        for command in Args::command().get_subcommands() {
            let name = format!("zhengzi\\-{}(1)", command.get_name());
            assert!(section(&page, "COMMANDS").contains(&name.as_str()), "{name} in\n{page}");
        }
        for heading in ["NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "ENVIRONMENT"] {
            assert!(!section(&page, heading).is_empty(), "{heading} in\n{page}");
        }
        assert_eq!(page.matches("EXIT STATUS").count(), 1);
        assert!(section(&page, "EXIT STATUS").contains(&"\\fB130\\fR"), "{page}");
        assert!(page.starts_with(".ie") || page.starts_with(".TH"), "{page}");
    }

    #[test]
    fn the_page_of_a_command_has_its_options_and_the_name_of_the_program() {
        let page = page(Some("detect"));
        assert!(section(&page, "NAME")[0].starts_with("zhengzi\\-detect \\- "), "{page}");
        assert!(section(&page, "SYNOPSIS")[0].contains("zhengzi detect"), "{page}");
        assert!(page.contains("\\-\\-threshold"), "{page}");
        assert!(page.contains(&format!("zhengzi {}", env!("CARGO_PKG_VERSION"))), "{page}");
    }

    #[test]
    fn a_command_that_does_not_exist_is_told_with_those_that_do() {
        let told = man(Args::command(), Some("detct"), &mut Vec::new()).unwrap_err().to_string();
        assert!(told.starts_with("detct: no such command: there are correct, detect"), "{told}");
    }

    #[test]
    fn every_variable_that_an_option_reads_is_in_the_manual() {
        for command in Args::command().get_subcommands() {
            for variable in command.get_arguments().filter_map(|argument| argument.get_env()) {
                let known = ENVIRONMENT.iter().any(|(names, _)| variable == *names);
                assert!(known, "{variable:?} of {}", command.get_name());
            }
        }
    }

    #[test]
    fn every_shell_gets_completions_of_every_command() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            completions(Args::command(), *shell, &mut script).expect("memory takes everything");
            let script = String::from_utf8(script).expect("a script is UTF-8");
            for word in ["correct", "detect", "inspect", "verify", "threshold"] {
                assert!(script.contains(word), "{word} for {shell}");
            }
        }
    }

    #[test]
    fn a_pipe_that_closes_is_an_error_and_no_panic() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        assert!(completions(Args::command(), Shell::Bash, &mut Closed).is_err());
        let error = man(Args::command(), None, &mut Closed).unwrap_err();
        assert!(error.downcast_ref::<std::io::Error>().is_some(), "{error}");
    }
}
