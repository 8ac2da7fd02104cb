//! The loops around the micro-kernels, and how threads share them.
//!
//! ```text
//! threads      blocks of c, cut in halves along its longer side
//! i in MC      bf16, int8: rows of a as the kernel wants them, made here
//! l in KC      f32: steps of k; partial sums wait in c, exact
//!  j in NC     columns: their panels stay in L2 while all rows of a pass by
//!   i          rows of a tile: they stay in L1 while the panels pass by
//!    p         tiles, side by side along the rows of c; the epilogue after the last steps
//! ```
//!
//! Nothing here changes a bit: an element of c is one sum over k in order, whatever the blocks.
//! Source: Goto & van de Geijn, *Anatomy of High-Performance Matrix Multiplication* (2008).
//!
//! Rows of f32 are read where they lie. A tile reads 14 of them at once; where their distance is a
//! multiple of 4 KiB all fall into the same set of L1, which has 8 or 12 places: whoever makes a
//! should keep its rows a little apart (`runtime::Arena` does).

use std::cell::RefCell;
use std::ops::Range;
use std::ptr;

#[cfg(target_arch = "x86_64")]
use super::bands::Output;
use super::pack::{Panels, WIDTH};
use super::rows::{MadeRows, Maker, Rows, RowsAt};
use super::tile::{Left, Microkernel, Scale, Start, Tile, Width};
use super::{Epilogue, epilogue::finish};
use crate::{Isa, MatMut, MatRef, Precision, parallel};

/// Steps of k at a time in f32. Most sums then never leave the registers: h is 256 or 768, and only the
/// product behind the feed-forward is longer. Half of it gains nothing.
const KC: usize = 768;

/// Rows of a that are made into bf16 or int8 at a time: for k = 3072 in int8 384 KiB, in L2.
const MC: usize = 128;

/// Words of the panels that wait in L2 for the next rows: 512 KiB, half of a small L2. The other
/// order, two panels in L1 and all rows passing by, was tried and is slower by a fifth where n
/// is large: c is then written in short pieces all over memory.
const IN_L2: usize = 128 << 10;

/// Multiply-adds (of words) that are a step when work is shared: a cycle of AVX-512.
pub(super) const A_STEP: usize = 32;

/// Columns of the widest tile of any kernel.
const WIDEST: usize = 4 * WIDTH;

/// The largest tile, in floats.
const LARGEST_TILE: usize = 14 * 2 * WIDTH;

/// The longest sum that is exact in int8: 255 · 127 · k < 2³¹.
pub(crate) const LONGEST: usize = 66_000;

/// c = epilogue(a · b), ready to be cut into pieces.
pub(super) struct Product<'a> {
    pub(super) isa: Isa,
    pub(super) a: Rows<'a>,
    pub(super) b: Panels<'a>,
    pub(super) epilogue: Epilogue<'a>,
}

thread_local! {
    /// Where a thread makes its rows of bf16 or int8.
    pub(super) static MADE: RefCell<MadeRows> = RefCell::default();
}

impl Product<'_> {
    /// All of c, shared by this thread's crew where that pays.
    pub(super) fn run_shared(&self, c: MatMut<f32>) {
        let kernel = self.kernel();
        #[cfg(target_arch = "x86_64")]
        if kernel.left == Left::Bands {
            return self.share_bands(c);
        }
        let (tall, panels) = (kernel.rows(), c.cols().div_ceil(WIDTH));
        let work = c.rows() * panels * self.b.stride() / A_STEP;
        let most = match kernel.left {
            Left::InPlace => usize::MAX,
            // Every piece makes the rows that it reads: few rows had better be made few times.
            _ if c.rows() <= MC => parallel::threads(),
            _ => usize::MAX,
        };
        let pieces = parallel::pieces(work, most.min(c.rows().div_ceil(tall) * panels));
        // Rows that are made for each piece had better be in one piece each, if there are enough.
        let apart = kernel.left != Left::InPlace && c.rows() >= MC / 2;
        // Whole tiles on either side, halves of the longer one.
        let (mut rows, mut cols, mut cut) = (c.rows(), c.cols(), 1);
        while cut < pieces {
            let upper = (rows / 2).next_multiple_of(tall);
            let left = (cols / 2).next_multiple_of(WIDEST);
            match (upper < rows, left < cols) {
                (true, across) if rows > cols || apart || !across => rows = upper,
                (_, true) => cols = left,
                _ => break,
            }
            cut *= 2;
        }
        parallel::over_blocks(c, rows.max(1), cols.max(1), &|row, col, c| {
            self.block(row, col / WIDTH, c)
        });
    }

    /// All of c, on this thread.
    pub(super) fn run(&self, c: MatMut<f32>) {
        self.block(0, 0, c);
    }

    fn kernel(&self) -> &'static Microkernel {
        Microkernel::of(self.isa, self.b.precision())
    }

    /// The block `c` that begins at a row and a panel, on this thread.
    fn block(&self, row: usize, panel: usize, mut c: MatMut<f32>) {
        if c.rows() == 0 || c.cols() == 0 {
            return;
        }
        let kernel = self.kernel();
        #[cfg(target_arch = "x86_64")]
        if kernel.left == Left::Bands {
            return self.bands(row, panel, Output::F32(c));
        }
        let a = match self.a {
            Rows::F32(a) => a,
            Rows::Made(made) => return self.sweep(kernel, &made.as_rows(0), row, panel, c),
        };
        let Some(maker) = Maker::of(self.isa, self.b.precision()) else {
            let (words, stride, k) = (a.as_ptr().cast(), a.row_stride(), a.cols());
            let per_group = self.b.precision().per_word();
            let a = RowsAt { words, first: 0, stride, k, per_group, scales: &[] };
            return self.sweep(kernel, &a, row, panel, c);
        };
        MADE.with_borrow_mut(|made| {
            for rows in even(c.rows(), MC, 1) {
                let first = row + rows.start;
                self.make(maker, a, first..row + rows.end, made);
                let cols = 0..c.cols();
                self.sweep(kernel, &made.as_rows(first), first, panel, c.block(rows, cols));
            }
        });
    }

    /// Some rows of a, as the kernel wants them.
    pub(super) fn make(
        &self,
        maker: Maker,
        a: MatRef<f32>,
        rows: Range<usize>,
        made: &mut MadeRows,
    ) {
        made.room(rows.len(), self.b.stride() / WIDTH);
        for (i, from) in rows.enumerate() {
            let (words, scale) = made.row(i);
            *scale = maker.make(a.row(from), words);
        }
    }

    /// c, whose first values are those of `row` and `panel`, on this thread.
    fn sweep(
        &self,
        kernel: &Microkernel,
        a: &RowsAt,
        row: usize,
        panel: usize,
        mut c: MatMut<f32>,
    ) {
        // Rows of a single tile use each panel once: nothing is gained by keeping it.
        let whole = c.rows() <= kernel.rows() || kernel.left != Left::InPlace;
        for steps in even(a.k, if whole { a.k } else { KC }, a.per_group) {
            let groups = steps.len().div_ceil(a.per_group);
            let nc = (IN_L2 / groups.max(1)).next_multiple_of(WIDEST);
            for first in (0..c.cols()).step_by(nc) {
                let cols = first..c.cols().min(first + nc);
                for rows in even(c.rows(), kernel.rows(), 1) {
                    let c = c.block(rows.clone(), cols.clone());
                    let (row, panel) = (row + rows.start, panel + first / WIDTH);
                    self.tiles(kernel, a, row, panel, steps.clone(), c);
                }
            }
        }
    }

    /// c, the height of a tile, as tiles side by side: the widest that there are for its height
    /// first, then narrower ones for what remains.
    fn tiles(
        &self,
        kernel: &Microkernel,
        a: &RowsAt,
        row: usize,
        panel: usize,
        steps: Range<usize>,
        mut c: MatMut<f32>,
    ) {
        let (rows, panels) = (c.rows(), c.cols().div_ceil(WIDTH));
        let mut p = 0;
        for width in kernel.widths.iter().filter(|width| width.heights.len() >= rows) {
            while p + width.panels <= panels {
                let cols = p * WIDTH..c.cols().min((p + width.panels) * WIDTH);
                self.tile(width, a, row, panel + p, steps.clone(), c.block(0..rows, cols));
                p += width.panels;
            }
        }
    }

    /// One tile of c, and its epilogue once its sums are complete.
    fn tile(
        &self,
        width: &Width,
        a: &RowsAt,
        row: usize,
        panel: usize,
        steps: Range<usize>,
        mut c: MatMut<f32>,
    ) {
        let rows = c.rows();
        let b = self.b.words(panel, steps.start / a.per_group);
        let groups = steps.len().div_ceil(a.per_group);
        let reach = self.b.stride() * (width.panels - 1) + WIDTH * groups;
        assert!(b.len() >= reach, "{reach} words of panels in {}", b.len());
        let cols = width.panels * WIDTH;
        let bias = self.epilogue.bias().map(|bias| &bias[panel * WIDTH..][..c.cols()]);
        let scale = match self.b.precision() {
            Precision::Int8 => {
                let (columns, sums) = self.b.columns(panel);
                let (columns, sums) = (&columns[..cols], &sums[..cols]);
                let rows = &a.scales[row - a.first..][..rows];
                Scale { rows: rows.as_ptr(), columns: columns.as_ptr(), sums: sums.as_ptr() }
            }
            _ => Scale { rows: ptr::null(), columns: ptr::null(), sums: ptr::null() },
        };
        let mut tile = Tile {
            k: steps.len(),
            a: a.words.wrapping_add((row - a.first) * a.stride + steps.start),
            a_stride: a.stride,
            b: b.as_ptr(),
            panel_stride: self.b.stride(),
            c: c.as_mut_ptr(),
            c_stride: c.row_stride(),
            start: match bias {
                _ if steps.start > 0 => Start::Resume,
                Some(bias) => Start::Row(bias.as_ptr()),
                None => Start::Zero,
            },
            scale,
        };
        let run = width.heights[rows - 1];
        if c.cols() == cols {
            // SAFETY: the isa chose the kernel. a has these rows (bands: and zeros behind them) and steps,
            // b was seen to reach its last step, c is a block of the tile's extents, ours alone, with a
            // bias as wide and, in int8, a scale for each row and column.
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
        if steps.end == a.k {
            finish(self.isa, self.epilogue, row, panel * WIDTH, c);
        }
    }
}

/// 0..len in as few ranges of at most `most` as there can be, all but equally long, each beginning at a
/// multiple of `grain`, which divides `most`; one empty range if len is 0, so that a sum over nothing is
/// still made.
fn even(len: usize, most: usize, grain: usize) -> impl Iterator<Item = Range<usize>> {
    let (count, grains) = (len.div_ceil(most.max(1)).max(1), len.div_ceil(grain));
    let at = move |i| len.min(i * grains / count * grain);
    (0..count).map(move |i| at(i)..at(i + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_even_and_leave_nothing_out() {
        assert_eq!(even(30, 14, 1).collect::<Vec<_>>(), [0..10, 10..20, 20..30]);
        assert_eq!(even(40, 32, 16).collect::<Vec<_>>(), [0..16, 16..40]);
        for (len, grain) in (0..100).flat_map(|len| [(len, 1), (len, 7)]) {
            let ranges: Vec<_> = even(len, 7, grain).collect();
            assert_eq!(ranges.len(), len.div_ceil(7).max(1));
            assert!(ranges.iter().all(|range| range.len() <= 7));
            assert_eq!((ranges[0].start, ranges[ranges.len() - 1].end), (0, len));
            assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
        }
    }

    #[test]
    fn the_largest_tile_of_every_kernel_fits_its_buffer() {
        for isa in Isa::available() {
            for precision in Precision::ALL {
                for width in Microkernel::of(isa, precision).widths {
                    assert!(width.heights.len() * width.panels * WIDTH <= LARGEST_TILE);
                    assert!(width.panels * WIDTH <= WIDEST);
                }
            }
        }
    }
}
