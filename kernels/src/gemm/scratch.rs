//! Panels that are packed, read a few times and forgotten: keys and values of a head, strips of a vocabulary.

use super::pack::{Panels, WIDTH, extents};
use super::transpose::transpose;
use crate::{Isa, MatRef, Precision};

/// Memory for panels of one matrix at a time. What was in it is forgotten, the memory stays.
#[derive(Default)]
pub(crate) struct Scratch {
    words: Vec<u32>,
    scales: Vec<f32>,
    sums: Vec<i32>,
}

/// Panels of int8 to be filled, with a scale and a sum for each column.
pub(crate) struct Int8Panels<'a> {
    n: usize,
    k: usize,
    /// `[⌈n/16⌉][groups][16]`.
    pub(crate) words: &'a mut [u32],
    pub(crate) scales: &'a mut [f32],
    pub(crate) sums: &'a mut [i32],
}

impl Scratch {
    /// scale · Wᵀ of W `[n, k]`.
    pub(crate) fn transposed(&mut self, isa: Isa, scale: f32, w: MatRef<f32>) -> Panels<'_> {
        let (n, k) = (w.rows(), w.cols());
        let panels = room(&mut self.words, Precision::F32, n, k);
        for (p, panel) in panels.chunks_exact_mut((WIDTH * k).max(1)).enumerate() {
            let mut rows = [&[][..]; WIDTH];
            let live = WIDTH.min(n - p * WIDTH);
            for (lane, row) in rows[..live].iter_mut().enumerate() {
                *row = w.row(p * WIDTH + lane);
            }
            transpose(isa, &rows[..live], scale, panel.as_chunks_mut().0);
        }
        Panels::of_f32(panels, n, k)
    }

    /// B `[k, n]` as it is.
    pub(crate) fn copied(&mut self, b: MatRef<f32>) -> Panels<'_> {
        let (n, k) = (b.cols(), b.rows());
        let panels = room(&mut self.words, Precision::F32, n, k);
        for l in 0..k {
            let (whole, rest) = b.row(l).as_chunks::<WIDTH>();
            let (lines, _) = panels.as_chunks_mut::<WIDTH>();
            for (p, values) in whole.iter().enumerate() {
                lines[p * k + l] = values.map(f32::to_bits);
            }
            for (lane, value) in rest.iter().enumerate() {
                lines[whole.len() * k + l][lane] = value.to_bits();
            }
        }
        Panels::of_f32(panels, n, k)
    }

    /// Room for B `[k, n]` in int8: zeros beyond column n, elsewhere what is left from before.
    pub(crate) fn int8(&mut self, n: usize, k: usize) -> Int8Panels<'_> {
        let columns = n.next_multiple_of(WIDTH);
        self.scales.clear();
        self.scales.resize(columns, 0.0);
        self.sums.clear();
        self.sums.resize(columns, 0);
        let words = room(&mut self.words, Precision::Int8, n, k);
        Int8Panels { n, k, words, scales: &mut self.scales, sums: &mut self.sums }
    }
}

impl<'a> Int8Panels<'a> {
    /// Groups of a panel.
    pub(crate) fn groups(&self) -> usize {
        extents(Precision::Int8, self.n, self.k).1
    }

    /// To be multiplied with.
    pub(crate) fn panels(self) -> Panels<'a> {
        Panels::of_int8((self.n, self.k), self.words, self.scales, self.sums)
    }
}

/// Room for panels of `[k, n]`, which begin at cache lines; zeros in the last one if it reaches beyond
/// column n.
fn room(words: &mut Vec<u32>, precision: Precision, n: usize, k: usize) -> &mut [u32] {
    let (panels, groups) = extents(precision, n, k);
    let len = panels * groups * WIDTH;
    if words.len() < len + WIDTH {
        words.resize(len + WIDTH, 0);
    }
    let skip = words.as_ptr().align_offset(WIDTH * size_of::<u32>()).min(WIDTH);
    let words = &mut words[skip..skip + len];
    if !n.is_multiple_of(WIDTH) {
        words[len - WIDTH * groups..].fill(0);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_packing_agree_and_old_values_are_forgotten() {
        let w: Vec<f32> = (0..21 * 3).map(|x| x as f32).collect();
        let b: Vec<f32> = (0..3 * 21).map(|x| w[x % 21 * 3 + x / 21]).collect();
        let used = Scratch { words: vec![u32::MAX; 200], ..Scratch::default() };
        let (mut one, mut other) = (used, Scratch::default());
        let one = one.transposed(Isa::best(), 1.0, MatRef::new(&w, 21, 3));
        let other = other.copied(MatRef::new(&b, 3, 21));
        assert_eq!(one.words(0, 0), other.words(0, 0));
    }
}
