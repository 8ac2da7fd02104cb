//! Rung 8: bf16 on AMX.
//!
//! bf16 is an f32 cut to its upper 16 bits: the same range, 8 bits of precision. Sums stay f32. A
//! factor of two in every cache and on every bus, and on AMX 16 times the arithmetic of AVX-512:
//! one `tdpbf16ps` does 8,192 multiply-adds in 16 cycles (512 per cycle, against 32).
//!
//! Everything else is rung 7 with larger atoms (`amx.rs` has the tile loop). A panel's line holds
//! 16 columns × 2 depths, and 16 lines are W's tile. A is rounded to bf16 while it is packed,
//! into tiles of 16 rows × 32 depths, each contiguous: 16 rows a power of two apart would meet in
//! one set of L1. A step of 4 multiplications (64 cycles) reads 4 kB, so what it reads must lie in L1
//! or stream from L2 at 32 bytes a cycle: two panels 512 deep are 32 kB and stay in L1, A passes by.
//!
//! Rounding: each factor is off by at most 2⁻⁸ of itself (half the distance of 2⁻⁷ between
//! neighbours), so a sum by at most (2⁻⁷ + 2⁻¹⁶) Σ|a w|, and by far less when signs are mixed.

use zhengzi_kernels::{MatMut, MatRef};

use crate::amx::{Amx, Tile};
use crate::ladder::{Arithmetic, Product, Rung, Shape};
use crate::peak::Peak;
use crate::rung4_panels::{Line, WIDTH, pack};
use crate::rung5_blocking::add;
use crate::rung7_threads::over_rectangles;

pub const RUNG: Rung = Rung {
    name: "rung8_amx_bf16",
    idea: "bf16 on AMX tiles",
    arithmetic: Arithmetic::Bf16,
    peak: Peak::AmxBf16,
    threaded: true,
    prepare,
};

/// Depth of a tile.
const DEPTH: usize = 32;
/// Tiles of depth in a block: 2 panels × 16 kB.
const KC: usize = 16;
/// Pairs of tiles of rows in a block: 8 × 32 kB.
const MC: usize = 8;

/// The nearest bf16, ties to even (NaN is not kept: the ladder has none).
pub fn bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    (bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

fn prepare(w: &[f32], shape: Shape, threads: usize) -> Result<Product, &'static str> {
    let amx = Amx::detect()?;
    let Shape { m, n, k } = shape;
    let tiles = k.div_ceil(DEPTH);
    let lines = pack(shape, tiles * 16, |j, l| bf16(w[j * k + l]));
    Ok(Box::new(move |a, c| {
        c.fill(0.0);
        let (a, w) = (MatRef::new(a, m, k), lines.as_chunks::<16>().0);
        over_rectangles(MatMut::new(c, m, n), threads, (32, 32), |rows, columns, c| {
            let w = &w[columns.start / WIDTH * tiles..columns.end.div_ceil(WIDTH) * tiles];
            multiply(amx, a.block(rows, 0..k), w, c);
        });
    }))
}

/// c += a · wᵀ for the panels `w`, each ⌈k/32⌉ tiles deep.
fn multiply(amx: Amx, a: MatRef<f32>, w: &[Tile<u16, 32>], mut c: MatMut<f32>) {
    let registers = amx.configure();
    let (m, n, k) = (a.rows(), c.cols(), a.cols());
    let tiles = k.div_ceil(DEPTH);
    let mut block = vec![[Line([0; 32]); 16]; 2 * MC * KC];
    for t in (0..tiles).step_by(KC) {
        let depth = t..tiles.min(t + KC);
        for i in (0..m).step_by(32 * MC) {
            let rows = i..m.min(i + 32 * MC);
            let depths = depth.start * DEPTH..k.min(depth.end * DEPTH);
            let block = pack_tiles(a.block(rows.clone(), depths), &mut block, |_, x| bf16(x));
            for (p, pair) in w.chunks(2 * tiles).enumerate() {
                let mut c = c.block(rows.clone(), p * 32..n.min((p + 1) * 32));
                let w = [&pair[depth.clone()], &pair[pair.len() - tiles..][depth.clone()]];
                for (r, a) in block.chunks_exact(2 * depth.len()).enumerate() {
                    let mut sums = [[0.0; 32]; 32];
                    registers.multiply_bf16(a.split_at(depth.len()).into(), w, &mut sums);
                    add(&sums, r * 32, &mut c);
                }
            }
        }
    }
}

/// A's rows as tiles `[⌈m/32⌉ · 2][⌈k/depth⌉]` of `[16 rows][N depths]`, zero beyond A's edges;
/// `round(i, x)` gives the value x of row i.
pub fn pack_tiles<'a, T: Copy + Default, const N: usize>(
    a: MatRef<f32>,
    to: &'a mut [Tile<T, N>],
    round: impl Fn(usize, f32) -> T,
) -> &'a [Tile<T, N>] {
    let tiles = a.cols().div_ceil(N);
    let to = &mut to[..a.rows().div_ceil(32) * 2 * tiles];
    for (r, strip) in to.chunks_exact_mut(tiles).enumerate() {
        for s in 0..16 {
            let i = r * 16 + s;
            let row = if i < a.rows() { a.row(i) } else { &[] };
            for (t, tile) in strip.iter_mut().enumerate() {
                let row = &row[row.len().min(t * N)..row.len().min((t + 1) * N)];
                let (live, beyond) = tile[s].0.split_at_mut(row.len());
                live.iter_mut().zip(row).for_each(|(to, &x)| *to = round(i, x));
                beyond.fill(T::default());
            }
        }
    }
    to
}
