//! AVX2: 8 lanes, names ending in 8. AVX-512: 16 lanes, names ending in 16.

use std::arch::x86_64::*;

use crate::MatMut;

/// Lanes `i..i + 8` of `x`, `fill` beyond its end.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn load_or8(fill: __m256, x: &[f32], i: usize) -> __m256 {
    let left = x.len().saturating_sub(i);
    if left >= 8 {
        // SAFETY: i + 8 ≤ x.len().
        unsafe { _mm256_loadu_ps(x.as_ptr().add(i)) }
    } else if left == 0 {
        fill // a masked load of nothing from nowhere is right, and a hundred times slower
    } else {
        let mask = first_lanes8(left);
        // SAFETY: i < x.len(), and only the first `left` lanes are read: i + left = x.len().
        let lanes = unsafe { _mm256_maskload_ps(x.as_ptr().add(i), mask) };
        _mm256_blendv_ps(fill, lanes, _mm256_castsi256_ps(mask))
    }
}

/// Lanes `i..i + 8` of `x`, zero beyond its end.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn load8(x: &[f32], i: usize) -> __m256 {
    load_or8(_mm256_setzero_ps(), x, i)
}

/// Writes `lanes` to `i..i + 8` of `x`, as far as it reaches.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn store8(x: &mut [f32], i: usize, lanes: __m256) {
    let left = x.len().saturating_sub(i);
    if left >= 8 {
        // SAFETY: i + 8 ≤ x.len().
        unsafe { _mm256_storeu_ps(x.as_mut_ptr().add(i), lanes) }
    } else if left > 0 {
        // SAFETY: i < x.len(), and only the first `left` lanes are written: i + left = x.len().
        unsafe { _mm256_maskstore_ps(x.as_mut_ptr().add(i), first_lanes8(left), lanes) }
    }
}

/// x = f(i, lanes `i..i + 8` of x), along the whole of `x`.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn map8(x: &mut [f32], f: impl Fn(usize, __m256) -> __m256) {
    for i in (0..x.len()).step_by(8) {
        store8(x, i, f(i, load8(x, i)));
    }
}

/// x = f(x) along every row of `x`.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn map_rows8(mut x: MatMut<f32>, f: impl Fn(__m256) -> __m256) {
    for row in 0..x.rows() {
        map8(x.row_mut(row), |_, lanes| f(lanes));
    }
}

/// The sum of eight lanes, halves added to halves.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn sum8(x: __m256) -> f32 {
    let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
    let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)))
}

/// The greatest of eight lanes.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn max8(x: __m256) -> f32 {
    let x = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
    let x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)))
}

/// All bits of the first `n` lanes.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn first_lanes8(n: usize) -> __m256i {
    _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
}

/// Lanes `i..i + 16` of `x`, `fill` beyond its end.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
pub(crate) fn load_or16(fill: __m512, x: &[f32], i: usize) -> __m512 {
    let left = x.len().saturating_sub(i);
    if left >= 16 {
        // SAFETY: i + 16 ≤ x.len().
        unsafe { _mm512_loadu_ps(x.as_ptr().add(i)) }
    } else if left == 0 {
        fill
    } else {
        // SAFETY: i < x.len(), and only the first `left` lanes are read: i + left = x.len().
        unsafe { _mm512_mask_loadu_ps(fill, first_lanes16(left), x.as_ptr().add(i)) }
    }
}

/// Lanes `i..i + 16` of `x`, zero beyond its end.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
pub(crate) fn load16(x: &[f32], i: usize) -> __m512 {
    load_or16(_mm512_setzero_ps(), x, i)
}

/// The lanes of an array.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn from_array16(x: &[f32; 16]) -> __m512 {
    // SAFETY: 16 floats.
    unsafe { _mm512_loadu_ps(x.as_ptr()) }
}

/// An array of the lanes.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn to_array16(lanes: __m512) -> [f32; 16] {
    let mut x = [0.0; 16];
    // SAFETY: 16 floats.
    unsafe { _mm512_storeu_ps(x.as_mut_ptr(), lanes) };
    x
}

/// Writes `lanes` to `i..i + 16` of `x`, as far as it reaches.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
pub(crate) fn store16(x: &mut [f32], i: usize, lanes: __m512) {
    let left = x.len().saturating_sub(i);
    if left >= 16 {
        // SAFETY: i + 16 ≤ x.len().
        unsafe { _mm512_storeu_ps(x.as_mut_ptr().add(i), lanes) }
    } else if left > 0 {
        // SAFETY: i < x.len(), and only the first `left` lanes are written: i + left = x.len().
        unsafe { _mm512_mask_storeu_ps(x.as_mut_ptr().add(i), first_lanes16(left), lanes) }
    }
}

/// x = f(i, lanes `i..i + 16` of x), along the whole of `x`.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
pub(crate) fn map16(x: &mut [f32], f: impl Fn(usize, __m512) -> __m512) {
    for i in (0..x.len()).step_by(16) {
        store16(x, i, f(i, load16(x, i)));
    }
}

/// x = f(x) along every row of `x`.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
pub(crate) fn map_rows16(mut x: MatMut<f32>, f: impl Fn(__m512) -> __m512) {
    for row in 0..x.rows() {
        map16(x.row_mut(row), |_, lanes| f(lanes));
    }
}

/// One bit for each of the first `n < 16` lanes.
fn first_lanes16(n: usize) -> __mmask16 {
    (1 << n) - 1
}
