//! `--dump`: every sentence that is not as it should be, with what the model thought of it.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Serialize;
use zhengzi_model::corrector::{Blank, Correction, Corrector, Filler};
use zhengzi_model::evaluation::{Missed, Outcome, Pair};
use zhengzi_runtime::Cpu;

use crate::args::EvaluateArgs;
use crate::offset::{Ruler, Span};
use crate::report::{
    JSON_VERSION, JsonAlternative, JsonCorrection, json_alternatives, json_corrections, write_json,
};

/// Proposals of the generator for a missed place.
const PROPOSALS: usize = 5;

/// JSON Lines on their way to a file or to standard output.
pub struct Dump {
    out: Box<dyn Write>,
    /// `None` is standard output.
    path: Option<PathBuf>,
    filler: Filler,
}

/// A sentence that did not become what it should be.
pub struct Failure<'a> {
    pub path: &'a Path,
    pub pair: &'a Pair,
    pub outcome: Outcome,
    pub got: &'a str,
    pub corrections: &'a [Correction],
    pub missed: &'a [Missed],
}

impl Dump {
    /// Makes the file, which must not be one of those that are read.
    pub fn create(path: &Path, args: &EvaluateArgs, cpu: &Cpu) -> Result<Dump, Box<dyn Error>> {
        let filler = Filler::open(&args.model.paths(), cpu)?;
        if path.as_os_str() == "-" {
            let out = Box::new(BufWriter::new(io::stdout()));
            return Ok(Dump { out, path: None, filler });
        }
        let shown = path.display();
        let identity = fs::canonicalize(path).ok();
        let mut read = args.files.iter().chain(&args.truth);
        if identity.is_some() && read.any(|file| fs::canonicalize(file).ok() == identity) {
            return Err(format!("{shown}: is to be read: give --dump another file").into());
        }
        let file = File::create(path).map_err(|error| format!("{shown}: {error}"))?;
        Ok(Dump { out: Box::new(BufWriter::new(file)), path: Some(path.to_owned()), filler })
    }

    /// One sentence. For places that were missed the discriminator and the generator are asked once
    /// more: why was nothing done there?
    pub fn write(
        &mut self,
        corrector: &mut Corrector,
        failure: &Failure,
    ) -> Result<(), Box<dyn Error>> {
        let Failure { path, pair, outcome, got, corrections, missed } = failure;
        let source = pair.wrong.as_str();
        let opinions = match missed.is_empty() {
            true => Vec::new(),
            false => corrector.opinions(source)?,
        };
        let blanks = missed.iter().map(|missed| self.proposals(source, &missed.span));
        let blanks = blanks.collect::<Result<Vec<_>, _>>()?;
        let mut ruler = Ruler::new(source);
        let missed = missed.iter().zip(&blanks).map(|(missed, blank)| {
            let opinion = opinions.iter().find(|opinion| opinion.span == missed.span);
            let proposals = blank.as_ref().map(|blank| json_alternatives(&blank.alternatives));
            JsonMissed {
                wrong: &source[missed.span.clone()],
                right: &missed.right,
                span: ruler.span(&missed.span),
                detection: opinion.map(|opinion| opinion.detection),
                alternatives: proposals.unwrap_or_default(),
            }
        });
        let entry = Entry {
            version: JSON_VERSION,
            file: path.to_string_lossy().into_owned(),
            line: pair.line,
            outcome: name(*outcome),
            source,
            expected: &pair.right,
            got,
            corrections: json_corrections(source, corrections),
            missed: missed.collect(),
        };
        write_json(&mut self.out, &entry).map_err(|error| self.told(error))
    }

    /// Nothing comes any more.
    pub fn finish(&mut self) -> Result<(), Box<dyn Error>> {
        self.out.flush().map_err(|error| self.told(error))
    }

    /// What the generator would write in the place of a single character.
    fn proposals(
        &mut self,
        text: &str,
        span: &Range<usize>,
    ) -> Result<Option<Blank>, zhengzi_model::Error> {
        match text[span.clone()].chars().count() {
            1 => self.filler.instead(text, span, PROPOSALS),
            _ => Ok(None),
        }
    }

    /// An error of standard output is told by whoever called.
    fn told(&self, error: io::Error) -> Box<dyn Error> {
        match &self.path {
            None => error.into(),
            Some(path) => format!("{}: {error}", path.display()).into(),
        }
    }
}

fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Kept => "kept",
        Outcome::FalseAlarm => "false-alarm",
        Outcome::Missed => "missed",
        Outcome::Misplaced => "misplaced",
        Outcome::Miscorrected => "miscorrected",
        Outcome::Corrected => "corrected",
    }
}

#[derive(Serialize)]
struct Entry<'a> {
    version: u32,
    file: String,
    line: usize,
    outcome: &'static str,
    source: &'a str,
    expected: &'a str,
    got: &'a str,
    corrections: Vec<JsonCorrection<'a>>,
    missed: Vec<JsonMissed<'a>>,
}

/// Wrong and left alone.
#[derive(Serialize)]
struct JsonMissed<'a> {
    wrong: &'a str,
    right: &'a str,
    #[serde(flatten)]
    span: Span,
    /// `None` of what can never be suspected, such as punctuation.
    detection: Option<f32>,
    alternatives: Vec<JsonAlternative<'a>>,
}
