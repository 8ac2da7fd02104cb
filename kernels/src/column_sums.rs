//! Column sums: the gradient of whatever is added to every row, a bias.
//!
//! ```text
//! yᵢⱼ = … + bⱼ    ⇒    ∂L/∂bⱼ = Σᵢ ∂L/∂yᵢⱼ
//! ```
//!
//! x `[t, c]`, sums `[c]`, to which the sums are added. γ and β of a layer norm are such vectors,
//! too: their kernel uses `over_rows_summed`.
//!
//! **Order.** A block of 64 rows is summed from top to bottom, then the blocks are, in order. Threads share the
//! blocks, so their number changes no bit; and no chain of additions is longer than 64 and the
//! number of blocks, so thousands of tokens cost little precision.
//!
//! Cost: 1 flop and 4 bytes an element, bound by memory. The compiler's vectors keep up with that:
//! one form serves every level, with the same bits.

use std::cell::Cell;

use crate::matrix::Apart;
use crate::{Isa, MatMut, MatRef, parallel};

/// Rows of a block.
const ROWS: usize = 64;

/// sums `[c]` += Σ over the rows of x `[t, c]`.
pub fn column_sums(_isa: Isa, x: MatRef<f32>, sums: &mut [f32]) {
    assert!(sums.len() == x.cols(), "sums of {} for {} columns", sums.len(), x.cols());
    let nothing = MatMut::new(&mut [], x.rows(), 0);
    over_rows_summed(nothing, sums, &|first, rows, sums| {
        for i in first..first + rows.rows() {
            add(x.row(i), sums);
        }
    });
}

/// y += x.
pub(crate) fn add(x: &[f32], y: &mut [f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += x;
    }
}

thread_local! {
    /// The sums of all blocks, `[blocks, c]`: with who leads.
    static PARTIAL: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Calls `f(first row, rows, their sums)` on blocks of 64 rows that together are `y`, each with sums that begin
/// at zero, and adds all of them to `sums`.
pub(crate) fn over_rows_summed(
    y: MatMut<f32>,
    sums: &mut [f32],
    f: &(impl Fn(usize, MatMut<f32>, &mut [f32]) + Sync),
) {
    let (t, cols, width) = (y.rows(), y.cols(), sums.len());
    let blocks = t.div_ceil(ROWS);
    let mut partial = PARTIAL.take();
    partial.clear();
    partial.resize(blocks * width, 0.0);
    let (y, apart) = (Apart::new(y), Apart::new(MatMut::new(&mut partial, blocks, width)));
    parallel::each(blocks, &|block| {
        let rows = block * ROWS..t.min((block + 1) * ROWS);
        // SAFETY: blocks follow one another, and each is asked for once.
        let y = unsafe { y.block(rows.clone(), 0..cols) };
        // SAFETY: as above, a row of sums for each block.
        let mut sums = unsafe { apart.block(block..block + 1, 0..width) };
        f(rows.start, y, sums.row_mut(0));
    });
    for block in partial.chunks_exact(width.max(1)) {
        add(block, sums);
    }
    PARTIAL.set(partial);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::differences::{assert_near, values};

    #[test]
    fn sums_are_added_to_what_was_there() {
        let mut sums = [10.0, 20.0];
        column_sums(Isa::best(), MatRef::new(&[1.0, 2.0, 3.0, 4.0], 2, 2), &mut sums);
        assert_eq!(sums, [14.0, 26.0]);
        column_sums(Isa::best(), MatRef::new(&[], 0, 2), &mut sums);
        column_sums(Isa::best(), MatRef::new(&[], 3, 0), &mut []);
        assert_eq!(sums, [14.0, 26.0]);
    }

    #[test]
    fn they_agree_with_f64_around_a_block_and_have_the_same_bits_for_any_number_of_threads() {
        for t in [1, 63, 64, 65, 1000] {
            let x = values(1, t * 5);
            let want: Vec<f64> =
                (0..5).map(|j| x.iter().skip(j).step_by(5).map(|&x| f64::from(x)).sum()).collect();
            let run = |threads| {
                let mut sums = [0.0; 5];
                let crew = parallel::Crew::new(threads).unwrap();
                crew.run(|| column_sums(Isa::best(), MatRef::new(&x, t, 5), &mut sums));
                sums
            };
            assert_near(&run(1), &want, 3e-6);
            assert_eq!(run(1), run(3));
        }
    }
}
