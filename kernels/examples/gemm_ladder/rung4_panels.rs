//! Rung 4: W packed into panels.
//!
//! A weight is multiplied by thousands of rows and never changes: lay it out, once, in the order
//! in which the tile reads it. A *panel* holds 16 columns of Wᵀ; its line l holds those 16
//! values at depth l, 64 bytes, one line of the cache:
//!
//! ```text
//! W[n][k]  →  panels[⌈n/16⌉][k] of lines [16],    panels[p][l][j] = W[16 p + j][l], 0 beyond n
//! ```
//!
//! Three things follow. The tile reads W as one stream, no line of it in vain and none in the
//! set of another. Lanes are now columns of C: nothing is left to add up across a vector, and
//! no depth is left over. And edges of n are gone: they are zeros in the last panel.
//!
//! The tile is 6 × 16: 12 sums + 2 vectors of W + 1 value of A, broadcast, are 15 of 16 registers;
//! 2 loads and 6 broadcasts for 12 multiply-adds. Panels are the outer loop: one panel (64 k bytes)
//! stays in L2 while all of A passes by, once for each of the n / 16 panels.
//!
//! Later rungs store the same panels in other types: a line holds 16 columns × g neighbouring
//! depths, g = 2 for bf16 and 4 for int8, always 64 bytes. That is `[k/g][16][g]`.

use std::arch::x86_64::*;

use zhengzi_kernels::{Isa, Level};

use crate::ladder::{Arithmetic, Product, Rung, Shape};
use crate::peak::Peak;

pub const RUNG: Rung = Rung {
    name: "rung4_panels",
    idea: "W packed into panels of 16",
    arithmetic: Arithmetic::F32,
    peak: Peak::Avx2,
    threaded: false,
    prepare,
};

/// Columns of a panel.
pub const WIDTH: usize = 16;
const MR: usize = 6;

/// A line of a panel, and of the cache: N = 16 g values, `[16][g]`.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
pub struct Line<T, const N: usize>(pub [T; N]);

/// Lays `value(j, l)`, j < n, l < k, out as panels of `lines` lines each; zero beyond n and k.
pub fn pack<T: Copy + Default, const N: usize>(
    Shape { n, k, .. }: Shape,
    lines: usize,
    value: impl Fn(usize, usize) -> T,
) -> Vec<Line<T, N>> {
    let g = N / WIDTH;
    assert!(lines * g >= k, "{lines} lines of depth {g} hold no depth of {k}");
    let mut panels = vec![Line([T::default(); N]); n.div_ceil(WIDTH) * lines];
    for j in 0..n {
        let panel = &mut panels[j / WIDTH * lines..][..lines];
        for l in 0..k {
            panel[l / g].0[j % WIDTH * g + l % g] = value(j, l);
        }
    }
    panels
}

fn prepare(w: &[f32], shape: Shape, _threads: usize) -> Result<Product, &'static str> {
    Isa::new(Level::Avx2).ok_or("this CPU has no AVX2")?;
    let panels = pack(shape, shape.k, |j, l| w[j * shape.k + l]);
    // SAFETY: the first line proved AVX2 and FMA.
    Ok(Box::new(move |a, c| unsafe { multiply(a, &panels, shape, c) }))
}

#[target_feature(enable = "avx2,fma")]
fn multiply(a: &[f32], w: &[Line<f32, 16>], Shape { m, n, k }: Shape, c: &mut [f32]) {
    for j in (0..n).step_by(WIDTH) {
        let panel = &w[j / WIDTH * k..][..k];
        for i in (0..m).step_by(MR) {
            let rows: [&[f32]; MR] = std::array::from_fn(|r| &a[(i + r).min(m - 1) * k..][..k]);
            let mut sums = [[0.0; WIDTH]; MR];
            tile(rows, panel, &mut sums);
            for r in 0..MR.min(m - i) {
                let live = WIDTH.min(n - j);
                c[(i + r) * n + j..][..live].copy_from_slice(&sums[r][..live]);
            }
        }
    }
}

#[target_feature(enable = "avx2,fma")]
#[inline(never)]
fn tile(a: [&[f32]; MR], panel: &[Line<f32, 16>], c: &mut [[f32; WIDTH]; MR]) {
    assert!(a.iter().all(|row| row.len() == panel.len()));
    let mut sums = [[_mm256_setzero_ps(); 2]; MR];
    for (l, w) in panel.iter().enumerate() {
        let (low, high) = w.0.split_at(8);
        // SAFETY: each half of a line holds 8 floats.
        let w = unsafe { [_mm256_loadu_ps(low.as_ptr()), _mm256_loadu_ps(high.as_ptr())] };
        for r in 0..MR {
            // SAFETY: l < panel.len(), the length of every row, asserted above.
            let a = _mm256_set1_ps(unsafe { *a[r].get_unchecked(l) });
            sums[r][0] = _mm256_fmadd_ps(a, w[0], sums[r][0]);
            sums[r][1] = _mm256_fmadd_ps(a, w[1], sums[r][1]);
        }
    }
    for r in 0..MR {
        let (low, high) = c[r].split_at_mut(8);
        // SAFETY: each half of a row holds 8 floats.
        unsafe {
            _mm256_storeu_ps(low.as_mut_ptr(), sums[r][0]);
            _mm256_storeu_ps(high.as_mut_ptr(), sums[r][1]);
        }
    }
}
