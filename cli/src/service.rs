//! `--input jsonl`: requests come in and answers go out, an object a line, as long as
//! somebody asks.
//!
//! `{"id":7,"text":"今天新情很好"}` is answered by what `--format json` says of a line, with the
//! request's id (any JSON value, or none) in the place of path and line. A text may have
//! several lines: each is read on its own, as in a file; places count from the start of the
//! text. A request that cannot be understood is answered, too: with its error.

mod request;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;
use serde_json::value::RawValue;
use zhengzi_model::corrector::{Correction, Passage, apply};

use crate::input::{Directives, Item, Line, Lines, Source};
use crate::message;
use crate::progress::sentences;
use crate::report::{JSON_VERSION, JsonCorrection, json_corrections, write_json};
use crate::stream::{BATCH_BYTES, BATCH_LINES, Examine, Task};
use request::Request;

/// Answers until the requests end.
pub struct Service<'a, W: Write> {
    pub sources: &'a [Source],
    pub task: Task,
    pub examine: &'a mut Examine<'a>,
    pub out: W,
    /// Sentences that were read.
    pub sentences: u64,
    requests: Vec<Request>,
    bytes: usize,
    found: bool,
    failed: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    version: u32,
    id: Option<&'a RawValue>,
    source: &'a str,
    target: String,
    corrections: Vec<JsonCorrection<'a>>,
}

#[derive(Serialize)]
struct Refusal<'a> {
    version: u32,
    id: Option<&'a RawValue>,
    error: &'a str,
}

impl<'a, W: Write> Service<'a, W> {
    pub fn new(
        sources: &'a [Source],
        task: Task,
        examine: &'a mut Examine<'a>,
        out: W,
    ) -> Service<'a, W> {
        Service {
            sources,
            task,
            examine,
            out,
            sentences: 0,
            requests: Vec::new(),
            bytes: 0,
            found: false,
            failed: false,
        }
    }

    /// Reads everything, and tells the exit status: an error if a request was one.
    pub fn run(&mut self) -> Result<ExitCode, Box<dyn Error>> {
        for item in Lines::of(self.sources, false)? {
            match item {
                Item::Line(line) => {
                    self.bytes += line.bytes.len();
                    self.requests.extend(Request::of(&line));
                    if self.requests.len() >= BATCH_LINES || self.bytes >= BATCH_BYTES {
                        self.answer()?;
                    }
                }
                Item::LongLine(_) => {
                    let text = Err("a request of more than 1 MiB".to_owned());
                    self.requests.push(Request { id: None, text });
                }
                Item::End { source, result: Err(error) } => {
                    self.answer()?;
                    self.failed = true;
                    message::say(format_args!("{}: {error}", self.sources[source]));
                }
                Item::MoreOfIt(_) | Item::Begin { .. } | Item::End { .. } => {}
                Item::Pause => {
                    self.answer()?;
                    self.out.flush()?;
                }
            }
        }
        self.answer()?;
        self.out.flush()?;
        Ok(self.task.status(self.found, self.failed))
    }

    /// Answers the requests that have gathered.
    fn answer(&mut self) -> Result<(), Box<dyn Error>> {
        let requests = std::mem::take(&mut self.requests);
        self.bytes = 0;
        let lines: Vec<Vec<(usize, Line)>> = requests
            .iter()
            .map(|request| request.text.as_deref().map_or(Vec::new(), lines_of))
            .collect();
        let passages: Vec<Passage> = lines
            .iter()
            .flatten()
            .map(|(_, line)| {
                let text = line.text().expect("a JSON string is text, and NULs were refused");
                Passage { text, frozen: &line.frozen }
            })
            .collect();
        self.sentences += passages.iter().map(|passage| sentences(passage.text)).sum::<u64>();
        let mut found = match passages.is_empty() {
            true => Vec::new(),
            false => (self.examine)(&passages)?,
        }
        .into_iter();
        for (request, lines) in requests.iter().zip(&lines) {
            let mut corrections = Vec::new();
            for (start, _) in lines {
                let of_line = found.next().expect("the model answers for every line");
                corrections.extend(of_line.into_iter().map(|correction| Correction {
                    span: correction.span.start + start..correction.span.end + start,
                    ..correction
                }));
            }
            self.found |= !corrections.is_empty();
            self.failed |= request.text.is_err();
            request.answer(&mut self.out, &corrections)?;
        }
        Ok(())
    }
}

impl Request {
    /// The request of a line; none where the line is blank.
    fn of(line: &Line) -> Option<Request> {
        let refused = |id, error: String| Some(Request { id, text: Err(error) });
        let text = match line.text() {
            Ok(text) if text.trim().is_empty() => return None,
            Ok(text) => text,
            Err(defect) => return refused(None, defect.to_string()),
        };
        Some(Request::parse(text))
    }

    fn answer(&self, out: &mut dyn Write, corrections: &[Correction]) -> io::Result<()> {
        let (version, id) = (JSON_VERSION, self.id.as_deref());
        match &self.text {
            Err(error) => write_json(out, &Refusal { version, id, error }),
            Ok(source) => {
                let target = apply(source, corrections);
                let corrections = json_corrections(source, corrections);
                write_json(out, &Answer { version, id, source, target, corrections })
            }
        }
    }
}

/// The lines of a text, each with where it starts, as they would come out of a file.
fn lines_of(text: &str) -> Vec<(usize, Line)> {
    let (mut directives, mut next) = (Directives::default(), 0);
    text.split_inclusive('\n')
        .enumerate()
        .map(|(i, line)| {
            let (start, bytes) = (next, line.as_bytes().to_vec());
            next += bytes.len();
            let frozen = directives.frozen(&bytes);
            (start, Line { source: 0, number: i as u64 + 1, bytes, frozen })
        })
        .collect()
}
