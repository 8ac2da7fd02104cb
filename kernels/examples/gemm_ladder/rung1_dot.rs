//! Rung 1: another order of the same additions.
//!
//! If one sum waits for itself, keep sixteen. Product l is added to sum l mod 16, and the sixteen
//! are added up at the end. Now neighbouring products are independent, so the compiler puts
//! four of them into one vector (16 bytes, what every x86-64 has) and keeps four vectors in
//! flight, which covers the 4 cycles that an addition takes.
//!
//! The arithmetic: a multiply-add of 4 lanes needs 2 loads, one of A and one of W. A core makes
//! 2 loads per cycle, so at most 4 multiply-adds per cycle: from here on loads are the limit.

use crate::ladder::{Arithmetic, Product, Rung, Shape};
use crate::peak::Peak;

pub const RUNG: Rung = Rung {
    name: "rung1_dot",
    idea: "sixteen sums instead of one",
    arithmetic: Arithmetic::F32,
    peak: Peak::Avx2,
    threaded: false,
    prepare,
};

const SUMS: usize = 16;

fn prepare(w: &[f32], shape: Shape, _threads: usize) -> Result<Product, &'static str> {
    let w = w.to_vec();
    Ok(Box::new(move |a, c| multiply(a, &w, shape, c)))
}

fn multiply(a: &[f32], w: &[f32], Shape { m, n, k }: Shape, c: &mut [f32]) {
    for i in 0..m {
        for j in 0..n {
            c[i * n + j] = dot(&a[i * k..][..k], &w[j * k..][..k]);
        }
    }
}

#[inline(never)]
fn dot(a: &[f32], w: &[f32]) -> f32 {
    let ((a, a_rest), (w, w_rest)) = (a.as_chunks::<SUMS>(), w.as_chunks::<SUMS>());
    let mut sums = [0.0; SUMS];
    for (a, w) in a.iter().zip(w) {
        for s in 0..SUMS {
            sums[s] += a[s] * w[s];
        }
    }
    let rest: f32 = a_rest.iter().zip(w_rest).map(|(a, w)| a * w).sum();
    sums.iter().sum::<f32>() + rest
}
