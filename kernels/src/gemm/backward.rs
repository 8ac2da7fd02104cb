//! The way back through a matrix product: two products more.
//!
//! y = x Wᵀ + b has yᵢⱼ = Σₗ xᵢₗ wⱼₗ + bⱼ: xᵢₗ is in yᵢⱼ with wⱼₗ before it, for every j, and wⱼₗ with xᵢₗ, for
//! every i. So
//!
//! ```text
//! dxᵢₗ = Σⱼ dyᵢⱼ wⱼₗ        dx = dy · W          m × n times n × k
//! dwⱼₗ = Σᵢ dyᵢⱼ xᵢₗ        dW = dyᵀ · x         n × m times m × k
//! dbⱼ  = Σᵢ dyᵢⱼ                                 column_sums.rs
//! ```
//!
//! x `[m, k]`, W `[n, k]`, dy `[m, n]`; dx is like x and dW like W. Both are products of the forward pass with
//! other factors, by the same micro-kernels: W and x are packed as they lie, 64 columns at a time, and dy is
//! transposed for dW.
//!
//! **Order.** A value of dx is one chain over n. A value of dW is a chain over 512 rows of dy at a time (their
//! transpose stays in L2, and errors grow as the square root of that), added to dW chain after chain. Threads share
//! blocks of dW: neither their number nor who does what changes a bit.
//!
//! Cost: 4mnk flops for both, twice the way there.

use std::cell::RefCell;

use super::blocking::A_STEP;
use super::pack::WIDTH;
use super::transpose::transpose;
use super::{STRIP, Scratch, product};
use crate::column_sums::add;
use crate::{Isa, MatMut, MatRef, parallel};

/// What becomes of the values that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accumulate {
    /// They are overwritten.
    Set,
    /// The result is added to them.
    Add,
}

/// Rows of dy that one chain of dW goes over.
const CHAIN: usize = 512;

/// Floats between the rows of dyᵀ, so that they do not all fall into one set of L1.
const APART: usize = 16;

/// dx `[m, k]` = dy `[m, n]` · W `[n, k]`, or that is added to it.
pub fn gemm_backward_input(
    isa: Isa,
    dy: MatRef<f32>,
    w: MatRef<f32>,
    accumulate: Accumulate,
    dx: MatMut<f32>,
) {
    assert!(dy.cols() == w.rows(), "dy of {} columns times W of {} rows", dy.cols(), w.rows());
    assert!(dx.rows() == dy.rows(), "dx of {} rows for dy of {}", dx.rows(), dy.rows());
    assert!(dx.cols() == w.cols(), "dx of {} columns for W of {}", dx.cols(), w.cols());
    let (m, n, k) = (dy.rows(), w.rows(), w.cols());
    let pieces = parallel::pieces((m + 16) * n * k / A_STEP, k.div_ceil(STRIP));
    let cols = k.div_ceil(pieces).next_multiple_of(STRIP).max(1);
    parallel::over_blocks(dx, m.max(1), cols, &|_, col, dx| {
        let w = w.block(0..n, col..col + dx.cols());
        SCRATCH.with_borrow_mut(|Factors { panels, sums, .. }| {
            multiply(isa, dy, w, panels, sums, accumulate, dx);
        })
    });
}

/// dW `[n, k]` += dyᵀ · x, for dy `[m, n]` and x `[m, k]`.
pub fn gemm_backward_weight(isa: Isa, dy: MatRef<f32>, x: MatRef<f32>, dw: MatMut<f32>) {
    let (m, n, k) = (dy.rows(), dy.cols(), x.cols());
    assert!(x.rows() == m, "x of {} rows for dy of {m}", x.rows());
    assert!(dw.rows() == n, "dW of {} rows for dy of {n} columns", dw.rows());
    assert!(dw.cols() == k, "dW of {} columns for x of {k}", dw.cols());
    // Blocks of rows as high as pays, and where threads are left over, of columns.
    let pieces = parallel::pieces(m * n * k / A_STEP, usize::MAX);
    let rows = n.div_ceil(pieces).clamp(LOW.min(n).max(1), HIGH);
    let across = pieces.div_ceil(n.div_ceil(rows).max(1));
    let cols = k.div_ceil(across).next_multiple_of(STRIP);
    parallel::over_blocks(dw, rows, cols.max(1), &|row, col, mut dw| {
        let (n, k) = (row..row + dw.rows(), col..col + dw.cols());
        SCRATCH.with_borrow_mut(|Factors { panels, turned, sums }| {
            for first in (0..m).step_by(CHAIN) {
                let rows = first..m.min(first + CHAIN);
                let stride = rows.len() + APART;
                turned.resize(turned.len().max(n.len() * stride), 0.0);
                let mut turned = MatMut::with_stride(turned, n.len(), rows.len(), stride);
                transposed(isa, dy.block(rows.clone(), n.clone()), turned.reborrow());
                let x = x.block(rows, k.clone());
                multiply(isa, turned.as_ref(), x, panels, sums, Accumulate::Add, dw.reborrow());
            }
        })
    });
}

/// Rows of dW below which packing x again for each block costs more than another thread saves.
const LOW: usize = 64;

/// And above which their transpose leaves L2: 256 chains of 512 are 512 KiB.
const HIGH: usize = 256;

/// What a thread makes of the factors.
#[derive(Default)]
struct Factors {
    /// A strip of the right one.
    panels: Scratch,
    /// dyᵀ.
    turned: Vec<f32>,
    /// A product before it is added.
    sums: Vec<f32>,
}

thread_local! {
    static SCRATCH: RefCell<Factors> = RefCell::default();
}

/// c `[m, k]` = a `[m, n]` · b `[n, k]`, b as it lies, on this thread: a strip of b after the other.
fn multiply(
    isa: Isa,
    a: MatRef<f32>,
    b: MatRef<f32>,
    panels: &mut Scratch,
    sums: &mut Vec<f32>,
    accumulate: Accumulate,
    mut c: MatMut<f32>,
) {
    let (m, n) = (a.rows(), b.rows());
    for col in (0..c.cols()).step_by(STRIP) {
        let cols = col..c.cols().min(col + STRIP);
        let b = panels.copied(b.block(0..n, cols.clone()));
        let mut c = c.block(0..m, cols.clone());
        match accumulate {
            Accumulate::Set => product(isa, a, b, c),
            Accumulate::Add => {
                sums.resize(sums.len().max(m * cols.len()), 0.0);
                let mut sums = MatMut::new(sums, m, cols.len());
                product(isa, a, b, sums.reborrow());
                for i in 0..m {
                    add(sums.row_mut(i), c.row_mut(i));
                }
            }
        }
    }
}

/// y `[n, m]` = xᵀ of x `[m, n]`, on this thread: 16 × 16 values at a time.
pub(crate) fn transposed(isa: Isa, x: MatRef<f32>, mut y: MatMut<f32>) {
    let (m, n) = (x.rows(), x.cols());
    assert!((y.rows(), y.cols()) == (n, m), "{} × {} for {n} × {m}", y.rows(), y.cols());
    for i in (0..m).step_by(WIDTH) {
        let live = WIDTH.min(m - i);
        for j in (0..n).step_by(WIDTH) {
            let wide = WIDTH.min(n - j);
            let mut rows = [&[][..]; WIDTH];
            for (lane, row) in rows[..live].iter_mut().enumerate() {
                *row = &x.row(i + lane)[j..j + wide];
            }
            let mut lines = [[0; WIDTH]; WIDTH];
            transpose(isa, &rows[..live], 1.0, &mut lines[..wide]);
            for (line, j) in lines[..wide].iter().zip(j..) {
                let y = &mut y.row_mut(j)[i..i + live];
                y.iter_mut().zip(line).for_each(|(y, &word)| *y = f32::from_bits(word));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::differences::{assert_near, values};

    /// Around the widths of panels and strips, the heights of tiles, and the length of a chain.
    const SHAPES: [(usize, usize, usize); 12] = [
        (1, 1, 1),
        (2, 3, 4),
        (5, 16, 17),
        (15, 33, 63),
        (17, 14, 65),
        (511, 5, 3),
        (512, 3, 5),
        (513, 17, 66),
        (1100, 2, 130),
        (64, 129, 64),
        (3, 300, 31),
        (70, 520, 9),
    ];

    /// Σ over `len` of a(l) b(l), in f64.
    fn sum(len: usize, a: impl Fn(usize) -> f32, b: impl Fn(usize) -> f32) -> f64 {
        (0..len).map(|l| f64::from(a(l)) * f64::from(b(l))).sum()
    }

    /// The loss Σ dy ∘ (x Wᵀ) is linear in x and in W: its differences are these very sums.
    #[test]
    fn both_gradients_agree_with_f64_at_every_shape_on_every_level() {
        for (m, n, k) in SHAPES {
            let (x, w, dy) = (values(1, m * k), values(2, n * k), values(3, m * n));
            let (ones, mut dx) = (vec![1.0; n * k], vec![1.0; m * k]);
            let at = |i: usize, l: usize| sum(n, |j| dy[i * n + j], |j| w[j * k + l]);
            let want_dx: Vec<f64> = (0..m * k).map(|place| at(place / k, place % k)).collect();
            let at = |j: usize, l: usize| sum(m, |i| dy[i * n + j], |i| x[i * k + l]);
            let want_dw: Vec<f64> = (0..n * k).map(|place| at(place / k, place % k)).collect();
            let (x, w) = (MatRef::new(&x, m, k), MatRef::new(&w, n, k));
            let dy = MatRef::new(&dy, m, n);
            for isa in Isa::available() {
                let tolerance = |chain: usize| 3e-7 * (chain as f64).sqrt() + 1e-6;
                gemm_backward_input(isa, dy, w, Accumulate::Set, MatMut::new(&mut dx, m, k));
                assert_near(&dx, &want_dx, tolerance(n));
                gemm_backward_input(isa, dy, w, Accumulate::Add, MatMut::new(&mut dx, m, k));
                let twice: Vec<f64> = want_dx.iter().map(|dx| 2.0 * dx).collect();
                assert_near(&dx, &twice, tolerance(n));
                let mut dw = ones.clone();
                gemm_backward_weight(isa, dy, x, MatMut::new(&mut dw, n, k));
                dw.iter_mut().for_each(|dw| *dw -= 1.0);
                assert_near(&dw, &want_dw, tolerance(m));
            }
        }
    }

    #[test]
    fn products_over_nothing_set_zeros_or_add_nothing() {
        let (nothing, mut c) = ([0.0f32; 0], [7.0; 6]);
        let isa = Isa::best();
        gemm_backward_weight(
            isa,
            MatRef::new(&nothing, 0, 2),
            MatRef::new(&nothing, 0, 3),
            MatMut::new(&mut c, 2, 3),
        );
        assert_eq!(c, [7.0; 6]);
        let (dy, w) = (MatRef::new(&nothing, 2, 0), MatRef::new(&nothing, 0, 3));
        gemm_backward_input(isa, dy, w, Accumulate::Add, MatMut::new(&mut c, 2, 3));
        assert_eq!(c, [7.0; 6]);
        gemm_backward_input(isa, dy, w, Accumulate::Set, MatMut::new(&mut c, 2, 3));
        assert_eq!(c, [0.0; 6]);
    }

    #[test]
    fn gradients_have_the_same_bits_for_any_number_of_threads() {
        let (m, n, k) = (700, 100, 300);
        let (x, w, dy) = (values(4, m * k), values(5, n * k), values(6, m * n));
        for isa in Isa::available() {
            let run = |threads| {
                let (mut dx, mut dw) = (vec![0.0; m * k], vec![0.0; n * k]);
                parallel::Crew::new(threads).unwrap().run(|| {
                    let dy = MatRef::new(&dy, m, n);
                    let (x, w) = (MatRef::new(&x, m, k), MatRef::new(&w, n, k));
                    let set = Accumulate::Set;
                    gemm_backward_input(isa, dy, w, set, MatMut::new(&mut dx, m, k));
                    gemm_backward_weight(isa, dy, x, MatMut::new(&mut dw, n, k));
                });
                (dx, dw)
            };
            assert!(run(1) == run(2) && run(1) == run(5), "{}", isa.level());
        }
    }

    #[test]
    fn every_value_finds_its_place_in_the_transpose() {
        for (m, n) in [(1, 1), (16, 16), (17, 15), (3, 40), (33, 5)] {
            let x: Vec<f32> = (0..m * n).map(|i| i as f32).collect();
            for isa in Isa::available() {
                let mut y = vec![f32::NAN; n * m];
                transposed(isa, MatRef::new(&x, m, n), MatMut::new(&mut y, n, m));
                for (place, &y) in y.iter().enumerate() {
                    assert_eq!(y, x[place % m * n + place / m], "{place} on {}", isa.level());
                }
            }
        }
    }
}
