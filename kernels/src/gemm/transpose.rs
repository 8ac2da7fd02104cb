//! Transposition: up to 16 rows of a matrix become the lanes of a panel of f32.
//!
//! ```text
//! panel [k, 16]:  panelₗⱼ = scale · rowⱼₗ
//! ```
//!
//! Source: for four lanes the `unpack` and `movelh` pairs of every transposition in registers; for
//! 16, Intel's optimisation manual, §15.11 (an 8 × 8 transposition by shuffles): each of four rounds pairs
//! registers and doubles the length of what lies in order. Cost: 64 shuffles for 256 values, which
//! are read and written once: a fifth of what storing value by value takes.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use super::pack::WIDTH;
use crate::Isa;
#[cfg(target_arch = "x86_64")]
use crate::{Vectors, lanes::load16};

/// lines `[k][16]` = scale · rowsᵀ, up to 16 rows of k values. What lanes without a row hold
/// afterwards is 0 on one level and what it was before on another: they must have been 0.
pub(super) fn transpose(isa: Isa, rows: &[&[f32]], scale: f32, lines: &mut [[u32; WIDTH]]) {
    match isa.vectors() {
        // SAFETY: the isa proves AVX-512.
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx512 => unsafe { transpose_avx512(rows, scale, lines) },
        _ => transpose_scalar(rows, scale, lines),
    }
}

fn transpose_scalar(rows: &[&[f32]], scale: f32, lines: &mut [[u32; WIDTH]]) {
    // 16 steps of k at once: what is read is one cache line of each row, what is written 16 lines.
    for (block, lines) in lines.chunks_mut(WIDTH).enumerate() {
        for (lane, row) in rows.iter().enumerate() {
            let values = &row[block * WIDTH..][..lines.len()];
            for (line, value) in lines.iter_mut().zip(values) {
                line[lane] = (scale * value).to_bits();
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq")]
fn transpose_avx512(rows: &[&[f32]], scale: f32, lines: &mut [[u32; WIDTH]]) {
    let scale = _mm512_set1_ps(scale);
    for (block, lines) in lines.chunks_mut(WIDTH).enumerate() {
        let mut x = [_mm512_setzero_ps(); WIDTH];
        for (x, row) in x.iter_mut().zip(rows) {
            // Values past the end of a row come as zeros, and are not stored.
            *x = _mm512_mul_ps(load16(row, block * WIDTH), scale);
        }
        for (line, x) in lines.iter_mut().zip(transposed16(x)) {
            // SAFETY: a line is 16 words.
            unsafe { _mm512_storeu_ps(line.as_mut_ptr().cast(), x) };
        }
    }
}

/// Sixteen rows of sixteen words, transposed: no word is changed.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
pub(crate) fn transposed16(mut x: [__m512; WIDTH]) -> [__m512; WIDTH] {
    // Pairs of rows, then of pairs: four by four within each quarter of a register.
    let mut y = [_mm512_setzero_ps(); WIDTH];
    for i in (0..WIDTH).step_by(2) {
        y[i] = _mm512_unpacklo_ps(x[i], x[i + 1]);
        y[i + 1] = _mm512_unpackhi_ps(x[i], x[i + 1]);
    }
    for i in (0..WIDTH).step_by(4) {
        let [a, b, c, d] = [0, 1, 2, 3].map(|j| _mm512_castps_pd(y[i + j]));
        x[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
        x[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
        x[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
        x[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
    }
    // Quarters: those of rows 0 to 7 beside each other, those of 8 to 15, then both.
    for i in 0..4 {
        let (top, bottom) = (x[i], x[i + 4]);
        y[i] = _mm512_shuffle_f32x4::<0b10_00_10_00>(top, bottom);
        y[i + 4] = _mm512_shuffle_f32x4::<0b11_01_11_01>(top, bottom);
        let (top, bottom) = (x[i + 8], x[i + 12]);
        y[i + 8] = _mm512_shuffle_f32x4::<0b10_00_10_00>(top, bottom);
        y[i + 12] = _mm512_shuffle_f32x4::<0b11_01_11_01>(top, bottom);
    }
    for i in 0..4 {
        x[i] = _mm512_shuffle_f32x4::<0b10_00_10_00>(y[i], y[i + 8]);
        x[i + 8] = _mm512_shuffle_f32x4::<0b11_01_11_01>(y[i], y[i + 8]);
        x[i + 4] = _mm512_shuffle_f32x4::<0b10_00_10_00>(y[i + 4], y[i + 12]);
        x[i + 12] = _mm512_shuffle_f32x4::<0b11_01_11_01>(y[i + 4], y[i + 12]);
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_finds_its_place_on_every_level() {
        for isa in Isa::available() {
            for (count, k) in [(1, 1), (16, 16), (5, 17), (16, 15), (15, 33), (16, 64), (7, 0)] {
                let values: Vec<f32> = (0..count * k).map(|i| i as f32).collect();
                let rows: Vec<&[f32]> = (0..count).map(|j| &values[j * k..][..k]).collect();
                let mut lines = vec![[0; WIDTH]; k];
                transpose(isa, &rows, 0.5, &mut lines);
                for (l, line) in lines.iter().enumerate() {
                    for (j, &word) in line.iter().enumerate() {
                        let want = if j < count { 0.5 * values[j * k + l] } else { 0.0 };
                        assert_eq!(f32::from_bits(word), want, "{j}, {l} on {}", isa.level());
                    }
                }
            }
        }
    }
}
