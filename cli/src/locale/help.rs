//! `--help` in the language of the locale.

use clap::builder::StyledStr;
use clap::{Arg, Command};

use super::catalogue::CHINESE;
use super::is_chinese;

/// As the parser's own, with `Usage:` in Chinese.
const TEMPLATE: &str = "\
{before-help}{about-with-newline}
用法: {usage}

{all-args}{after-help}";

/// The same command, with its help in Chinese where the locale is.
pub fn localized(command: Command) -> Command {
    if is_chinese() { in_chinese(built(command), &mut Vec::new()) } else { command }
}

/// The help texts of `command` that the catalogue lacks.
#[cfg(test)]
fn untranslated(command: Command) -> Vec<String> {
    let mut missing = Vec::new();
    in_chinese(built(command), &mut missing);
    missing.sort();
    missing.dedup();
    missing
}

/// With `--help` and `--version`, which a command gets only now.
fn built(mut command: Command) -> Command {
    command.build();
    command
}

fn in_chinese(mut command: Command, missing: &mut Vec<String>) -> Command {
    let mut translated = |text: Option<&StyledStr>| text.map(|text| translation(text, missing));
    let about = translated(command.get_about());
    let long_about = translated(command.get_long_about());
    let after_help = translated(command.get_after_help());
    let after_long_help = translated(command.get_after_long_help());
    if let Some(usage) = command.get_overridden_usage().map(StyledStr::to_string) {
        // Its further lines stand below the first, which begins after `用法: `.
        command = command.override_usage(usage.replace("\n       ", "\n      "));
    }
    if let Some(about) = about {
        command = command.about(about);
    }
    if let Some(about) = long_about {
        command = command.long_about(about);
    }
    if let Some(help) = after_help {
        command = command.after_help(help);
    }
    if let Some(help) = after_long_help {
        command = command.after_long_help(help);
    }
    command
        .help_template(TEMPLATE)
        .subcommand_help_heading("命令")
        .mut_args(|argument| argument_in_chinese(argument, missing))
        .mut_subcommands(|subcommand| in_chinese(subcommand, missing))
}

/// The notes that the parser would add (`[default: …]`) are added here, in Chinese.
fn argument_in_chinese(argument: Arg, missing: &mut Vec<String>) -> Arg {
    let heading = match argument.get_help_heading() {
        Some(heading) => CHINESE.get(heading).or_else(|| {
            missing.push(heading.to_owned());
            None
        }),
        None if argument.is_positional() => Some("参数"),
        None => Some("选项"),
    };
    let help = argument.get_help().map(|text| translation(text, missing)).unwrap_or_default();
    let long_help = argument.get_long_help().map(|text| translation(text, missing));
    let (values, notes) = (values(&argument, missing), notes(&argument));
    let mut argument = argument.hide_default_value(true).hide_possible_values(true).hide_env(true);
    if let Some(heading) = heading {
        argument = argument.help_heading(heading);
    }
    let explained = values.iter().any(|(_, meaning)| !meaning.is_empty());
    if long_help.is_some() || explained {
        let list = if explained { long_list(&values) } else { short_list(&values) };
        let long_help = long_help.unwrap_or_else(|| help.clone());
        argument = argument.long_help(joined(&[long_help, list, notes.clone()], "\n\n"));
    }
    argument.help(joined(&[help, notes, short_list(&values)], " "))
}

/// By paragraph, as `about` is the first of `long_about`; where one is a list of examples, by
/// what stands after each.
fn translation(text: &StyledStr, missing: &mut Vec<String>) -> String {
    let text = text.to_string();
    let paragraphs = text.split("\n\n").map(|paragraph| match sentence(paragraph) {
        Some(translation) => translation,
        None if paragraph.contains('\n') => {
            paragraph.lines().map(|line| example(line, missing)).collect::<Vec<_>>().join("\n")
        }
        None => kept(paragraph, missing),
    });
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

/// Whether it ends with a full stop depends on where a text stands.
fn sentence(text: &str) -> Option<String> {
    let whole = CHINESE.get(text).map(str::to_owned);
    whole.or_else(|| Some(format!("{}。", CHINESE.get(text.strip_suffix('.')?)?)))
}

/// `  command   what it does`.
fn example(line: &str, missing: &mut Vec<String>) -> String {
    let (command, meaning) = match line.trim().rsplit_once("  ") {
        Some((_, meaning)) => line.split_at(line.len() - meaning.len()),
        None => line.split_at(line.len() - line.trim_start().len()),
    };
    match sentence(meaning) {
        Some(translation) => format!("{command}{translation}"),
        None if meaning.starts_with("zhengzi") => line.to_owned(),
        None => format!("{command}{}", kept(meaning, missing)),
    }
}

fn kept(text: &str, missing: &mut Vec<String>) -> String {
    if !text.trim().is_empty() {
        missing.push(text.to_owned());
    }
    text.to_owned()
}

fn joined(parts: &[String], between: &str) -> String {
    let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|p| !p.is_empty()).collect();
    parts.join(between)
}

/// Where the value comes from if it is not given.
fn notes(argument: &Arg) -> String {
    let mut notes = Vec::new();
    if let Some(variable) = argument.get_env() {
        notes.push(format!("[环境变量: {}]", variable.to_string_lossy()));
    }
    let defaults: Vec<_> =
        argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if takes_value(argument) && !defaults.is_empty() {
        notes.push(format!("[默认: {}]", defaults.join(", ")));
    }
    notes.join(" ")
}

/// The values that there are, and what each means.
fn values(argument: &Arg, missing: &mut Vec<String>) -> Vec<(String, String)> {
    if argument.is_hide_possible_values_set() || !takes_value(argument) {
        return Vec::new();
    }
    let values = argument.get_possible_values().into_iter().filter(|value| !value.is_hide_set());
    values
        .map(|value| {
            let meaning = value.get_help().map(|text| translation(text, missing));
            (value.get_name().to_owned(), meaning.unwrap_or_default())
        })
        .collect()
}

fn takes_value(argument: &Arg) -> bool {
    argument.get_num_args().is_some_and(|range| range.takes_values())
}

fn short_list(values: &[(String, String)]) -> String {
    if values.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
    format!("[可选: {}]", names.join(", "))
}

fn long_list(values: &[(String, String)]) -> String {
    let width = values.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let line = |(name, help): &(String, String)| format!("- {name:width$}  {help}");
    let lines: Vec<String> = values.iter().map(|v| line(v).trim_end().to_owned()).collect();
    format!("可选值:\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Args;
    use clap::CommandFactory;

    fn chinese() -> Command {
        in_chinese(built(Args::command()), &mut Vec::new())
    }

    /// Lines of English prose: three of its words in a row, no list.
    fn english(text: &str) -> Vec<&str> {
        let prose = |line: &&str| {
            let mut run = 0;
            line.split([' ', '[', ']']).any(|word| {
                let word = word.trim_end_matches(['.', ';', ':']);
                let is_word = word.len() > 1 && word.bytes().all(|b| b.is_ascii_lowercase());
                run = if is_word { run + 1 } else { 0 };
                run == 3
            })
        };
        text.lines().filter(|line| !line.contains("zhengzi")).filter(prose).collect()
    }

    #[test]
    fn every_help_text_is_in_the_catalogue() {
        assert_eq!(untranslated(Args::command()), Vec::<String>::new());
    }

    #[test]
    fn help_in_chinese_is_all_in_chinese_and_lists_what_the_english_one_does() {
        let mut program = chinese();
        let names: Vec<String> =
            program.get_subcommands().map(|command| command.get_name().to_owned()).collect();
        for name in names.iter().filter(|name| *name != "help") {
            let command = program.find_subcommand_mut(name).expect("it was listed");
            for help in [command.render_help(), command.render_long_help()] {
                let help = help.to_string();
                assert_eq!(english(&help), Vec::<&str>::new(), "{name}");
                assert!(help.contains("用法: zhengzi"), "{help}");
                for option in command.get_arguments().filter_map(Arg::get_long) {
                    assert!(help.contains(&format!("--{option}")), "{option} in\n{help}");
                }
                assert!(!help.contains("[default:") && !help.contains("[possible"), "{help}");
            }
        }
        let help = program.render_help().to_string();
        assert_eq!(english(&help), Vec::<&str>::new());
        assert!(names.iter().all(|name| help.contains(name.as_str())), "{help}");
    }

    #[test]
    fn the_command_in_chinese_takes_what_the_english_one_takes() {
        let words = ["zhengzi", "fill", "今[MASK]", "--top-k", "3", "--format", "json"];
        let matches = chinese().try_get_matches_from(words).expect("they are sound");
        let fill = matches.subcommand_matches("fill").expect("that was the command");
        assert_eq!(fill.get_one::<usize>("top_k"), Some(&3));
        chinese().debug_assert();
    }

    #[test]
    fn what_the_catalogue_lacks_is_told() {
        let command = Command::new("zhengzi")
            .about("For people")
            .after_help("Examples:\n  zhengzi x   do a thing\n  zhengzi y")
            .arg(Arg::new("x").help("No such text.").help_heading("No such heading"));
        assert_eq!(untranslated(command), ["No such heading", "No such text.", "do a thing"]);
    }

    #[test]
    fn defaults_values_and_variables_are_noted() {
        let argument = Arg::new("x").long("x").env("X").default_value("a").help("For people");
        let argument = argument.value_parser(["a", "b"]);
        let mut command = in_chinese(built(Command::new("z").arg(argument)), &mut Vec::new());
        let help = command.render_help().to_string();
        assert!(help.contains("供人阅读 [环境变量: X] [默认: a] [可选: a, b]\n"), "{help}");
    }
}
