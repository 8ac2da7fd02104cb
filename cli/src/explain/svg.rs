//! An explanation as one picture.

use zhengzi_model::corrector::Suspicion;

use super::picture::{BARS, HOT, STYLE, Terms, bars, heat, map, share, text_width, typeset};
use super::{Account, Cell, Story, nobody, word};
use crate::svg::Drawing;

/// Around everything.
const EDGE: f64 = 28.0;
const WIDTH: f64 = BARS;
/// A character of the heat line, and what takes its place below it.
const GLYPH: f64 = 30.0;
const HEAT_LINE: f64 = 58.0;

/// The whole answer.
pub fn written(account: &Account) -> String {
    let terms = Terms::of(account);
    let mut page = Page { drawing: Drawing::default(), y: EDGE, width: WIDTH };
    for story in &account.stories {
        page.heat(&story.cells());
        if story.told.suspects.is_empty() {
            page.line(&nobody(story));
        }
        for suspect in &story.told.suspects {
            page.suspect(&terms, story, suspect, account.candidates);
        }
        for drawn in &story.maps {
            let (drawing, size) = map(drawn);
            page.y += 14.0;
            page.put(&drawing, size);
        }
        page.y += 24.0;
    }
    page.put(&ramp(account), [WIDTH, 22.0]);
    let (legend, size) = terms.legend(WIDTH);
    page.put(&legend, size);
    page.line(&format!("zhengzi explain, {} {}", word("policy"), account.policy));
    let size = [page.width + 2.0 * EDGE, page.y + EDGE];
    let mut drawing = Drawing::default();
    drawing.rect([0.0, 0.0, size[0], size[1]], "page", "").place([0.0, 0.0], &page.drawing);
    let title: String = account.stories.iter().map(|story| story.source).take(1).collect();
    drawing.file(size, &title, STYLE)
}

/// What the colours of the heat line mean.
fn ramp(account: &Account) -> Drawing {
    let mut drawing = Drawing::default();
    let name = word("error probability");
    let left = text_width(&name, 11.0) + 22.0;
    drawing.text([0.0, 11.0], "small soft", &name).text([left - 12.0, 11.0], "small soft", "0");
    for step in 0..=20 {
        let (fill, cover) = heat(step as f32 / 20.0);
        drawing.filled([left + 5.0 * f64::from(step), 2.0, 5.0, 11.0], 0.0, (&fill, cover), "");
    }
    let threshold = account.stories.first().map_or(0.0, |story| story.told.threshold);
    let from = format!("1; {} {threshold:.2}", word("suspects from"));
    drawing.text([left + 110.0, 11.0], "small soft", &from);
    drawing
}

/// Drawn from top to bottom.
struct Page {
    drawing: Drawing,
    y: f64,
    width: f64,
}

impl Page {
    fn put(&mut self, drawing: &Drawing, [width, height]: [f64; 2]) {
        self.drawing.place([EDGE, self.y], drawing);
        self.y += height;
        self.width = self.width.max(width);
    }

    fn line(&mut self, text: &str) {
        self.drawing.text([EDGE, self.y + 16.0], "small soft", text);
        self.y += 22.0;
    }

    fn heat(&mut self, cells: &[Cell]) {
        let mut x = 0.0;
        for cell in cells {
            let text = cell.text.replace(char::is_whitespace, " ");
            let wide = text_width(&text, 22.0) + 8.0;
            let wide = if text.chars().count() == 1 { wide.clamp(16.0, GLYPH) } else { wide };
            if x > 0.0 && x + wide > WIDTH {
                (x, self.y) = (0.0, self.y + HEAT_LINE);
            }
            let p = cell.heat.unwrap_or(0.0);
            let (fill, cover) = heat(p);
            let title = cell.heat.map_or(String::new(), |p| format!("{p:.3}"));
            let area = [EDGE + x + 1.0, self.y, wide - 2.0, 32.0];
            self.drawing.filled(area, 4.0, (&fill, cover), &title);
            let middle = EDGE + x + wide / 2.0;
            let class = if p > HOT { "big mid white" } else { "big mid" };
            self.drawing.text([middle, self.y + 24.0], class, &text);
            if let Some(change) = cell.change {
                self.drawing.text([middle, self.y + 51.0], "glyph mid good strong", change);
            }
            x += wide;
        }
        self.y += HEAT_LINE;
    }

    fn suspect(&mut self, terms: &Terms, story: &Story, suspect: &Suspicion, shown: usize) {
        let (own, verdict) = (story.own(suspect), typeset(&story.verdict(suspect)));
        self.y += 14.0;
        self.drawing.line([EDGE, self.y], [EDGE + WIDTH, self.y], "");
        self.drawing.text([EDGE, self.y + 27.0], "big", own);
        let numbers = format!("{:.2}, {} {}", suspect.probability, word("round"), suspect.round);
        self.drawing.text([EDGE + 34.0, self.y + 17.0], "small soft", &numbers);
        self.drawing.text([EDGE + 34.0, self.y + 33.0], "", &verdict);
        self.y += 46.0;
        let is_weighed = suspect.options.iter().any(|option| option.score.is_some());
        if is_weighed {
            let (drawing, size) = bars(terms, suspect, shown, story.told.margin);
            self.put(&drawing, size);
            return;
        }
        for option in suspect.options.iter().take(shown) {
            let near = if option.is_eligible { word("sounds or looks like it") } else { "".into() };
            let line = format!("{}   {near}", share(option.probability));
            self.drawing.text([EDGE, self.y + 14.0], "glyph", &option.text);
            self.drawing.text([EDGE + 34.0, self.y + 14.0], "soft", &line);
            self.y += 22.0;
        }
    }
}
