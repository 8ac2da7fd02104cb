//! Rung 5: blocks that fit the caches.
//!
//! Rung 4 streams all of A (m · k · 4 bytes, 6 MB for 512 × 3072) from L3 or memory for each
//! panel. Cut the work so that each thing read often lies in a near cache (Goto and van de Geijn,
//! *Anatomy of High-Performance Matrix Multiplication*, 2008):
//!
//! ```text
//! for a depth of kc:               C += A[:, kc] · W[:, kc]ᵀ
//!   for mc rows of A:              packed, kc · mc · 4 = 252 kB, stays in L2
//!     for each panel:              kc · 16 · 4 = 16 kB, stays in L1
//!       for each tile of 6 rows:   kc · 6 · 4 = 6 kB, passes through L1
//! ```
//!
//! From L2 comes one line of A (24 bytes) per 6 cycles of arithmetic; W comes from memory
//! m / mc times instead of m / 6 times or A n / 16 times. The price: C is read and written
//! k / kc times, and A is copied once, so that what is meant to stay in a cache is contiguous (rows
//! of a large power of two apart would fall into the same sets and push each other out).
//!
//! The tile still ends in a buffer of its own; adding that to C row by row takes care of every edge.

use std::arch::x86_64::*;

use zhengzi_kernels::{Isa, Level, MatMut, MatRef};

use crate::ladder::{Arithmetic, Product, Rung, Shape};
use crate::peak::Peak;
use crate::rung4_panels::{Line, WIDTH, pack};

pub const RUNG: Rung = Rung {
    name: "rung5_blocking",
    idea: "blocks for L1 and L2, A packed",
    arithmetic: Arithmetic::F32,
    peak: Peak::Avx2,
    threaded: false,
    prepare,
};

const MR: usize = 6;
/// A panel's 16 kB take a third of the smallest L1 (32 kB) of an AVX2 machine, or half.
const KC: usize = 256;
/// 252 kB of A: half of a small L2 (512 kB), a fifth of a large one.
const MC: usize = 41 * MR;

fn prepare(w: &[f32], shape: Shape, _threads: usize) -> Result<Product, &'static str> {
    Isa::new(Level::Avx2).ok_or("this CPU has no AVX2")?;
    let panels = pack(shape, shape.k, |j, l| w[j * shape.k + l]);
    Ok(Box::new(move |a, c| {
        let (a, mut c) = (MatRef::new(a, shape.m, shape.k), MatMut::new(c, shape.m, shape.n));
        (0..shape.m).for_each(|i| c.row_mut(i).fill(0.0));
        // SAFETY: the first line proved AVX2 and FMA.
        unsafe { multiply(a, &panels, c) };
    }))
}

/// c += a · wᵀ.
#[target_feature(enable = "avx2,fma")]
fn multiply(a: MatRef<f32>, w: &[Line<f32, 16>], mut c: MatMut<f32>) {
    let (m, n, k) = (a.rows(), c.cols(), a.cols());
    let mut block = vec![[0.0; MR]; MC / MR * KC];
    for l in (0..k).step_by(KC) {
        let depth = l..k.min(l + KC);
        for i in (0..m).step_by(MC) {
            let rows = i..m.min(i + MC);
            let block = pack_rows(a.block(rows.clone(), depth.clone()), &mut block);
            for (p, panel) in w.chunks_exact(k).enumerate() {
                let columns = p * WIDTH..n.min((p + 1) * WIDTH);
                let mut c = c.block(rows.clone(), columns);
                for (t, a) in block.chunks_exact(depth.len()).enumerate() {
                    let mut sums = [[0.0; WIDTH]; MR];
                    tile(a, &panel[depth.clone()], &mut sums);
                    add(&sums, t * MR, &mut c);
                }
            }
        }
    }
}

/// A's rows as tiles `[⌈m/MR⌉][k]` of [MR] values, zero below the last row.
pub fn pack_rows<'a, const MR: usize>(a: MatRef<f32>, to: &'a mut [[f32; MR]]) -> &'a [[f32; MR]] {
    let k = a.cols();
    let to = &mut to[..a.rows().div_ceil(MR) * k];
    for (t, tile) in to.chunks_exact_mut(k).enumerate() {
        for r in 0..MR {
            let i = t * MR + r;
            if i < a.rows() {
                tile.iter_mut().zip(a.row(i)).for_each(|(to, &value)| to[r] = value);
            } else {
                tile.iter_mut().for_each(|to| to[r] = 0.0);
            }
        }
    }
    to
}

/// c[i .., ..] += tile, as far as c reaches.
#[inline(always)] // so that it is compiled for its caller's instruction set
pub fn add<const MR: usize, const NR: usize>(
    tile: &[[f32; NR]; MR],
    i: usize,
    c: &mut MatMut<f32>,
) {
    for (r, sums) in tile.iter().enumerate().take(c.rows() - i) {
        c.row_mut(i + r).iter_mut().zip(sums).for_each(|(c, sum)| *c += sum);
    }
}

#[target_feature(enable = "avx2,fma")]
#[inline(never)]
fn tile(a: &[[f32; MR]], panel: &[Line<f32, 16>], c: &mut [[f32; WIDTH]; MR]) {
    let mut sums = [[_mm256_setzero_ps(); 2]; MR];
    for (a, w) in a.iter().zip(panel) {
        let (low, high) = w.0.split_at(8);
        // SAFETY: each half of a line holds 8 floats.
        let w = unsafe { [_mm256_loadu_ps(low.as_ptr()), _mm256_loadu_ps(high.as_ptr())] };
        for r in 0..MR {
            sums[r][0] = _mm256_fmadd_ps(_mm256_set1_ps(a[r]), w[0], sums[r][0]);
            sums[r][1] = _mm256_fmadd_ps(_mm256_set1_ps(a[r]), w[1], sums[r][1]);
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
