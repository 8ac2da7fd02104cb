//! Plain Rust: 16 lanes in an array, which the compiler puts into the registers of whoever calls.
//!
//! Everything here is inlined, so that it is compiled for the instructions of its caller. Arrays are made by
//! `from_fn` throughout: lanes that a loop picks by number fall out of their register.

use std::array::from_fn;

/// 16 values.
pub(crate) type Lanes = [f32; 16];

/// Lanes `i..i + 16` of `x`, zero beyond its end.
#[inline(always)]
pub(crate) fn lanes_at(x: &[f32], i: usize) -> Lanes {
    let x = &x[i..];
    if let Some(lanes) = x.first_chunk() {
        return *lanes;
    }
    let mut lanes = [0.0; 16];
    lanes[..x.len()].copy_from_slice(x);
    lanes
}

/// f over all lanes, halves with halves.
#[inline(always)]
pub(crate) fn fold<T: Copy>(x: [T; 16], f: impl Fn(T, T) -> T) -> T {
    let x: [T; 8] = from_fn(|lane| f(x[lane], x[lane + 8]));
    let x: [T; 4] = from_fn(|lane| f(x[lane], x[lane + 4]));
    f(f(x[0], x[2]), f(x[1], x[3]))
}

/// The greater magnitudes, as bits without sign, which are ordered like numbers, NaN above all.
#[inline(always)]
pub(crate) fn greater_magnitude(most: [u32; 16], x: &Lanes) -> [u32; 16] {
    from_fn(|lane| most[lane].max(x[lane].to_bits() & 0x7fff_ffff))
}
