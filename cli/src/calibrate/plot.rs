//! Precision against recall as a picture: a point for each margin, the modes by name.

use zhengzi_model::corrector::calibration::Mode;
use zhengzi_model::corrector::fitting::{Curve, Point};

use crate::svg::Drawing;

/// Of the picture.
const SIZE: [f64; 2] = [640.0, 420.0];

/// Of the area that the curve is drawn in: left, top, width, height.
const AREA: [f64; 4] = [64.0, 40.0, 548.0, 316.0];

const STYLE: &str = "\
text { font: 13px sans-serif; fill: #333333; }
.mid { text-anchor: middle; } .end { text-anchor: end; } .name { font-weight: bold; }
line { stroke: #dddddd; } line.curve { stroke: #b3541e; stroke-width: 2; }
.page { fill: #ffffff; } .dot { fill: #b3541e; }
";

/// The curve, as a file of SVG.
pub fn svg(curve: &Curve) -> String {
    let points: Vec<(Point, [f64; 2])> =
        curve.points.iter().filter_map(|&point| Some((point, share(&point)?))).collect();
    let widest = points.iter().map(|(_, [recall, _])| *recall).fold(0.1, f64::max);
    // Recall to the next tenth, for a small model finds little; precision is all there is.
    let reach = (widest * 10.0).ceil() / 10.0;
    let [left, top, width, height] = AREA;
    let place = |[recall, precision]: [f64; 2]| {
        [left + width * recall / reach, top + height * (1.0 - precision)]
    };
    let mut drawing = Drawing::default();
    drawing.rect([0.0, 0.0, SIZE[0], SIZE[1]], "page", "");
    drawing.text([left, 24.0], "", "Precision against recall of strict correction, by margin");
    for tenth in (0..=10).step_by(2) {
        let at = f64::from(tenth) / 10.0;
        let [x, y] = place([0.0, at]);
        drawing.line([x, y], [x + width, y], "");
        drawing.text([x - 8.0, y + 4.0], "end", &format!("{}", tenth * 10));
    }
    for tenth in 0..=(reach * 10.0).round() as u32 {
        let [x, y] = place([f64::from(tenth) / 10.0, 0.0]);
        drawing.line([x, y], [x, top], "");
        drawing.text([x, y + 18.0], "mid", &format!("{}", tenth * 10));
    }
    drawing.text([left + width / 2.0, SIZE[1] - 14.0], "mid", "recall, %");
    drawing.upright([18.0, top + height / 2.0], "mid", "precision, %");
    for pair in points.windows(2) {
        drawing.line(place(pair[0].1), place(pair[1].1), "curve");
    }
    for (point, at) in &points {
        let [x, y] = place(*at);
        let Point { margin, correction, false_alarms } = point;
        let f1 = 100.0 * correction.f1.unwrap_or_default();
        let alarms = 100.0 * false_alarms;
        let title = format!("margin {margin}: F1 {f1:.1} %, false alarms {alarms:.1} %");
        drawing.rect([x - 3.5, y - 3.5, 7.0, 7.0], "dot", &title);
        let modes = Mode::ALL.into_iter().filter(|&mode| curve.chosen(mode) == *point);
        let names: Vec<&str> = modes.map(Mode::name).collect();
        if !names.is_empty() {
            let name = format!("{} ({margin})", names.join(", "));
            drawing.text([x + 8.0, y - 8.0], "name", &name);
        }
    }
    drawing.file(SIZE, "Precision against recall", STYLE)
}

/// Recall and precision, where anything was changed.
fn share(point: &Point) -> Option<[f64; 2]> {
    Some([point.correction.recall?, point.correction.precision?])
}

#[cfg(test)]
mod tests {
    use zhengzi_model::evaluation::Measures;

    use super::*;

    #[test]
    fn every_margin_has_its_point_and_every_mode_its_name() {
        let point = |margin: f32, precision: f64, recall: f64| Point {
            margin,
            correction: Measures {
                precision: Some(precision),
                recall: Some(recall),
                f1: Some(0.1),
            },
            false_alarms: 0.001,
        };
        let silent = Point { margin: 9.0, correction: Measures::default(), false_alarms: 0.0 };
        let points = vec![silent, point(1.0, 0.9, 0.1), point(0.0, 0.6, 0.25)];
        let drawn = svg(&Curve { points });
        assert_eq!(drawn.matches("class=\"dot\"").count(), 2);
        assert_eq!(drawn.matches("class=\"curve\"").count(), 1);
        for name in ["careful", "balanced", "eager", "margin 1: F1 10.0 %"] {
            assert!(drawn.contains(name), "{name}");
        }
    }
}
