//! All activations of a forward pass in one allocation.
//!
//! A pass says how much it needs, takes a frame, and cuts its matrices from it; when the
//! frame is dropped everything is free again. The allocation grows to the largest pass seen
//! and stays: a warm forward allocates nothing.

use std::sync::{Mutex, PoisonError};

use zhengzi_kernels::MatMut;
use zhengzi_kernels::gemm::MadeRows;

/// Matrices and their rows begin at multiples of this many floats: one cache line.
const ALIGN: usize = 16;

/// Rows this many floats apart, or any multiple, share few of the 64 sets of a first-level cache. A
/// matrix product reads a dozen rows side by side, so the arena keeps such rows a line further apart.
const UNLUCKY: usize = 256;

/// Memory for the activations of one forward pass at a time.
#[derive(Default)]
pub struct Arena {
    buffer: Vec<f32>,
    made: [MadeRows; 2],
}

impl Arena {
    /// An empty arena; the first frame allocates.
    pub fn new() -> Arena {
        Arena::default()
    }

    /// How many floats a frame with room for matrices of these shapes takes.
    pub fn floats(shapes: &[(usize, usize)]) -> usize {
        shapes.iter().map(|&(rows, cols)| rows * stride(cols)).sum::<usize>() + ALIGN
    }

    /// A frame with room for matrices of these shapes (rows, columns), and two places for rows that are made
    /// for a product.
    pub fn frame(&mut self, shapes: &[(usize, usize)]) -> (Frame<'_>, &mut [MadeRows; 2]) {
        let floats = Arena::floats(shapes);
        if self.buffer.len() < floats {
            // Not `resize`: nobody needs the old activations copied.
            self.buffer = Vec::new();
            self.buffer = vec![0.0; floats];
        }
        let skip = self.buffer.as_ptr().align_offset(ALIGN * size_of::<f32>()).min(ALIGN);
        (Frame { rest: &mut self.buffer[skip..] }, &mut self.made)
    }
}

/// Arenas for passes that run side by side: as many as ever did at once.
#[derive(Default)]
pub struct Arenas(Mutex<Vec<Arena>>);

impl Arenas {
    /// None yet.
    pub fn new() -> Arenas {
        Arenas::default()
    }

    /// Lends one to `work`.
    pub fn with<R>(&self, work: impl FnOnce(&mut Arena) -> R) -> R {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = lock().pop();
        let mut arena = idle.unwrap_or_default();
        let result = work(&mut arena);
        lock().push(arena);
        result
    }
}

/// The activations of one forward pass. What a matrix holds at first is left from
/// earlier passes: write before reading.
pub struct Frame<'a> {
    rest: &'a mut [f32],
}

impl<'a> Frame<'a> {
    /// The next matrix. Panics if the frame was not asked for that much.
    pub fn take(&mut self, rows: usize, cols: usize) -> MatMut<'a, f32> {
        let need = rows * stride(cols);
        let rest = std::mem::take(&mut self.rest);
        assert!(rest.len() >= need, "the frame has {} floats left, not {need}", rest.len());
        let (matrix, rest) = rest.split_at_mut(need);
        self.rest = rest;
        MatMut::with_stride(matrix, rows, cols, stride(cols))
    }
}

/// From one row of `cols` values to the next.
fn stride(cols: usize) -> usize {
    match cols.next_multiple_of(ALIGN) {
        unlucky if unlucky % UNLUCKY == 0 => unlucky + ALIGN,
        stride => stride,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_of_a_frame_do_not_overlap_and_are_aligned() {
        let mut arena = Arena::new();
        for _ in 0..2 {
            let (mut frame, _) = arena.frame(&[(3, 5), (2, 2)]);
            let (mut a, mut b) = (frame.take(3, 5), frame.take(2, 2));
            (0..3).for_each(|i| a.row_mut(i).fill(1.0));
            (0..2).for_each(|i| b.row_mut(i).fill(2.0));
            assert!((0..3).all(|i| a.row_mut(i).iter().all(|&x| x == 1.0)));
            assert_eq!((a.as_mut_ptr() as usize % 64, b.as_mut_ptr() as usize % 64), (0, 0));
        }
    }

    #[test]
    fn rows_begin_at_cache_lines_that_are_not_a_page_apart() {
        let mut arena = Arena::new();
        for (cols, stride) in [(0, 16), (1, 16), (64, 64), (256, 272), (768, 784), (1024, 1040)] {
            let (mut frame, _) = arena.frame(&[(3, cols)]);
            assert_eq!(frame.take(3, cols).row_stride(), stride);
        }
    }

    #[test]
    #[should_panic(expected = "floats left")]
    fn more_than_was_asked_for_is_refused() {
        Arena::new().frame(&[(1, 1)]).0.take(100, 1);
    }
}
