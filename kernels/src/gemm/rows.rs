//! The left factor of a product, and rows of bf16 or int8 as a micro-kernel reads it.
//!
//! ```text
//! f32                 rows where they lie
//! bf16, int8 (AMX)    words of two or four values, rounded once by whoever wrote the values:
//!                     LayerNorm, GELU, or `make`; read by every thread that makes a part of c
//! bf16, int8 (else)   bf16 is multiplied by rows of f32; int8 is made likewise, with an offset
//! ```
//!
//! Which of these a product wants is a matter of its instruction set and precision: whoever calls
//! [`make()`] gets the right one back. The memory stays with its owner: to make rows again
//! allocates nothing.

use super::pack::{WIDTH, extents};
use super::quantize::quantize;
#[cfg(target_arch = "x86_64")]
use super::quantize::round_for_amx;
use super::tile::{Left, Microkernel};
use crate::{Isa, MatRef, Precision, parallel};

/// The left factor a `[m, k]` of a product.
#[derive(Clone, Copy)]
pub enum Rows<'a> {
    /// In f32. A product that wants other rows makes them, each thread for itself.
    F32(MatRef<'a, f32>),
    /// Made for the instruction set and precision of the product.
    Made(&'a MadeRows),
}

impl Rows<'_> {
    /// m.
    pub fn rows(&self) -> usize {
        match self {
            Rows::F32(a) => a.rows(),
            Rows::Made(made) => made.rows(),
        }
    }
}

impl<'a> From<MatRef<'a, f32>> for Rows<'a> {
    fn from(a: MatRef<'a, f32>) -> Self {
        Rows::F32(a)
    }
}

/// Rows of words in memory that is used again and again.
#[derive(Default)]
pub struct MadeRows {
    words: Vec<u32>,
    /// Words before the first row: rows begin at cache lines. A register of AMX reads 16 lines, which else
    /// were 32.
    skip: usize,
    rows: usize,
    groups: usize,
    /// int8: what a step of each row is worth.
    scales: Vec<f32>,
}

/// The left factor as a kernel reads it.
pub(crate) struct RowsAt<'a> {
    /// Row i of a lies at `words + (i − first) · stride`.
    pub(crate) words: *const u32,
    pub(super) first: usize,
    pub(crate) stride: usize,
    /// Words of each.
    pub(super) k: usize,
    /// Words for each group of the panels: 2 where bf16 is multiplied by f32, else 1.
    pub(super) per_group: usize,
    /// int8: what a step of each is worth.
    pub(super) scales: &'a [f32],
}

/// x `[m, k]` as the left factor of a product in this precision; made in `made`, on the threads of the current
/// crew, where that is not x itself.
pub fn make<'a>(
    isa: Isa,
    precision: Precision,
    x: MatRef<'a, f32>,
    made: &'a mut MadeRows,
) -> Rows<'a> {
    let Some(maker) = Maker::of(isa, precision) else { return Rows::F32(x) };
    made.room(x.rows(), groups(precision, x.cols()));
    let (rows, apart) = (x.rows(), made.apart());
    let each = parallel::share(rows).unwrap_or_else(|| {
        let pieces = parallel::pieces(rows * x.cols() / 4, parallel::threads());
        rows.div_ceil(pieces).max(1)
    });
    parallel::each(rows.div_ceil(each), &|piece| {
        for i in piece * each..rows.min((piece + 1) * each) {
            // SAFETY: each row is in one piece.
            let (words, scale) = unsafe { apart.row(i) };
            *scale = maker.make(x.row(i), words);
        }
    });
    Rows::Made(made)
}

/// Groups of the panels for rows of k values.
pub(crate) fn groups(precision: Precision, k: usize) -> usize {
    extents(precision, 0, k).1
}

/// How a row of f32 becomes one that a product reads.
#[derive(Clone, Copy)]
pub(crate) struct Maker {
    isa: Isa,
    left: Left,
    precision: Precision,
}

impl Maker {
    /// None where the product reads f32 in place.
    pub(crate) fn of(isa: Isa, precision: Precision) -> Option<Maker> {
        let left = Microkernel::of(isa, precision).left;
        (left != Left::InPlace).then_some(Maker { isa, left, precision })
    }

    /// Whether each value is rounded for itself: then whoever computes it may write it so at once.
    pub(crate) fn is_bf16(&self) -> bool {
        self.precision == Precision::Bf16
    }

    /// The words of x, and what a step of them is worth.
    pub(crate) fn make(&self, x: &[f32], words: &mut [u32]) -> f32 {
        match self.left {
            Left::InPlace => unreachable!("rows that are read in place are not made"),
            Left::Bands if self.is_bf16() => {
                // SAFETY: bands are wanted by AMX alone, whose level has AVX-512 BF16.
                #[cfg(target_arch = "x86_64")]
                unsafe {
                    round_for_amx(x, words)
                };
                1.0
            }
            Left::Bands => quantize(self.isa, x, 0, bytes(words)),
            Left::Int8 { offset } => quantize(self.isa, x, offset, bytes(words)),
        }
    }
}

impl MadeRows {
    /// What [`make()`] would give for x, of which these rows were made the last time: they are not made again.
    pub fn again<'a>(&'a self, isa: Isa, precision: Precision, x: MatRef<'a, f32>) -> Rows<'a> {
        match Maker::of(isa, precision) {
            None => Rows::F32(x),
            Some(_) => Rows::Made(self),
        }
    }

    /// Room for rows of so many groups of the panels. They hold what is left from before, as does what
    /// follows them up to a multiple of 16 rows; a step is worth 1.
    pub(crate) fn room(&mut self, rows: usize, groups: usize) {
        (self.rows, self.groups) = (rows, groups);
        let len = rows.next_multiple_of(WIDTH) * self.stride();
        if self.words.len() < len + WIDTH {
            self.words = Vec::new(); // nobody needs the old ones copied
            self.words = vec![0; len + WIDTH];
        }
        if self.scales.len() < rows {
            self.scales.resize(rows, 1.0);
        }
        self.scales[..rows].fill(1.0);
        self.skip = self.words.as_ptr().align_offset(WIDTH * size_of::<u32>()).min(WIDTH);
    }

    /// The words of row i, and what a step of it is worth.
    pub(crate) fn row(&mut self, i: usize) -> (&mut [u32], &mut f32) {
        assert!(i < self.rows, "row {i} of {}", self.rows);
        let begin = self.skip + i * self.stride();
        (&mut self.words[begin..begin + self.groups], &mut self.scales[i])
    }

    /// The same rows for several threads, each its own.
    pub(crate) fn apart(&mut self) -> RowsApart {
        let (rows, groups, stride) = (self.rows, self.groups, self.stride());
        assert!(self.skip + rows * stride <= self.words.len() && rows <= self.scales.len());
        let words = self.words[self.skip..].as_mut_ptr();
        RowsApart { words, scales: self.scales.as_mut_ptr(), rows, groups, stride }
    }

    /// How many.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Words of each.
    pub(super) fn groups(&self) -> usize {
        self.groups
    }

    /// The same for a kernel, as rows `first..` of a.
    pub(crate) fn as_rows(&self, first: usize) -> RowsAt<'_> {
        let words = self.words[self.skip..].as_ptr();
        let (stride, k) = (self.stride(), self.groups);
        RowsAt { words, first, stride, k, per_group: 1, scales: &self.scales[..self.rows] }
    }

    /// A line more than needed, so that rows do not all fall into one set of L1.
    fn stride(&self) -> usize {
        self.groups + WIDTH
    }
}

/// Rows that several threads write. Made by [`MadeRows::apart`], which lives longer.
#[derive(Clone, Copy)]
pub(crate) struct RowsApart {
    words: *mut u32,
    scales: *mut f32,
    pub(crate) rows: usize,
    pub(crate) groups: usize,
    /// From one row to the next, in words.
    pub(crate) stride: usize,
}

// SAFETY: threads that share it get rows, or parts of rows, without a value in common, as its functions demand.
unsafe impl Sync for RowsApart {}
// SAFETY: as above.
unsafe impl Send for RowsApart {}

impl RowsApart {
    /// The words of row i, and what a step of it is worth.
    ///
    /// # Safety
    ///
    /// The [`MadeRows`] still live, and nobody else has this row while it is in use.
    #[allow(clippy::mut_from_ref)] // as `Apart`
    pub(crate) unsafe fn row(&self, i: usize) -> (&mut [u32], &mut f32) {
        assert!(i < self.rows, "row {i} of {}", self.rows);
        // SAFETY: there are so many rows of so many words (`apart`), and this one is the caller's.
        unsafe {
            let words = self.words.add(i * self.stride);
            (std::slice::from_raw_parts_mut(words, self.groups), &mut *self.scales.add(i))
        }
    }
}

#[cfg(target_arch = "x86_64")]
impl RowsApart {
    /// Where some words of some rows lie, each row a `stride` after the last.
    ///
    /// # Safety
    ///
    /// As for [`RowsApart::row`], for these words of these rows.
    pub(super) unsafe fn part(
        &self,
        row: usize,
        rows: usize,
        word: usize,
        words: usize,
    ) -> *mut u32 {
        assert!(row + rows <= self.rows, "rows {row} + {rows} of {}", self.rows);
        assert!(word + words <= self.groups, "words {word} + {words} of {}", self.groups);
        // SAFETY: there are so many rows of so many words.
        unsafe { self.words.add(row * self.stride + word) }
    }
}

/// The same memory as bytes.
pub(crate) fn bytes(words: &mut [u32]) -> &mut [u8] {
    // SAFETY: a u32 is four bytes, every pattern is valid for both, and the borrow goes over.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), size_of_val(words)) }
}
