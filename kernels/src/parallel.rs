//! Hands disjoint blocks of rows to the threads of rayon's current pool.
//!
//! No reduction ever crosses rows, so neither the number of threads nor where the rows are
//! cut can change a bit of the result. The caller chooses the pool by entering it
//! (`ThreadPool::install`); kernels only ask how wide it is.

use crate::MatMut;

/// Below so many elementary steps (some 20 µs) waking another thread costs more than it brings.
const WORTH_A_FORK: usize = 1 << 15;

/// Whether `work` elementary steps should be split over threads.
pub(crate) fn worthwhile(work: usize) -> bool {
    work >= WORTH_A_FORK && rayon::current_num_threads() > 1
}

/// How many pieces to cut something into that is worth `most` of them: four for each thread, so that
/// one that was late does not leave the others waiting.
pub(crate) fn pieces(most: usize) -> usize {
    match rayon::current_num_threads() {
        1 => 1,
        threads => most.clamp(1, 4 * threads),
    }
}

/// Calls `f(first column, columns)` on blocks of columns that together are `y`, in at most `most`
/// pieces that begin at multiples of `step`.
pub(crate) fn over_cols(
    y: MatMut<f32>,
    step: usize,
    most: usize,
    f: &(impl Fn(usize, MatMut<f32>) + Sync),
) {
    halve_cols(0, y, step, pieces(most), f);
}

fn halve_cols(
    first: usize,
    y: MatMut<f32>,
    step: usize,
    pieces: usize,
    f: &(impl Fn(usize, MatMut<f32>) + Sync),
) {
    let half = (y.cols() / 2).next_multiple_of(step);
    if pieces < 2 || half >= y.cols() {
        return f(first, y);
    }
    let (left, right) = y.split_at_col(half);
    let (before, after) = (pieces / 2, pieces - pieces / 2);
    rayon::join(
        || halve_cols(first, left, step, before, f),
        || halve_cols(first + half, right, step, after, f),
    );
}

/// Calls `f(first row, rows)` on blocks that together are `y`: in one piece where that is
/// small, else in pieces shared among threads. A row is `work` elementary steps.
pub(crate) fn over_rows(y: MatMut<f32>, work: usize, f: impl Fn(usize, MatMut<f32>) + Sync) {
    if !worthwhile(y.rows() * work) {
        return f(0, y);
    }
    // Four pieces a thread, so that a thread that was late does not leave the others waiting.
    let even = y.rows().div_ceil(4 * rayon::current_num_threads());
    halve(0, y, even.max(WORTH_A_FORK / 4 / work), &f);
}

fn halve(first: usize, y: MatMut<f32>, piece: usize, f: &(impl Fn(usize, MatMut<f32>) + Sync)) {
    if y.rows() <= piece {
        return f(first, y);
    }
    let half = y.rows() / 2;
    let (head, tail) = y.split_at_row(half);
    rayon::join(|| halve(first, head, piece, f), || halve(first + half, tail, piece, f));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_visited_once_and_knows_its_number() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        for rows in [0, 1, 5, 1000, 40_001] {
            let mut y = vec![0.0; rows * 2];
            pool.install(|| {
                over_rows(MatMut::new(&mut y, rows, 2), 2, |first, mut y| {
                    for i in 0..y.rows() {
                        y.row_mut(i)[1] += (first + i + 1) as f32;
                    }
                })
            });
            assert!(y.chunks(2).enumerate().all(|(i, row)| row[1] == (i + 1) as f32));
        }
    }
}
