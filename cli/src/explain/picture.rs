//! What the page and the picture have in common: colours, bars of scores, maps of attention.

use zhengzi_model::corrector::{AttentionMap, Network, Suspicion, scorer::Part};

use super::{Account, word};
use crate::svg::Drawing;

/// Light and dark, as the reader's system is.
pub const STYLE: &str = "\
:root { --page: #ffffff; --panel: #f6f7f9; --ink: #1f2328; --soft: #667080; --rule: #d8dde3;
  --good: #15803d; --map: #1d4ed8;
  --t0: #8b949e; --t1: #2563eb; --t2: #7dabf8; --t3: #f59e0b; --t4: #10b981;
  --t5: #a855f7; --t6: #ec4899; --t7: #84cc16; --t8: #0891b2; --t9: #f43f5e;
  --t10: #a16207; --t11: #6366f1; --t12: #65a30d; --t13: #be185d; }
@media (prefers-color-scheme: dark) { :root { --page: #14171c; --panel: #1c2027; --ink: #e6e8eb;
  --soft: #98a2b0; --rule: #333a44; --good: #4ade80; --map: #60a5fa; } }
svg { font-family: system-ui, \"Noto Sans CJK SC\", \"PingFang SC\", \"Microsoft YaHei\", sans-serif;
  font-variant-numeric: tabular-nums; }
svg text { fill: var(--ink); font-size: 13px; }
svg .mid { text-anchor: middle; } svg .end { text-anchor: end; }
svg .soft { fill: var(--soft); } svg .small { font-size: 11px; }
svg .tiny { font-size: 9px; }
svg .big { font-size: 22px; } svg .glyph { font-size: 16px; } svg .strong { font-weight: 600; }
svg .white { fill: #ffffff; } svg .good { fill: var(--good); }
svg .page { fill: var(--page); } svg .panel { fill: var(--panel); }
svg .cell { fill: var(--map); }
svg line { stroke: var(--rule); } svg line.sum { stroke: var(--ink); stroke-width: 2; }
svg line.margin { stroke: var(--ink); stroke-dasharray: 2 2; }
svg .t0 { fill: var(--t0); } svg .t1 { fill: var(--t1); } svg .t2 { fill: var(--t2); }
svg .t3 { fill: var(--t3); } svg .t4 { fill: var(--t4); } svg .t5 { fill: var(--t5); }
svg .t6 { fill: var(--t6); } svg .t7 { fill: var(--t7); } svg .t8 { fill: var(--t8); }
svg .t9 { fill: var(--t9); } svg .t10 { fill: var(--t10); } svg .t11 { fill: var(--t11); }
svg .t12 { fill: var(--t12); } svg .t13 { fill: var(--t13); }
";

/// Colours of terms in [`STYLE`].
const COLORS: usize = 14;

/// From here on a character stands on its heat in white.
pub const HOT: f32 = 0.7;

/// The colour of a probability, and how much of the page it covers: amber to red, faint to solid, on a
/// light page and a dark one.
pub fn heat(probability: f32) -> (String, f64) {
    const AMBER: [f32; 3] = [245.0, 158.0, 11.0];
    const RED: [f32; 3] = [200.0, 26.0, 36.0];
    let p = probability.clamp(0.0, 1.0);
    let [r, g, b]: [f32; 3] = std::array::from_fn(|i| AMBER[i] + p * (RED[i] - AMBER[i]));
    // An ordinary character has 0.03 to 0.05.
    let cover = f64::from(((p - 0.05).max(0.0) / 0.95).powf(0.7));
    (format!("#{:02x}{:02x}{:02x}", r as u8, g as u8, b as u8), cover)
}

/// A number with its sign, in typographer's form.
pub fn signed(x: f32) -> String {
    let written = format!("{:.2}", x.abs());
    match x < 0.0 && written != "0.00" {
        true => format!("−{written}"),
        false => written,
    }
}

/// A sentence with the minus of [`signed`].
pub fn typeset(sentence: &str) -> String {
    sentence.replace(" -", " −").replace("，-", "，−")
}

/// A probability of the generator, which is often next to nothing.
pub fn share(probability: f32) -> String {
    match probability < 5e-5 {
        true => "<0.0001".to_owned(),
        false => format!("{probability:.4}"),
    }
}

/// The names of all terms, in the order in which they come: the index is the colour.
pub struct Terms(Vec<&'static str>);

impl Terms {
    /// Of everything that counts: a term of weight 0 has no bar to colour.
    pub fn of(account: &Account) -> Terms {
        let suspects = || account.stories.iter().flat_map(|story| &story.told.suspects);
        let first = suspects().filter_map(|suspect| Some(&suspect.options.first()?.parts));
        let second = suspects().filter_map(|suspect| Some(&suspect.verification.as_ref()?.parts));
        let mut names: Vec<&str> = Vec::new();
        for part in first.chain(second).flatten() {
            if part.weight != 0.0 && !names.contains(&part.name) {
                names.push(part.name);
            }
        }
        Terms(names)
    }

    /// The class that colours a term.
    pub fn class(&self, name: &str) -> String {
        let index = self.0.iter().position(|other| *other == name).unwrap_or(0);
        format!("t{}", index % COLORS)
    }

    /// A legend: a swatch and the name of each.
    pub fn legend(&self, width: f64) -> (Drawing, [f64; 2]) {
        let mut drawing = Drawing::default();
        let [mut x, mut y] = [0.0, 0.0];
        for name in &self.0 {
            let name_here = word(name);
            let needed = 30.0 + text_width(&name_here, 11.0);
            if x + needed > width {
                [x, y] = [0.0, y + 20.0];
            }
            drawing.rect([x, y + 3.0, 11.0, 11.0], &self.class(name), "");
            drawing.text([x + 16.0, y + 13.0], "small soft", &name_here);
            x += needed;
        }
        (drawing, [width, y + 20.0])
    }
}

/// Width of the picture of one suspect.
pub const BARS: f64 = 640.0;
const ROW: f64 = 26.0;
/// Where bars begin, behind the candidate and the generator's probability.
const LEFT: f64 = 120.0;
/// Where they end, before the score.
const RIGHT: f64 = 570.0;

/// The scores of a suspect's candidates, each as a bar of its parts: what speaks against a change on
/// the left of zero, what speaks for it on the right; a stroke at their sum. Last the score
/// after the second reading, beside the margin.
pub fn bars(
    terms: &Terms,
    suspect: &Suspicion,
    shown: usize,
    margin: Option<f32>,
) -> (Drawing, [f64; 2]) {
    let mut drawing = Drawing::default();
    let options = &suspect.options[..suspect.options.len().min(shown)];
    let second = suspect.verification.as_ref();
    let all = options.iter().map(|option| &option.parts[..]);
    let all = all.chain(second.map(|second| &second.parts[..]));
    let (mut least, mut most) = (-1.0f64, 1.0f64);
    for parts in all {
        let [against, pro] = sides(parts);
        (least, most) = (least.min(against), most.max(pro));
    }
    let x = |score: f64| LEFT + (score - least) / (most - least) * (RIGHT - LEFT);
    let verified = 20.0 + ROW * options.len() as f64 + 8.0;
    let height = if second.is_some() { verified + ROW + 4.0 } else { verified };
    drawing.text([LEFT - 12.0, 12.0], "small soft end", &word("generator"));
    drawing.text([BARS, 12.0], "small soft end", &word("score"));
    drawing.text([x(0.0), 12.0], "small soft mid", "0");
    drawing.line([x(0.0), 18.0], [x(0.0), height - 4.0], "");
    let mut y = 20.0;
    let mut bar = |y: f64, parts: &[Part], score: f32| {
        let [mut against, mut pro] = [0.0f64, 0.0f64];
        for part in parts {
            let product = f64::from(part.product());
            let side = if product < 0.0 { &mut against } else { &mut pro };
            let (from, to) = (x(*side), x(*side + product));
            *side += product;
            let title = format!(
                "{}: {} × {} = {}",
                word(part.name),
                signed(part.weight),
                signed(part.value),
                signed(part.product())
            );
            let area = [from.min(to), y + 5.0, (to - from).abs(), ROW - 12.0];
            drawing.rect(area, &terms.class(part.name), &title);
        }
        let sum = x(f64::from(score));
        drawing.line([sum, y + 2.0], [sum, y + ROW - 4.0], "sum");
        drawing.text([BARS, y + 17.0], "end", &signed(score));
    };
    for option in options {
        bar(y, &option.parts, option.score.unwrap_or(0.0));
        y += ROW;
    }
    if let Some(second) = second {
        bar(verified, &second.parts, second.score);
    }
    y = 20.0;
    for option in options {
        drawing.text([0.0, y + 18.0], "glyph", &option.text);
        drawing.text([LEFT - 12.0, y + 17.0], "soft end", &share(option.probability));
        y += ROW;
    }
    if let Some(best) = options.first().filter(|_| second.is_some()) {
        drawing.line([0.0, verified - 3.0], [BARS, verified - 3.0], "");
        drawing.text([0.0, verified + 18.0], "glyph", &best.text);
        drawing.text([LEFT - 12.0, verified + 17.0], "soft end", &word("read again"));
        if let Some(margin) = margin.map(f64::from).filter(|m| (least..=most).contains(m)) {
            drawing.line([x(margin), verified - 2.0], [x(margin), verified + ROW], "margin");
        }
    }
    (drawing, [BARS, height])
}

/// Sums of what is below zero and of what is above.
fn sides(parts: &[Part]) -> [f64; 2] {
    let products = parts.iter().map(|part| f64::from(part.product()));
    products.fold([0.0, 0.0], |[against, pro], product| {
        [against + product.min(0.0), pro + product.max(0.0)]
    })
}

/// Below this a weight is not drawn: of a row that sums to 1 at most 64 cells are.
const FAINT: f32 = 1.0 / 64.0;

/// A map of attention: a row for each token that looks, a column for each that is looked at. The
/// shade is the square root of the weight, for the eye.
pub fn map(map: &AttentionMap) -> (Drawing, [f64; 2]) {
    let n = map.tokens.len();
    let cell = (560.0 / n as f64).clamp(11.0, 24.0);
    let wide = map.tokens.iter().map(|token| text_width(token, 12.0)).fold(0.0, f64::max);
    let [left, top] = [wide + 10.0, wide + 34.0];
    let mut drawing = Drawing::default();
    drawing.text([0.0, 14.0], "strong", &map_name(map));
    let side = cell * n as f64;
    drawing.rect([left, top, side, side], "panel", "");
    for (i, token) in map.tokens.iter().enumerate() {
        let middle = (i as f64 + 0.5) * cell;
        let class = if cell < 14.0 { "tiny" } else { "" };
        drawing.text(
            [left - 6.0, top + middle + if class.is_empty() { 4.5 } else { 3.2 }],
            &format!("end {class}"),
            token,
        );
        // A lone Chinese character stands upright; what is longer lies on its side.
        match token.chars().count() {
            1 => {
                drawing.text([left + middle, top - 6.0], &format!("mid {class}"), token);
            }
            _ => {
                drawing.upright([left + middle + 4.5, top - 6.0], class, token);
            }
        }
    }
    for (i, row) in map.weights.chunks_exact(n).enumerate() {
        for (j, &weight) in row.iter().enumerate().filter(|&(_, &weight)| weight >= FAINT) {
            let title = format!("{} → {}: {weight:.3}", map.tokens[i], map.tokens[j]);
            let area = [left + j as f64 * cell, top + i as f64 * cell, cell - 1.0, cell - 1.0];
            drawing.shade(area, f64::from(weight.sqrt()), "cell", &title);
        }
    }
    (drawing, [left + side, top + side])
}

/// Whose head it is.
pub fn map_name(map: &AttentionMap) -> String {
    let (layer, head) = (map.layer, map.head);
    let name = match map.network {
        Network::Discriminator => format!("discriminator, layer {layer}, head {head}"),
        Network::Generator => format!("generator, layer {layer}, head {head}"),
    };
    word(&name).into_owned()
}

/// About how wide a text is in letters of this size: nobody asks the font.
pub fn text_width(text: &str, size: f64) -> f64 {
    let wide = |c: char| if c >= '\u{2e80}' { 1.0 } else { 0.55 };
    size * text.chars().map(wide).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_minus_of_their_own_and_zero_has_none() {
        assert_eq!([1.0, -1.25, -0.001, 0.0].map(signed), ["1.00", "−1.25", "0.00", "0.00"]);
    }

    #[test]
    fn heat_grows_with_the_probability() {
        let covers = (0..=50).map(|step| heat(step as f32 / 50.0).1).collect::<Vec<_>>();
        assert!(covers[2..].windows(2).all(|pair| pair[0] < pair[1]), "{covers:?}");
        assert_eq!((covers[0], &heat(1.0).0[..]), (0.0, "#c81a24"));
    }

    #[test]
    fn a_map_draws_what_can_be_seen_with_its_tokens() {
        let tokens = ["[CLS]", "<", "新"].map(str::to_owned).to_vec();
        let weights = vec![0.99, 0.01, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0, 1.0];
        let (layer, head) = (2, 1);
        let drawn = AttentionMap { network: Network::Generator, layer, head, tokens, weights };
        let (drawing, size) = map(&drawn);
        let svg = drawing.inline(size, "");
        assert_eq!(svg.matches("class=\"cell\"").count(), 4);
        assert!(svg.contains("<title>&lt; → 新: 0.500</title>"), "{svg}");
        assert!(svg.contains("generator, layer 2, head 1"), "{svg}");
    }
}
