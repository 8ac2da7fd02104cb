//! Workflow commands of GitHub Actions: each finding becomes a warning at its line of a
//! pull request. ("Workflow commands for GitHub Actions" in GitHub's documentation;
//! escapes as in `command.ts` of its toolkit.)
//!
//! Lines and columns count from 1. In what unit columns count is written down nowhere: the
//! runner hands them on as they are. Everything they pass through (the runner in C#, the
//! page in JavaScript) has strings of UTF-16, so that is what is given here, without a
//! byte order mark and with the end exclusive, as ESLint and its like give them. Among
//! characters of the basic plane this is the same as code points.

use std::io::{self, Write};

use super::{Examined, Report, message, name};

/// `::warning file=…,line=…,endLine=…,col=…,endColumn=…,title=zhengzi::message`
pub struct Github;

impl Report for Github {
    fn examined(&mut self, out: &mut dyn Write, line: &Examined) -> io::Result<()> {
        let mut ruler = line.editor_ruler();
        let place = line.place;
        for correction in line.corrections {
            let [start, end] = ruler.span(&correction.span).utf16.map(|unit| unit + 1);
            let message = message(correction);
            if place.source.path().is_some() {
                let file = escaped(&name::plain(place.source), PROPERTY);
                let number = place.line;
                write!(out, "::warning file={file},line={number},endLine={number},")?;
                write!(out, "col={start},endColumn={end},title=zhengzi::")?;
                writeln!(out, "{}", escaped(&message, DATA))?;
            } else {
                // An annotation without a file has no place but its message.
                let message = escaped(&format!("{place}:{start}: {message}"), DATA);
                writeln!(out, "::warning title=zhengzi::{message}")?;
            }
        }
        Ok(())
    }
}

/// What would end a message.
const DATA: &[char] = &['%', '\r', '\n'];

/// What would end the value of a property.
const PROPERTY: &[char] = &['%', '\r', '\n', ':', ','];

fn escaped(text: &str, special: &[char]) -> String {
    let escape = |c: char| match special.contains(&c) {
        true => format!("%{:02X}", u32::from(c)),
        false => c.to_string(),
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{correction, written, written_from};
    use super::*;
    use crate::input::Source;

    #[test]
    fn columns_are_units_of_utf16() {
        let text = "𠀀e\u{301}新情";
        let found = [correction(text, "新", Some("心"))];
        assert_eq!(
            written(&mut Github, text, &found),
            "::warning file=目录/a.txt,line=7,endLine=7,col=5,endColumn=6,title=zhengzi\
             ::“新” may be wrong: did you mean “心”?\n"
        );
    }

    #[test]
    fn nothing_can_end_a_command_early() {
        let found = [correction("%:,", "%:,", None)];
        let source = Source::File("100%,a:b\r\n.txt".into());
        assert_eq!(
            written_from(&mut Github, &source, "%:,", &found),
            "::warning file=100%25%2Ca%3Ab%0D%0A.txt,line=7,endLine=7,col=1,endColumn=4,\
             title=zhengzi::“%25:,” may be wrong\n"
        );
    }

    #[test]
    fn a_text_without_a_file_is_placed_in_the_message() {
        let found = [correction("新", "新", None)];
        assert_eq!(
            written_from(&mut Github, &Source::Stdin, "新", &found),
            "::warning title=zhengzi::<stdin>:7:1: “新” may be wrong\n"
        );
    }
}
