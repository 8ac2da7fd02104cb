//! Attention of one head in int8: both products exact in integers, the softmax between them in bytes.
//!
//! ```text
//! Q Kᵀ        each query and each key its own scale:  sᵢⱼ ≈ qᵢ · (kⱼ − k̄)
//! softmax     eᵢⱼ = 255 e^((sᵢⱼ − max)/√d)      pᵢⱼ = round(eᵢⱼ), a byte      Sᵢ = Σ eᵢⱼ
//! P V         each channel its own scale:  yᵢ = v̄ + Σ pᵢⱼ (vⱼ − v̄) / Sᵢ
//! ```
//!
//! k̄ and v̄ are the means over the sentence. A constant taken off all keys changes all scores of
//! a query alike, and so no weight: what all keys have in common need not be said in 8 bits. Of the
//! values the mean comes back at the end. Keys that got less than half of a 255th of the greatest weight
//! count with p = 0, but with their part in S: as if each of them had the value v̄.
//!
//! Sources: the scales as in `../gemm/quantize.rs`; keys without their mean from Zhang et al.,
//! *SageAttention* (arXiv:2410.02367), §4.2.
//!
//! All of it has the same bits on every level: the products are those of `gemm/`, which are exact, and
//! what is between them is done by 16 lanes in the same order everywhere.
//!
//! Cost: 4n²d operations of int8, n² exponentials of eight instructions each, and some 20 nd to make
//! integers of q, k and v.
//!
//! | level   | lanes | trick |
//! |---------|-------|-------|
//! | scalar  | 1     | arrays of 16 in plain Rust; rounding is a sum with 1.5 · 2²³, 2ⁿ a sum of exponents |
//! | NEON    | 4     | the same, compiled for its registers |
//! | AVX2    | 8     | the same |
//! | AVX-512 | 16    | the same operations by hand |

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::array::from_fn;

use super::centred::{ROUND, pack_keys, pack_values};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::Vectors;
use crate::gemm::{MadeRows, Scratch, WIDTH, bytes, int8_offset, product, product_int8};
use crate::lanes::*;
use crate::{Isa, MatMut, MatRef};

/// The greatest weight.
const STEPS: f32 = 255.0;

/// 255 · 2ʳ for |r| ≤ ½, lowest power first: minimax, relative error 7.5e-5, a fiftieth of a step.
const P: [f32; 4] =
    [STEPS * 0.999_928_07, STEPS * 0.693_261, STEPS * 0.242_611_13, STEPS * 0.055_171_67];

/// Below 2 to this nothing is left of a weight, nor of its part in a sum.
const LOWEST: f32 = -64.0;

/// What a head needs beside its output, kept from one to the next.
#[derive(Default)]
pub(super) struct HeadScratch {
    /// `[queries, n]`.
    scores: Vec<f32>,
    keys: Scratch,
    values: Scratch,
    /// P, `[queries, n]`.
    weights: MadeRows,
    /// k̄, then v̄: `[d]`.
    mean: Vec<f32>,
    /// 128 Σ v of each channel: `[d]`.
    taken: Vec<f32>,
}

/// y `[n, d]` = attention of q, k, v `[n, d]`, so many queries at a time. The same bits on every level.
/// Where a value of k is no number, or infinite, no value of y is one.
pub(super) fn head(
    isa: Isa,
    [q, k, v]: [MatRef<f32>; 3],
    queries: usize,
    scratch: &mut HeadScratch,
    mut y: MatMut<f32>,
) {
    let (n, d) = (k.rows(), k.cols());
    if n == 0 || d == 0 {
        return;
    }
    let HeadScratch { scores, keys, values, weights, mean, taken } = scratch;
    // Whole panels: what lies beyond the last key gets the weight 0.
    let wide = n.next_multiple_of(WIDTH);
    let room = n.min(queries) * wide;
    if scores.len() < room {
        scores.resize(room, 0.0);
    }
    mean.resize(d, 0.0);
    taken.resize(d, 0.0);

    let (mut keys, mut values) = (keys.int8(wide, d), values.int8(d, n));
    pack_keys(isa, k, mean, &mut keys);
    if !keys.scales.iter().all(|scale| scale.is_finite()) {
        // A score would be NaN, which a maximum may miss.
        return (0..n).for_each(|i| y.row_mut(i).fill(f32::NAN));
    }
    pack_values(isa, v, mean, taken, &mut values);
    let groups = values.groups();
    let (keys, values) = (keys.panels(), values.panels());

    let (per_score, offset) = (std::f32::consts::LOG2_E / (d as f32).sqrt(), int8_offset(isa));
    for first in (0..n).step_by(queries) {
        let last = n.min(first + queries);
        let mut scores = MatMut::new(scores, last - first, wide);
        product(isa, q.block(first..last, 0..d), keys, scores.reborrow());
        weights.room(last - first, groups);
        weigh(isa, scores.reborrow(), n, per_score, offset, weights);
        let mut y = y.block(first..last, 0..d);
        product_int8(isa, weights, values, taken, y.reborrow());
        share(scores.as_ref(), mean, y);
    }
}

/// Rows of scores, n of them and more up to a multiple of 16, as weights, p − 128 with the kernel's offset,
/// and p = 0 beyond n. The first score of a row gives way to Σ e, or NaN where the greatest is not finite.
fn weigh(
    isa: Isa,
    mut scores: MatMut<f32>,
    n: usize,
    per_score: f32,
    offset: u8,
    weights: &mut MadeRows,
) {
    // 0 is −128 as it is stored: all bytes move by 128, or by 128 and the offset, which is nothing.
    let flip = 128 ^ offset;
    for i in 0..scores.rows() {
        let (row, (words, _)) = (scores.row_mut(i), weights.row(i));
        row[n..].fill(f32::NEG_INFINITY);
        let (live, rest) = bytes(words).split_at_mut(row.len());
        rest.fill(flip);
        let sum = match isa.vectors() {
            // SAFETY: the isa proves AVX-512.
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx512 => unsafe { weigh_avx512(row, per_score, flip, live) },
            // SAFETY: the isa proves AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx2 => unsafe { weigh_avx2(row, per_score, flip, live) },
            // SAFETY: the isa proves NEON.
            #[cfg(target_arch = "aarch64")]
            Vectors::Neon => unsafe { weigh_neon(row, per_score, flip, live) },
            _ => weigh_scalar(row, per_score, flip, live),
        };
        row[0] = sum.unwrap_or_else(|| {
            live.fill(flip);
            f32::NAN
        });
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn weigh_avx2(scores: &[f32], per_score: f32, flip: u8, weights: &mut [u8]) -> Option<f32> {
    weigh_scalar(scores, per_score, flip, weights)
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn weigh_neon(scores: &[f32], per_score: f32, flip: u8, weights: &mut [u8]) -> Option<f32> {
    weigh_scalar(scores, per_score, flip, weights)
}

/// The weights of a row, and Σ e; nothing where the greatest score is not finite.
#[inline(always)]
fn weigh_scalar(scores: &[f32], per_score: f32, flip: u8, weights: &mut [u8]) -> Option<f32> {
    let (scores, _) = scores.as_chunks::<WIDTH>();
    let greatest = |a: f32, b: f32| if a > b { a } else { b };
    let most = scores
        .iter()
        .fold([f32::NEG_INFINITY; WIDTH], |most, x| from_fn(|lane| greatest(x[lane], most[lane])));
    let most = Some(fold(most, greatest)).filter(|most| most.is_finite())?;
    let (lowest, mut sum) = (LOWEST / per_score, [0.0; WIDTH]);
    for (x, weights) in scores.iter().zip(weights.as_chunks_mut::<WIDTH>().0) {
        let e: Lanes = from_fn(|lane| {
            let below = greatest(x[lane] - most, lowest);
            let n = below.mul_add(per_score, ROUND);
            let r = below.mul_add(per_score, ROUND - n);
            let e = P[3].mul_add(r, P[2]).mul_add(r, P[1]).mul_add(r, P[0]);
            f32::from_bits(e.to_bits().wrapping_add(n.to_bits() << 23))
        });
        sum = from_fn(|lane| sum[lane] + e[lane]);
        *weights = e.map(|e| (e + ROUND).to_bits() as u8 ^ flip);
    }
    Some(fold(sum, |a, b| a + b))
}

/// The same by hand: what the compiler makes of it keeps its sums in memory.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn weigh_avx512(scores: &[f32], per_score: f32, flip: u8, weights: &mut [u8]) -> Option<f32> {
    let mut most = _mm512_set1_ps(f32::NEG_INFINITY);
    for i in (0..scores.len()).step_by(WIDTH) {
        most = _mm512_max_ps(load16(scores, i), most);
    }
    let most = Some(_mm512_reduce_max_ps(most)).filter(|most| most.is_finite())?;
    let (most, lowest) = (_mm512_set1_ps(most), _mm512_set1_ps(LOWEST / per_score));
    let (per_score, round) = (_mm512_set1_ps(per_score), _mm512_set1_ps(ROUND));
    let [p0, p1, p2, p3] = P.map(|p| _mm512_set1_ps(p));
    let flip = _mm_set1_epi8(flip as i8);
    let mut sum = _mm512_setzero_ps();
    for (weights, i) in weights.as_chunks_mut::<WIDTH>().0.iter_mut().zip((0..).step_by(WIDTH)) {
        let below = _mm512_max_ps(_mm512_sub_ps(load16(scores, i), most), lowest);
        let n = _mm512_fmadd_ps(below, per_score, round);
        let r = _mm512_fmadd_ps(below, per_score, _mm512_sub_ps(round, n));
        let e = _mm512_fmadd_ps(_mm512_fmadd_ps(_mm512_fmadd_ps(p3, r, p2), r, p1), r, p0);
        let power = _mm512_slli_epi32::<23>(_mm512_castps_si512(n));
        let e = _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(e), power));
        sum = _mm512_add_ps(sum, e);
        let bytes = _mm512_cvtepi32_epi8(_mm512_castps_si512(_mm512_add_ps(e, round)));
        // SAFETY: 16 bytes.
        unsafe { _mm_storeu_si128(weights.as_mut_ptr().cast(), _mm_xor_si128(bytes, flip)) };
    }
    let mut lanes = [0.0; WIDTH];
    store16(&mut lanes, 0, sum);
    Some(fold(lanes, |a, b| a + b))
}

/// y = v̄ + y / Σ e, the sums in the first column.
fn share(sums: MatRef<f32>, mean: &[f32], mut y: MatMut<f32>) {
    for i in 0..y.rows() {
        let share = 1.0 / sums.row(i)[0];
        for (y, mean) in y.row_mut(i).iter_mut().zip(mean) {
            *y = *y * share + mean;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    /// q, k and v side by side, as `bad` says at one place.
    fn values(n: usize, d: usize, bad: Option<(usize, f32)>) -> Vec<f32> {
        let mut state = (n * 1000 + d) as u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 22) as f32 - 2.0
        };
        let mut values: Vec<f32> = (0..3 * n * d).map(|_| random()).collect();
        bad.into_iter().for_each(|(at, bad)| values[at] = bad);
        values
    }

    fn run(isa: Isa, n: usize, d: usize, queries: usize, values: &[f32]) -> Vec<f32> {
        let all = MatRef::new(values, n, 3 * d);
        let qkv = [0, 1, 2].map(|part| all.block(0..n, part * d..(part + 1) * d));
        let mut y = vec![f32::INFINITY; n * d];
        // Memory that a larger head has left behind.
        let mut scratch = HeadScratch::default();
        let larger = vec![1.0; 3 * 70 * 70];
        let larger = [MatRef::new(&larger, 70, 70); 3];
        head(isa, larger, 14, &mut scratch, MatMut::new(&mut [0.0; 70 * 70], 70, 70));
        head(isa, qkv, queries, &mut scratch, MatMut::new(&mut y, n, d));
        y
    }

    fn bits(y: Vec<f32>) -> Vec<u32> {
        y.into_iter().map(f32::to_bits).collect()
    }

    #[test]
    fn every_level_has_the_bits_of_the_reference_however_many_queries_go_at_a_time() {
        let scalar = Isa::new(Level::Scalar).unwrap();
        for d in [0, 1, 5, 16, 32, 33, 64, 65] {
            for n in [0, 1, 3, 15, 16, 17, 63, 64, 65, 130, 300] {
                let values = values(n, d, None);
                let want = bits(run(scalar, n, d, 7, &values));
                for isa in Isa::available() {
                    let got = bits(run(isa, n, d, 14, &values));
                    assert_eq!(got, want, "{n} × {d} on {}", isa.level());
                }
            }
        }
    }

    #[test]
    fn what_is_not_finite_shows() {
        let (n, d) = (21, 16);
        for isa in Isa::available() {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                // Row 5, column 3 of q, of k and of v.
                for part in 0..3 {
                    let y =
                        run(isa, n, d, 14, &values(n, d, Some((5 * 3 * d + part * d + 3, bad))));
                    for (at, y) in y.into_iter().enumerate() {
                        let hurt = [at / d == 5, true, at % d == 3][part];
                        assert_eq!(y.is_finite(), !hurt, "{bad} in part {part}: {at}");
                    }
                }
            }
        }
    }

    #[test]
    fn weights_are_half_a_step_and_a_fiftieth_away_from_the_exponential() {
        let scores: Vec<f32> = (0..4096).map(|i| i as f32 / -512.0).collect();
        let mut weights = vec![0; scores.len()];
        let sum = weigh_scalar(&scores, std::f32::consts::LOG2_E, 0, &mut weights).unwrap();
        let exact = scores.iter().map(|&x| 255.0 * f64::from(x).exp());
        for (&weight, exact) in weights.iter().zip(exact.clone()) {
            assert!((f64::from(weight) - exact).abs() <= 0.52, "{weight} for {exact}");
        }
        assert!((f64::from(sum) / exact.sum::<f64>() - 1.0).abs() < 1e-4);
    }
}
