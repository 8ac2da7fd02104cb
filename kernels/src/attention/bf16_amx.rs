//! Attention of one head with AMX: both products in bf16, the softmax between them in registers.
//!
//! ```text
//! for 16 or 32 queries at a time:
//!     S = (Q log₂e / √d) Kᵀ       blocks of 16 × 16 scores, as the registers leave them
//!     P = 2^(S − max)              written as rows of bf16, and summed up as such
//!     Y = mean V + (P V) / Σ P
//! ```
//!
//! Q, K and V are rounded to bf16 once a head. e^x is 2^(x log₂e), so the factor goes into Q, and 2^x costs
//! six instructions: with f = x − ⌊x⌋ it is 2^⌊x⌋ · p(f), p a cubic with a relative error of 7.5e-5, a
//! fiftieth of what bf16 loses, and `vscalefps` does ⌊ ⌋ and the power. A query's scores lie in L1 until
//! its weights are made, whatever n up to some hundreds.
//!
//! K and V are rounded without their means over the sentence. A constant taken off all keys changes all scores
//! of a query alike, and so no weight; that of the values comes back at the end, since the rounded weights,
//! over their own sum, add up to 1. So what all keys or values have in common costs no digits (`int8.rs`).
//!
//! Kᵀ and V lie in panels, as weights do (`../gemm/pack.rs`). What is beyond the last key has the weight 0.
//! Where a score is no number, the whole row of y is none.
//!
//! Cost: 4n²d flops in the matrix unit, n² exponentials of ten instructions for 16: for d = 64 the exponentials
//! take twice as long as the products.

use std::arch::x86_64::*;

use super::centred::mean_avx512;
use crate::gemm::amx::{BAND, Factors, Registers, Sums, multiply_bf16};
use crate::gemm::{MadeRows, WIDTH, groups, transposed16};
use crate::lanes::*;
use crate::{Isa, Level, MatMut, MatRef, Precision};

/// 2^f for 0 ≤ f < 1, lowest power first: minimax by `../../fit.py`, relative error 7.5e-5.
const P: [f32; 4] = [0.999_925_2, 0.695_833_5, 0.226_067_17, 0.078_024_52];

/// Keys up to which they and their values stay in L1 from one band of queries to the next: 32 KiB. Beyond, two
/// bands at once, 2 × 2 registers, fetch them half as often.
const IN_L1: usize = 128;

/// What a head needs beside its output, kept from one to the next.
#[derive(Default)]
pub(super) struct HeadScratch {
    /// Q log₂e / √d.
    queries: MadeRows,
    /// The means of keys and values: `[d]` each.
    means: [Vec<f32>; 2],
    /// (K − mean)ᵀ: `[⌈n/16⌉][d/2][16]` words, whole fours of panels.
    keys: Lines,
    /// V − mean: `[⌈d/16⌉][n/2][16]` words, whole fours of panels.
    values: Lines,
    /// S of 32 queries: blocks of 16 × 16, as the registers leave them.
    scores: Vec<Sums>,
    /// P of 32 queries.
    weights: MadeRows,
}

/// Cache lines of words: groups of panels.
#[derive(Default)]
struct Lines(Vec<Line>);

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u32; WIDTH]);

impl Lines {
    /// So many, which hold what is left from before.
    fn room(&mut self, lines: usize) -> &mut [Line] {
        if self.0.len() < lines {
            self.0 = Vec::new();
            self.0 = vec![Line([0; WIDTH]); lines];
        }
        &mut self.0[..lines]
    }
}

/// y `[n, d]` = attention of q, k, v `[n, d]`. Where a score is not finite, a row of y is none.
pub(super) fn head(isa: Isa, qkv: [MatRef<f32>; 3], scratch: &mut HeadScratch, y: MatMut<f32>) {
    assert!(isa.level() == Level::Amx, "attention with AMX on {}", isa.level());
    if y.rows() > 0 && y.cols() > 0 {
        // SAFETY: the isa proves AMX, and with it AVX-512 and its bf16; no product is being made.
        unsafe { head_amx(qkv, scratch, y) }
    }
}

/// # Safety
///
/// The CPU has AMX, AVX-512 F, BW, DQ, VL and BF16; this thread has no [`Registers`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
unsafe fn head_amx([q, k, v]: [MatRef<f32>; 3], scratch: &mut HeadScratch, mut y: MatMut<f32>) {
    let HeadScratch { queries, means, keys, values, scores, weights } = scratch;
    let (n, d) = (y.rows(), y.cols());
    let (of_d, of_n) = (groups(Precision::Bf16, d), groups(Precision::Bf16, n));
    // Fours of panels are multiplied at once. What lies beyond the last key is never looked at.
    let keys = keys.room(n.next_multiple_of(4 * WIDTH) / WIDTH * of_d);
    let values = values.room(d.next_multiple_of(4 * WIDTH) / WIDTH * of_n);
    let [mean_of_k, mean_of_v] = means;
    for (x, mean) in [(k, &mut *mean_of_k), (v, &mut *mean_of_v)] {
        mean.resize(d, 0.0);
        (0..d).step_by(WIDTH).for_each(|c| store16(mean, c, mean_avx512(x, c)));
    }
    pack_keys(k, mean_of_k, of_d, keys);
    pack_values(v, mean_of_v, of_n, values);
    queries.room(n, of_d);
    let scale = _mm512_set1_ps(std::f32::consts::LOG2_E / (d as f32).sqrt());
    for i in 0..n {
        let (words, _) = queries.row(i);
        for (line, c) in words.as_chunks_mut::<WIDTH>().0.iter_mut().zip((0..).step_by(32)) {
            store_line(line, both(|c| _mm512_mul_ps(load16(q.row(i), c), scale), c));
        }
    }
    weights.room(2 * BAND, of_n);
    // Two panels of keys each.
    let pairs = n.div_ceil(2 * WIDTH);
    scores.resize_with(scores.len().max(pairs), Sums::new);

    // SAFETY: the caller's word.
    let _registers = unsafe { Registers::configure() };
    let (mut sums, panels) = ([Sums::new(), Sums::new()], d.div_ceil(WIDTH));
    let height = if n > IN_L1 { 2 * BAND } else { BAND };
    for first in (0..n).step_by(height) {
        let rows = (n - first).min(height);
        let (bands, wide) = if rows > BAND { (2, 2) } else { (1, 4) };
        let a = queries.as_rows(0);
        let mut f = Factors {
            groups: of_d,
            a: a.words.wrapping_add(first * a.stride),
            a_stride: a.stride,
            b: keys.as_ptr().cast(),
            panel_stride: of_d * WIDTH,
        };
        for sums in &mut scores[..n.div_ceil(wide * WIDTH)] {
            // SAFETY: these queries are in memory, and whole fours of panels of keys.
            unsafe { multiply(bands, &f, sums) };
            f.b = f.b.wrapping_add(wide * f.panel_stride);
        }
        let mut shares = [0.0; 2 * BAND];
        for (i, share) in shares.iter_mut().enumerate().take(rows) {
            let (words, _) = weights.row(i);
            let row = Scores { sums: scores, n, row: i % BAND, first: i / BAND * wide, wide };
            // SAFETY: the scores of n keys were written.
            *share = 1.0 / unsafe { row.weigh(words) };
        }
        let a = weights.as_rows(0);
        let values = |panel: usize| Factors {
            groups: of_n,
            a: a.words,
            a_stride: a.stride,
            b: values[panel * of_n..].as_ptr().cast(),
            panel_stride: of_n * WIDTH,
        };
        for panel in (0..panels).step_by(2 * wide) {
            // The second product is made while the first is waited for.
            for (i, sums) in sums.iter_mut().enumerate().take((panels - panel).div_ceil(wide)) {
                // SAFETY: the rows of weights are in memory, and whole fours of panels of values.
                unsafe { multiply(bands, &values(panel + i * wide), sums) };
            }
            for (i, &share) in shares.iter().enumerate().take(rows) {
                let (y, share) = (y.row_mut(first + i), _mm512_set1_ps(share));
                for p in panel..panels.min(panel + 2 * wide) {
                    let (sums, p_here) = (&sums[(p - panel) / wide], (p - panel) % wide);
                    let block = sums.block(i / BAND * wide + p_here);
                    // SAFETY: a row of a block that was written.
                    let sum = unsafe { _mm512_load_ps(block.add(i % BAND).cast()) };
                    let mean = load16(mean_of_v, p * WIDTH);
                    store16(y, p * WIDTH, _mm512_fmadd_ps(sum, share, mean));
                }
            }
        }
    }
}

/// # Safety
///
/// As for [`multiply_bf16`], of 2 × 2 or 1 × 4.
#[inline]
unsafe fn multiply(bands: usize, f: &Factors, sums: &mut Sums) {
    // SAFETY: the caller's word.
    unsafe {
        match bands {
            2 => multiply_bf16::<2, 2>(f, sums),
            _ => multiply_bf16::<1, 4>(f, sums),
        }
    }
}

/// Rows of K as Kᵀ in panels; the last may hold what was there before beyond the last key.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn pack_keys(k: MatRef<f32>, mean: &[f32], groups: usize, lines: &mut [Line]) {
    for (panel, lines) in lines.chunks_exact_mut(groups).enumerate().take(k.rows().div_ceil(WIDTH))
    {
        let live = WIDTH.min(k.rows() - panel * WIDTH);
        for (block, lines) in lines.chunks_exact_mut(WIDTH).enumerate() {
            let mut words = [_mm512_setzero_ps(); WIDTH];
            for (j, words) in words.iter_mut().enumerate().take(live) {
                let row = k.row(panel * WIDTH + j);
                let centred = |c| _mm512_sub_ps(load16(row, c), load16(mean, c));
                *words = _mm512_castsi512_ps(both(centred, 32 * block));
            }
            for (line, words) in lines.iter_mut().zip(transposed16(words)) {
                store_line(&mut line.0, _mm512_castps_si512(words));
            }
        }
    }
}

/// Pairs of rows of V in panels, whatever beyond the last key.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
fn pack_values(v: MatRef<f32>, mean: &[f32], groups: usize, lines: &mut [Line]) {
    let (n, d) = (v.rows(), v.cols());
    // Of 16 values of one row and 16 of the next: first beside first, and so on.
    let mut order = [0u16; 32];
    for (i, place) in order.iter_mut().enumerate() {
        *place = (i / 2 + i % 2 * 16) as u16;
    }
    // SAFETY: 64 bytes.
    let order = unsafe { _mm512_loadu_si512(order.as_ptr().cast()) };
    for group in 0..groups {
        let row = |j: usize| if j < n { v.row(j) } else { &[] };
        let (even, odd) = (row(2 * group), row(2 * group + 1));
        for (panel, c) in (0..d).step_by(WIDTH).enumerate() {
            let mean = load16(mean, c);
            let [even, odd] = [even, odd].map(|row| _mm512_sub_ps(load16(row, c), mean));
            let both = bits(_mm512_cvtne2ps_pbh(odd, even));
            store_line(&mut lines[panel * groups + group].0, _mm512_permutexvar_epi16(order, both));
        }
    }
}

/// The scores of one query: row `row` of blocks `first`, `first + 1`, … of the first `wide` panels' sums, then
/// of the next panels'.
struct Scores<'a> {
    sums: &'a [Sums],
    n: usize,
    row: usize,
    first: usize,
    wide: usize,
}

impl Scores<'_> {
    /// Makes weights of them; returns their sum.
    ///
    /// # Safety
    ///
    /// They are written.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")]
    unsafe fn weigh(&self, words: &mut [u32]) -> f32 {
        let Scores { sums, n, row, first, wide } = *self;
        let (whole, rest) = (n / WIDTH, n % WIDTH);
        let last = ((1u32 << rest) - 1) as __mmask16;
        let sums = sums.as_ptr().cast::<[[u32; WIDTH]; BAND]>();
        let per_pair = 8 / wide;
        // SAFETY: four blocks each follow one another, and each has 16 rows; the caller's word.
        let score = |p: usize| unsafe {
            let block = sums.add(first + p / 2 * per_pair + p % 2);
            _mm512_load_ps((*block)[row].as_ptr().cast())
        };
        let lowest = _mm512_set1_ps(f32::NEG_INFINITY);
        let (mut most, mut other) = (lowest, lowest);
        for pair in 0..whole / 2 {
            most = _mm512_max_ps(most, score(2 * pair));
            other = _mm512_max_ps(other, score(2 * pair + 1));
        }
        // What is left is a whole block, or a part of one, or both.
        let pairs = whole / 2;
        let remains = |p: usize| match p {
            _ if p < whole => score(p),
            _ if p == whole && rest > 0 => _mm512_mask_mov_ps(lowest, last, score(p)),
            _ => lowest,
        };
        let (near, far) = (remains(2 * pairs), remains(2 * pairs + 1));
        let most = _mm512_max_ps(_mm512_max_ps(most, near), _mm512_max_ps(other, far));
        let most = _mm512_set1_ps(_mm512_reduce_max_ps(most));

        let (lines, beyond) = words.as_chunks_mut::<WIDTH>().0.split_at_mut(pairs);
        // SAFETY: a word of two ones in bf16, sixteen times.
        let ones: __m512bh = unsafe { std::mem::transmute([0x3f80_3f80_u32; WIDTH]) };
        let (mut sum, mut other) = (_mm512_setzero_ps(), _mm512_setzero_ps());
        for (pair, line) in lines.iter_mut().enumerate() {
            let near = power_of_2(_mm512_sub_ps(score(2 * pair), most));
            let far = power_of_2(_mm512_sub_ps(score(2 * pair + 1), most));
            let weights = _mm512_cvtne2ps_pbh(far, near);
            (sum, other) = (_mm512_dpbf16_ps(other, weights, ones), sum);
            store_line(line, bits(weights));
        }
        if let Some((line, beyond)) = beyond.split_first_mut() {
            let [near, far] = [near, far].map(|x| power_of_2(_mm512_sub_ps(x, most)));
            let weights = _mm512_cvtne2ps_pbh(far, near);
            sum = _mm512_dpbf16_ps(sum, weights, ones);
            store_line(line, bits(weights));
            beyond.iter_mut().for_each(|line| *line = [0; WIDTH]);
        }
        _mm512_reduce_add_ps(_mm512_add_ps(sum, other))
    }
}

/// 2^x.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn power_of_2(x: __m512) -> __m512 {
    let f = _mm512_reduce_ps::<{ _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC }>(x);
    let mut p = _mm512_set1_ps(P[3]);
    for c in [P[2], P[1], P[0]] {
        p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(c));
    }
    _mm512_scalef_ps(p, x)
}

/// f(c) and f(c + 16) as 16 words.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512bf16")]
fn both(f: impl Fn(usize) -> __m512, c: usize) -> __m512i {
    bits(_mm512_cvtne2ps_pbh(f(c + WIDTH), f(c)))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn bits(x: __m512bh) -> __m512i {
    // SAFETY: both are 64 bytes of any bits.
    unsafe { std::mem::transmute(x) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_line(line: &mut [u32; WIDTH], words: __m512i) {
    // SAFETY: 64 bytes.
    unsafe { _mm512_storeu_si512(line.as_mut_ptr().cast(), words) }
}
