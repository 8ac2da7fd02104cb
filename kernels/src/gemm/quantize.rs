//! Rows of f32 → rows of bf16 or int8: what the left factor becomes before it is multiplied.
//!
//! ```text
//! int8    s = max |xᵢ| / 127,  qᵢ = round(xᵢ / s)      so that xᵢ ≈ s qᵢ, |qᵢ| ≤ 127
//! bf16    the nearest of the values with 8 significant bits
//! ```
//!
//! Ties go to the even one. A row of weights is quantized when the model is packed, a row of
//! activations (one token) each time it is multiplied: its scale is its own, so no token's values
//! suffer from another's. −128 is never used: the sign can be moved from one factor to the other.
//!
//! A NaN or an infinity in a row makes its scale NaN or infinite, and with it every product of the
//! row: nothing is hidden by rounding. What is no number has the byte 0, here as in hardware: each
//! conversion leaves 0 in the low byte of a NaN.
//!
//! Cost: two passes over a row that is in L1, a few instructions a register: little beside
//! the product, which reads the row n/32 times. Source: the symmetric scheme of Wu et al.,
//! *Integer Quantization for Deep Learning Inference* (arXiv:2004.09602), §3.1.

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::*;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use crate::Isa;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::Vectors;
use crate::cuda::{Float, Launch, blocks, constant};

/// The greatest step on either side.
const STEPS: f32 = 127.0;

/// The bits of x as bf16, rounded to nearest, ties to even. A NaN stays one.
pub(super) fn to_bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    match x.is_nan() {
        true => (bits >> 16) as u16 | 0x40,
        false => ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16,
    }
}

/// Pairs of x as words, with the instructions of a level; what `words` has beyond them becomes 0. Same bits
/// on every level.
pub(super) fn round_to_bf16(isa: Isa, x: &[f32], words: &mut [u32]) {
    assert!(2 * words.len() >= x.len(), "{} words for {} values", words.len(), x.len());
    match isa.vectors() {
        // SAFETY: the isa proves AVX-512.
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx512 => unsafe { round_avx512(x, words) },
        // SAFETY: the isa proves AVX2.
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx2 => unsafe { round_avx2(x, words) },
        // SAFETY: the isa proves NEON.
        #[cfg(target_arch = "aarch64")]
        Vectors::Neon => unsafe { round_neon(x, words) },
        _ => round_scalar(x, words),
    }
}

/// The same for products with AMX, with the CPU's own rounding: what is smaller than the smallest normal number
/// becomes 0, for which those products would take it.
///
/// # Safety
///
/// The CPU has AVX-512 F, DQ, VL and BF16.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bf16")]
pub(super) unsafe fn round_for_amx(x: &[f32], words: &mut [u32]) {
    use crate::lanes::load16;
    assert!(2 * words.len() >= x.len(), "{} words for {} values", words.len(), x.len());
    let (lines, tail) = words.as_chunks_mut::<16>();
    for (line, i) in lines.iter_mut().zip((0..).step_by(32)) {
        let pairs = _mm512_cvtne2ps_pbh(load16(x, i + 16), load16(x, i));
        // SAFETY: a line is 64 bytes, of any bits.
        unsafe {
            let words = std::mem::transmute::<__m512bh, __m512i>(pairs);
            _mm512_storeu_si512(line.as_mut_ptr().cast(), words)
        };
    }
    round_scalar(x.get(32 * lines.len()..).unwrap_or(&[]), tail);
}

fn round_scalar(x: &[f32], words: &mut [u32]) {
    let (pairs, last) = x.as_chunks::<2>();
    for (word, [low, high]) in words.iter_mut().zip(pairs) {
        *word = u32::from(to_bf16(*low)) | u32::from(to_bf16(*high)) << 16;
    }
    words[pairs.len()..].fill(0);
    if let [low] = last {
        words[pairs.len()] = u32::from(to_bf16(*low));
    }
}

/// Sixteen values a step, as `to_bf16` does it.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn round_avx512(x: &[f32], words: &mut [u32]) {
    for i in (0..words.len()).step_by(8) {
        let lanes = crate::lanes::load16(x, 2 * i);
        let (bits, nan) =
            (_mm512_castps_si512(lanes), _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(lanes, lanes));
        let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
        let up = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
        let rounded = _mm512_add_epi32(bits, up);
        let rounded = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x40_0000));
        let halves = _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(rounded));
        let left = (words.len() - i).min(8);
        // SAFETY: only the first `left` words are written, and i + left ≤ words.len().
        unsafe {
            let to = words.as_mut_ptr().add(i).cast();
            _mm256_mask_storeu_epi32(to, ((1u32 << left) - 1) as u8, halves);
        }
    }
}

/// The same.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn round_avx2(x: &[f32], words: &mut [u32]) {
    let upper_half = |lanes: __m256| {
        let (bits, nan) = (_mm256_castps_si256(lanes), _mm256_cmp_ps::<_CMP_UNORD_Q>(lanes, lanes));
        let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
        let up = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
        let rounded = _mm256_add_epi32(bits, up);
        let quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x40_0000));
        let rounded = _mm256_blendv_epi8(rounded, quiet, _mm256_castps_si256(nan));
        _mm256_srli_epi32::<16>(rounded)
    };
    let (whole, rest) = x.as_chunks::<16>();
    let (words, last) = words.split_at_mut(8 * whole.len());
    for (x, words) in whole.iter().zip(words.as_chunks_mut::<8>().0) {
        let halves = [0, 8].map(|i| upper_half(crate::lanes::load8(x, i)));
        // To pack takes turns between the halves of its operands: 0 2 1 3.
        let packed = _mm256_packus_epi32(halves[0], halves[1]);
        let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(packed);
        // SAFETY: eight words are 32 bytes.
        unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), packed) };
    }
    round_scalar(rest, last);
}

/// The same, eight values a step.
#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn round_neon(x: &[f32], words: &mut [u32]) {
    let upper_half = |lanes: float32x4_t| {
        let bits = vreinterpretq_u32_f32(lanes);
        let odd = vandq_u32(vshrq_n_u32::<16>(bits), vdupq_n_u32(1));
        let rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
        let quiet = vorrq_u32(bits, vdupq_n_u32(0x40_0000));
        vshrn_n_u32::<16>(vbslq_u32(vceqq_f32(lanes, lanes), rounded, quiet))
    };
    let (whole, rest) = x.as_chunks::<8>();
    let (words, last) = words.split_at_mut(4 * whole.len());
    for (x, words) in whole.iter().zip(words.as_chunks_mut::<4>().0) {
        // SAFETY: x is eight floats, four words are 16 bytes.
        unsafe {
            let low = upper_half(vld1q_f32(x.as_ptr()));
            let high = upper_half(vld1q_f32(x.as_ptr().add(4)));
            vst1q_u16(words.as_mut_ptr().cast(), vcombine_u16(low, high));
        }
    }
    round_scalar(rest, last);
}

/// q = round(x / s), with `offset` added to each byte: 0, or 128 for the instructions that want their
/// left factor without a sign. What q has beyond the length of x stands for 0. Returns s. Same bits
/// on every level.
pub(super) fn quantize(isa: Isa, x: &[f32], offset: u8, q: &mut [u8]) -> f32 {
    assert!(q.len() >= x.len(), "{} bytes for {} values", q.len(), x.len());
    match isa.vectors() {
        // SAFETY: the isa proves AVX-512.
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx512 => unsafe { quantize_avx512(x, offset, q) },
        // SAFETY: the isa proves AVX2.
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx2 => unsafe { quantize_avx2(x, offset, q) },
        // SAFETY: the isa proves NEON.
        #[cfg(target_arch = "aarch64")]
        Vectors::Neon => unsafe { quantize_neon(x, offset, q) },
        _ => quantize_scalar(x, offset, q),
    }
}

fn quantize_scalar(x: &[f32], offset: u8, q: &mut [u8]) -> f32 {
    let (scale, inverse) = scale(greatest(x));
    round(x, inverse, offset, q);
    scale
}

/// q = round(inverse · x), with the offset; what q has beyond the length of x becomes the offset.
fn round(x: &[f32], inverse: f32, offset: u8, q: &mut [u8]) {
    for (q, x) in q.iter_mut().zip(x) {
        *q = (x * inverse).round_ties_even().clamp(-STEPS, STEPS) as i8 as u8 ^ offset;
    }
    q[x.len()..].fill(offset);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn quantize_avx2(x: &[f32], offset: u8, q: &mut [u8]) -> f32 {
    let magnitude = _mm256_set1_epi32(i32::MAX);
    let (mut most, mut lanes) = (_mm256_setzero_si256(), [0.0; 8]);
    for i in (0..x.len()).step_by(8) {
        let x = _mm256_castps_si256(crate::lanes::load8(x, i));
        most = _mm256_max_epi32(most, _mm256_and_si256(x, magnitude));
    }
    crate::lanes::store8(&mut lanes, 0, _mm256_castsi256_ps(most));
    let (scale, inverse) = scale(greatest(&lanes));
    // The low byte of each of four lanes, side by side.
    let low = _mm256_broadcastsi128_si256(_mm_set1_epi32(0x0c08_0400));
    let (factor, offsets) = (_mm256_set1_ps(inverse), _mm_set1_epi8(offset as i8));
    let (eights, rest) = x.as_chunks::<8>();
    let (to, tail) = q.split_at_mut(x.len() - rest.len());
    for (eight, to) in eights.iter().zip(to.as_chunks_mut::<8>().0) {
        let steps = _mm256_cvtps_epi32(_mm256_mul_ps(crate::lanes::load8(eight, 0), factor));
        let steps = _mm256_shuffle_epi8(steps, low);
        let (near, far) = (_mm256_castsi256_si128(steps), _mm256_extracti128_si256::<1>(steps));
        let bytes = _mm_xor_si128(_mm_unpacklo_epi32(near, far), offsets);
        *to = _mm_cvtsi128_si64(bytes).to_le_bytes();
    }
    round(rest, inverse, offset, tail);
    scale
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "neon")]
fn quantize_neon(x: &[f32], offset: u8, q: &mut [u8]) -> f32 {
    let (eights, rest) = x.as_chunks::<8>();
    // SAFETY: each is four of the eight floats.
    let halves = |x: &[f32; 8]| unsafe { [vld1q_f32(x.as_ptr()), vld1q_f32(x[4..].as_ptr())] };
    let mut most = vdupq_n_u32(0);
    for x in eights.iter().flat_map(halves) {
        most = vmaxq_u32(most, vreinterpretq_u32_f32(vabsq_f32(x)));
    }
    let most = f32::from_bits(vmaxvq_u32(most).max(greatest(rest).to_bits()));
    let (scale, inverse) = scale(most);
    let (to, tail) = q.split_at_mut(x.len() - rest.len());
    for (eight, to) in eights.iter().zip(to.as_chunks_mut::<8>().0) {
        let [near, far] = halves(eight).map(|x| vmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(x, inverse))));
        let bytes = vreinterpret_u8_s8(vmovn_s16(vcombine_s16(near, far)));
        // SAFETY: eight bytes.
        unsafe { vst1_u8(to.as_mut_ptr(), veor_u8(bytes, vdup_n_u8(offset))) };
    }
    round(rest, inverse, offset, tail);
    scale
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn quantize_avx512(x: &[f32], offset_byte: u8, q: &mut [u8]) -> f32 {
    use crate::lanes::load16;
    let magnitude = _mm512_set1_epi32(i32::MAX);
    let magnitude_at =
        |x: &[f32], i| _mm512_and_si512(_mm512_castps_si512(load16(x, i)), magnitude);
    let (blocks, rest) = x.as_chunks::<64>();
    let mut greatest = [_mm512_setzero_si512(); 4];
    for block in blocks {
        for (part, greatest) in greatest.iter_mut().enumerate() {
            *greatest = _mm512_max_epi32(*greatest, magnitude_at(block, 16 * part));
        }
    }
    for (part, greatest) in greatest.iter_mut().enumerate() {
        *greatest = _mm512_max_epi32(*greatest, magnitude_at(rest, 16 * part));
    }
    let [a, b, c, d] = greatest;
    let greatest = _mm512_max_epi32(_mm512_max_epi32(a, b), _mm512_max_epi32(c, d));
    let (scale, inverse) = scale(f32::from_bits(_mm512_reduce_max_epi32(greatest) as u32));
    if !scale.is_finite() {
        // Packing would saturate what NaN is converted to; the other levels make it 0.
        q.fill(offset_byte);
        return scale;
    }
    let (inverse, offset) = (_mm512_set1_ps(inverse), _mm512_set1_epi8(offset_byte as i8));
    // Packing works within quarters of a register: its words of four bytes are put in order at the end.
    let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    let bytes_of = |x: &[f32]| {
        let [a, b, c, d] =
            [0, 16, 32, 48].map(|i| _mm512_cvtps_epi32(_mm512_mul_ps(load16(x, i), inverse)));
        let bytes = _mm512_packs_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
        _mm512_xor_si512(_mm512_permutexvar_epi32(order, bytes), offset)
    };
    let (whole, tail) = q.split_at_mut(64 * blocks.len());
    let (whole, _) = whole.as_chunks_mut::<64>();
    for (block, q) in blocks.iter().zip(whole) {
        // SAFETY: q is 64 bytes.
        unsafe { _mm512_storeu_si512(q.as_mut_ptr().cast(), bytes_of(block)) };
    }
    let mut last = [0; 64];
    // SAFETY: `last` is 64 bytes.
    unsafe { _mm512_storeu_si512(last.as_mut_ptr().cast(), bytes_of(rest)) };
    for tail in tail.chunks_mut(64) {
        tail.copy_from_slice(&last[..tail.len()]);
        last.fill(offset_byte);
    }
    scale
}

/// The greatest magnitude in x: of the bit patterns without sign, which are ordered like the numbers
/// they stand for, NaN above all.
fn greatest(x: &[f32]) -> f32 {
    f32::from_bits(x.iter().map(|x| x.to_bits() & 0x7fff_ffff).max().unwrap_or(0))
}

/// What a step is worth in a row of this greatest magnitude, and its inverse. A row of zeros, or of
/// values so small that the inverse would overflow, becomes zeros.
pub(crate) fn scale(greatest: f32) -> (f32, f32) {
    match greatest < STEPS * f32::MIN_POSITIVE {
        true => (0.0, 0.0),
        false => (greatest / STEPS, STEPS / greatest),
    }
}

/// On a GPU: rows x `[t, c]` to int8, a warp a row; c a multiple of 16.
pub fn quantize_launch(float: Float, t: usize, c: usize) -> Launch {
    const ROWS: u32 = constant(include_str!("quantize.cu"), "QUANTIZE_ROWS");
    assert!(c.is_multiple_of(16), "{c} columns: not a multiple of 16");
    let kernel = match float {
        Float::F32 => "quantize_f32",
        Float::F16 => "quantize_f16",
        Float::Bf16 => panic!("int8 beside bf16"),
    };
    Launch { file: "quantize", kernel, grid: [blocks(t, ROWS), 1], threads: 32 * ROWS, shared: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantize_signed(x: &[f32], q: &mut [i8]) -> f32 {
        let mut bytes = vec![9; q.len()];
        let scale = quantize_scalar(x, 0, &mut bytes);
        q.iter_mut().zip(bytes).for_each(|(q, byte)| *q = byte as i8);
        scale
    }

    #[test]
    fn the_greatest_becomes_127_and_ties_go_to_the_even_step() {
        let mut q = [9; 6];
        assert_eq!(quantize_signed(&[-254.0, 1.0, 3.0, -5.0, 0.0], &mut q), 2.0);
        assert_eq!(q, [-127, 0, 2, -2, 0, 0]);
    }

    #[test]
    fn zeros_and_the_smallest_numbers_become_zeros() {
        for x in [0.0, -0.0, 1e-45, 1e-37] {
            let mut q = [9; 2];
            assert_eq!(quantize_signed(&[x, -x], &mut q), 0.0);
            assert_eq!(q, [0, 0]);
        }
        let mut q = [0; 1];
        assert!(quantize_signed(&[2e-36], &mut q) > 0.0 && q == [127]);
    }

    #[test]
    fn what_is_not_finite_shows_in_the_scale() {
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = [1.0; 19];
            (x[1], x[18]) = (bad, bad);
            for isa in Isa::available() {
                let mut q = [9; 19];
                assert!(!quantize(isa, &x, 0, &mut q).is_finite(), "{bad} on {}", isa.level());
                assert_eq!(q, [0; 19], "{bad} on {}", isa.level());
            }
        }
    }

    #[test]
    fn every_level_makes_the_same_bytes() {
        let mut state = 1u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 1e6 - 8.0
        };
        for len in [0usize, 1, 3, 4, 15, 16, 17, 31, 33, 64, 257] {
            let x: Vec<f32> = (0..len).map(|_| random()).collect();
            for offset in [0, 0x80] {
                let room = len.next_multiple_of(64);
                let mut expected = vec![7; room];
                let scale = quantize_scalar(&x, offset, &mut expected);
                for isa in Isa::available() {
                    let mut q = vec![9; room];
                    assert_eq!(quantize(isa, &x, offset, &mut q).to_bits(), scale.to_bits());
                    assert_eq!(q, expected, "{len} on {}", isa.level());
                }
            }
        }
    }

    #[test]
    fn bf16_is_the_nearest_and_ties_go_to_even() {
        for (x, bits) in [
            (1.0, 0x3f80),
            (1.0 + 1.0 / 256.0, 0x3f80),
            (1.0 + 3.0 / 256.0, 0x3f82),
            (-1.004, 0xbf81),
            (f32::MAX, 0x7f80),
            (f32::INFINITY, 0x7f80),
        ] {
            assert_eq!(to_bf16(x), bits, "{x}");
        }
        assert!(f32::from_bits(u32::from(to_bf16(f32::NAN)) << 16).is_nan());
    }

    #[test]
    fn every_level_makes_the_same_words() {
        let mut state = 1u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Any pattern of bits: small, great, infinite and no number.
            f32::from_bits(state ^ state << 16)
        };
        for len in (0..70usize).chain([256, 767]) {
            let mut x: Vec<f32> = (0..len).map(|_| random()).collect();
            let special =
                [f32::NAN, -f32::NAN, f32::INFINITY, f32::MAX, -0.0, 1e-45, 1.0 + 1.0 / 256.0];
            x.iter_mut().skip(3).zip(special).for_each(|(x, special)| *x = special);
            for room in [len.div_ceil(2), len.div_ceil(2).next_multiple_of(16), 400] {
                let mut expected = vec![7; room];
                round_scalar(&x, &mut expected);
                for isa in Isa::available() {
                    let mut words = vec![9; room];
                    round_to_bf16(isa, &x, &mut words);
                    assert_eq!(words, expected, "{len} on {}", isa.level());
                }
            }
        }
    }
}
