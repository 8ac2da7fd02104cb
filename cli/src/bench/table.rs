//! Rows under one header, written as they come: a bench takes long, and its first rows are of use
//! before its last.

use std::io::{self, Write};

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::args::Output;
use crate::message::printable;
use crate::report::write_json;

/// A value of a row.
pub enum Cell {
    Text(String),
    Count(usize),
    /// With so many decimals.
    Number(f64, usize),
    /// What is not known here: empty, or null.
    Unknown,
}

/// Writes rows of the columns `keys`.
pub struct Table<'a> {
    out: Box<dyn Write + 'a>,
    output: Output,
    keys: &'static [&'static str],
    begun: bool,
}

impl<'a> Table<'a> {
    pub fn new(out: impl Write + 'a, output: Output, keys: &'static [&'static str]) -> Table<'a> {
        Table { out: Box::new(out), output, keys, begun: false }
    }

    /// A row, with a cell for each key; before the first, the header.
    pub fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        assert_eq!(cells.len(), self.keys.len(), "a cell for each column");
        if !self.begun {
            self.header()?;
            self.begun = true;
        }
        match self.output {
            Output::Md => {
                let cells: Vec<String> = cells.iter().map(|c| markdown(&c.text())).collect();
                writeln!(self.out, "| {} |", cells.join(" | "))?;
            }
            Output::Csv => {
                let cells: Vec<String> = cells.iter().map(|c| csv(&c.text())).collect();
                writeln!(self.out, "{}", cells.join(","))?;
            }
            Output::Jsonl => write_json(&mut self.out, &Object { keys: self.keys, cells })?,
        }
        self.out.flush()
    }

    fn header(&mut self) -> io::Result<()> {
        match self.output {
            Output::Md => {
                let rule = vec!["---"; self.keys.len()].join("|");
                writeln!(self.out, "| {} |\n|{rule}|", self.keys.join(" | "))
            }
            Output::Csv => writeln!(self.out, "{}", self.keys.join(",")),
            Output::Jsonl => Ok(()),
        }
    }
}

impl Cell {
    fn text(&self) -> String {
        match self {
            Cell::Text(text) => text.clone(),
            Cell::Count(count) => count.to_string(),
            Cell::Number(number, decimals) => format!("{number:.decimals$}"),
            Cell::Unknown => String::new(),
        }
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Cell::Text(text) => serializer.serialize_str(text),
            Cell::Count(count) => serializer.serialize_u64(*count as u64),
            Cell::Number(number, decimals) => {
                let scale = 10f64.powi(*decimals as i32);
                serializer.serialize_f64((number * scale).round() / scale)
            }
            Cell::Unknown => serializer.serialize_unit(),
        }
    }
}

/// A row as a JSON object, its keys in the order of the columns.
struct Object<'a> {
    keys: &'a [&'static str],
    cells: &'a [Cell],
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.keys.len()))?;
        for (key, cell) in self.keys.iter().zip(self.cells) {
            map.serialize_entry(key, cell)?;
        }
        map.end()
    }
}

fn markdown(text: &str) -> String {
    printable(text).replace('|', "\\|")
}

/// RFC 4180.
fn csv(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(output: Output) -> String {
        let mut out = Vec::new();
        let mut table = Table::new(&mut out, output, &["model", "threads", "ms", "share"]);
        let name = Cell::Text("a|b, \"c\"".to_owned());
        table.row(&[name, Cell::Count(2), Cell::Number(1.23456, 2), Cell::Unknown]).unwrap();
        drop(table);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_name_cannot_break_out_of_its_cell() {
        let head = "| model | threads | ms | share |\n|---|---|---|---|\n";
        assert_eq!(written(Output::Md), format!("{head}| a\\|b, \"c\" | 2 | 1.23 |  |\n"));
        let csv = "model,threads,ms,share\n\"a|b, \"\"c\"\"\",2,1.23,\n";
        assert_eq!(written(Output::Csv), csv);
        let json = r#"{"model":"a|b, \"c\"","threads":2,"ms":1.23,"share":null}"#;
        assert_eq!(written(Output::Jsonl), format!("{json}\n"));
    }
}
