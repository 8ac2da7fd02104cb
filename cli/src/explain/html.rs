//! An explanation as a page that needs nothing else: no script, no font, no network.

use std::fmt::Write as _;

use zhengzi_model::corrector::{Suspicion, Verdict, apply, scorer::Part};

use super::picture::{HOT, STYLE, Terms, bars, heat, map, map_name, share, signed, typeset};
use super::{Account, Cell, Story, nobody, word};
use crate::locale::is_chinese;
use crate::svg::escaped;

/// Of the page; what it shares with pictures is in [`STYLE`].
const PAGE: &str = "\
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 46rem; background: var(--page);
  color: var(--ink); line-height: 1.5; font-variant-numeric: tabular-nums; font-family: system-ui,
  \"Noto Sans CJK SC\", \"PingFang SC\", \"Microsoft YaHei\", sans-serif; }
section + section { margin-top: 3rem; }
.heat { font-size: 1.75rem; line-height: 2.6; margin: 0; overflow-wrap: anywhere; }
.heat span { border-radius: .25rem; padding: .15rem .08rem; margin: 0 .03rem; }
.heat .hot { color: #fff; }
.heat ruby { ruby-position: under; } .heat rt { color: var(--good); font-size: 1rem;
  font-weight: 600; line-height: 1.2; }
.soft { color: var(--soft); font-size: .85rem; }
.ramp { display: inline-block; width: 7rem; height: .7rem; border-radius: .2rem; margin: 0 .4rem; }
details { background: var(--panel); border: 1px solid var(--rule); border-radius: .6rem;
  margin: .75rem 0; padding: 0 1rem; }
details > summary { cursor: pointer; padding: .7rem 0; list-style-position: outside;
  margin-left: 1rem; }
details[open] { padding-bottom: .6rem; } details p { margin: .4rem 0; }
summary b { font-size: 1.35rem; font-weight: 500; margin-right: .35rem; }
.badge { border-radius: 1rem; padding: .1rem .6rem; font-size: .8rem; white-space: nowrap;
  border: 1px solid var(--rule); color: var(--soft); margin-left: .35rem; }
.badge.changed { color: var(--good); border-color: var(--good); }
details details { border: 0; padding: 0; margin: .5rem 0 0; background: none; }
details details > summary { color: var(--soft); font-size: .85rem; padding: .2rem 0; }
svg { display: block; max-width: 100%; height: auto; }
.maps svg { margin-top: 1.5rem; } .wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; }
td, th { text-align: right; padding: .15rem .4rem; font-weight: 400; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
thead th { color: var(--soft); border-bottom: 1px solid var(--rule); }
tr.sum td { border-top: 1px solid var(--rule); font-weight: 600; }
footer { margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--rule);
  overflow-wrap: anywhere; }
";

/// The whole answer.
pub fn written(account: &Account) -> String {
    let terms = Terms::of(account);
    let language = if is_chinese() { "zh-Hans" } else { "en" };
    let title = account.stories.first().map_or("", |story| story.source);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"{language}\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{}</title>\n<style>\n{STYLE}{PAGE}</style>\n",
        escaped(title)
    );
    for (i, story) in account.stories.iter().enumerate() {
        out.push_str("<section>\n");
        write_heat(&mut out, &story.cells());
        if i == 0 {
            write_legend(&mut out, story);
        }
        if !story.told.corrections.is_empty() {
            let target = escaped(&apply(story.source, &story.told.corrections));
            _ = writeln!(
                out,
                "<p class=\"soft\">{}: <span lang=\"zh\">{target}</span></p>",
                word("corrected")
            );
        }
        if story.told.suspects.is_empty() {
            _ = writeln!(out, "<p class=\"soft\">{}</p>", nobody(story));
        }
        for suspect in &story.told.suspects {
            write_suspect(&mut out, &terms, story, suspect, account.candidates);
        }
        if !story.maps.is_empty() {
            out.push_str("<div class=\"maps wide\">\n");
            for drawn in &story.maps {
                let (drawing, size) = map(drawn);
                out.push_str(&drawing.inline(size, &map_name(drawn)));
            }
            out.push_str("</div>\n");
        }
        out.push_str("</section>\n");
    }
    write_footer(&mut out, account);
    out
}

fn write_heat(out: &mut String, cells: &[Cell]) {
    out.push_str("<p class=\"heat\" lang=\"zh\">");
    for cell in cells {
        let text = escaped(cell.text);
        let text = match cell.change {
            Some(change) => format!("<ruby>{text}<rt>{}</rt></ruby>", escaped(change)),
            None => text,
        };
        match cell.heat {
            None => out.push_str(&text),
            Some(p) => {
                let (background, hot) =
                    (background(p), if p > HOT { " class=\"hot\"" } else { "" });
                _ = write!(out, "<span{hot}{background} title=\"{p:.3}\">{text}</span>");
            }
        }
    }
    out.push_str("</p>\n");
}

/// The heat of a probability, as an attribute.
fn background(probability: f32) -> String {
    match heat(probability) {
        (_, 0.0) => String::new(),
        (color, cover) => format!(" style=\"background:{}\"", with_cover(&color, cover)),
    }
}

/// `#rrggbbaa`
fn with_cover(color: &str, cover: f64) -> String {
    format!("{color}{:02x}", (cover * 255.0).round() as u8)
}

fn write_legend(out: &mut String, story: &Story) {
    let stops = (0..=8).map(|step| {
        let (color, cover) = heat(step as f32 / 8.0);
        with_cover(&color, cover)
    });
    let ramp = stops.collect::<Vec<_>>().join(", ");
    let (probability, from) = (word("error probability"), word("suspects from"));
    _ = writeln!(
        out,
        "<p class=\"soft\">{probability} 0<span class=\"ramp\" \
         style=\"background:linear-gradient(90deg, {ramp})\"></span>1; {from} {:.2}</p>",
        story.told.threshold
    );
}

fn write_suspect(
    out: &mut String,
    terms: &Terms,
    story: &Story,
    suspect: &Suspicion,
    candidates: usize,
) {
    let own = escaped(story.own(suspect));
    let is_changed = suspect.verdict == Verdict::Changed;
    let open = if is_changed { " open" } else { "" };
    let (background, hot) = (background(suspect.probability), suspect.probability > HOT);
    let ink = if hot { "; color:#fff" } else { "" };
    let chip = background
        .strip_suffix('"')
        .map_or(String::new(), |b| format!("{b}{ink}; border-radius:.25rem; padding:0 .2rem\""));
    let change = match super::chosen(suspect) {
        Some(best) if is_changed => format!(" → <b lang=\"zh\">{}</b>", escaped(&best.text)),
        _ => String::new(),
    };
    let class = if is_changed { "badge changed" } else { "badge" };
    let (round, probability) = (word("round"), suspect.probability);
    _ = write!(
        out,
        "<details{open}>\n<summary><b lang=\"zh\"{chip}>{own}</b>{change} {probability:.2}\
         <span class=\"{class}\">{}</span> <span class=\"soft\">{round} {}</span></summary>\n\
         <p class=\"soft\">{}</p>\n",
        escaped(&word(&super::json::name(suspect.verdict).replace('-', " "))),
        suspect.round,
        escaped(&typeset(&story.verdict(suspect))),
    );
    let shown = &suspect.options[..suspect.options.len().min(candidates)];
    if shown.iter().any(|option| option.score.is_some()) {
        let (drawing, size) = bars(terms, suspect, candidates, story.told.margin);
        out.push_str(&drawing.inline(size, &word("scores")));
        let (legend, size) = terms.legend(size[0]);
        out.push_str(&legend.inline(size, &word("terms")));
        write_numbers(out, suspect, candidates);
    } else if !shown.is_empty() {
        out.push_str("<table>\n");
        for option in shown {
            let near = if option.is_eligible { word("sounds or looks like it") } else { "".into() };
            let (text, p) = (escaped(&option.text), escaped(&share(option.probability)));
            _ = writeln!(out, "<tr><td lang=\"zh\">{text}</td><td>{p}</td><td>{near}</td></tr>");
        }
        out.push_str("</table>\n");
    }
    let more = suspect.options.len() - shown.len();
    if more > 0 {
        _ = writeln!(out, "<p class=\"soft\">+ {more} {}</p>", word("more candidates"));
    }
    out.push_str("</details>\n");
}

/// Every part of every score, as numbers.
fn write_numbers(out: &mut String, suspect: &Suspicion, candidates: usize) {
    let shown = &suspect.options[..suspect.options.len().min(candidates)];
    let Some(best) = shown.first() else { return };
    let (numbers, weight) = (word("in numbers"), word("weight"));
    _ = write!(
        out,
        "<details>\n<summary>{numbers}</summary>\n<div class=\"wide\">\n<table>\n\
         <thead><tr><th></th><th>{weight}</th>"
    );
    for option in shown {
        _ = write!(out, "<th lang=\"zh\" colspan=\"2\">{}</th>", escaped(&option.text));
    }
    out.push_str("</tr></thead>\n");
    for (i, part) in best.parts.iter().enumerate() {
        _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td>",
            escaped(&word(part.name)),
            signed(part.weight)
        );
        for option in shown {
            write_product(out, &option.parts[i]);
        }
        out.push_str("</tr>\n");
    }
    _ = write!(out, "<tr class=\"sum\"><td>{}</td><td></td>", word("score"));
    for option in shown {
        _ = write!(out, "<td></td><td>{}</td>", signed(option.score.unwrap_or(f32::NAN)));
    }
    out.push_str("</tr>\n");
    if let Some(second) = &suspect.verification {
        for part in &second.parts {
            let name = escaped(&word(part.name));
            _ = write!(out, "<tr><td>{name}</td><td>{}</td>", signed(part.weight));
            write_product(out, part);
            out.push_str("</tr>\n");
        }
        let (again, score) = (word("read again"), signed(second.score));
        _ = writeln!(
            out,
            "<tr class=\"sum\"><td>{again}</td><td></td><td></td><td>{score}</td></tr>"
        );
    }
    out.push_str("</table>\n</div>\n</details>\n");
}

fn write_product(out: &mut String, part: &Part) {
    let (value, product) = (signed(part.value), signed(part.product()));
    _ = write!(out, "<td class=\"soft\">× {value} =</td><td>{product}</td>");
}

fn write_footer(out: &mut String, account: &Account) {
    let [discriminator, generator] = account.models.each_ref().map(|model| escaped(model));
    let policy = word("policy");
    _ = write!(out, "<footer class=\"soft\">zhengzi explain, {policy} {}<br>", account.policy);
    out.push_str(&discriminator);
    if generator != discriminator {
        _ = write!(out, "<br>{generator}");
    }
    out.push_str("</footer>\n</html>\n");
}
