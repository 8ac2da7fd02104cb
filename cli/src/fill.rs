//! `fill`: what the generator would write at each `[MASK]` of a text.

use std::error::Error;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use serde::Serialize;
use zhengzi_model::corrector::{Blank, Filler};

use crate::args::{Answer, FillArgs};
use crate::inspect::say_loaded;
use crate::offset::{Ruler, Span};
use crate::report::{JSON_VERSION, JsonAlternative, json_alternatives, write_json};

/// Runs the command.
pub fn run(args: &FillArgs) -> Result<ExitCode, Box<dyn Error>> {
    if !args.text.contains("[MASK]") {
        return Err("the text has no [MASK]: write one where a character is wanted, \
                    as in '今天[MASK]情很好'"
            .into());
    }
    let cpu = args.cpu.cpu()?;
    let mut filler = Filler::open(&args.model.paths(), &cpu)?;
    if args.verbose {
        say_loaded(&[filler.checkpoint()], &filler.memory(&cpu), &cpu);
    }
    let blanks = filler.fill(&args.text, args.top_k)?;
    let mut out = BufWriter::new(io::stdout().lock());
    match args.format {
        Answer::Plain => plain(&mut out, &args.text, &blanks)?,
        Answer::Json => json(&mut out, &args.text, &blanks)?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn plain(out: &mut impl Write, text: &str, blanks: &[Blank]) -> io::Result<()> {
    let mut ruler = Ruler::new(text);
    for blank in blanks {
        let column = ruler.at(blank.span.start).char + 1;
        for alternative in &blank.alternatives {
            writeln!(out, "{column}\t{}\t{:.4}", alternative.text, alternative.probability)?;
        }
    }
    Ok(())
}

fn json(out: &mut impl Write, text: &str, blanks: &[Blank]) -> io::Result<()> {
    let mut ruler = Ruler::new(text);
    let blanks = blanks.iter().map(|blank| JsonBlank {
        span: ruler.span(&blank.span),
        alternatives: json_alternatives(&blank.alternatives),
    });
    let object = JsonFill { version: JSON_VERSION, text, blanks: blanks.collect() };
    write_json(out, &object)
}

#[derive(Serialize)]
struct JsonFill<'a> {
    version: u32,
    text: &'a str,
    blanks: Vec<JsonBlank<'a>>,
}

#[derive(Serialize)]
struct JsonBlank<'a> {
    #[serde(flatten)]
    span: Span,
    alternatives: Vec<JsonAlternative<'a>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use zhengzi_model::corrector::Alternative;

    fn blanks() -> Vec<Blank> {
        let alternatives = [("心", 0.75), ("事", 0.125)]
            .map(|(text, probability)| Alternative { text: text.to_owned(), probability });
        vec![Blank { span: 6..12, alternatives: alternatives.to_vec() }]
    }

    #[test]
    fn plain_is_a_table_of_columns_texts_and_probabilities() {
        let mut out = Vec::new();
        plain(&mut out, "今天[MASK]情", &blanks()).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "3\t心\t0.7500\n3\t事\t0.1250\n");
    }

    #[test]
    fn json_gives_the_span_of_each_mask_in_each_unit() {
        let mut out = Vec::new();
        json(&mut out, "今天[MASK]情", &blanks()).unwrap();
        let expected = concat!(
            r#"{"version":1,"text":"今天[MASK]情","blanks":[{"byte":[6,12],"char":[2,8],"#,
            r#""utf16":[2,8],"alternatives":[{"text":"心","probability":0.75},"#,
            r#"{"text":"事","probability":0.125}]}]}"#,
            "\n"
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
