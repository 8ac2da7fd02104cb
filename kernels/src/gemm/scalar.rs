//! Three loops: what a matrix product means, and the level `scalar`.
//!
//! Sums run over k in order, in f32. Nobody should wait for this.

use crate::{MatMut, MatRef};

/// c `[m, n]` = scale · a `[m, k]` · bᵀ, b `[n, k]`.
pub(crate) fn product_nt(scale: f32, a: MatRef<f32>, b: MatRef<f32>, mut c: MatMut<f32>) {
    for i in 0..c.rows() {
        for (j, c) in c.row_mut(i).iter_mut().enumerate() {
            let products = a.row(i).iter().zip(b.row(j)).map(|(a, b)| a * b);
            *c = scale * products.fold(0.0, |sum, product| sum + product);
        }
    }
}

/// c `[m, n]` = a `[m, k]` · b `[k, n]`.
pub(crate) fn product_nn(a: MatRef<f32>, b: MatRef<f32>, mut c: MatMut<f32>) {
    for i in 0..c.rows() {
        let c = c.row_mut(i);
        c.fill(0.0);
        for (l, a) in a.row(i).iter().enumerate() {
            for (c, b) in c.iter_mut().zip(b.row(l)) {
                *c += a * b;
            }
        }
    }
}
