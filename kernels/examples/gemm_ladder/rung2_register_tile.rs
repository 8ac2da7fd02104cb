//! Rung 2: a tile of C in registers.
//!
//! A row of A takes part in n dot products, a row of W in m. Compute MR × NR of them together,
//! and what was loaded once is multiplied NR or MR times: MR + NR loads for MR · NR
//! multiply-adds instead of 2 · MR · NR. For 2 × 4 that is 0.75 loads per multiply-add, not 2.
//!
//! The budget is the register file. Plain x86-64 has 16 vectors of 4 floats; 2 × 4 sums of one
//! vector each, 4 of W, 2 of A and a product make 15. A larger tile would need fewer loads and spill.
//!
//! The vectors are spelt out (SSE, which every x86-64 has). With arrays of 4 floats in their place
//! the compiler found the same loop once, and after a change in another file one with vectors of
//! neighbouring columns, gathered by shuffles, at a third of the speed.
//!
//! Where m or n is no multiple of the tile, the last rows are repeated: their sums are computed
//! and thrown away, which costs less than code for every size of edge.

use std::arch::x86_64::*;

use crate::ladder::{Arithmetic, Product, Rung, Shape};
use crate::peak::Peak;

pub const RUNG: Rung = Rung {
    name: "rung2_register_tile",
    idea: "a 2×4 tile of C in registers",
    arithmetic: Arithmetic::F32,
    peak: Peak::Avx2,
    threaded: false,
    prepare,
};

const MR: usize = 2;
const NR: usize = 4;
const LANES: usize = 4;

fn prepare(w: &[f32], shape: Shape, _threads: usize) -> Result<Product, &'static str> {
    let w = w.to_vec();
    Ok(Box::new(move |a, c| multiply(a, &w, shape, c)))
}

fn multiply(a: &[f32], w: &[f32], Shape { m, n, k }: Shape, c: &mut [f32]) {
    for i in (0..m).step_by(MR) {
        for j in (0..n).step_by(NR) {
            let a: [&[f32]; MR] = std::array::from_fn(|r| &a[(i + r).min(m - 1) * k..][..k]);
            let w: [&[f32]; NR] = std::array::from_fn(|s| &w[(j + s).min(n - 1) * k..][..k]);
            // SAFETY: every x86-64 has SSE.
            let sums = unsafe { tile(a, w) };
            for r in 0..MR.min(m - i) {
                for s in 0..NR.min(n - j) {
                    let whole = k - k % LANES;
                    let rest = a[r][whole..].iter().zip(&w[s][whole..]).map(|(a, w)| a * w);
                    c[(i + r) * n + j + s] = sums[r][s].iter().copied().chain(rest).sum();
                }
            }
        }
    }
}

/// Four partial sums for each of MR × NR dot products, without the last k mod 4 products.
#[target_feature(enable = "sse")]
#[inline(never)]
fn tile(a: [&[f32]; MR], w: [&[f32]; NR]) -> [[[f32; LANES]; NR]; MR] {
    let k = a[0].len();
    assert!(a.iter().chain(&w).all(|row| row.len() == k));
    let mut sums = [[_mm_setzero_ps(); NR]; MR];
    for l in (0..k - k % LANES).step_by(LANES) {
        // SAFETY: l + LANES ≤ k, the length of every row, asserted above.
        let load = |row: &[f32]| unsafe { _mm_loadu_ps(row.as_ptr().add(l)) };
        let a = a.map(load);
        for s in 0..NR {
            let w = load(w[s]);
            for r in 0..MR {
                sums[r][s] = _mm_add_ps(sums[r][s], _mm_mul_ps(a[r], w));
            }
        }
    }
    let mut lanes = [[[0.0; LANES]; NR]; MR];
    for r in 0..MR {
        for s in 0..NR {
            // SAFETY: the array holds 4 floats.
            unsafe { _mm_storeu_ps(lanes[r][s].as_mut_ptr(), sums[r][s]) };
        }
    }
    lanes
}
