//! The `gemm` crate behind our signatures: well tuned, every CPU, nothing to learn here.
//!
//! Two of its habits are kept in this file. Its call computes `dst = alpha · dst + beta · lhs · rhs`,
//! alpha and beta exchanged against BLAS. And it sums in another order for small shapes than for
//! large ones: with one row or one column, with at most 256 outputs, and (where both sides are
//! at most 64) in other pieces of k. [`linear`] keeps out of all three, so that a row of c does not
//! change in the last bit because its batch has other rows.
//!
//! It packs W anew in each call: packed panels of our own are to replace it.

use ::gemm::{Parallelism, gemm};

use crate::{MatMut, MatRef, parallel};

/// Up to this many rows of W the crate's order of summation depends on the rows of a.
pub(crate) const NARROW: usize = 64;

/// From this many outputs on, and two rows, the crate sums every output in the same order.
const MANY: usize = 257;

/// c `[m, n]` = a `[m, k]` · Wᵀ, W `[n, k]` with n > [`NARROW`], on all threads of the current pool.
pub(crate) fn linear(a: MatRef<f32>, w: MatRef<f32>, mut c: MatMut<f32>) {
    let (m, n, k) = (a.rows(), w.rows(), a.cols());
    assert!(n > NARROW, "W of {n} rows");
    let rows = MANY.div_ceil(n).max(2);
    if m >= rows || m == 0 {
        // The crate decides by itself whether a product is worth several threads.
        let threads = match parallel::worthwhile(m * n * k) {
            true => Parallelism::Rayon(0),
            false => Parallelism::None,
        };
        return product(threads, 1.0, a, Right::Transposed(w), c);
    }
    // One to three rows: rows of zeros make up the number.
    let (mut more_a, mut more_c) = (vec![0.0; rows * k], vec![0.0; rows * n]);
    for i in 0..m {
        more_a[i * k..][..k].copy_from_slice(a.row(i));
    }
    linear(MatRef::new(&more_a, rows, k), w, MatMut::new(&mut more_c, rows, n));
    for i in 0..m {
        c.row_mut(i).copy_from_slice(&more_c[i * n..][..n]);
    }
}

/// c `[m, n]` = scale · a `[m, k]` · bᵀ, b `[n, k]`, on this thread.
pub(crate) fn product_nt(scale: f32, a: MatRef<f32>, b: MatRef<f32>, c: MatMut<f32>) {
    product(Parallelism::None, scale, a, Right::Transposed(b), c);
}

/// c `[m, n]` = a `[m, k]` · b `[k, n]`, on this thread.
pub(crate) fn product_nn(a: MatRef<f32>, b: MatRef<f32>, c: MatMut<f32>) {
    product(Parallelism::None, 1.0, a, Right::AsIs(b), c);
}

/// The right factor: b `[k, n]`, or b `[n, k]` to be transposed.
enum Right<'a> {
    AsIs(MatRef<'a, f32>),
    Transposed(MatRef<'a, f32>),
}

fn product(threads: Parallelism, scale: f32, a: MatRef<f32>, b: Right, mut c: MatMut<f32>) {
    let (b, k, n, b_row_stride, b_col_stride) = match b {
        Right::AsIs(b) => (b, b.rows(), b.cols(), b.row_stride(), 1),
        Right::Transposed(b) => (b, b.cols(), b.rows(), 1, b.row_stride()),
    };
    assert!(a.cols() == k, "a of {} columns times b of {k} rows", a.cols());
    assert!(c.rows() == a.rows(), "c of {} rows for a of {}", c.rows(), a.rows());
    assert!(c.cols() == n, "c of {} columns for b of {n}", c.cols());
    let (old, reads_dst, conjugated) = (0.0, false, false);
    // SAFETY: the three shapes agree, as asserted; each pointer and its strides are those of a
    // matrix whose values lie in borrowed memory; c is borrowed alone. With `reads_dst` false
    // the old values of c are not read.
    unsafe {
        gemm(
            c.rows(),
            n,
            k,
            c.as_mut_ptr(),
            1,
            c.row_stride() as isize,
            reads_dst,
            a.as_ptr(),
            1,
            a.row_stride() as isize,
            b.as_ptr(),
            b_col_stride as isize,
            b_row_stride as isize,
            old,
            scale,
            conjugated,
            conjugated,
            conjugated,
            threads,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_multiplies_the_product_and_what_was_in_c_is_forgotten() {
        let a = [1.0, 2.0, 3.0, 4.0];
        let b = [5.0, 6.0, 7.0, 8.0];
        let mut c = [f32::NAN; 4];
        product_nt(0.5, MatRef::new(&a, 2, 2), MatRef::new(&b, 2, 2), MatMut::new(&mut c, 2, 2));
        assert_eq!(c, [8.5, 11.5, 19.5, 26.5]);
        product_nn(MatRef::new(&a, 2, 2), MatRef::new(&b, 2, 2), MatMut::new(&mut c, 2, 2));
        assert_eq!(c, [19.0, 22.0, 43.0, 50.0]);
    }

    #[test]
    fn a_sum_over_nothing_is_zero() {
        let mut c = [f32::NAN; 2];
        product_nt(1.0, MatRef::new(&[], 1, 0), MatRef::new(&[], 2, 0), MatMut::new(&mut c, 1, 2));
        assert_eq!(c, [0.0; 2]);
    }
}
