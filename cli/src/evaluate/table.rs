//! The figures for people: tables that are aligned on a terminal and Markdown elsewhere.

use std::collections::HashSet;
use std::io::{self, Write};
use std::time::Duration;

use zhengzi_model::corrector::Tokens;
use zhengzi_model::evaluation::{Figures, Funnel, Level, Measures};

use super::Measured;
use crate::args::EvaluateArgs;
use crate::message::printable;

const DETECTION: &str = "detection P / R / F1";
const CORRECTION: &str = "correction P / R / F1";

/// Everything: a line of what was measured, a table for each kind of figure, notes.
pub fn write(
    out: &mut impl Write,
    args: &EvaluateArgs,
    [discriminator, generator]: &[String; 2],
    measured: &[Measured],
) -> io::Result<()> {
    write!(out, "policy {}, ", args.decision.policy.name())?;
    write!(out, "{}", printable(discriminator))?;
    if generator != discriminator {
        write!(out, ", {}", printable(generator))?;
    }
    if let Some(ignored) = &args.ignore {
        write!(out, ", {} ignored", printable(ignored))?;
    }
    if args.document {
        write!(out, ", by document")?;
    }
    writeln!(out, "; all figures in %\n")?;

    let rows = rows(measured);
    writeln!(out, "By sentence, strict\n")?;
    let head = ["file", "sentences", DETECTION, CORRECTION, "false alarms", "accuracy"];
    let strict = rows.iter().map(|Row { name, sentences, figures, cost, rate, .. }| {
        let Level { detection, correction } = figures.strict;
        let uncertain =
            figures.uncertainty.map_or(String::new(), |u| format!(" ± {:.1}", 100.0 * u));
        vec![
            name.clone(),
            sentences.to_string(),
            triple(detection),
            triple(correction) + &uncertain,
            percent(figures.false_alarm_rate),
            percent(figures.accuracy),
            cost.map_or("–".to_owned(), |cost| format!("{cost:.2}")),
            format!("{rate:.0}"),
        ]
    });
    table(out, &[&head[..], &["cost", "sentences/s"]].concat(), strict.collect())?;
    type Kind = fn(&Figures) -> Level;
    let others: [(&str, Kind); 2] =
        [("By sentence, loose", |f| f.loose), ("By character", |f| f.character)];
    for (title, level) in others {
        writeln!(out, "\n{title}\n")?;
        let rows = rows.iter().map(|Row { name, figures, .. }| {
            let Level { detection, correction } = level(figures);
            vec![name.clone(), triple(detection), triple(correction)]
        });
        table(out, &["file", DETECTION, CORRECTION], rows.collect())?;
    }
    funnels(out, &rows)?;
    notes(out, measured)
}

/// Where wrong characters were lost, if that was asked for.
fn funnels(out: &mut impl Write, rows: &[Row]) -> io::Result<()> {
    let shown = rows.iter().filter_map(|row| Some((row, row.funnel?))).map(|(row, funnel)| {
        let Funnel { wrong, suspected, candidates, first, corrected } = funnel;
        let counts = [wrong, suspected, candidates, first, corrected].map(|n| n.to_string());
        let oracle = (suspected > 0).then(|| candidates as f64 / suspected as f64);
        [vec![row.name.clone()], counts.to_vec(), vec![percent(oracle)]].concat()
    });
    let shown: Vec<Vec<String>> = shown.collect();
    if shown.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nWrong characters: how far they came\n")?;
    let head = ["file", "wrong", "suspected", "right one among candidates", "ranked first"];
    table(out, &[&head[..], &["corrected", "oracle"]].concat(), shown)
}

fn notes(out: &mut impl Write, measured: &[Measured]) -> io::Result<()> {
    let unequal = measured.iter().filter(|one| one.score.unequal() > 0);
    for (index, one) in unequal.enumerate() {
        let (path, count) = (one.set.path.to_string_lossy(), one.score.unequal());
        let before = if index == 0 { "\n" } else { "" };
        writeln!(out, "{before}{}: sides of unequal length: {count}", printable(&path))?;
    }
    Ok(())
}

/// A line of each table.
struct Row {
    name: String,
    sentences: usize,
    figures: Figures,
    /// Tokens read for each token of text.
    cost: Option<f64>,
    funnel: Option<Funnel>,
    /// Sentences a second.
    rate: f64,
}

/// The files, and their mean where they are several.
fn rows(measured: &[Measured]) -> Vec<Row> {
    let names = names(measured);
    let mut rows: Vec<Row> = measured
        .iter()
        .zip(names)
        .map(|(one, name)| Row {
            name,
            sentences: one.score.sentences(),
            figures: one.figures.clone(),
            cost: one.tokens.cost(),
            funnel: one.funnel,
            rate: one.sentences_per_second(),
        })
        .collect();
    if rows.len() > 1 {
        let figures: Vec<Figures> = rows.iter().map(|row| row.figures.clone()).collect();
        let sentences = rows.iter().map(|row| row.sentences).sum();
        let time: Duration = measured.iter().map(|one| one.time).sum();
        let mut tokens = Tokens::default();
        let mut funnel: Option<Funnel> = None;
        for one in measured {
            tokens += one.tokens;
            if let Some(one) = one.funnel {
                *funnel.get_or_insert_default() += one;
            }
        }
        rows.push(Row {
            name: "mean".to_owned(),
            cost: tokens.cost(),
            funnel,
            sentences,
            figures: Figures::mean(&figures),
            rate: sentences as f64 / time.as_secs_f64(),
        });
    }
    rows
}

/// Of the files without folders and endings, unless two of them would be called the same.
fn names(measured: &[Measured]) -> Vec<String> {
    let paths = || measured.iter().map(|one| one.set.path.as_path());
    let short: Vec<_> = paths().map(|path| path.file_stem().unwrap_or(path.as_os_str())).collect();
    let distinct = short.iter().collect::<HashSet<_>>().len() == short.len();
    let shown = short.iter().zip(paths()).map(|(&short, path)| match distinct {
        true => printable(&short.to_string_lossy()),
        false => printable(&path.to_string_lossy()),
    });
    // In Markdown a bar would end the cell.
    shown.map(|name| name.replace('|', "\\|")).collect()
}

/// The first column to the left, all others to the right.
fn table(out: &mut impl Write, head: &[&str], rows: Vec<Vec<String>>) -> io::Result<()> {
    let head: Vec<String> = head.iter().map(|&title| title.to_owned()).collect();
    let widths: Vec<usize> = (0..head.len())
        .map(|column| rows.iter().chain([&head]).map(|row| width(&row[column])).max().unwrap_or(0))
        .collect();
    let rule = widths.iter().enumerate().map(|(column, &width)| match column {
        0 => "-".repeat(width + 2),
        _ => "-".repeat(width + 1) + ":",
    });
    let rule = format!("|{}|", rule.collect::<Vec<_>>().join("|"));
    let line = |row: &[String]| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &wide))| {
            let space = " ".repeat(wide - width(cell));
            if column == 0 { format!(" {cell}{space} ") } else { format!(" {space}{cell} ") }
        });
        format!("|{}|", cells.collect::<Vec<_>>().join("|"))
    };
    writeln!(out, "{}\n{rule}", line(&head))?;
    rows.iter().try_for_each(|row| writeln!(out, "{}", line(row)))
}

/// Cells of a terminal: two for a Chinese character.
fn width(text: &str) -> usize {
    text.chars().map(|c| if c >= '\u{2e80}' { 2 } else { 1 }).sum()
}

fn triple(Measures { precision, recall, f1 }: Measures) -> String {
    match recall {
        None => "–".to_owned(),
        _ => [precision, recall, f1].map(|m| format!("{:>4}", percent(m))).join(" / "),
    }
}

fn percent(fraction: Option<f64>) -> String {
    fraction.map_or_else(|| "–".to_owned(), |fraction| format!("{:.1}", 100.0 * fraction))
}
