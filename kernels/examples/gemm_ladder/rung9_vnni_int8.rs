//! Rung 9: int8 on AVX-512 VNNI.
//!
//! Four bytes in the place of one float: a quarter of the memory, and `vpdpbusd` does 64
//! multiply-adds where `vfmadd` did 16, with exact sums in i32 (127² · k stays below 2³¹ up to
//! k = 133,000). A line of a panel is `[16 columns][4 depths]`, the tile 14 × 32 as in rung 6.
//!
//! **Quantisation**, symmetric: a row x becomes q = round(x / s), s = max|x| / 127, so |q| ≤ 127 and
//! x = s q + e with |e| ≤ s/2. W has a scale per output channel, A one per row, found when it arrives;
//! cᵢⱼ = sᵢ tⱼ Σ qᵢₗ pⱼₗ. The error of a product is at most |a| t/2 + |w| s/2 + s t/4, summed over k.
//!
//! **Signs**: `vpdpbusd` multiplies unsigned by signed. Send A as u = q + 128 (one flipped bit),
//! and subtract what was added: Σ u p = Σ q p + 128 Σ p. The last sum is W's alone, taken at load.

use std::arch::x86_64::*;

use zhengzi_kernels::{Isa, Level, MatMut, MatRef};

use crate::ladder::{Arithmetic, Product, Rung, Shape};
use crate::peak::Peak;
use crate::rung4_panels::{Line, WIDTH, pack};
use crate::rung6_avx512::{MR, NR};
use crate::rung7_threads::over_rectangles;

pub const RUNG: Rung = Rung {
    name: "rung9_vnni_int8",
    idea: "int8 on AVX-512 VNNI",
    arithmetic: Arithmetic::Int8,
    peak: Peak::Vnni,
    threaded: true,
    prepare,
};

/// Lines of a block: 1,024 deep, 32 kB for two panels.
const KC: usize = 256;
/// Tiles of rows in a block: 258 kB.
const MC: usize = 18;

/// A row's scale, and the factor that takes its values to -127..=127.
#[derive(Clone, Copy)]
pub struct Scale {
    pub step: f32,
    inverse: f32,
}

impl Scale {
    pub fn of(row: &[f32]) -> Scale {
        // Bits of floats without sign are ordered as integers are, of which any number compare at once.
        let max = row.iter().fold(0, |max, x| max.max((x.to_bits() & 0x7fff_ffff) as i32));
        let max = f32::from_bits(max as u32);
        Scale { step: max / 127.0, inverse: if max > 0.0 { 127.0 / max } else { 0.0 } }
    }

    /// The nearest integer, ties to even: adding 1.5 · 2²³ leaves no bit for a fraction, and the
    /// integer, in two's complement, in the lowest bits.
    pub fn quantise(self, x: f32) -> i8 {
        (x * self.inverse + 12_582_912.0).to_bits() as i8
    }
}

/// W in int8 panels of `lines` lines.
struct Weights {
    lines: usize,
    panels: Vec<Line<i8, 64>>,
    /// The step of each column.
    steps: Vec<f32>,
    /// -128 Σ p for each column of each panel's blocks of depth: `[⌈n/16⌉][⌈lines/KC⌉]`.
    corrections: Vec<Line<i32, 16>>,
}

fn prepare(w: &[f32], shape: Shape, threads: usize) -> Result<Product, &'static str> {
    Isa::new(Level::Avx512).ok_or("this CPU has no AVX-512")?;
    if !is_x86_feature_detected!("avx512vnni") {
        return Err("this CPU has no AVX-512 VNNI");
    }
    let Shape { m, n, k } = shape;
    let scales: Vec<_> = (0..n).map(|j| Scale::of(&w[j * k..][..k])).collect();
    let lines = k.div_ceil(4);
    let panels = pack(shape, lines, |j, l| scales[j].quantise(w[j * k + l]));
    let sum = |block: &[Line<i8, 64>]| {
        let column = |j| block.iter().flat_map(move |line: &Line<i8, 64>| &line.0[j * 4..][..4]);
        Line(std::array::from_fn(|j| -128 * column(j).map(|&p| p as i32).sum::<i32>()))
    };
    let corrections =
        panels.chunks(lines.max(1)).flat_map(|panel| panel.chunks(KC).map(sum)).collect();
    let steps = scales.iter().map(|scale| scale.step).collect();
    let w = Weights { lines, panels, steps, corrections };
    Ok(Box::new(move |a, c| {
        c.fill(0.0);
        let a = MatRef::new(a, m, k);
        over_rectangles(MatMut::new(c, m, n), threads, (MR, NR), |rows, columns, c| {
            // SAFETY: the first lines proved AVX-512 and VNNI.
            unsafe { multiply(a.block(rows, 0..k), &w, columns.start, c) };
        });
    }))
}

/// c += a · wᵀ for the columns of w that begin at `first`.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn multiply(a: MatRef<f32>, w: &Weights, first: usize, mut c: MatMut<f32>) {
    let (m, n, k) = (a.rows(), c.cols(), a.cols());
    let row_scales: Vec<_> = (0..m).map(|i| Scale::of(a.row(i))).collect();
    let mut block = vec![[0; MR]; MC * KC];
    for l in (0..w.lines).step_by(KC) {
        let depth = l..w.lines.min(l + KC);
        for i in (0..m).step_by(MC * MR) {
            let rows = i..m.min(i + MC * MR);
            let depths = depth.start * 4..k.min(depth.end * 4);
            let scales = &row_scales[rows.clone()];
            let block = pack_words(a.block(rows.clone(), depths), scales, &mut block);
            for j in (0..n).step_by(NR) {
                let mut c = c.block(rows.clone(), j..n.min(j + NR));
                let columns = &w.steps[first + j..][..c.cols()];
                // Where the last panel stands alone it is its own neighbour, and nobody reads that.
                let panel = (first + j) / WIDTH;
                let pair = [panel, (panel + 1).min(w.panels.len() / w.lines - 1)];
                let lines = pair.map(|panel| &w.panels[panel * w.lines..][depth.clone()]);
                let start = pair.map(|p| &w.corrections[p * w.lines.div_ceil(KC) + l / KC]);
                for (t, a) in block.chunks_exact(depth.len()).enumerate() {
                    let mut sums = [[0; NR]; MR];
                    tile(a, lines, start, &mut sums);
                    add_scaled(&sums, t * MR, scales, columns, &mut c);
                }
            }
        }
    }
}

/// A's rows as tiles `[⌈m/14⌉][⌈k/4⌉]` of [14] words, each four neighbouring values as q + 128.
#[target_feature(enable = "avx512f,avx512bw")] // for the compiler, which vectorises the rounding
fn pack_words<'a>(a: MatRef<f32>, scales: &[Scale], to: &'a mut [[u32; MR]]) -> &'a [[u32; MR]] {
    let lines = a.cols().div_ceil(4);
    let to = &mut to[..a.rows().div_ceil(MR) * lines];
    let mut bytes = vec![0u8; 4 * lines];
    for (i, scale) in scales.iter().enumerate() {
        bytes.iter_mut().zip(a.row(i)).for_each(|(q, &x)| *q = scale.quantise(x) as u8 ^ 0x80);
        let tile = &mut to[i / MR * lines..][..lines];
        for (line, &word) in tile.iter_mut().zip(bytes.as_chunks().0) {
            line[i % MR] = u32::from_le_bytes(word);
        }
    }
    to
}

/// c[i .., ..] += sᵢ tⱼ · tile for the steps `s` of c's rows and `t` of its columns, as far as c reaches.
#[inline(always)] // so that it is compiled for its caller's instruction set
pub fn add_scaled<const MR: usize, const NR: usize>(
    tile: &[[i32; NR]; MR],
    i: usize,
    s: &[Scale],
    t: &[f32],
    c: &mut MatMut<f32>,
) {
    for (r, sums) in tile.iter().enumerate().take(c.rows() - i) {
        let (row, s) = (c.row_mut(i + r), s[i + r].step);
        // As in rung 5: whole tiles become vectors.
        if let (Ok(row), Ok(t)) = (<&mut [f32; NR]>::try_from(&mut *row), <&[f32; NR]>::try_from(t))
        {
            let mut whole = *row;
            for j in 0..NR {
                whole[j] += s * t[j] * sums[j] as f32;
            }
            *row = whole;
        } else {
            row.iter_mut().zip(sums).zip(t).for_each(|((c, &sum), t)| *c += s * t * sum as f32);
        }
    }
}

#[target_feature(enable = "avx512f,avx512vnni")]
#[inline(never)]
fn tile(
    a: &[[u32; MR]],
    w: [&[Line<i8, 64>]; 2],
    start: [&Line<i32, 16>; 2],
    c: &mut [[i32; NR]; MR],
) {
    // SAFETY: a line holds 64 bytes and is aligned to 64.
    let load = |line: *const i8| unsafe { _mm512_load_si512(line.cast()) };
    let mut sums = [start.map(|line| load(line.0.as_ptr().cast())); MR];
    for ((a, left), right) in a.iter().zip(w[0]).zip(w[1]) {
        let w = [load(left.0.as_ptr()), load(right.0.as_ptr())];
        for r in 0..MR {
            let a = _mm512_set1_epi32(a[r] as i32);
            sums[r][0] = _mm512_dpbusd_epi32(sums[r][0], a, w[0]);
            sums[r][1] = _mm512_dpbusd_epi32(sums[r][1], a, w[1]);
        }
    }
    for r in 0..MR {
        let (left, right) = c[r].split_at_mut(WIDTH);
        // SAFETY: each half of a row holds 16 values.
        unsafe {
            _mm512_storeu_si512(left.as_mut_ptr().cast(), sums[r][0]);
            _mm512_storeu_si512(right.as_mut_ptr().cast(), sums[r][1]);
        }
    }
}
