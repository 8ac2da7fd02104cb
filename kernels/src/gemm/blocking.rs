//! The loops around the micro-kernels, and how threads share them.
//!
//! ```text
//! threads      blocks of c, cut in halves along its longer side
//! i in MC      rows of a: a block of MC × KC stays in L2
//!  l in KC     steps of k: partial sums wait in c, exact
//!   p          one to four panels: KC rows of them stay in L2, whichever rows of a pass by
//!    r         tiles, as even in height as can be; each fetches its share of the next panels,
//!              and after the last steps does the epilogue while its sums are in L1
//! ```
//!
//! Nothing here changes a bit: an element of c is one sum over k in order, whatever the blocks.
//! Source: Goto & van de Geijn, *Anatomy of High-Performance Matrix Multiplication* (2008).
//!
//! Rows of a are read where they lie. A tile reads 14 of them at once; where their distance is a
//! multiple of 4 KiB all fall into the same set of L1, which has 8 or 12 places: whoever makes a
//! should keep its rows a little apart (`runtime::Arena` does).

use std::ops::Range;

use super::pack::{Panels, WIDTH};
use super::tile::{Microkernel, Start, Tile, Width, prefetch};
use super::{Epilogue, epilogue::finish};
use crate::{Isa, MatMut, MatRef, parallel};

/// Steps of k at a time. Most sums then never leave the registers: h is 256 or 768, and only the
/// product behind the feed-forward is longer. Two panels of 768 rows are 96 KiB, and read from L2 at
/// 9 bytes a cycle. Measured with 256, 384, 512, 1024 and 1536: shorter is slower where n is large,
/// since c goes to memory and back for each block.
const KC: usize = 768;

/// Rows of a at a time: with KC 768 KiB, in L2. To copy them into one piece first was tried: it
/// gains nothing.
const MC: usize = 256;

/// Multiply-adds below which another thread costs more than it brings: some 10 µs of AVX-512.
pub(super) const WORTH_A_FORK: usize = 1 << 20;

/// The largest tile, in floats.
const LARGEST_TILE: usize = 14 * 2 * WIDTH;

/// c = epilogue(a · b), ready to be cut into pieces.
pub(super) struct Product<'a> {
    pub(super) isa: Isa,
    pub(super) a: MatRef<'a, f32>,
    pub(super) b: Panels<'a>,
    pub(super) epilogue: Epilogue<'a>,
}

impl Product<'_> {
    /// All of c, on the threads of the current pool where that pays.
    pub(super) fn run_shared(&self, c: MatMut<f32>) {
        let work = self.a.rows() * self.b.n().next_multiple_of(WIDTH) * self.b.k();
        let pieces = parallel::pieces(work / WORTH_A_FORK);
        self.share(0, 0, pieces, c);
    }

    /// All of c, on this thread.
    pub(super) fn run(&self, c: MatMut<f32>) {
        self.block(0, 0, c);
    }

    /// The block `c` that begins at a row and a panel, in about so many pieces.
    fn share(&self, row: usize, panel: usize, pieces: usize, c: MatMut<f32>) {
        let (tall, panels) = (Microkernel::of(self.isa).rows(), c.cols().div_ceil(WIDTH));
        // Whole tiles on either side; four panels are the widest.
        let upper = (c.rows() / 2).next_multiple_of(tall);
        let left = (panels / 2).next_multiple_of(4);
        let (by_rows, by_panels) = (upper < c.rows(), left < panels);
        if pieces < 2 || !(by_rows || by_panels) {
            return self.block(row, panel, c);
        }
        if by_rows && (c.rows() > c.cols() || !by_panels) {
            let (above, below) = c.split_at_row(upper);
            rayon::join(
                || self.share(row, panel, pieces / 2, above),
                || self.share(row + upper, panel, pieces - pieces / 2, below),
            );
        } else {
            let (before, after) = c.split_at_col(left * WIDTH);
            rayon::join(
                || self.share(row, panel, pieces / 2, before),
                || self.share(row, panel + left, pieces - pieces / 2, after),
            );
        }
    }

    /// The same block on this thread.
    fn block(&self, row: usize, panel: usize, mut c: MatMut<f32>) {
        if c.rows() == 0 || c.cols() == 0 {
            return;
        }
        let (k, cols) = (self.b.k(), 0..c.cols());
        // A block of a single tile in height uses each panel once: nothing is gained by keeping it.
        let kc = if c.rows() <= Microkernel::of(self.isa).rows() { k } else { KC };
        for rows in even(c.rows(), MC) {
            for steps in even(k, kc) {
                let c = c.block(rows.clone(), cols.clone());
                self.strips(row + rows.start, panel, steps, c);
            }
        }
    }

    /// c (+)= rows of a · panels, over some steps of k.
    fn strips(&self, row: usize, panel: usize, steps: Range<usize>, mut c: MatMut<f32>) {
        let kernel = Microkernel::of(self.isa);
        let tallest = c.rows().div_ceil(c.rows().div_ceil(kernel.rows()));
        let panels = c.cols().div_ceil(WIDTH);
        let mut p = 0;
        for width in kernel.widths.iter().filter(|width| width.heights.len() >= tallest) {
            while p + width.panels <= panels {
                let cols = p * WIDTH..c.cols().min((p + width.panels) * WIDTH);
                let next = panel + p + width.panels..panel + panels.min(p + 2 * width.panels);
                for rows in even(c.rows(), kernel.rows()) {
                    let share = |r| steps.start + r * steps.len() / c.rows();
                    self.fetch(next.clone(), share(rows.start)..share(rows.end));
                    let c = c.block(rows.clone(), cols.clone());
                    self.tile(width, row + rows.start, panel + p, steps.clone(), c);
                }
                p += width.panels;
            }
        }
    }

    /// Asks for some steps of panels that come next. They lie in L3 or in memory: 32 rows
    /// of a are a matter of microseconds, in which the fetched lines arrive unnoticed.
    fn fetch(&self, panels: Range<usize>, steps: Range<usize>) {
        for panel in panels {
            for line in self.b.rows(panel, steps.start).chunks(WIDTH).take(steps.len()) {
                prefetch(line);
            }
        }
    }

    /// One tile of c, and its epilogue once its sums are complete.
    fn tile(
        &self,
        width: &Width,
        row: usize,
        panel: usize,
        steps: Range<usize>,
        mut c: MatMut<f32>,
    ) {
        let (k, rows) = (self.b.k(), c.rows());
        let a = self.a.block(row..row + rows, steps.clone());
        let b = self.b.rows(panel, steps.start);
        let reach = WIDTH * ((width.panels - 1) * k + steps.len());
        assert!(b.len() >= reach, "{reach} floats of panels in {}", b.len());
        let mut tile = Tile {
            k: steps.len(),
            a: a.as_ptr(),
            a_stride: a.row_stride(),
            b: b.as_ptr(),
            panel_stride: WIDTH * k,
            c: c.as_mut_ptr(),
            c_stride: c.row_stride(),
            start: if steps.start == 0 { Start::Zero } else { Start::Resume },
        };
        let run = width.heights[rows - 1];
        let cols = width.panels * WIDTH;
        if c.cols() == cols {
            // SAFETY: the isa of this product chose the kernel. a is a block of `rows` rows and k
            // steps, b was seen to reach to its last panel's last step, c is a block of the tile's
            // rows and columns, borrowed alone.
            unsafe { run(&tile) };
        } else {
            // The last panel is wider than c: the tile goes by way of memory of its own.
            let mut whole = [0.0; LARGEST_TILE];
            let whole = &mut whole[..rows * cols];
            for (i, whole) in whole.chunks_exact_mut(cols).enumerate() {
                whole[..c.cols()].copy_from_slice(c.row_mut(i));
            }
            (tile.c, tile.c_stride) = (whole.as_mut_ptr(), cols);
            // SAFETY: as above, but c is this whole tile.
            unsafe { run(&tile) };
            for (i, whole) in whole.chunks_exact(cols).enumerate() {
                let row = c.row_mut(i);
                row.copy_from_slice(&whole[..row.len()]);
            }
        }
        if steps.end == k {
            finish(self.isa, self.epilogue, row, panel * WIDTH, c);
        }
    }
}

/// 0..len in as few ranges of at most `most` as there can be, all but equally long; one empty range
/// if len is 0, so that a sum over nothing is still made.
fn even(len: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let count = len.div_ceil(most.max(1)).max(1);
    (0..count).map(move |i| i * len / count..(i + 1) * len / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_even_and_leave_nothing_out() {
        assert_eq!(even(30, 14).collect::<Vec<_>>(), [0..10, 10..20, 20..30]);
        for len in 0..100 {
            let ranges: Vec<_> = even(len, 7).collect();
            assert_eq!(ranges.len(), len.div_ceil(7).max(1));
            assert!(ranges.iter().all(|range| range.len() <= 7));
            assert_eq!((ranges[0].start, ranges[ranges.len() - 1].end), (0, len));
            assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
        }
    }

    #[test]
    fn the_largest_tile_of_every_kernel_fits_its_buffer() {
        for isa in Isa::available() {
            for width in Microkernel::of(isa).widths {
                assert!(width.heights.len() * width.panels * WIDTH <= LARGEST_TILE);
            }
        }
    }
}
