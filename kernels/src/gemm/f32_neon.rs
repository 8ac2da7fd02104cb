//! NEON: tiles of up to 6 × 16, one panel wide.
//!
//! Registers, of 32: 6 · 4 sums, 4 for a row of the panel, up to 4 for values of a spread over all
//! lanes. Loads: 10 a step for 24 multiply-adds. Cores begin two to four multiply-adds and two or three
//! loads in a cycle: the multiply-adds are the bound. Nothing was timed on Arm.
//!
//! A single row goes over 4 panels and 2 or 3 rows over 2, which the in-order cores like too: every
//! value of a that was loaded is used at least eight times.

use std::arch::aarch64::*;

use super::pack::WIDTH;
use super::tile::{Left, Microkernel, Start, Tile, Width};

/// Lanes of a register.
const LANES: usize = 4;

/// Registers that a panel's row fills.
const QUARTERS: usize = WIDTH / LANES;

/// 1 × 64, 3 × 32, 6 × 16.
pub(super) const NEON: Microkernel = Microkernel {
    name: "f32 neon",
    left: Left::InPlace,
    widths: &[
        Width { panels: 4, heights: &[tile::<1, 4>] },
        Width { panels: 2, heights: &[tile::<1, 2>, tile::<2, 2>, tile::<3, 2>] },
        Width {
            panels: 1,
            heights: &[
                tile::<1, 1>,
                tile::<2, 1>,
                tile::<3, 1>,
                tile::<4, 1>,
                tile::<5, 1>,
                tile::<6, 1>,
            ],
        },
    ],
};

/// ROWS × 16 PANELS.
///
/// # Safety
///
/// `t` describes ROWS rows and PANELS panels as [`Tile`] says.
#[target_feature(enable = "neon")]
unsafe fn tile<const ROWS: usize, const PANELS: usize>(t: &Tile) {
    let mut c = [[[vdupq_n_f32(0.0); QUARTERS]; PANELS]; ROWS];
    // SAFETY: every pointer below stays in the rows and panels that the caller answers for: rows
    // i < ROWS, panels p < PANELS, steps l < k, quarters q < 4 PANELS of the panels' columns.
    unsafe {
        let start = match t.start {
            Start::Zero => None,
            Start::Row(row) => Some((row, 0)),
            Start::Resume => Some((t.c.cast_const(), t.c_stride)),
        };
        if let Some((start, stride)) = start {
            for (i, c) in c.iter_mut().enumerate() {
                for (q, c) in c.as_flattened_mut().iter_mut().enumerate() {
                    *c = vld1q_f32(start.add(i * stride + q * LANES));
                }
            }
        }
        let (a, b) = (t.a.cast::<f32>(), t.b.cast::<f32>());
        for l in 0..t.k {
            let mut row = [[vdupq_n_f32(0.0); QUARTERS]; PANELS];
            for (p, row) in row.iter_mut().enumerate() {
                for (q, row) in row.iter_mut().enumerate() {
                    *row = vld1q_f32(b.add(p * t.panel_stride + l * WIDTH + q * LANES));
                }
            }
            for (i, c) in c.iter_mut().enumerate() {
                let a = *a.add(i * t.a_stride + l);
                for (c, &row) in c.as_flattened_mut().iter_mut().zip(row.as_flattened()) {
                    *c = vfmaq_n_f32(*c, row, a);
                }
            }
        }
        for (i, c) in c.iter().enumerate() {
            for (q, &c) in c.as_flattened().iter().enumerate() {
                vst1q_f32(t.c.add(i * t.c_stride + q * LANES), c);
            }
        }
    }
}
