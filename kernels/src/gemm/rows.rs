//! Rows of bf16 or int8 as a micro-kernel reads its left factor, and the memory that they are made in.
//!
//! Whoever makes rows asks for room, fills each row up to the end of the panels' groups, and hands
//! them to a product: `blocking.rs` makes those of f32, `attention/int8.rs` its own weights. The
//! memory stays with its owner, a thread: to make rows again allocates nothing.

use super::pack::WIDTH;

/// Rows of words in memory that is used again and again.
#[derive(Default)]
pub(crate) struct MadeRows {
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
pub(super) struct Rows<'a> {
    /// Row i of a lies at `words + (i − first) · stride`.
    pub(super) words: *const u32,
    pub(super) first: usize,
    pub(super) stride: usize,
    /// Words of each.
    pub(super) k: usize,
    /// Words for each group of the panels: 2 where bf16 is multiplied by f32, else 1.
    pub(super) per_group: usize,
    /// int8: what a step of each is worth.
    pub(super) scales: &'a [f32],
}

impl MadeRows {
    /// Room for rows of so many groups of the panels. They hold what is left from before, zeros
    /// follow them up to a multiple of 16 rows, and a step is worth 1.
    pub(crate) fn room(&mut self, rows: usize, groups: usize) {
        (self.rows, self.groups) = (rows, groups);
        let len = rows.next_multiple_of(WIDTH) * self.stride();
        if self.words.len() < len + WIDTH {
            self.words.resize(len + WIDTH, 0);
        }
        if self.scales.len() < rows {
            self.scales.resize(rows, 1.0);
        }
        self.scales[..rows].fill(1.0);
        self.skip = self.words.as_ptr().align_offset(WIDTH * size_of::<u32>()).min(WIDTH);
        let used = self.skip + rows * self.stride();
        self.words[used..self.skip + len].fill(0);
    }

    /// The words of row i, and what a step of it is worth.
    pub(crate) fn row(&mut self, i: usize) -> (&mut [u32], &mut f32) {
        assert!(i < self.rows, "row {i} of {}", self.rows);
        let begin = self.skip + i * self.stride();
        (&mut self.words[begin..begin + self.groups], &mut self.scales[i])
    }

    /// How many.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Words of each.
    pub(super) fn groups(&self) -> usize {
        self.groups
    }

    /// The same for a kernel, as rows `first..` of a.
    pub(super) fn as_rows(&self, first: usize) -> Rows<'_> {
        let words = self.words[self.skip..].as_ptr();
        let (stride, k) = (self.stride(), self.groups);
        Rows { words, first, stride, k, per_group: 1, scales: &self.scales[..self.rows] }
    }

    /// A line more than needed, so that rows do not all fall into one set of L1.
    fn stride(&self) -> usize {
        self.groups + WIDTH
    }
}

/// The same memory as bytes.
pub(crate) fn bytes(words: &mut [u32]) -> &mut [u8] {
    // SAFETY: a u32 is four bytes, every pattern is valid for both, and the borrow goes over.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), size_of_val(words)) }
}
