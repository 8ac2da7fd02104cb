//! The loops around the micro-kernels, and how threads share them.
//!
//! ```text
//! threads      blocks of c, cut in halves along its longer side
//! l in KC      steps of k: partial sums wait in c, exact
//!  j in NC     columns: KC × NC of the panels stay in L2 while all rows of a pass by
//!   i          rows of a tile: they stay in L1 while the panels pass by
//!    p         tiles, side by side along the rows of c; the epilogue after the last steps
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
use super::tile::{Microkernel, Start, Tile, Width};
use super::{Epilogue, epilogue::finish};
use crate::{Isa, MatMut, MatRef, parallel};

/// Steps of k at a time. Most sums then never leave the registers: h is 256 or 768, and only the
/// product behind the feed-forward is longer. Half of it gains nothing.
const KC: usize = 768;

/// Values of the panels that wait in L2 for the next rows: 512 KiB, half of a small L2. The other
/// order, two panels in L1 and all rows passing by, was tried and is slower by a fifth where n
/// is large: c is then written in short pieces all over memory.
const IN_L2: usize = 128 << 10;

/// Multiply-adds below which another thread costs more than it brings: some 10 µs of AVX-512.
pub(super) const WORTH_A_FORK: usize = 1 << 20;

/// Columns of the widest tile of any kernel.
const WIDEST: usize = 4 * WIDTH;

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
        // Whole tiles on either side.
        let upper = (c.rows() / 2).next_multiple_of(tall);
        let left = (panels / 2).next_multiple_of(WIDEST / WIDTH);
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
        let kernel = Microkernel::of(self.isa);
        // Rows of a single tile use each panel once: nothing is gained by keeping it.
        let kc = if c.rows() <= kernel.rows() { self.b.k() } else { KC };
        for steps in even(self.b.k(), kc) {
            let nc = (IN_L2 / steps.len().max(1)).next_multiple_of(WIDEST);
            for first in (0..c.cols()).step_by(nc) {
                let cols = first..c.cols().min(first + nc);
                for rows in even(c.rows(), kernel.rows()) {
                    let c = c.block(rows.clone(), cols.clone());
                    self.tiles(row + rows.start, panel + first / WIDTH, steps.clone(), c);
                }
            }
        }
    }

    /// c, the height of a tile, as tiles side by side: the widest that there are for its height
    /// first, then narrower ones for what remains.
    fn tiles(&self, row: usize, panel: usize, steps: Range<usize>, mut c: MatMut<f32>) {
        let (rows, panels) = (c.rows(), c.cols().div_ceil(WIDTH));
        let widths = Microkernel::of(self.isa).widths.iter();
        let mut p = 0;
        for width in widths.filter(|width| width.heights.len() >= rows) {
            while p + width.panels <= panels {
                let cols = p * WIDTH..c.cols().min((p + width.panels) * WIDTH);
                self.tile(width, row, panel + p, steps.clone(), c.block(0..rows, cols));
                p += width.panels;
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
        let cols = width.panels * WIDTH;
        let bias = self.epilogue.bias().map(|bias| &bias[panel * WIDTH..][..c.cols()]);
        let mut tile = Tile {
            k: steps.len(),
            a: a.as_ptr(),
            a_stride: a.row_stride(),
            b: b.as_ptr(),
            panel_stride: WIDTH * k,
            c: c.as_mut_ptr(),
            c_stride: c.row_stride(),
            start: match bias {
                _ if steps.start > 0 => Start::Resume,
                Some(bias) => Start::Row(bias.as_ptr()),
                None => Start::Zero,
            },
        };
        let run = width.heights[rows - 1];
        if c.cols() == cols {
            // SAFETY: the isa of this product chose the kernel. a is a block of `rows` rows and k
            // steps, b was seen to reach to its last panel's last step, c is a block of the tile's
            // rows and columns, borrowed alone, and the bias as wide.
            unsafe { run(&tile) };
        } else {
            // The last panel is wider than c: the tile goes by way of memory of its own.
            let mut whole = [0.0; LARGEST_TILE];
            let whole = &mut whole[..rows * cols];
            for (i, whole) in whole.chunks_exact_mut(cols).enumerate() {
                match tile.start {
                    Start::Zero => {}
                    Start::Row(_) => whole[..c.cols()].copy_from_slice(bias.unwrap_or_default()),
                    Start::Resume => whole[..c.cols()].copy_from_slice(c.row_mut(i)),
                }
            }
            (tile.c, tile.c_stride, tile.start) = (whole.as_mut_ptr(), cols, Start::Resume);
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
                assert!(width.panels * WIDTH <= WIDEST);
            }
        }
    }
}
