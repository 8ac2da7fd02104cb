//! What zhengzi says about its work: one line each on standard error.

use std::fmt::{Display, Write as _};
use std::io::{self, Write as _};

use crate::locale::translate;

/// `zhengzi: message`, in the language of the locale. A standard error that is closed is no
/// reason to stop.
pub fn say(message: impl Display) {
    let _ = io::stderr().write_all(line(&message.to_string()).as_bytes());
}

/// The same, unsaid.
pub fn line(message: &str) -> String {
    format!("zhengzi: {}\n", printable(&translate(message)))
}

/// The same text without line breaks and without power over a terminal:
/// a file may be called anything, and its name comes back in messages.
pub fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => _ = write!(line, "{}", c.escape_debug()),
            false => line.push(c),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn a_hostile_file_name_stays_on_one_line_and_cannot_colour_it() {
        assert_eq!(printable("甲\n乙\u{1b}[31m.txt"), "甲\\n乙\\u{1b}[31m.txt");
    }
}
