//! An explanation on a terminal: a heat line, and a table for each suspect.
//!
//! ```text
//! 今天新情很好
//! 0 0 9 0 0 0          digits where there is no colour: tenths of the probability
//!     心               what takes the place
//! ```

use std::env;
use std::fmt::Write as _;
use std::io::{self, IsTerminal};

use unicode_width::UnicodeWidthStr;
use zhengzi_model::corrector::{Considered, Suspicion, scorer::Part};

use super::{Account, Cell, Story, nobody, word};
use crate::args::ExplainArgs;
use crate::message::printable;

/// Cells of a line where nobody can tell how wide it may be.
const WIDTH: usize = 80;

/// How the answer may look.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    pub colors: Colors,
    /// Cells of a line.
    pub width: usize,
}

/// What the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colors {
    None,
    /// xterm's palette.
    Of256,
    /// 24 bits.
    True,
}

impl Manner {
    /// By what was asked for, the environment and the terminal.
    pub fn of(args: &ExplainArgs) -> Manner {
        let to_terminal = args.output.is_none() && io::stdout().is_terminal();
        let deep = env::var("COLORTERM").is_ok_and(|c| matches!(&c[..], "truecolor" | "24bit"));
        let colored = match &args.output {
            None => args.color.for_stdout(),
            Some(_) => args.color.is_always(),
        };
        let measured = terminal_size::terminal_size().filter(|_| to_terminal);
        Manner {
            colors: match (colored, deep) {
                (false, _) => Colors::None,
                (true, true) => Colors::True,
                (true, false) => Colors::Of256,
            },
            width: measured.map_or(WIDTH, |(width, _)| usize::from(width.0).max(20)),
        }
    }
}

/// The whole answer.
pub fn written(account: &Account, manner: Manner) -> String {
    let mut out = String::new();
    for (i, story) in account.stories.iter().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        write_heat(&mut out, &story.cells(), manner);
        if i == 0 {
            write_legend(&mut out, story, manner);
        }
        if story.told.suspects.is_empty() {
            _ = writeln!(out, "({})", nobody(story));
        }
        for suspect in &story.told.suspects {
            out.push('\n');
            write_suspect(&mut out, story, suspect, account.candidates, manner);
        }
    }
    out
}

/// The heat line, in as many lines as it takes.
fn write_heat(out: &mut String, cells: &[Cell], manner: Manner) {
    let mut rest = cells;
    while !rest.is_empty() {
        let mut width = 0;
        let fits = rest.iter().take_while(|cell| {
            width += cell_width(cell);
            width <= manner.width
        });
        let (now, later) = rest.split_at(fits.count().max(1));
        let mut rows = [String::new(), String::new(), String::new()];
        for cell in now {
            let (text, width) = (shown(cell), cell_width(cell));
            let pad = |text: &str| format!("{text}{}", " ".repeat(width - text.width().min(width)));
            let digit = cell.heat.map_or(String::new(), |p| format!("{}", tenths(p)));
            let change = cell.change.map_or(String::new(), printable);
            match manner.colors {
                Colors::None => rows[1].push_str(&pad(&digit)),
                colors => {
                    let painted = painted(colors, cell.heat.unwrap_or(0.0), &text);
                    rows[0].push_str(&painted);
                    rows[0].push_str(&" ".repeat(width - text.width().min(width)));
                }
            }
            if manner.colors == Colors::None {
                rows[0].push_str(&pad(&text));
            }
            match (manner.colors, &change[..]) {
                (Colors::None, _) | (_, "") => rows[2].push_str(&pad(&change)),
                _ => {
                    let space = pad(&change)[change.len()..].to_owned();
                    _ = write!(rows[2], "\x1b[1;32m{change}\x1b[0m{space}");
                }
            }
        }
        for row in rows.iter().filter(|row| !row.trim().is_empty()) {
            _ = writeln!(out, "{}", row.trim_end());
        }
        rest = later;
    }
}

fn write_legend(out: &mut String, story: &Story, manner: Manner) {
    let threshold = format!("{:.2}", story.told.threshold);
    if manner.colors == Colors::None {
        let digits = word("digits are tenths of the error probability");
        let from = word("suspects from");
        _ = writeln!(out, "({digits}; {from} {threshold})");
        return;
    }
    let steps = (0..=10).map(|step| painted(manner.colors, step as f32 / 10.0, "  "));
    let (probability, from) = (word("error probability"), word("suspects from"));
    let ramp: String = steps.collect();
    _ = writeln!(out, "\n{probability}: 0 {ramp} 1; {from} {threshold}");
}

/// What was considered for one place, and what came of it.
fn write_suspect(
    out: &mut String,
    story: &Story,
    suspect: &Suspicion,
    candidates: usize,
    manner: Manner,
) {
    let (own, bold, plain) = match manner.colors {
        Colors::None => (printable(story.own(suspect)), "", ""),
        _ => (printable(story.own(suspect)), "\x1b[1m", "\x1b[0m"),
    };
    let (probability, verdict) = (suspect.probability, printable(&story.verdict(suspect)));
    let round = word("round");
    let head = format!("{bold}{own}{plain} {probability:.2}, {round} {}", suspect.round);
    _ = writeln!(out, "{head}: {verdict}");
    let Some(best) = suspect.options.first() else { return };
    let shown = &suspect.options[..suspect.options.len().min(candidates)];
    let shown = match best.parts.is_empty() {
        true => write_proposals(out, shown),
        false => write_scores(out, suspect, best, shown, manner.width),
    };
    let more = suspect.options.len() - shown;
    if more > 0 {
        _ = writeln!(out, "  ({more} {})", word("more candidates"));
    }
}

/// The generator's own, where nothing is weighed; and how many.
fn write_proposals(out: &mut String, shown: &[Considered]) -> usize {
    for option in shown {
        let near = match option.is_eligible {
            true => word("sounds or looks like it"),
            false => "".into(),
        };
        let line = format!("  {:.4}  {}  {near}", option.probability, printable(&option.text));
        _ = writeln!(out, "{}", line.trim_end());
    }
    shown.len()
}

/// Every part of the scores: a line for each term, a column for each candidate, as many as fit; how
/// many these are.
fn write_scores(
    out: &mut String,
    suspect: &Suspicion,
    best: &Considered,
    shown: &[Considered],
    width: usize,
) -> usize {
    let names = |parts: &[Part]| parts.iter().map(|part| word(part.name).width()).max();
    let second = suspect.verification.as_ref();
    let name = names(&best.parts).max(second.and_then(|second| names(&second.parts)));
    let name = name.unwrap_or(0).max(word("score").width());
    // Name, weight * value, and eight cells for each candidate.
    let columns = (width.saturating_sub(name + 20) / 8).max(1);
    let shown = &shown[..shown.len().min(columns)];
    let heads: String = shown.iter().map(|option| right(&printable(&option.text), 8)).collect();
    let calculation = format!("{} * {} =", right(&word("weight"), 7), right(&word("value"), 6));
    let column = calculation.width();
    _ = writeln!(out, "  {}{calculation}{heads}", left("", name));
    for (i, part) in best.parts.iter().enumerate() {
        let (name, weighed) = (left(&word(part.name), name), weighed(part));
        let cells: String =
            shown.iter().map(|option| format!("{:>8.2}", option.parts[i].product())).collect();
        _ = writeln!(out, "  {name}{}{cells}", right(&weighed, column));
    }
    let scores = shown.iter().map(|option| format!("{:>8.2}", option.score.unwrap_or(f32::NAN)));
    let scores: String = scores.collect();
    _ = writeln!(out, "  {}{}{scores}", left(&word("score"), name), " ".repeat(column));
    if let Some(second) = second {
        let text = printable(&best.text);
        let (again, probability) = (word("read again"), second.probability);
        _ = writeln!(out, "  {again}: {text} {probability:.2}");
        for part in &second.parts {
            let (name, weighed) = (left(&word(part.name), name), weighed(part));
            _ = writeln!(out, "  {name}{}{:>8.2}", right(&weighed, column), part.product());
        }
        let name = left(&word("score"), name);
        _ = writeln!(out, "  {name}{}{:>8.2}", " ".repeat(column), second.score);
    }
    shown.len()
}

/// An asterisk: × is two cells wide on some Chinese terminals, and one on others.
fn weighed(part: &Part) -> String {
    format!("{:>7.2} * {:>6.2} =", part.weight, part.value)
}

fn left(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

fn right(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(text.width())))
}

/// 0 to 9.
fn tenths(probability: f32) -> u8 {
    ((probability * 10.0) as u8).min(9)
}

fn shown(cell: &Cell) -> String {
    // A tab would be as wide as it likes.
    printable(&cell.text.replace('\t', " "))
}

/// A cell is as wide as the widest thing in its column.
fn cell_width(cell: &Cell) -> usize {
    let change = cell.change.map_or(0, |change| printable(change).width());
    let digit = usize::from(cell.heat.is_some());
    shown(cell).width().max(change).max(digit)
}

/// The text on its heat; below a tenth as it is.
fn painted(colors: Colors, probability: f32, text: &str) -> String {
    if probability < 0.1 {
        return text.to_owned();
    }
    let [r, g, b] = heat(probability);
    let ink = if probability > HOT { [255, 255, 255] } else { [0, 0, 0] };
    match colors {
        Colors::None => text.to_owned(),
        Colors::Of256 => {
            let ink = if probability > HOT { 231 } else { 16 };
            format!("\x1b[48;5;{};38;5;{ink}m{text}\x1b[0m", palette([r, g, b]))
        }
        Colors::True => {
            let [x, y, z] = ink;
            format!("\x1b[48;2;{r};{g};{b};38;2;{x};{y};{z}m{text}\x1b[0m")
        }
    }
}

/// From here on ink is white.
const HOT: f32 = 0.86;

/// From white over amber to red, darker all the way: who sees no colours sees that.
fn heat(probability: f32) -> [u8; 3] {
    const STOPS: [[f32; 3]; 5] = [
        [255.0, 251.0, 235.0],
        [253.0, 224.0, 130.0],
        [250.0, 180.0, 50.0],
        [232.0, 110.0, 30.0],
        [176.0, 16.0, 32.0],
    ];
    let place = probability.clamp(0.0, 1.0) * (STOPS.len() - 1) as f32;
    let below = (place as usize).min(STOPS.len() - 2);
    let share = place - below as f32;
    std::array::from_fn(|i| {
        (STOPS[below][i] + share * (STOPS[below + 1][i] - STOPS[below][i])).round() as u8
    })
}

/// The nearest of the 6 × 6 × 6 colours that every terminal of 256 has.
fn palette(color: [u8; 3]) -> u8 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let nearest = |wanted: u8| {
        let distance = |&level: &usize| LEVELS[level].abs_diff(wanted);
        (0..6).min_by_key(distance).unwrap_or(0) as u8
    };
    let [r, g, b] = color.map(nearest);
    16 + 36 * r + 6 * g + b
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WCAG 2: relative luminance, 0 to 1.
    fn luminance(color: [u8; 3]) -> f32 {
        let linear = color.map(|c| match f32::from(c) / 255.0 {
            c if c <= 0.04045 => c / 12.92,
            c => ((c + 0.055) / 1.055).powf(2.4),
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    #[test]
    fn heat_darkens_all_the_way_and_ink_stays_legible_on_it() {
        let mut before = 2.0;
        for step in 0..=100 {
            let p = step as f32 / 100.0;
            let light = luminance(heat(p));
            assert!(light < before, "{p} is no darker than what is less");
            before = light;
            let ink = if p > HOT { 1.0 } else { 0.0 };
            let (bright, dark) = (light.max(ink) + 0.05, light.min(ink) + 0.05);
            assert!(bright / dark >= 4.5, "contrast {} at {p}", bright / dark);
        }
    }

    #[test]
    fn the_palette_has_the_corners_of_the_cube() {
        assert_eq!([[0; 3], [255; 3], [255, 0, 0]].map(palette), [16, 231, 196]);
        assert_eq!(palette([253, 224, 130]), 16 + 36 * 5 + 6 * 4 + 2);
    }

    fn cells() -> Vec<Cell<'static>> {
        vec![
            Cell { text: "新", heat: Some(0.97), change: Some("心") },
            Cell { text: "a", heat: Some(0.04), change: None },
            Cell { text: "。", heat: None, change: None },
        ]
    }

    #[test]
    fn digits_stand_below_their_characters() {
        let mut out = String::new();
        write_heat(&mut out, &cells(), Manner { colors: Colors::None, width: 80 });
        assert_eq!(out, "新a。\n9 0\n心\n");
    }

    #[test]
    fn a_narrow_terminal_gets_more_lines() {
        let mut out = String::new();
        write_heat(&mut out, &cells(), Manner { colors: Colors::None, width: 3 });
        assert_eq!(out, "新a\n9 0\n心\n。\n");
    }

    #[test]
    fn colours_are_as_deep_as_the_terminal() {
        let line = |colors| {
            let mut out = String::new();
            write_heat(&mut out, &cells(), Manner { colors, width: 80 });
            out
        };
        let change = "\x1b[1;32m心\x1b[0m";
        let deep = format!("\x1b[48;2;183;27;32;38;2;255;255;255m新\x1b[0ma。\n{change}\n");
        assert_eq!(line(Colors::True), deep);
        let flat = format!("\x1b[48;5;124;38;5;231m新\x1b[0ma。\n{change}\n");
        assert_eq!(line(Colors::Of256), flat);
    }

    #[test]
    fn a_text_cannot_steer_the_terminal() {
        let cells = [Cell { text: "\u{1b}", heat: None, change: None }];
        let mut out = String::new();
        write_heat(&mut out, &cells, Manner { colors: Colors::True, width: 80 });
        assert_eq!(out, "\\u{1b}\n");
    }
}
