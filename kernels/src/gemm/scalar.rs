//! Plain Rust: what every other micro-kernel is compared with, and what a CPU without vectors runs.
//!
//! One row of c, one panel: sixteen sums, each over k in order. In f32 and bf16 product and sum are
//! rounded apart; in int8 sums are exact, and every level has the same bits.
//! Nobody should wait for this.

use super::pack::WIDTH;
use super::tile::{Left, Microkernel, Start, Tile, Width};

/// 1 × 16.
pub(super) const F32: Microkernel = Microkernel {
    name: "f32 scalar",
    left: Left::InPlace,
    widths: &[Width { panels: 1, heights: &[f32_tile] }],
};

/// 1 × 16, times activations in f32.
pub(super) const BF16: Microkernel = Microkernel {
    name: "bf16 scalar",
    left: Left::InPlace,
    widths: &[Width { panels: 1, heights: &[bf16_tile] }],
};

/// 1 × 16.
pub(super) const INT8: Microkernel = Microkernel {
    name: "int8 scalar",
    left: Left::Int8 { offset: 0 },
    widths: &[Width { panels: 1, heights: &[int8_tile] }],
};

/// One row of one panel.
///
/// # Safety
///
/// `t` must describe 1 row and 1 panel as [`Tile`] says.
unsafe fn f32_tile(t: &Tile) {
    // SAFETY: a row of a holds k values, a panel 16 k; for c as below.
    unsafe {
        let a = std::slice::from_raw_parts(t.a.cast::<f32>(), t.k);
        let b = std::slice::from_raw_parts(t.b.cast::<[f32; WIDTH]>(), t.k);
        let mut c = start(t);
        for (a, b) in a.iter().zip(b) {
            for (c, b) in c.iter_mut().zip(b) {
                *c += a * b;
            }
        }
        *t.c.cast() = c;
    }
}

/// The same in bf16: a group of the panel is two steps.
///
/// # Safety
///
/// As for [`f32_tile`], with k values of a and ⌈k / 2⌉ groups.
unsafe fn bf16_tile(t: &Tile) {
    // SAFETY: the caller's word.
    unsafe {
        let a = std::slice::from_raw_parts(t.a.cast::<f32>(), t.k);
        let b = std::slice::from_raw_parts(t.b.cast::<[u32; WIDTH]>(), t.k.div_ceil(2));
        let mut c = start(t);
        for (a, b) in a.chunks(2).zip(b) {
            for (c, pair) in c.iter_mut().zip(b) {
                *c += a[0] * f32::from_bits(pair << 16);
            }
            if let Some(a) = a.get(1) {
                for (c, pair) in c.iter_mut().zip(b) {
                    *c += a * f32::from_bits(pair & 0xffff_0000);
                }
            }
        }
        *t.c.cast() = c;
    }
}

/// The same in int8: a word of a and a group of the panel are four steps.
///
/// # Safety
///
/// As for [`f32_tile`], with k words of a and k groups, and the scales of a row and of 16 columns.
unsafe fn int8_tile(t: &Tile) {
    // SAFETY: the caller's word.
    unsafe {
        let a = std::slice::from_raw_parts(t.a.cast::<[i8; 4]>(), t.k);
        let b = std::slice::from_raw_parts(t.b.cast::<[[i8; 4]; WIDTH]>(), t.k);
        let mut sums = [0i32; WIDTH];
        for (a, b) in a.iter().zip(b) {
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum += a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum::<i32>();
            }
        }
        let mut c = start(t);
        for ((j, c), sum) in c.iter_mut().enumerate().zip(sums) {
            *c = (sum as f32).mul_add(*t.scale.rows * *t.scale.columns.add(j), *c);
        }
        *t.c.cast() = c;
    }
}

/// What the sums of a row of a panel begin with.
///
/// # Safety
///
/// As for [`f32_tile`].
unsafe fn start(t: &Tile) -> [f32; WIDTH] {
    match t.start {
        Start::Zero => [0.0; WIDTH],
        // SAFETY: such a row holds 16 floats for the one panel.
        Start::Row(row) => unsafe { *row.cast() },
        // SAFETY: a row of c is 16 floats.
        Start::Resume => unsafe { *t.c.cast() },
    }
}
