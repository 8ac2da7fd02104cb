//! Rung 5: blocks that fit the caches.
//!
//! Rung 4 streams all of A (m · k · 4 bytes, 6 MB for 512 × 3072) from L3 or memory for each
//! panel. Cut the work so that each thing read often lies in a near cache (Goto and van de Geijn,
//! *Anatomy of High-Performance Matrix Multiplication*, 2008):
//!
//! ```text
//! for a depth of kc:               C += A[:, kc] · W[:, kc]ᵀ
//!   for mc rows of A:              packed, mc · kc · 4 = 270 kB, stays in L2
//!     for each panel:              kc · 16 · 4 = 32 kB, stays in L1, or next to it
//!       for each tile of 6 rows:   kc · 6 · 4 = 12 kB, passes through L1
//! ```
//!
//! A tile now takes 88 bytes per 6 cycles of arithmetic from L1 and L2, and W comes from L3 m / mc
//! times. The price: C is read and written k / kc times, and A is copied once, so that what is meant
//! to stay in a cache is contiguous (rows a large power of two apart share a few sets of it and push
//! each other out). A short kc pays that price often: here 512 was faster by an eighth than the 256
//! that would leave half of L1 free.
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
/// Measured, see above.
const KC: usize = 512;
/// 270 kB of A: half of a small L2 (512 kB), a fifth of a large one.
const MC: usize = 22 * MR;

fn prepare(w: &[f32], shape: Shape, _threads: usize) -> Result<Product, &'static str> {
    Isa::new(Level::Avx2).ok_or("this CPU has no AVX2")?;
    let panels = pack(shape, shape.k, |j, l| w[j * shape.k + l]);
    Ok(Box::new(move |a, c| {
        c.fill(0.0);
        let (a, c) = (MatRef::new(a, shape.m, shape.k), MatMut::new(c, shape.m, shape.n));
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

/// A's rows as tiles `[⌈m/MR⌉][k]` of [MR] values; below the last row it is repeated.
pub fn pack_rows<'a, const MR: usize>(a: MatRef<f32>, to: &'a mut [[f32; MR]]) -> &'a [[f32; MR]] {
    let (m, k) = (a.rows(), a.cols());
    let to = &mut to[..m.div_ceil(MR) * k];
    for (t, tile) in to.chunks_exact_mut(k).enumerate() {
        let rows: [&[f32]; MR] = std::array::from_fn(|r| &a.row((t * MR + r).min(m - 1))[..k]);
        for (l, to) in tile.iter_mut().enumerate() {
            for r in 0..MR {
                to[r] = rows[r][l];
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
        let row = c.row_mut(i + r);
        // Where the tile is whole, say so: lengths that the compiler knows, and a copy that nothing
        // else points to, become vectors.
        match <&mut [f32; NR]>::try_from(&mut *row) {
            Ok(row) => {
                let mut whole = *row;
                whole.iter_mut().zip(sums).for_each(|(c, sum)| *c += sum);
                *row = whole;
            }
            Err(_) => row.iter_mut().zip(sums).for_each(|(c, sum)| *c += sum),
        }
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
