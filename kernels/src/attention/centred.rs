//! Keys and values of a head in int8, without their means, in panels.
//!
//! ```text
//! (K − k̄)ᵀ    a column for each key, with its own scale          read by Q Kᵀ
//! V − v̄       a column for each channel, with its own scale      read by P V
//! ```
//!
//! `int8.rs` says why the means may be taken off. The steps are those of `gemm/quantize.rs`. Cost: some 20
//! instructions for 16 values, which are read three times, from L1.
//!
//! | level   | lanes | trick |
//! |---------|-------|-------|
//! | scalar  | 1     | arrays of 16 in plain Rust; rounding is a sum with 1.5 · 2²³ |
//! | NEON    | 4     | the same, compiled for its registers |
//! | AVX2    | 8     | the same |
//! | AVX-512 | 16    | the same operations by hand |

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::array::from_fn;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::Vectors;
use crate::gemm::{Int8Panels, WIDTH, scale};
use crate::lanes::*;
use crate::{Isa, MatRef};

/// x + 1.5 · 2²³ has x, rounded to nearest, ties to even, in its lower bits.
pub(super) const ROUND: f32 = 12_582_912.0;

/// (K − k̄)ᵀ in panels, a scale for each key.
pub(super) fn pack_keys(isa: Isa, k: MatRef<f32>, mean: &mut [f32], panels: &mut Int8Panels) {
    match isa.vectors() {
        // SAFETY: the isa proves AVX-512.
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx512 => unsafe { pack_keys_avx512(k, mean, panels) },
        // SAFETY: the isa proves AVX2 and FMA.
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx2 => unsafe { pack_keys_avx2(k, mean, panels) },
        // SAFETY: the isa proves NEON.
        #[cfg(target_arch = "aarch64")]
        Vectors::Neon => unsafe { pack_keys_neon(k, mean, panels) },
        _ => pack_keys_scalar(k, mean, panels),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn pack_keys_avx2(k: MatRef<f32>, mean: &mut [f32], panels: &mut Int8Panels) {
    pack_keys_scalar(k, mean, panels);
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn pack_keys_neon(k: MatRef<f32>, mean: &mut [f32], panels: &mut Int8Panels) {
    pack_keys_scalar(k, mean, panels);
}

#[inline(always)]
fn pack_keys_scalar(k: MatRef<f32>, mean: &mut [f32], panels: &mut Int8Panels) {
    let (d, groups) = (k.cols(), panels.groups());
    for first in (0..d).step_by(WIDTH) {
        let cols = first..d.min(first + WIDTH);
        mean[cols.clone()].copy_from_slice(&mean_scalar(k, first)[..cols.len()]);
    }
    for j in 0..k.rows() {
        let (row, lane) = (k.row(j), j % WIDTH);
        let mut most = [0; WIDTH];
        for c in (0..d).step_by(WIDTH) {
            most = greater_magnitude(most, &without(&lanes_at(row, c), &lanes_at(mean, c)));
        }
        let (scale, inverse) = scale(f32::from_bits(fold(most, u32::max)));
        let (lines, _) = panels.words[j / WIDTH * WIDTH * groups..].as_chunks_mut::<WIDTH>();
        let mut sums = [0i32; WIDTH];
        for c in (0..d).step_by(WIDTH) {
            let x = without(&lanes_at(row, c), &lanes_at(mean, c));
            let steps = rounded(&x, &[inverse; WIDTH]);
            // What is no number has steps of any size: then the scale is none either.
            sums = from_fn(|lane| sums[lane].wrapping_add(steps[lane]));
            let bytes = steps.map(|step| step as u8);
            for (line, word) in lines[c / 4..c / 4 + 4].iter_mut().zip(bytes.as_chunks().0) {
                line[lane] = u32::from_ne_bytes(*word);
            }
        }
        // Groups beyond the last channel: what is left from before counts.
        for line in &mut lines[4 * d.div_ceil(WIDTH)..groups] {
            line[lane] = 0;
        }
        (panels.scales[j], panels.sums[j]) = (scale, fold(sums, i32::wrapping_add));
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn pack_keys_avx512(k: MatRef<f32>, mean: &mut [f32], panels: &mut Int8Panels) {
    let (d, groups) = (k.cols(), panels.groups());
    for c in (0..d).step_by(WIDTH) {
        store16(mean, c, mean_avx512(k, c));
    }
    for j in 0..k.rows() {
        let (row, lane) = (k.row(j), j % WIDTH);
        let part = |c| _mm512_sub_ps(load16(row, c), load16(mean, c));
        let mut most = _mm512_setzero_si512();
        for c in (0..d).step_by(WIDTH) {
            most = _mm512_max_epi32(most, magnitude(part(c)));
        }
        let most = f32::from_bits(_mm512_reduce_max_epi32(most) as u32);
        let (scale, inverse) = scale(most);
        let inverse = _mm512_set1_ps(inverse);
        let (lines, _) = panels.words[j / WIDTH * WIDTH * groups..].as_chunks_mut::<WIDTH>();
        let mut sums = _mm512_setzero_si512();
        for c in (0..d).step_by(WIDTH) {
            let steps = _mm512_cvtps_epi32(_mm512_mul_ps(part(c), inverse));
            sums = _mm512_add_epi32(sums, steps);
            let mut words = [0u32; 4];
            // SAFETY: four words are 16 bytes.
            unsafe { _mm_storeu_si128(words.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(steps)) };
            for (line, word) in lines[c / 4..c / 4 + 4].iter_mut().zip(words) {
                line[lane] = word;
            }
        }
        for line in &mut lines[4 * d.div_ceil(WIDTH)..groups] {
            line[lane] = 0;
        }
        (panels.scales[j], panels.sums[j]) = (scale, _mm512_reduce_add_epi32(sums));
    }
}

/// V − v̄ in panels, a scale for each channel; v̄; and what 128 less in each byte of P takes off a sum.
pub(super) fn pack_values(
    isa: Isa,
    v: MatRef<f32>,
    mean: &mut [f32],
    taken: &mut [f32],
    panels: &mut Int8Panels,
) {
    match isa.vectors() {
        // SAFETY: the isa proves AVX-512.
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx512 => unsafe { pack_values_avx512(v, mean, panels) },
        // SAFETY: the isa proves AVX2 and FMA.
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx2 => unsafe { pack_values_avx2(v, mean, panels) },
        // SAFETY: the isa proves NEON.
        #[cfg(target_arch = "aarch64")]
        Vectors::Neon => unsafe { pack_values_neon(v, mean, panels) },
        _ => pack_values_scalar(v, mean, panels),
    }
    for (taken, (&sum, &scale)) in taken.iter_mut().zip(panels.sums.iter().zip(&*panels.scales)) {
        *taken = 128.0 * sum as f32 * scale;
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn pack_values_avx2(v: MatRef<f32>, mean: &mut [f32], panels: &mut Int8Panels) {
    pack_values_scalar(v, mean, panels);
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn pack_values_neon(v: MatRef<f32>, mean: &mut [f32], panels: &mut Int8Panels) {
    pack_values_scalar(v, mean, panels);
}

#[inline(always)]
fn pack_values_scalar(v: MatRef<f32>, mean: &mut [f32], panels: &mut Int8Panels) {
    let (n, d, stride) = (v.rows(), v.cols(), WIDTH * panels.groups());
    for (p, words) in panels.words.chunks_exact_mut(stride).enumerate() {
        let first = p * WIDTH;
        let (mean_here, cols) = (mean_scalar(v, first), first..d.min(first + WIDTH));
        mean[cols.clone()].copy_from_slice(&mean_here[..cols.len()]);
        let mut most = [0; WIDTH];
        for j in 0..n {
            most = greater_magnitude(most, &without(&lanes_at(v.row(j), first), &mean_here));
        }
        let scales = most.map(|most| scale(f32::from_bits(most)));
        let (inverse, mut sums) = (scales.map(|(_, inverse)| inverse), [0i32; WIDTH]);
        for (group, line) in words.as_chunks_mut::<WIDTH>().0.iter_mut().enumerate() {
            let mut word = [0; WIDTH];
            for j in (4 * group..n.min(4 * group + 4)).rev() {
                let x = without(&lanes_at(v.row(j), first), &mean_here);
                let steps = rounded(&x, &inverse);
                sums = from_fn(|lane| sums[lane].wrapping_add(steps[lane]));
                word = from_fn(|lane| word[lane] << 8 | steps[lane] as u32 & 0xff);
            }
            *line = word;
        }
        for (lane, c) in cols.enumerate() {
            (panels.scales[c], panels.sums[c]) = (scales[lane].0, sums[lane]);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn pack_values_avx512(v: MatRef<f32>, mean: &mut [f32], panels: &mut Int8Panels) {
    let (n, d, stride) = (v.rows(), v.cols(), WIDTH * panels.groups());
    for (p, words) in panels.words.chunks_exact_mut(stride).enumerate() {
        let first = p * WIDTH;
        let mean_here = mean_avx512(v, first);
        store16(mean, first, mean_here);
        let part = |j| _mm512_sub_ps(load16(v.row(j), first), mean_here);
        let mut most = _mm512_setzero_si512();
        for j in 0..n {
            most = _mm512_max_epi32(most, magnitude(part(j)));
        }
        let mut scales = [0.0; WIDTH];
        store16(&mut scales, 0, _mm512_castsi512_ps(most));
        let scales = scales.map(scale);
        let inverse = load16(&scales.map(|(_, inverse)| inverse), 0);
        let (mut sums, low) = (_mm512_setzero_si512(), _mm512_set1_epi32(0xff));
        for (group, line) in words.as_chunks_mut::<WIDTH>().0.iter_mut().enumerate() {
            let mut word = _mm512_setzero_si512();
            for j in (4 * group..n.min(4 * group + 4)).rev() {
                let steps = _mm512_cvtps_epi32(_mm512_mul_ps(part(j), inverse));
                sums = _mm512_add_epi32(sums, steps);
                word = _mm512_or_si512(_mm512_slli_epi32::<8>(word), _mm512_and_si512(steps, low));
            }
            // SAFETY: a line is 16 words.
            unsafe { _mm512_storeu_si512(line.as_mut_ptr().cast(), word) };
        }
        let mut lanes = [0; WIDTH];
        // SAFETY: 16 integers.
        unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), sums) };
        for (lane, c) in (first..d.min(first + WIDTH)).enumerate() {
            (panels.scales[c], panels.sums[c]) = (scales[lane].0, lanes[lane]);
        }
    }
}

/// The mean of each of 16 columns.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
pub(super) fn mean_avx512(x: MatRef<f32>, first: usize) -> __m512 {
    let mut sum = _mm512_setzero_ps();
    for j in 0..x.rows() {
        sum = _mm512_add_ps(sum, load16(x.row(j), first));
    }
    _mm512_div_ps(sum, _mm512_set1_ps(x.rows() as f32))
}

/// Bits without sign, which are ordered like numbers, NaN above all.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn magnitude(x: __m512) -> __m512i {
    _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(i32::MAX))
}

/// The mean of each of up to 16 columns.
#[inline(always)]
fn mean_scalar(x: MatRef<f32>, first: usize) -> Lanes {
    let mut sum = [0.0; WIDTH];
    for j in 0..x.rows() {
        let x = lanes_at(x.row(j), first);
        sum = from_fn(|lane| sum[lane] + x[lane]);
    }
    sum.map(|sum| sum / x.rows() as f32)
}

/// x − mean.
#[inline(always)]
fn without(x: &Lanes, mean: &Lanes) -> Lanes {
    from_fn(|lane| x[lane] - mean[lane])
}

/// x / scale, rounded.
#[inline(always)]
fn rounded(x: &Lanes, inverse: &Lanes) -> [i32; WIDTH] {
    from_fn(|lane| (x[lane] * inverse[lane] + ROUND).to_bits().wrapping_sub(ROUND.to_bits()) as i32)
}
