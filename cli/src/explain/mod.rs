//! `explain`: why zhengzi changes a character, or does not. The account is the corrector's own
//! ([`Explanation`]); here it is only written, one form a file.

mod html;
mod json;
mod picture;
mod svg;
mod terminal;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;

use zhengzi_model::corrector::{
    AttentionMap, Considered, Corrector, Explanation, Passage, Suspicion, Verdict,
};

use crate::args::{ExplainArgs, Form};
use crate::input::{Item, Line, Lines, Source};
use crate::inspect::say_loaded;
use crate::locale::translate;

/// The most that is explained at once. An explanation is hundreds of times as long as its text.
const LIMIT: usize = 16 << 10;

/// The most tokens of a map of attention: its cells are as many squared.
const MAP_TOKENS: usize = 128;

/// Runs the command. Nothing is written before all is known.
pub fn run(args: &ExplainArgs) -> Result<ExitCode, Box<dyn Error>> {
    let form = args.form()?;
    if !args.attention.is_empty() && form == Form::Plain {
        let hint = "write a picture with -o why.html or -o why.svg, or numbers with --format json";
        return Err(format!("--attention is drawn, and plain text is not: {hint}").into());
    }
    let lines = read(args)?;
    let (paths, settings, cpu) = (args.model.paths(), args.decision.settings()?, args.cpu.cpu()?);
    let mut corrector = Corrector::open(&paths, settings, &cpu)?;
    if args.verbose {
        say_loaded(&corrector.checkpoints(), &corrector.memory(&cpu), &cpu);
    }
    check_heads(args, &corrector)?;
    let passages: Vec<Passage> = lines
        .iter()
        .map(|line| Passage { text: line.text().unwrap_or_default(), frozen: &line.frozen })
        .collect();
    let told = corrector.explain(&passages)?;
    let mut stories = Vec::with_capacity(told.len());
    for (passage, told) in passages.iter().zip(told) {
        let maps = maps(args, &mut corrector, &told)?;
        stories.push(Story { source: passage.text, told, maps });
    }
    let models = corrector.checkpoints().map(|model| model.path().to_string_lossy().into_owned());
    let account = Account {
        stories,
        policy: args.decision.policy.name(),
        models,
        candidates: args.candidates,
    };
    let written = match form {
        Form::Plain => terminal::written(&account, terminal::Manner::of(args)),
        Form::Json => json::written(&account)?,
        Form::Html => html::written(&account),
        Form::Svg => svg::written(&account),
    };
    match &args.output {
        None => io::stdout().lock().write_all(written.as_bytes())?,
        Some(path) => fs::write(path, written)
            .map_err(|error| format!("{}: cannot be written: {error}", path.display()))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// All that is to be written.
struct Account<'a> {
    stories: Vec<Story<'a>>,
    policy: &'static str,
    /// Files of the discriminator and of the generator.
    models: [String; 2],
    /// How many candidates of a place are shown.
    candidates: usize,
}

/// A line of the text, and all that is told of it.
struct Story<'a> {
    source: &'a str,
    told: Explanation,
    maps: Vec<AttentionMap>,
}

/// A piece of a heat line.
#[derive(Debug, PartialEq)]
struct Cell<'a> {
    text: &'a str,
    /// The probability that it was replaced; `None` where nobody read it.
    heat: Option<f32>,
    /// What takes its place.
    change: Option<&'a str>,
}

impl Story<'_> {
    /// The text as it was read, token by token, and what lies between them.
    fn cells(&self) -> Vec<Cell<'_>> {
        let Explanation { text, tokens, suspects, .. } = &self.told;
        let changed = suspects.iter().filter(|suspect| suspect.verdict == Verdict::Changed);
        let changes: BTreeMap<usize, &str> = changed
            .filter_map(|suspect| Some((suspect.span.start, &chosen(suspect)?.text[..])))
            .collect();
        let mut tokens: Vec<_> = tokens.iter().collect();
        tokens.sort_by_key(|token| token.span.start);
        let (mut cells, mut end): (Vec<Cell>, usize) = (Vec::new(), 0);
        for token in tokens {
            // Several tokens may come from one character: the hottest stands for all.
            if token.span.start < end {
                let last = cells.last_mut().expect("something ended there");
                last.heat = Some(last.heat.map_or(token.probability, |p| p.max(token.probability)));
                continue;
            }
            cells.extend(unread(&text[end..token.span.start]));
            cells.push(Cell {
                text: &text[token.span.clone()],
                heat: Some(token.probability),
                change: changes.get(&token.span.start).copied(),
            });
            end = token.span.end;
        }
        cells.extend(unread(&text[end..]));
        cells
    }

    /// What the suspect is, as it stands.
    fn own(&self, suspect: &Suspicion) -> &str {
        &self.told.text[suspect.span.clone()]
    }

    /// The verdict on a suspect in a sentence, in the language of the locale.
    fn verdict(&self, suspect: &Suspicion) -> String {
        let verified = suspect.verification.as_ref().map_or(f32::NAN, |second| second.score);
        let margin = self.told.margin.unwrap_or(f32::NAN);
        let sentence = match suspect.verdict {
            Verdict::Changed => match (chosen(suspect), &suspect.verification) {
                (_, Some(_)) => format!(
                    "changed: read again, its score of {verified:.2} reaches the margin of {margin:.2}"
                ),
                (chosen, None) => format!(
                    "changed: {} is the first of the generator's {} that sounds or looks like it",
                    chosen.map_or("", |chosen| &chosen.text),
                    suspect.options.len()
                ),
            },
            Verdict::TakenBack => format!(
                "taken back: read again, its score of {verified:.2} is below the margin of {margin:.2}"
            ),
            Verdict::Hopeless => match suspect.options.first() {
                None => "stays: there is no candidate".to_owned(),
                Some(best) => format!(
                    "stays: the best score, {:.2} of {}, is not worth a second reading",
                    best.score.unwrap_or(f32::NAN),
                    best.text
                ),
            },
            Verdict::Outranked => "waits: a candidate of its neighbour has the better score, \
                                   and is tried first"
                .to_owned(),
            Verdict::Frozen => "stays: it is protected".to_owned(),
            Verdict::Expected => {
                format!("stays: it is itself among the generator's first {}", suspect.options.len())
            }
            Verdict::Unmatched => format!(
                "stays: none of the generator's first {} sounds or looks like it",
                suspect.options.len()
            ),
        };
        translate(&sentence).into_owned()
    }
}

/// That there is no suspect.
fn nobody(story: &Story) -> String {
    word(&format!("no character reaches {:.2}", story.told.threshold)).into_owned()
}

/// The candidate that the policy put in the place, or would have.
fn chosen(suspect: &Suspicion) -> Option<&Considered> {
    suspect.options.iter().find(|option| option.is_eligible)
}

/// A word of a table or a heading, in the language of the locale.
fn word(english: &str) -> Cow<'_, str> {
    // Alone, it could be the name of a file in some other message: the catalogue has it with a mark.
    let marked = format!("explain/{english}");
    match translate(&marked) {
        translation if translation == marked => english.into(),
        translation => translation.into_owned().into(),
    }
}

fn unread(text: &str) -> impl Iterator<Item = Cell<'_>> {
    let chars = text.char_indices();
    chars.map(|(at, c)| Cell { text: &text[at..at + c.len_utf8()], heat: None, change: None })
}

/// The lines of the text, every one of which can be read.
fn read(args: &ExplainArgs) -> Result<Vec<Line>, String> {
    let source = match &args.text {
        Some(text) if text != "-" => Source::Texts(vec![text.clone()]),
        _ => Source::Stdin,
    };
    let (mut lines, mut bytes): (Vec<Line>, usize) = (Vec::new(), 0);
    let too_long = || {
        let most = LIMIT >> 10;
        Err(format!("{source}: is longer than {most} KiB: explain a sentence or a paragraph"))
    };
    for item in Lines::of(std::slice::from_ref(&source), false)? {
        match item {
            Item::Line(line) => {
                if let Err(defect) = line.text() {
                    let number = line.number;
                    return Err(format!("{source}:{number}: {defect}: explain reads UTF-8 text"));
                }
                bytes += line.bytes.len();
                lines.push(line);
            }
            Item::LongLine(_) | Item::MoreOfIt(_) => return too_long(),
            Item::End { result: Err(error), .. } => return Err(format!("{source}: {error}")),
            Item::Begin { .. } | Item::End { .. } | Item::Pause => {}
        }
        if bytes > LIMIT {
            return too_long();
        }
    }
    lines.retain(|line| line.text().is_ok_and(|text| !text.trim().is_empty()));
    match lines.is_empty() {
        true => Err(format!("{source}: holds no text: give explain a sentence")),
        false => Ok(lines),
    }
}

/// That the network has the heads that are to be drawn.
fn check_heads(args: &ExplainArgs, corrector: &Corrector) -> Result<(), String> {
    let (layers, heads) = corrector.shape(args.network.meant());
    for place in &args.attention {
        if place.layer > layers || place.head > heads {
            let half = format!("{:?}", args.network).to_lowercase();
            let (layer, head) = (place.layer, place.head);
            let hint = format!("layers are 1 to {layers}, heads 1 to {heads}");
            return Err(format!("--attention {layer}:{head}: the {half} has no such head: {hint}"));
        }
    }
    Ok(())
}

fn maps(
    args: &ExplainArgs,
    corrector: &mut Corrector,
    told: &Explanation,
) -> Result<Vec<AttentionMap>, Box<dyn Error>> {
    let places: Vec<_> = args.attention.iter().map(|place| (place.layer, place.head)).collect();
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let maps = corrector.attention(told, args.network.meant(), &places)?;
    match maps.first().map_or(0, |map| map.tokens.len()) {
        tokens if tokens > MAP_TOKENS => Err(format!(
            "--attention: a line has {tokens} tokens, and a map at most {MAP_TOKENS}: \
             explain a shorter one"
        )
        .into()),
        _ => Ok(maps),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zhengzi_model::corrector::{Standing, Token};

    #[test]
    fn cells_cover_the_text_once_and_know_what_was_not_read() {
        let text = "甲，㍿乙!";
        let token = |start: usize, end: usize, probability: f32| Token {
            span: start..end,
            probability,
            standing: Standing::Open,
        };
        // One character that is read as two tokens, given out of order.
        let tokens =
            vec![token(9, 12, 0.5), token(6, 9, 0.1), token(6, 9, 0.25), token(0, 3, 0.75)];
        let told = Explanation { text: text.to_owned(), tokens, ..Explanation::default() };
        let story = Story { source: text, told, maps: Vec::new() };
        let cells = story.cells();
        assert_eq!(cells.iter().map(|cell| cell.text).collect::<String>(), text);
        let heats: Vec<_> = cells.iter().map(|cell| cell.heat).collect();
        assert_eq!(heats, [Some(0.75), None, Some(0.25), Some(0.5), None]);
    }
}
