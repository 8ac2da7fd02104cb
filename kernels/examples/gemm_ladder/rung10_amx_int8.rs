//! Rung 10: int8 on AMX.
//!
//! Rung 8's loop with `tdpbssd` in the place of `tdpbf16ps`: 16 rows × 16 columns × 64 depths, still in
//! 16 cycles, so twice the arithmetic of bf16 at the same bytes per cycle. It multiplies signed by
//! signed: rung 9's panels as they are, without its correction. Sums are exact in i32; what
//! quantisation costs is rung 9's bound.
//!
//! With twice the arithmetic per byte, what surrounds the tiles weighs twice as much: rounding A
//! to int8, and bringing a 32 × 32 tile of i32 back to f32 once per 1,024 of depth.

use zhengzi_kernels::{MatMut, MatRef};

use crate::amx::{Amx, Tile};
use crate::ladder::{Arithmetic, Product, Rung, Shape};
use crate::peak::Peak;
use crate::rung4_panels::{Line, WIDTH, pack};
use crate::rung7_threads::over_rectangles;
use crate::rung8_amx_bf16::pack_tiles;
use crate::rung9_vnni_int8::{Scale, add_scaled};

pub const RUNG: Rung = Rung {
    name: "rung10_amx_int8",
    idea: "int8 on AMX tiles",
    arithmetic: Arithmetic::Int8,
    peak: Peak::AmxInt8,
    threaded: true,
    prepare,
};

/// Depth of a tile.
const DEPTH: usize = 64;
/// Tiles of depth in a block: 2 panels × 16 kB.
const KC: usize = 16;
/// Pairs of tiles of rows in a block: 8 × 32 kB.
const MC: usize = 8;

fn prepare(w: &[f32], shape: Shape, threads: usize) -> Result<Product, &'static str> {
    let amx = Amx::detect()?;
    let Shape { m, n, k } = shape;
    let tiles = k.div_ceil(DEPTH);
    let scales: Vec<_> = (0..n).map(|j| Scale::of(&w[j * k..][..k])).collect();
    let lines = pack(shape, tiles * 16, |j, l| scales[j].quantise(w[j * k + l]));
    let steps: Vec<_> = scales.iter().map(|scale| scale.step).collect();
    Ok(Box::new(move |a, c| {
        c.fill(0.0);
        let (a, w) = (MatRef::new(a, m, k), lines.as_chunks::<16>().0);
        over_rectangles(MatMut::new(c, m, n), threads, (32, 32), |rows, columns, c| {
            let w = &w[columns.start / WIDTH * tiles..columns.end.div_ceil(WIDTH) * tiles];
            multiply(amx, a.block(rows, 0..k), w, &steps[columns], c);
        });
    }))
}

/// c += a · wᵀ for the panels `w`, each ⌈k/64⌉ tiles deep.
fn multiply(amx: Amx, a: MatRef<f32>, w: &[Tile<i8, 64>], steps: &[f32], mut c: MatMut<f32>) {
    let registers = amx.configure();
    let (m, n, k) = (a.rows(), c.cols(), a.cols());
    let tiles = k.div_ceil(DEPTH);
    let row_scales: Vec<_> = (0..m).map(|i| Scale::of(a.row(i))).collect();
    let mut block = vec![[Line([0; 64]); 16]; 2 * MC * KC];
    for t in (0..tiles).step_by(KC) {
        let depth = t..tiles.min(t + KC);
        for i in (0..m).step_by(32 * MC) {
            let rows = i..m.min(i + 32 * MC);
            let depths = depth.start * DEPTH..k.min(depth.end * DEPTH);
            let scales = &row_scales[rows.clone()];
            let quantise = |i: usize, x| scales[i].quantise(x);
            let block = pack_tiles(a.block(rows.clone(), depths), &mut block, quantise);
            for (p, pair) in w.chunks(2 * tiles).enumerate() {
                let columns = p * 32..n.min((p + 1) * 32);
                let mut c = c.block(rows.clone(), columns.clone());
                let w = [&pair[depth.clone()], &pair[pair.len() - tiles..][depth.clone()]];
                for (r, a) in block.chunks_exact(2 * depth.len()).enumerate() {
                    let mut sums = [[0; 32]; 32];
                    registers.multiply_int8(a.split_at(depth.len()).into(), w, &mut sums);
                    add_scaled(&sums, r * 32, scales, &steps[columns.clone()], &mut c);
                }
            }
        }
    }
}
