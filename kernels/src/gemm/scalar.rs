//! Plain Rust: what every other micro-kernel is compared with, and what a CPU without vectors runs.
//!
//! One row of c, one panel: sixteen sums, each over k in order, product and sum rounded apart.
//! Nobody should wait for this.

use super::pack::WIDTH;
use super::tile::{Microkernel, Start, Tile, Width};

/// 1 × 16.
pub(super) const SCALAR: Microkernel =
    Microkernel { widths: &[Width { panels: 1, heights: &[tile] }] };

/// One row of one panel.
///
/// # Safety
///
/// `t` must describe 1 row and 1 panel as [`Tile`] says.
unsafe fn tile(t: &Tile) {
    // SAFETY: a row of c is 16 floats that are ours alone; a row of a holds k, a panel 16 k.
    let (c, a, b) = unsafe {
        (
            &mut *t.c.cast::<[f32; WIDTH]>(),
            std::slice::from_raw_parts(t.a, t.k),
            std::slice::from_raw_parts(t.b.cast::<[f32; WIDTH]>(), t.k),
        )
    };
    match t.start {
        Start::Zero => *c = [0.0; WIDTH],
        // SAFETY: such a row holds 16 floats for the one panel.
        Start::Row(row) => *c = unsafe { *row.cast::<[f32; WIDTH]>() },
        Start::Resume => {}
    }
    for (a, b) in a.iter().zip(b) {
        for (c, b) in c.iter_mut().zip(b) {
            *c += a * b;
        }
    }
}
