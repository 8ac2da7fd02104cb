//! Which characters look alike.
//!
//! ```text
//! shape(a, b) = 0.6 · cos(glyph a, glyph b) + 0.4 · cos(code a, code b)
//! ```
//!
//! **Glyph**: rasterised at 64 px; cropped to its ink; stretched to fill 24 × 24, but at most
//! two to one, so that 曰 becomes 日 and 一 stays flat; blurred once by (1 2 1)/4 in each
//! direction, so that strokes a pixel apart still meet; the mean is taken off, because otherwise
//! any two dense characters look alike (我 你 0.6; without the mean 0.0).
//!
//! **Code**: Cangjie spells a character by up to five of its parts (`kCangjie`: 坐 OOG, 座 IOOG).
//! Counted are the single letters and the neighbouring pairs, the two ends being letters too.
//! This sees a part that moved or shrank, which the glyphs do not. Where a character has no code
//! the glyphs alone decide; where the font has no glyph (a few rare characters added to Unicode
//! after it was drawn) there are no neighbours.
//!
//! The weights were chosen on the training errors that have no likeness in sound: at the same
//! length of list 0.6 and 0.4 find about 1.4 times what the glyphs alone find, and nothing
//! between 0.5 and 0.7 differs much.

use std::collections::BTreeMap;
use std::ops::Range;

use fontdue::{Font, FontSettings};

use crate::file::Character;
use crate::unihan::Unihan;

/// Everything needed to compare any two characters.
pub struct Shapes<'a> {
    characters: &'a [Character],
    /// `[characters, SIDE · SIDE]`, rows of length 1.
    glyphs: Vec<f32>,
    /// For each character its features, ascending, with weights whose squares add up to 1.
    codes: Vec<Vec<(u16, f32)>>,
    /// For each feature the common characters that have it.
    postings: BTreeMap<u16, Vec<(u16, f32)>>,
    /// Those that may be neighbours.
    common: Vec<u16>,
}

impl<'a> Shapes<'a> {
    /// Draws and spells every character.
    ///
    /// # Errors
    /// If the font cannot be read, or has no glyphs for more than one character in twenty.
    pub fn new(unihan: &Unihan, characters: &'a [Character], font: &[u8]) -> Result<Self, String> {
        let settings = FontSettings { scale: DRAWN, ..FontSettings::default() };
        let font = Font::from_bytes(font, settings).map_err(|error| format!("font: {error}"))?;
        let mut glyphs = Vec::with_capacity(characters.len() * SIDE * SIDE);
        let mut codes = Vec::with_capacity(characters.len());
        let mut missing = 0;
        for character in characters {
            let cangjie = unihan.values(character.ch, "kCangjie").next();
            let (glyph, code) = match glyph(&font, character.ch) {
                Some(glyph) => (glyph, cangjie.map_or(vec![], code)),
                None => {
                    missing += 1;
                    (vec![0.0; SIDE * SIDE], vec![])
                }
            };
            glyphs.extend(glyph);
            codes.push(code);
        }
        if missing * 20 > characters.len() {
            return Err(format!("font: no glyph for {missing} of {} characters", codes.len()));
        }
        let common = (0..characters.len()).filter(|&i| characters[i].common);
        let common: Vec<u16> = common.map(|i| i as u16).collect();
        let mut postings: BTreeMap<u16, Vec<_>> = BTreeMap::new();
        for &i in &common {
            for &(feature, weight) in &codes[usize::from(i)] {
                postings.entry(feature).or_default().push((i, weight));
            }
        }
        Ok(Self { characters, glyphs, codes, postings, common })
    }

    /// For each character of a range the characters most like it, where level 0 is reached:
    /// (a, b, level), a < b, ascending, each pair once.
    pub fn neighbours(&self, range: Range<usize>) -> Vec<(u16, u16, u8)> {
        let mut pairs = BTreeMap::new();
        let all: Vec<usize> = range.collect();
        // A tile of rows at a time, so that the others' glyphs are read once for all of them.
        for tile in all.chunks(TILE) {
            let mut scores = vec![vec![0.0f32; self.codes.len()]; tile.len()];
            for &b in &self.common {
                let b = usize::from(b);
                for (scores, &a) in scores.iter_mut().zip(tile) {
                    scores[b] = dot(self.glyph(a), self.glyph(b));
                }
            }
            for (scores, &a) in scores.iter_mut().zip(tile) {
                self.blend_codes(a, scores);
                for b in self.best(a, scores) {
                    if let Some(level) = level(scores[b]) {
                        pairs.insert((a.min(b) as u16, a.max(b) as u16), level);
                    }
                }
            }
        }
        pairs.into_iter().map(|((a, b), level)| (a, b, level)).collect()
    }

    fn glyph(&self, index: usize) -> &[f32] {
        &self.glyphs[index * SIDE * SIDE..][..SIDE * SIDE]
    }

    /// Turns likenesses of glyphs into likenesses in shape, for the common characters.
    fn blend_codes(&self, a: usize, scores: &mut [f32]) {
        if self.codes[a].is_empty() {
            return;
        }
        let mut code = vec![0.0f32; scores.len()];
        for (feature, weight) in &self.codes[a] {
            for &(b, other) in self.postings.get(feature).into_iter().flatten() {
                code[usize::from(b)] += weight * other;
            }
        }
        for &b in &self.common {
            let b = usize::from(b);
            if !self.codes[b].is_empty() {
                scores[b] = GLYPH_WEIGHT * scores[b] + (1.0 - GLYPH_WEIGHT) * code[b];
            }
        }
    }

    /// The common characters most like `a` that one text can hold beside it.
    fn best(&self, a: usize, scores: &[f32]) -> Vec<usize> {
        let own = &self.characters[a];
        let others = self.common.iter().map(|&b| usize::from(b)).filter(|&b| b != a);
        let mut others: Vec<usize> =
            others.filter(|&b| own.shares_script_with(&self.characters[b])).collect();
        others.sort_by(|&x, &y| scores[y].total_cmp(&scores[x]).then(x.cmp(&y)));
        let (mut everyday, mut others): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|&b| self.characters[b].everyday);
        everyday.truncate(EVERYDAY_NEIGHBOURS);
        others.truncate(OTHER_NEIGHBOURS);
        everyday.append(&mut others);
        everyday
    }
}

/// Of a hundred right characters 98 or 99 are everyday ones, so these get most of the places.
/// Of the errors that shape alone explains, 12 places find 5 % fewer; 20 find 3 % more and
/// cost 35 KB.
const EVERYDAY_NEIGHBOURS: usize = 16;
const OTHER_NEIGHBOURS: usize = 4;
const GLYPH_WEIGHT: f32 = 0.6;
/// Pixels of the em square as drawn, and of the side of the glyph as compared.
const DRAWN: f32 = 64.0;
const SIDE: usize = 24;
/// Rows of glyphs that fit in the first-level cache together: 8 · 576 · 4 bytes = 18 KB.
const TILE: usize = 8;

/// The step of 0.04 from 0.4 upward that is nearest to a score.
fn level(score: f32) -> Option<u8> {
    (score >= 0.4).then(|| ((score - 0.4) / 0.04).round().min(15.0) as u8)
}

/// A row of length 1; none if the font has no glyph.
fn glyph(font: &Font, ch: char) -> Option<Vec<f32>> {
    let index = Some(font.lookup_glyph_index(ch)).filter(|&index| index != 0)?;
    let (metrics, bitmap) = font.rasterize_indexed(index, DRAWN);
    let ink = Ink::new(&bitmap, metrics.width)?;
    let mut image = blurred(&ink.stretched());
    let mean = image.iter().sum::<f32>() / image.len() as f32;
    image.iter_mut().for_each(|pixel| *pixel -= mean);
    let length = dot(&image, &image).sqrt();
    image.iter_mut().for_each(|pixel| *pixel /= length);
    Some(image)
}

/// A bitmap cropped to the rows and columns that hold a pixel of at least a quarter's ink.
struct Ink<'a> {
    bitmap: &'a [u8],
    stride: usize,
    rows: Range<usize>,
    columns: Range<usize>,
}

impl<'a> Ink<'a> {
    fn new(bitmap: &'a [u8], stride: usize) -> Option<Self> {
        let dark = (0..bitmap.len()).filter(|&i| bitmap[i] >= 64);
        let (rows, columns): (Vec<_>, Vec<_>) = dark.map(|i| (i / stride, i % stride)).unzip();
        let span = |v: &[usize]| Some(*v.iter().min()?..*v.iter().max()? + 1);
        Some(Self { bitmap, stride, rows: span(&rows)?, columns: span(&columns)? })
    }

    /// Resampled by area into the middle of a square.
    fn stretched(&self) -> Vec<f32> {
        let (h, w) = (self.rows.len(), self.columns.len());
        let fill = |own: usize, other: usize| (SIDE * own * 2).div_ceil(other).min(SIDE);
        let (height, width) = (fill(h, w), fill(w, h));
        let (top, left) = ((SIDE - height) / 2, (SIDE - width) / 2);
        let (rows, columns) = (shares(h, height), shares(w, width));
        let mut image = vec![0.0; SIDE * SIDE];
        for &(y, to_y, share_y) in &rows {
            for &(x, to_x, share_x) in &columns {
                let at = (self.rows.start + y) * self.stride + self.columns.start + x;
                let pixel = f32::from(self.bitmap[at]) / 255.0;
                image[(top + to_y) * SIDE + left + to_x] += share_y * share_x * pixel;
            }
        }
        image
    }
}

/// (source, target, share): which part of each of `to` cells each of `from` cells covers.
fn shares(from: usize, to: usize) -> Vec<(usize, usize, f32)> {
    let mut shares = Vec::new();
    for target in 0..to {
        // In units where a source cell is `to` long and a target cell `from`.
        let (start, end) = (target * from, (target + 1) * from);
        for source in start / to..end.div_ceil(to) {
            let covered = end.min((source + 1) * to) - start.max(source * to);
            shares.push((source, target, covered as f32 / from as f32));
        }
    }
    shares
}

/// (1 2 1)/4 along rows, then along columns; outside is white.
fn blurred(image: &[f32]) -> Vec<f32> {
    let pass = |image: &[f32], step: usize, place: fn(usize) -> usize| -> Vec<f32> {
        let pixel = |i: usize| {
            let before = if place(i) > 0 { image[i - step] } else { 0.0 };
            let after = if place(i) + 1 < SIDE { image[i + step] } else { 0.0 };
            0.25 * before + 0.5 * image[i] + 0.25 * after
        };
        (0..image.len()).map(pixel).collect()
    };
    pass(&pass(image, 1, |i| i % SIDE), SIDE, |i| i / SIDE)
}

/// The letters (1 to 26) and their neighbouring pairs (27 · first + second, from 27 on, the ends
/// being 0 but never both), ascending, with weights whose squares add up to 1.
fn code(cangjie: &str) -> Vec<(u16, f32)> {
    let letters: Vec<u16> = cangjie.bytes().map(|b| u16::from(b - b'A') + 1).collect();
    let mut counts: BTreeMap<u16, f32> = BTreeMap::new();
    let befores = std::iter::once(&0).chain(&letters);
    let afters = letters.iter().chain(std::iter::once(&0));
    let pairs = befores.zip(afters).map(|(before, after)| 27 + 27 * before + after);
    for feature in letters.iter().copied().chain(pairs) {
        *counts.entry(feature).or_default() += 1.0;
    }
    let length = counts.values().map(|n| n * n).sum::<f32>().sqrt();
    counts.into_iter().map(|(feature, n)| (feature, n / length)).collect()
}

/// Sixteen running sums, so that the compiler may use vectors; always in the same order.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 16];
    for (a, b) in a.chunks_exact(16).zip(b.chunks_exact(16)) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}
