//! Rung 2: a tile of C in registers.
//!
//! A row of A takes part in n dot products, a row of W in m. Compute MR × NR of them together,
//! and what was loaded once is multiplied NR or MR times: MR + NR loads for MR · NR
//! multiply-adds instead of 2 · MR · NR. For 2 × 4 that is 0.75 loads per multiply-add, not 2.
//!
//! The budget is the register file. Plain x86-64 has 16 vectors of 4 floats; 2 × 4 sums of one
//! vector each, 4 of W and 1 of A make 13. A larger tile would need fewer loads and spill its sums.
//!
//! Where m or n is no multiple of the tile, the last rows are repeated: their sums are computed
//! and thrown away, which costs less than code for every size of edge.

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
/// Floats in a vector of plain x86-64 (and of NEON).
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
            let sums = tile(a, w);
            for r in 0..MR.min(m - i) {
                let live = NR.min(n - j);
                c[(i + r) * n + j..][..live].copy_from_slice(&sums[r][..live]);
            }
        }
    }
}

#[inline(never)]
fn tile(a: [&[f32]; MR], w: [&[f32]; NR]) -> [[f32; NR]; MR] {
    let depth = a[0].len() / LANES;
    // Cut to one length, so that the loop below needs no check of its index.
    let chunks_a = a.map(|row| &row.as_chunks::<LANES>().0[..depth]);
    let chunks_w = w.map(|row| &row.as_chunks::<LANES>().0[..depth]);
    let mut sums = [[[0.0; LANES]; NR]; MR];
    for l in 0..depth {
        for r in 0..MR {
            for s in 0..NR {
                for lane in 0..LANES {
                    sums[r][s][lane] += chunks_a[r][l][lane] * chunks_w[s][l][lane];
                }
            }
        }
    }
    std::array::from_fn(|r| {
        std::array::from_fn(|s| {
            let rest = a[r][depth * LANES..].iter().zip(&w[s][depth * LANES..]);
            sums[r][s].iter().sum::<f32>() + rest.map(|(a, w)| a * w).sum::<f32>()
        })
    })
}
