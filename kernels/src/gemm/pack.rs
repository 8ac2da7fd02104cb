//! Panels: the one layout in which every micro-kernel reads its right factor.
//!
//! ```text
//! B [k, n]  ─▶  [⌈n/16⌉][⌈k/g⌉][16][g]     panel p, group l: rows gl..gl + g of columns 16p..16p + 16
//! ```
//!
//! A tile of c needs, at each step of k, the same few columns of B: in a panel they lie side by
//! side, and step after step one behind the other. So B is read front to back, which is what
//! the prefetchers of every CPU expect, in whole cache lines (a group of a panel is one, and panels
//! begin at a line). 16 columns are one register of AVX-512, two of AVX2, four of NEON.
//!
//! What multiplies bf16 or int8 adds g products at once: g is 1 for f32, 2 for bf16, 4 for int8, and
//! [g] is always a word of four bytes. So the layout is the same for all CPUs and all
//! precisions, a file can hold it, and whoever maps that file has nothing left to do.
//!
//! Columns beyond n are zeros; they cost arithmetic, and no tile needs an edge. In bf16 and int8
//! zeros fill the groups up to a multiple of 16, which is the height of a tile of AMX.
//!
//! For weights B = Wᵀ: column j of B is row j of W, and packing is a transposition, 16 rows of W
//! at a time. It is done once, when a model is opened, and bound by memory.

use std::sync::Arc;

use super::quantize::{quantize, round_to_bf16};
use super::transpose::transpose;
use crate::matrix::{Apart, Shared};
use crate::{Isa, MatMut, MatRef, Precision, parallel};

/// Columns of a panel.
pub(crate) const WIDTH: usize = 16;

/// Groups of k are filled up to a multiple of this in bf16 and int8.
const DEPTH: usize = 16;

/// A weight matrix W `[n, k]`, packed for [`gemm()`](super::gemm()): B = Wᵀ in panels.
pub struct PackedB {
    precision: Precision,
    n: usize,
    k: usize,
    words: Shared<u32>,
    scales: Shared<f32>,
    sums: Shared<i32>,
}

impl PackedB {
    /// The rows of `parts` one below the other, each part `[nᵢ, k]`: W `[Σ nᵢ, k]`. On the threads
    /// of the current crew; the same words on every level. Panics where the parts differ in width.
    pub fn pack(isa: Isa, precision: Precision, parts: &[MatRef<f32>]) -> PackedB {
        let (n, k) = (parts.iter().map(MatRef::rows).sum(), parts.first().map_or(0, MatRef::cols));
        for part in parts {
            assert!(part.cols() == k, "a part of {} columns beside one of {k}", part.cols());
        }
        let rows: Vec<&[f32]> =
            parts.iter().flat_map(|part| (0..part.rows()).map(|j| part.row(j))).collect();
        let (panels, groups) = extents(precision, n, k);
        let mut words = Lines::zeroed(panels * groups * WIDTH);
        let quantized = if precision == Precision::Int8 { panels * WIDTH } else { 0 };
        let (mut scales, mut sums) = (vec![0.0; quantized], vec![0; quantized]);
        let all = MatMut::new(words.as_mut(), panels, groups * WIDTH);
        let scales_of = Apart::new(MatMut::new(&mut scales, 1, quantized));
        let sums_of = Apart::new(MatMut::new(&mut sums, 1, quantized));
        let panel_words = Apart::new(all);
        parallel::each(panels, &|p| {
            let rows = &rows[p * WIDTH..n.min((p + 1) * WIDTH)];
            // SAFETY: panel p is asked for once.
            let mut panel = unsafe { panel_words.block(p..p + 1, 0..groups * WIDTH) };
            let (lines, _) = panel.row_mut(0).as_chunks_mut::<WIDTH>();
            match precision {
                Precision::F32 => transpose(isa, rows, 1.0, lines),
                Precision::Bf16 => {
                    let mut pairs = vec![0; groups];
                    for (lane, row) in rows.iter().enumerate() {
                        round_to_bf16(isa, row, &mut pairs);
                        lines.iter_mut().zip(&pairs).for_each(|(line, &pair)| line[lane] = pair);
                    }
                }
                Precision::Int8 => {
                    let place = p * WIDTH..p * WIDTH + rows.len();
                    // SAFETY: as for the panel.
                    let mut scales = unsafe { scales_of.block(0..1, place.clone()) };
                    // SAFETY: as for the panel.
                    let mut sums = unsafe { sums_of.block(0..1, place) };
                    let mut bytes = vec![0; k.next_multiple_of(4)];
                    for (lane, row) in rows.iter().enumerate() {
                        scales.row_mut(0)[lane] = quantize(isa, row, 0, &mut bytes);
                        sums.row_mut(0)[lane] = bytes.iter().map(|&q| i32::from(q as i8)).sum();
                        let (fours, _) = bytes.as_chunks::<4>();
                        for (line, four) in lines.iter_mut().zip(fours) {
                            line[lane] = u32::from_ne_bytes(*four);
                        }
                    }
                }
            }
        });
        let (scales, sums) = (Arc::new(scales), Arc::new(sums));
        PackedB { precision, n, k, words: Arc::new(words), scales, sums }
    }

    /// Panels made earlier, by [`PackedB::pack`], and kept by whoever owns these values: words
    /// `[⌈n/16⌉][groups][16]`; for int8 the scale and the sum of each column, `[16 ⌈n/16⌉]`, else none.
    ///
    /// Panics where a length is not what [`PackedB::lengths`] says.
    pub fn from_parts(
        precision: Precision,
        (n, k): (usize, usize),
        words: Shared<u32>,
        scales: Shared<f32>,
        sums: Shared<i32>,
    ) -> PackedB {
        let (words_len, columns) = PackedB::lengths(precision, n, k);
        let (have, scaled) = ((*words).as_ref().len(), (*scales).as_ref().len());
        assert!(have == words_len, "{have} words where panels of {n} × {k} have {words_len}");
        assert!(scaled == columns, "{scaled} scales for {columns} columns");
        let summed = (*sums).as_ref().len();
        assert!(summed == columns, "{summed} sums for {columns} columns");
        PackedB { precision, n, k, words, scales, sums }
    }

    /// How many words the panels of W `[n, k]` are, and how many columns have a scale and a sum.
    pub fn lengths(precision: Precision, n: usize, k: usize) -> (usize, usize) {
        let (panels, groups) = extents(precision, n, k);
        let columns = if precision == Precision::Int8 { panels * WIDTH } else { 0 };
        let lines = panels.checked_mul(groups).and_then(|lines| lines.checked_mul(WIDTH));
        (lines.expect("panels larger than the address space"), columns)
    }

    /// Panels of W `[n, k]`, and groups of a panel: the extents of the words, with 16 lanes a group.
    pub fn extents(precision: Precision, n: usize, k: usize) -> (usize, usize) {
        extents(precision, n, k)
    }

    /// Rows of W: the output width.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Columns of W: the input width.
    pub fn k(&self) -> usize {
        self.k
    }

    /// How its values are stored.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The panels.
    pub fn words(&self) -> &[u32] {
        (*self.words).as_ref()
    }

    /// int8: what one step of each column is worth.
    pub fn scales(&self) -> &[f32] {
        (*self.scales).as_ref()
    }

    /// int8: the sum of each column, in steps.
    pub fn sums(&self) -> &[i32] {
        (*self.sums).as_ref()
    }

    /// Row j of W, as what it is stored as says: `y` `[k]`. Panics if there is no such row.
    pub fn row(&self, j: usize, y: &mut [f32]) {
        assert!(j < self.n, "row {j} of {}", self.n);
        assert!(y.len() == self.k, "a row of {} for {} columns", y.len(), self.k);
        let (_, groups) = extents(self.precision, self.n, self.k);
        let (panel, lane) = (j / WIDTH, j % WIDTH);
        let (lines, _) = self.words()[panel * groups * WIDTH..].as_chunks::<WIDTH>();
        let words = lines.iter().map(|line| line[lane]);
        match self.precision {
            Precision::F32 => y.iter_mut().zip(words).for_each(|(y, x)| *y = f32::from_bits(x)),
            Precision::Bf16 => {
                for (y, pair) in y.chunks_mut(2).zip(words) {
                    y[0] = f32::from_bits(pair << 16);
                    if let Some(y) = y.get_mut(1) {
                        *y = f32::from_bits(pair & 0xffff_0000);
                    }
                }
            }
            Precision::Int8 => {
                let scale = self.scales()[j];
                for (y, four) in y.chunks_mut(4).zip(words) {
                    for (y, q) in y.iter_mut().zip(four.to_ne_bytes()) {
                        *y = scale * f32::from(q as i8);
                    }
                }
            }
        }
    }

    pub(super) fn panels(&self) -> Panels<'_> {
        let (_, groups) = extents(self.precision, self.n, self.k);
        let PackedB { precision, n, k, .. } = *self;
        let (words, scales, sums) = (self.words(), self.scales(), self.sums());
        Panels { precision, n, k, groups, words, scales, sums }
    }
}

/// B `[k, n]` in panels, borrowed.
#[derive(Clone, Copy)]
pub(crate) struct Panels<'a> {
    precision: Precision,
    n: usize,
    k: usize,
    groups: usize,
    words: &'a [u32],
    scales: &'a [f32],
    sums: &'a [i32],
}

impl<'a> Panels<'a> {
    /// Panels of f32 that somebody just made.
    pub(super) fn of_f32(words: &'a [u32], n: usize, k: usize) -> Panels<'a> {
        let precision = Precision::F32;
        Panels { precision, n, k, groups: k, words, scales: &[], sums: &[] }
    }

    /// Panels of int8 that somebody just made, with a scale and a sum for each column.
    pub(super) fn of_int8(
        (n, k): (usize, usize),
        words: &'a [u32],
        scales: &'a [f32],
        sums: &'a [i32],
    ) -> Panels<'a> {
        let precision = Precision::Int8;
        let (panels, groups) = extents(precision, n, k);
        assert!(words.len() == panels * groups * WIDTH, "{} words of panels", words.len());
        assert!(scales.len() == panels * WIDTH && sums.len() == panels * WIDTH, "columns");
        Panels { precision, n, k, groups, words, scales, sums }
    }

    pub(super) fn precision(&self) -> Precision {
        self.precision
    }

    pub(super) fn n(&self) -> usize {
        self.n
    }

    pub(super) fn k(&self) -> usize {
        self.k
    }

    /// From one panel to the next, in words.
    pub(super) fn stride(&self) -> usize {
        WIDTH * self.groups
    }

    /// Groups `l..` of panel `p` and all panels behind it.
    pub(super) fn words(&self, p: usize, l: usize) -> &'a [u32] {
        &self.words[WIDTH * (p * self.groups + l)..]
    }

    /// int8: scales and sums of the columns of panel `p` and all behind it; else none.
    pub(super) fn columns(&self, p: usize) -> (&'a [f32], &'a [i32]) {
        match self.precision {
            Precision::Int8 => (&self.scales[p * WIDTH..], &self.sums[p * WIDTH..]),
            _ => (&[], &[]),
        }
    }
}

/// Panels, and groups in each, of W `[n, k]`.
pub(super) fn extents(precision: Precision, n: usize, k: usize) -> (usize, usize) {
    let groups = match precision {
        Precision::F32 => k,
        _ => k.div_ceil(precision.per_word()).next_multiple_of(DEPTH),
    };
    (n.div_ceil(WIDTH), groups)
}

/// Zeros that begin at a cache line.
struct Lines {
    buffer: Vec<u32>,
    skip: usize,
}

impl Lines {
    fn zeroed(len: usize) -> Lines {
        // Zeroed memory comes untouched from the system: the thread that fills a page touches it first.
        let buffer = vec![0u32; len + WIDTH];
        let skip = buffer.as_ptr().align_offset(WIDTH * size_of::<u32>()).min(WIDTH);
        let mut lines = Lines { buffer, skip };
        lines.buffer.truncate(skip + len);
        lines
    }
}

impl AsRef<[u32]> for Lines {
    fn as_ref(&self) -> &[u32] {
        &self.buffer[self.skip..]
    }
}

impl AsMut<[u32]> for Lines {
    fn as_mut(&mut self) -> &mut [u32] {
        &mut self.buffer[self.skip..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panel_holds_columns_side_by_side_and_zeros_beyond_the_last() {
        // W [17, 2]: row j is (j, 100 + j).
        let w: Vec<f32> = (0..17).flat_map(|j| [j as f32, 100.0 + j as f32]).collect();
        let (top, bottom) = w.split_at(2 * 5);
        let parts = [MatRef::new(top, 5, 2), MatRef::new(bottom, 12, 2)];
        let packed = PackedB::pack(Isa::best(), Precision::F32, &parts);
        assert_eq!((packed.n(), packed.k()), (17, 2));
        let words: Vec<f32> = packed.words().iter().map(|&x| f32::from_bits(x)).collect();
        assert_eq!(words.len(), 64);
        assert_eq!(packed.words().as_ptr() as usize % 64, 0);
        assert!((0..16).all(|j| words[j] == j as f32 && words[16 + j] == 100.0 + j as f32));
        assert_eq!((words[32], words[33], words[48]), (16.0, 0.0, 116.0));
    }

    #[test]
    fn every_precision_gives_its_rows_back() {
        // Values that bf16 holds exactly, and int8 with the scale 0.5.
        let w: Vec<f32> = (0..19 * 7).map(|i| (i * 13 % 17) as f32 * 0.5 - 4.0).collect();
        let mut w = w;
        (0..19).for_each(|j| w[j * 7] = 63.5);
        let w = MatRef::new(&w, 19, 7);
        for precision in Precision::ALL {
            let packed = PackedB::pack(Isa::best(), precision, &[w]);
            let (words, columns) = PackedB::lengths(precision, 19, 7);
            assert_eq!((packed.words().len(), packed.scales().len()), (words, columns));
            for j in 0..19 {
                let mut row = [f32::NAN; 7];
                packed.row(j, &mut row);
                assert_eq!(row, w.row(j), "{precision} {j}");
            }
        }
    }

    #[test]
    fn bytes_of_a_word_are_four_steps_of_one_column() {
        let w = [127.0, -1.0, 2.0, 3.0, -127.0];
        let packed = PackedB::pack(Isa::best(), Precision::Int8, &[MatRef::new(&w, 1, 5)]);
        assert_eq!(packed.words()[0].to_ne_bytes().map(|q| q as i8), [127, -1, 2, 3]);
        assert_eq!(packed.words()[16].to_ne_bytes().map(|q| q as i8), [-127, 0, 0, 0]);
        assert_eq!((packed.scales()[0], packed.sums()[0]), (1.0, 4));
        assert_eq!((packed.words().len(), packed.scales()[1], packed.sums()[1]), (256, 0.0, 0));
    }
}
