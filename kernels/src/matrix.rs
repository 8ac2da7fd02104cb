//! Matrices as slices: rows × columns with a row stride, bounds checked at birth.
//!
//! Row `i` begins at `i · row_stride` and holds `cols` values; what lies between
//! rows belongs to somebody else (the q, k and v parts of one buffer, say).

use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::slice;
use std::sync::Arc;

/// Weights that may be owned or lie in a mapped file: whoever holds one keeps the bytes alive.
pub type Shared<T> = Arc<dyn AsRef<[T]> + Send + Sync>;

/// A matrix to read.
///
/// Behind it is a pointer, not a slice: two blocks of columns interleave in memory, and
/// slices over both could not be held by two threads of which one writes.
pub struct MatRef<'a, T> {
    data: *const T,
    rows: usize,
    cols: usize,
    row_stride: usize,
    owner: PhantomData<&'a [T]>,
}

/// A matrix to write: nobody else reads or writes its values meanwhile.
pub struct MatMut<'a, T> {
    data: *mut T,
    rows: usize,
    cols: usize,
    row_stride: usize,
    owner: PhantomData<&'a mut [T]>,
}

// SAFETY: a MatRef is a shared borrow of its values and nothing more, like `&[T]`.
unsafe impl<T: Sync> Send for MatRef<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for MatRef<'_, T> {}
// SAFETY: a MatMut is the only borrow of its values, like `&mut [T]`.
unsafe impl<T: Send> Send for MatMut<'_, T> {}
// SAFETY: through `&MatMut` values can only be read, as through `&&mut [T]`.
unsafe impl<T: Sync> Sync for MatMut<'_, T> {}

impl<T> Clone for MatRef<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for MatRef<'_, T> {}

impl<'a, T> MatRef<'a, T> {
    /// `rows × cols` values without gaps. Panics if `data` is shorter.
    pub fn new(data: &'a [T], rows: usize, cols: usize) -> Self {
        Self::with_stride(data, rows, cols, cols)
    }

    /// `rows` rows of `cols` values, each row `row_stride` after the last. Panics if `data` is shorter.
    pub fn with_stride(data: &'a [T], rows: usize, cols: usize, row_stride: usize) -> Self {
        assert_spans(data.len(), rows, cols, row_stride);
        MatRef { data: data.as_ptr(), rows, cols, row_stride, owner: PhantomData }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Distance between the starts of two rows, in values.
    pub fn row_stride(&self) -> usize {
        self.row_stride
    }

    /// The first value of the first row.
    pub fn as_ptr(&self) -> *const T {
        self.data
    }

    /// Row `i`: `cols` values.
    pub fn row(&self, i: usize) -> &'a [T] {
        assert!(i < self.rows, "row {i} of {}", self.rows);
        // SAFETY: at birth row i < rows was seen to lie in a slice borrowed for 'a.
        unsafe { slice::from_raw_parts(self.data.add(i * self.row_stride), self.cols) }
    }

    /// The part in `rows` × `cols`.
    pub fn block(&self, rows: Range<usize>, cols: Range<usize>) -> MatRef<'a, T> {
        assert_block(&rows, &cols, self.rows, self.cols);
        // Nothing is read of a block without rows, whose start may lie outside.
        let data = self.data.wrapping_add(rows.start * self.row_stride + cols.start);
        MatRef { data, rows: rows.len(), cols: cols.len(), ..*self }
    }
}

impl<'a, T> MatMut<'a, T> {
    /// `rows × cols` values without gaps. Panics if `data` is shorter.
    pub fn new(data: &'a mut [T], rows: usize, cols: usize) -> Self {
        Self::with_stride(data, rows, cols, cols)
    }

    /// `rows` rows of `cols` values, each row `row_stride` after the last. Panics if `data` is shorter.
    pub fn with_stride(data: &'a mut [T], rows: usize, cols: usize, row_stride: usize) -> Self {
        assert_spans(data.len(), rows, cols, row_stride);
        MatMut { data: data.as_mut_ptr(), rows, cols, row_stride, owner: PhantomData }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Distance between the starts of two rows, in values.
    pub fn row_stride(&self) -> usize {
        self.row_stride
    }

    /// The first value of the first row.
    pub fn as_mut_ptr(&mut self) -> *mut T {
        self.data
    }

    /// The same matrix to read.
    pub fn as_ref(&self) -> MatRef<'_, T> {
        let MatMut { data, rows, cols, row_stride, .. } = *self;
        MatRef { data, rows, cols, row_stride, owner: PhantomData }
    }

    /// The same matrix to read, for as long as it was to be written.
    pub fn into_ref(self) -> MatRef<'a, T> {
        let MatMut { data, rows, cols, row_stride, .. } = self;
        MatRef { data, rows, cols, row_stride, owner: PhantomData }
    }

    /// The same matrix to write, for a shorter time.
    pub fn reborrow(&mut self) -> MatMut<'_, T> {
        MatMut { owner: PhantomData, ..*self }
    }

    /// Row `i`: `cols` values.
    pub fn row_mut(&mut self, i: usize) -> &mut [T] {
        assert!(i < self.rows, "row {i} of {}", self.rows);
        // SAFETY: at birth row i < rows was seen to lie in a slice, which is ours alone.
        unsafe { slice::from_raw_parts_mut(self.data.add(i * self.row_stride), self.cols) }
    }

    /// The part in `rows` × `cols`, to write.
    pub fn block(&mut self, rows: Range<usize>, cols: Range<usize>) -> MatMut<'_, T> {
        assert_block(&rows, &cols, self.rows, self.cols);
        let data = self.data.wrapping_add(rows.start * self.row_stride + cols.start);
        MatMut { data, rows: rows.len(), cols: cols.len(), owner: PhantomData, ..*self }
    }

    /// Rows before `at`, and the rest.
    pub fn split_at_row(self, at: usize) -> (MatMut<'a, T>, MatMut<'a, T>) {
        assert!(at <= self.rows, "split at row {at} of {}", self.rows);
        let tail = self.data.wrapping_add(at * self.row_stride);
        (MatMut { rows: at, ..self }, MatMut { data: tail, rows: self.rows - at, ..self })
    }

    /// Columns before `at`, and the rest: no value is in both.
    pub fn split_at_col(self, at: usize) -> (MatMut<'a, T>, MatMut<'a, T>) {
        assert!(at <= self.cols, "split at column {at} of {}", self.cols);
        let tail = self.data.wrapping_add(at);
        (MatMut { cols: at, ..self }, MatMut { data: tail, cols: self.cols - at, ..self })
    }
}

/// A matrix that several threads write, each its own blocks of it.
pub(crate) struct Apart<'a, T>(MatMut<'a, T>);

impl<'a, T: Send> Apart<'a, T> {
    pub(crate) fn new(whole: MatMut<'a, T>) -> Apart<'a, T> {
        Apart(whole)
    }

    /// The part in `rows` × `cols`, to write.
    ///
    /// # Safety
    ///
    /// While the block is in use, no other that shares a value with it may be.
    pub(crate) unsafe fn block(&self, rows: Range<usize>, cols: Range<usize>) -> MatMut<'_, T> {
        assert_block(&rows, &cols, self.0.rows, self.0.cols);
        let data = self.0.data.wrapping_add(rows.start * self.0.row_stride + cols.start);
        MatMut { data, rows: rows.len(), cols: cols.len(), owner: PhantomData, ..self.0 }
    }
}

// SAFETY: threads that share it get blocks without a value in common, as `block` demands.
unsafe impl<T: Send> Sync for Apart<'_, T> {}

/// Asserts that a slice of `len` holds the matrix: the last row needs no padding behind it.
fn assert_spans(len: usize, rows: usize, cols: usize, row_stride: usize) {
    assert!(cols <= row_stride, "{cols} columns do not fit a row stride of {row_stride}");
    let need = match rows {
        0 => Some(0),
        _ => (rows - 1).checked_mul(row_stride).and_then(|n| n.checked_add(cols)),
    };
    let need = need.expect("matrix larger than the address space");
    assert!(len >= need, "matrix of {need} values over a slice of {len}");
}

fn assert_block(block_rows: &Range<usize>, block_cols: &Range<usize>, rows: usize, cols: usize) {
    let fits = |part: &Range<usize>, whole| part.start <= part.end && part.end <= whole;
    assert!(fits(block_rows, rows), "rows {block_rows:?} of {rows}");
    assert!(fits(block_cols, cols), "columns {block_cols:?} of {cols}");
}

impl<T> fmt::Debug for MatRef<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MatRef({} × {}, stride {})", self.rows, self.cols, self.row_stride)
    }
}

impl<T> fmt::Debug for MatMut<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MatMut({} × {}, stride {})", self.rows, self.cols, self.row_stride)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_row_needs_no_padding() {
        let data = [1.0f32, 2.0, 9.0, 3.0, 4.0];
        let m = MatRef::with_stride(&data, 2, 2, 3);
        assert_eq!((m.row(0), m.row(1)), (&data[0..2], &data[3..5]));
        assert_eq!(m.block(1..2, 1..2).row(0), &[4.0]);
    }

    #[test]
    fn a_split_covers_every_row_once() {
        let mut data = [0u8; 5];
        let (mut a, mut b) = MatMut::with_stride(&mut data, 2, 2, 3).split_at_row(1);
        a.row_mut(0).fill(1);
        b.row_mut(0).fill(2);
        assert_eq!(data, [1, 1, 0, 2, 2]);
    }

    #[test]
    fn column_blocks_are_written_apart_from_two_threads() {
        let mut data = [0u8; 12];
        let (mut a, mut b) = MatMut::new(&mut data, 3, 4).split_at_col(1);
        std::thread::scope(|scope| {
            scope.spawn(move || (0..3).for_each(|i| a.row_mut(i).fill(1)));
            (0..3).for_each(|i| b.row_mut(i).fill(2));
        });
        assert_eq!(data, [1, 2, 2, 2, 1, 2, 2, 2, 1, 2, 2, 2]);
    }

    #[test]
    fn an_empty_block_may_begin_at_the_end() {
        let mut data = [1.0f32; 4];
        assert_eq!(MatRef::new(&data, 2, 2).block(2..2, 2..2).rows(), 0);
        let mut m = MatMut::new(&mut data, 2, 2);
        assert_eq!(m.block(1..2, 2..2).row_mut(0), &mut []);
    }

    #[test]
    #[should_panic(expected = "rows 1..3 of 2")]
    fn a_block_outside_is_refused() {
        MatRef::new(&[0u8; 4], 2, 2).block(1..3, 0..2);
    }

    #[test]
    #[should_panic(expected = "matrix of 6 values over a slice of 5")]
    fn a_short_slice_is_refused() {
        MatRef::new(&[0u8; 5], 2, 3);
    }
}
