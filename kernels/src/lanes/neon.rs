//! NEON: 4 lanes, names ending in 4.

use std::arch::aarch64::*;

use crate::MatMut;

/// Lanes `i..i + 4` of `x`, `fill` beyond its end.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn load_or4(fill: float32x4_t, x: &[f32], i: usize) -> float32x4_t {
    match *x.get(i..).unwrap_or_default() {
        [] => fill,
        [a] => vsetq_lane_f32::<0>(a, fill),
        [a, b] => vsetq_lane_f32::<1>(b, vsetq_lane_f32::<0>(a, fill)),
        [a, b, c] => {
            let two = vsetq_lane_f32::<1>(b, vsetq_lane_f32::<0>(a, fill));
            vsetq_lane_f32::<2>(c, two)
        }
        // SAFETY: four or more are left: i + 4 ≤ x.len().
        _ => unsafe { vld1q_f32(x.as_ptr().add(i)) },
    }
}

/// Lanes `i..i + 4` of `x`, zero beyond its end.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn load4(x: &[f32], i: usize) -> float32x4_t {
    load_or4(vdupq_n_f32(0.0), x, i)
}

/// Writes `lanes` to `i..i + 4` of `x`, as far as it reaches.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn store4(x: &mut [f32], i: usize, lanes: float32x4_t) {
    match x.get_mut(i..).unwrap_or_default() {
        [] => {}
        [a] => *a = vgetq_lane_f32::<0>(lanes),
        [a, b] => (*a, *b) = (vgetq_lane_f32::<0>(lanes), vgetq_lane_f32::<1>(lanes)),
        [a, b, c] => {
            (*a, *b) = (vgetq_lane_f32::<0>(lanes), vgetq_lane_f32::<1>(lanes));
            *c = vgetq_lane_f32::<2>(lanes);
        }
        // SAFETY: four or more are left.
        rest => unsafe { vst1q_f32(rest.as_mut_ptr(), lanes) },
    }
}

/// x = f(i, lanes `i..i + 4` of x), along the whole of `x`.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn map4(x: &mut [f32], f: impl Fn(usize, float32x4_t) -> float32x4_t) {
    for i in (0..x.len()).step_by(4) {
        store4(x, i, f(i, load4(x, i)));
    }
}

/// x = f(x) along every row of `x`.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) fn map_rows4(mut x: MatMut<f32>, f: impl Fn(float32x4_t) -> float32x4_t) {
    for row in 0..x.rows() {
        map4(x.row_mut(row), |_, lanes| f(lanes));
    }
}
