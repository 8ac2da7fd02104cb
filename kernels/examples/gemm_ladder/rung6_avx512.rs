//! Rung 6: a tile for AVX-512.
//!
//! 16 lanes double the work of an instruction, and 32 registers instead of 16 allow a tile of
//! 14 × 32: 28 sums + 2 vectors of W + 1 value of A = 31. Two panels stand side by side.
//!
//! A depth of 1 is 28 multiply-adds, 14 cycles on a core with two 512-bit units, for 2 loads and
//! 14 broadcasts: 0.57 loads each, as in rung 3, but a vector of W now serves 14 rows instead of 6.
//! Only a 64-byte load that crosses no line of the cache counts as one: panels are aligned to 64.
//!
//! The blocks are those of rung 5. Two panels of kc = 512 are 64 kB, more than L1, so W streams from
//! L2: 128 bytes per 14 cycles, where it can deliver 48 in one.

use std::arch::x86_64::*;

use zhengzi_kernels::{Isa, Level, MatMut, MatRef};

use crate::ladder::{Arithmetic, Product, Rung, Shape};
use crate::peak::Peak;
use crate::rung4_panels::{Line, WIDTH, pack};
use crate::rung5_blocking::{add, pack_rows};

pub const RUNG: Rung = Rung {
    name: "rung6_avx512",
    idea: "AVX-512: a 14×32 tile",
    arithmetic: Arithmetic::F32,
    peak: Peak::Avx512,
    threaded: false,
    prepare,
};

pub const MR: usize = 14;
pub const NR: usize = 2 * WIDTH;
const KC: usize = 512;
/// 287 kB of A, as in rung 5.
const MC: usize = 10 * MR;

fn prepare(w: &[f32], shape: Shape, _threads: usize) -> Result<Product, &'static str> {
    Isa::new(Level::Avx512).ok_or("this CPU has no AVX-512")?;
    let panels = pack(shape, shape.k, |j, l| w[j * shape.k + l]);
    Ok(Box::new(move |a, c| {
        c.fill(0.0);
        let (a, c) = (MatRef::new(a, shape.m, shape.k), MatMut::new(c, shape.m, shape.n));
        // SAFETY: the first line proved AVX-512.
        unsafe { multiply(a, &panels, c) };
    }))
}

/// c += a · wᵀ for the panels `w`. Needs AVX-512 F.
#[target_feature(enable = "avx512f")]
pub fn multiply(a: MatRef<f32>, w: &[Line<f32, 16>], mut c: MatMut<f32>) {
    let (m, n, k) = (a.rows(), c.cols(), a.cols());
    let mut block = vec![[0.0; MR]; MC / MR * KC];
    for l in (0..k).step_by(KC) {
        let depth = l..k.min(l + KC);
        for i in (0..m).step_by(MC) {
            let rows = i..m.min(i + MC);
            let block = pack_rows(a.block(rows.clone(), depth.clone()), &mut block);
            for (p, pair) in w.chunks(2 * k).enumerate() {
                let columns = p * NR..n.min((p + 1) * NR);
                let mut c = c.block(rows.clone(), columns);
                let left = &pair[depth.clone()];
                // Where the last panel stands alone it is its own neighbour, and nobody reads that.
                let right = &pair[pair.len() - k..][depth.clone()];
                for (t, a) in block.chunks_exact(depth.len()).enumerate() {
                    let mut sums = [[0.0; NR]; MR];
                    tile(a, left, right, &mut sums);
                    add(&sums, t * MR, &mut c);
                }
            }
        }
    }
}

#[target_feature(enable = "avx512f")]
#[inline(never)]
fn tile(a: &[[f32; MR]], left: &[Line<f32, 16>], right: &[Line<f32, 16>], c: &mut [[f32; NR]; MR]) {
    let mut sums = [[_mm512_setzero_ps(); 2]; MR];
    for ((a, left), right) in a.iter().zip(left).zip(right) {
        // SAFETY: a line holds 16 floats and is aligned to 64 bytes.
        let w = unsafe { [_mm512_load_ps(left.0.as_ptr()), _mm512_load_ps(right.0.as_ptr())] };
        for r in 0..MR {
            sums[r][0] = _mm512_fmadd_ps(_mm512_set1_ps(a[r]), w[0], sums[r][0]);
            sums[r][1] = _mm512_fmadd_ps(_mm512_set1_ps(a[r]), w[1], sums[r][1]);
        }
    }
    for r in 0..MR {
        let (left, right) = c[r].split_at_mut(WIDTH);
        // SAFETY: each half of a row holds 16 floats.
        unsafe {
            _mm512_storeu_ps(left.as_mut_ptr(), sums[r][0]);
            _mm512_storeu_ps(right.as_mut_ptr(), sums[r][1]);
        }
    }
}
