//! Rung 3: the same tile in AVX2, with fused multiply-add.
//!
//! A vector now holds 8 floats, and `vfmadd` multiplies and adds in one instruction: a core
//! starts two of them per cycle, 32 flops, twice four times what rung 2 could. Each takes 4 cycles,
//! so at least 8 must be in flight: a tile needs 8 independent sums or more. 3 × 4 gives 12, and
//! 12 sums + 3 rows of A + 1 row of W are the 16 registers that AVX2 has.
//!
//! Loads: 3 + 4 for 12 multiply-adds, 0.58 each; two loads and two multiply-adds fit a cycle, so
//! the loads no longer bound the loop, as long as they find their values in L1. They do not
//! always: seven streams, k · 4 bytes apart, begin in the same few sets of the cache.

use std::arch::x86_64::*;

use zhengzi_kernels::{Isa, Level};

use crate::ladder::{Arithmetic, Product, Rung, Shape};
use crate::peak::Peak;

pub const RUNG: Rung = Rung {
    name: "rung3_avx2",
    idea: "AVX2: 8 lanes, fused multiply-add",
    arithmetic: Arithmetic::F32,
    peak: Peak::Avx2,
    threaded: false,
    prepare,
};

const MR: usize = 3;
const NR: usize = 4;
const LANES: usize = 8;

fn prepare(w: &[f32], shape: Shape, _threads: usize) -> Result<Product, &'static str> {
    Isa::new(Level::Avx2).ok_or("this CPU has no AVX2")?;
    let w = w.to_vec();
    // SAFETY: the first line proved AVX2 and FMA.
    Ok(Box::new(move |a, c| unsafe { multiply(a, &w, shape, c) }))
}

#[target_feature(enable = "avx2,fma")]
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

#[target_feature(enable = "avx2,fma")]
#[inline(never)]
fn tile(a: [&[f32]; MR], w: [&[f32]; NR]) -> [[f32; NR]; MR] {
    let k = a[0].len();
    assert!(a.iter().chain(&w).all(|row| row.len() == k));
    let whole = k - k % LANES;
    let mut sums = [[_mm256_setzero_ps(); NR]; MR];
    for l in (0..whole).step_by(LANES) {
        // SAFETY: l + LANES ≤ whole ≤ k, the length of every row, asserted above.
        let load = |row: &[f32]| unsafe { _mm256_loadu_ps(row.as_ptr().add(l)) };
        let a = a.map(load);
        for s in 0..NR {
            let w = load(w[s]);
            for r in 0..MR {
                sums[r][s] = _mm256_fmadd_ps(a[r], w, sums[r][s]);
            }
        }
    }
    let mut c = [[0.0; NR]; MR];
    for r in 0..MR {
        for s in 0..NR {
            let mut lanes = [0.0f32; LANES];
            // SAFETY: lanes holds 8 floats.
            unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), sums[r][s]) };
            let rest = a[r][whole..].iter().zip(&w[s][whole..]);
            c[r][s] = lanes.iter().sum::<f32>() + rest.map(|(a, w)| a * w).sum::<f32>();
        }
    }
    c
}
