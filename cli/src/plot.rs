//! `plot`: the curves of a run as one picture, light or dark as the reader's screen is.
//!
//! A panel for each figure, steps from left to right. What was measured at each step is drawn as means over
//! stretches of the run, for single steps jump about; what held-out lines say is drawn point by point, over it.

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::ExitCode;

use serde_json::Value;

use crate::args::PlotArgs;
use crate::message;
use crate::new_file;
use crate::svg::Drawing;

/// Stretches of a run: about as many as a panel has points across.
const STRETCHES: u64 = 240;

/// Of a panel, with what is written around it.
const CELL: [f64; 2] = [430.0, 250.0];

/// Of the area of its curves: left, top, width, height.
const AREA: [f64; 4] = [56.0, 44.0, 350.0, 166.0];

/// Panels beside each other.
const COLUMNS: usize = 2;

const STYLE: &str = "\
svg { color-scheme: light dark; }
text { font: 13px sans-serif; fill: #333333; }
.mid { text-anchor: middle; } .end { text-anchor: end; } .name { font-weight: bold; }
line { stroke: #dddddd; } .page { fill: #ffffff; }
.train { stroke: #b3541e; stroke-width: 1.5; } .held { stroke: #2a6f97; stroke-width: 1.5; }
rect.held { fill: #2a6f97; stroke: none; } text.train { fill: #b3541e; stroke: none; } text.held { fill: #2a6f97; stroke: none; }
@media (prefers-color-scheme: dark) {
  text { fill: #d8d8d8; } line { stroke: #444444; } .page { fill: #1b1b1b; }
  .train { stroke: #f0a070; } .held { stroke: #7cc4ea; } rect.held { fill: #7cc4ea; }
  text.train { fill: #f0a070; } text.held { fill: #7cc4ea; }
}
";

/// What is drawn: keys of the log, titles, and whether it is a share.
const PANELS: [(&str, &str, bool); 7] = [
    ("generator_loss", "Generator: loss (nats a masked token)", false),
    ("accuracy", "Generator: right words, %", true),
    ("discriminator_loss", "Discriminator: loss (nats a token)", false),
    ("auc", "Discriminator: AUC", false),
    ("precision", "Discriminator: precision, %", true),
    ("recall", "Discriminator: recall, %", true),
    ("rate", "Learning rate", false),
];

/// Runs the command.
pub fn run(args: &PlotArgs) -> Result<ExitCode, Box<dyn Error>> {
    let output = args.output.clone().unwrap_or_else(|| args.log.with_extension("svg"));
    let lines = read(&args.log)?;
    let picture = svg(&lines).ok_or_else(|| {
        let hint = "name the log.jsonl of a run of pretrain or finetune";
        format!("{}: holds no steps: {hint}", args.log.display())
    })?;
    new_file::write(&output, |out| out.write_all(picture.as_bytes()))
        .map_err(|error| format!("{}: {error}", output.display()))?;
    message::say(format_args!("{}: written", output.display()));
    Ok(ExitCode::SUCCESS)
}

/// The lines of a log. A last one that is torn is left out: the run may be going on.
fn read(path: &Path) -> Result<Vec<Value>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut lines = Vec::new();
    let mut reader = BufReader::new(File::open(path).map_err(failed)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(failed)? == 0 || !line.ends_with(b"\n") {
            return Ok(lines);
        }
        match serde_json::from_slice(&line) {
            Ok(value) => lines.push(value),
            Err(_) => {
                let (path, number) = (path.display(), lines.len() + 1);
                return Err(format!("{path}: line {number}: not JSON: name a log.jsonl"));
            }
        }
    }
}

/// Step and value, one after the other.
type Curve = Vec<[f64; 2]>;

/// The picture, if there is anything to draw.
fn svg(lines: &[Value]) -> Option<String> {
    let steps = |key: &str| lines.iter().filter_map(|line| line[key].as_u64()).max();
    let last = steps("step").max(steps("validated"))?.max(1);
    let mut panels = Vec::new();
    for (key, title, is_share) in PANELS {
        let scale = if is_share { 100.0 } else { 1.0 };
        let points = |at: &str| -> Curve {
            let point = |line: &Value| Some([line[at].as_f64()?, scale * line[key].as_f64()?]);
            lines.iter().filter_map(point).collect()
        };
        let (train, held) = (means(&points("step"), last), points("validated"));
        if !train.is_empty() || !held.is_empty() {
            panels.push(panel(title, &train, &held, last as f64));
        }
    }
    let rows = panels.len().div_ceil(COLUMNS);
    let size = [CELL[0] * COLUMNS as f64, CELL[1] * rows as f64 + 12.0];
    let mut drawing = Drawing::default();
    drawing.rect([0.0, 0.0, size[0], size[1]], "page", "");
    for (i, panel) in panels.iter().enumerate() {
        let at = [i % COLUMNS, i / COLUMNS].map(|i| i as f64);
        drawing.place([at[0] * CELL[0], at[1] * CELL[1]], panel);
    }
    Some(drawing.file(size, "Training", STYLE))
}

/// Means over stretches of equal length.
fn means(points: &Curve, last: u64) -> Curve {
    let stretch = last.div_ceil(STRETCHES).max(1);
    let of = |point: &[f64; 2]| (point[0] as u64).saturating_sub(1) / stretch;
    let mean = |chunk: &[[f64; 2]]| {
        let sum = |i: usize| chunk.iter().map(|point| point[i]).sum::<f64>();
        [0, 1].map(|i| sum(i) / chunk.len() as f64)
    };
    points.chunk_by(|a, b| of(a) == of(b)).map(mean).collect()
}

/// One figure.
fn panel(title: &str, train: &Curve, held: &Curve, last: f64) -> Drawing {
    let mut drawing = Drawing::default();
    let [left, top, width, height] = AREA;
    let values = || train.iter().chain(held).map(|point| point[1]);
    let (low, high) = (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max));
    let step = step((high - low).max(high.abs() * 1e-3).max(1e-9) / 4.0);
    let (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
    let high = if high > low { high } else { low + step };
    let place = |[x, y]: [f64; 2]| {
        [left + width * x / last, top + height * (1.0 - (y - low) / (high - low))]
    };
    drawing.text([left, 22.0], "name", title);
    let lines = ((high - low) / step).round() as i64;
    for i in 0..=lines {
        let value = low + i as f64 * step;
        let [x, y] = place([0.0, value]);
        drawing.line([x, y], [x + width, y], "");
        drawing.text([x - 6.0, y + 4.0], "end", &told(value, step));
    }
    let across = self::step(last / 4.0).max(1.0);
    let mut x = 0.0;
    while x <= last {
        let [at, _] = place([x, low]);
        drawing.text([at, top + height + 18.0], "mid", &told(x, across));
        x += across;
    }
    for (curve, class) in [(train, "train"), (held, "held")] {
        for pair in curve.windows(2) {
            drawing.line(place(pair[0]), place(pair[1]), class);
        }
    }
    for point in held {
        let [x, y] = place(*point);
        let title = format!("step {}: {:.4}", point[0], point[1]);
        drawing.rect([x - 2.5, y - 2.5, 5.0, 5.0], "held", &title);
    }
    let mut at = left + width;
    for (curve, class, name) in [(held, "end held", "held out"), (train, "end train", "training")] {
        if !curve.is_empty() {
            drawing.text([at, 38.0], class, name);
            at -= 66.0;
        }
    }
    drawing
}

/// 1, 2 or 5 times a power of ten: the nearest from above.
fn step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let times = [1.0, 2.0, 5.0, 10.0].into_iter().find(|times| times * power >= least * 0.999);
    times.unwrap_or(10.0) * power
}

/// A value beside a line, no finer than lines are apart.
fn told(value: f64, step: f64) -> String {
    if value != 0.0 && step < 1e-3 {
        return format!("{value:.1e}");
    }
    let digits = (-step.log10().floor()).clamp(0.0, 3.0) as usize;
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_figure_that_was_logged_has_a_panel_and_no_other() {
        let mut lines = vec![json!({"zhengzi": "0"})];
        for step in 1..=1000 {
            let loss = 9.0 / f64::from(step);
            lines
                .push(json!({"step": step, "rate": 1e-4, "generator_loss": loss, "accuracy": 0.1}));
        }
        lines.push(json!({"validated": 1000, "generator_loss": 1.0}));
        let drawn = svg(&lines).unwrap();
        assert_eq!(drawn.matches("class=\"name\"").count(), 3, "{drawn}");
        assert!(!drawn.contains("Discriminator") && drawn.contains("step 1000: 1.0000"));
        let points = drawn.matches("class=\"train\"").count();
        assert!((3 * 150..=3 * 240).contains(&points), "{points}");
        assert_eq!(svg(&lines[..1]), None);
        // A single point is no curve, and no reason to divide by nothing.
        assert!(!svg(&lines[..2]).unwrap().contains("NaN"));
    }

    #[test]
    fn lines_are_at_round_numbers() {
        for (least, want) in [(0.9, 1.0), (1.1, 2.0), (3.0, 5.0), (60.0, 100.0), (0.02, 0.02)] {
            assert!((step(least) - want).abs() < 1e-9, "{least} {}", step(least));
        }
        assert_eq!(
            [told(2.5, 0.5), told(1000.0, 500.0), told(2e-4, 1e-4)],
            ["2.5", "1000", "2.0e-4"]
        );
    }
}
