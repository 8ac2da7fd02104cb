//! AMX: eight registers of 16 × 64 bytes, and one instruction that multiplies two of them.
//!
//! ```text
//! tdpbf16ps    [16 rows][16 words of two bf16]   × [16 words][16 columns]   += [16 × 16] of f32
//! tdpbssd      [16 rows][16 words of four int8]  × [16 words][16 columns]   += [16 × 16] of i32
//! ```
//!
//! 16 groups of a panel are a register's right factor as they lie (`pack.rs`), and 16 words of 16 rows its
//! left one, rounded to bf16 or int8 on the way (`blocking.rs`). One instruction takes 16 cycles
//! and does 8,192 or 16,384 multiply-adds; a load of 16 cache lines takes 8. So four sums are open, 2 × 2:
//! 4 loads for 4 products, and each is used twice. Up to 16 rows go over 4 panels: 5 loads, which
//! still hide behind 64 cycles of products, while panels are read as fast as L2 delivers them.
//!
//! Rust's intrinsics for AMX are unstable, so this file, and it alone, speaks to it by `asm!`. A loop is one
//! block of assembly, since nothing lives in a tile register from one block to the next. That CPU and
//! system permit it, [`Level::Amx`](crate::Level) has found out; [`Registers`] gives them their shape.
//!
//! Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18, *Programming
//! with Intel AMX*, and the Optimization Reference Manual, chapter 20.

use std::arch::asm;
use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::pack::WIDTH;
use super::tile::{Run, Tile};

/// Rows of a register.
pub(super) const BAND: usize = 16;

/// Most rows of a tile.
const TALLEST: usize = 2 * BAND;

/// The tile registers of this thread, all of 16 × 64 bytes, until dropped.
pub(super) struct Registers(PhantomData<*mut ()>); // not Send: they belong to the thread

impl Registers {
    /// Gives them their shape. Some dozens of cycles: once for all tiles that a thread makes in a row.
    ///
    /// # Safety
    ///
    /// The CPU has AMX and the system permits it; this thread has no other [`Registers`].
    pub(super) unsafe fn configure() -> Registers {
        #[repr(C, align(64))]
        struct Shapes {
            palette: u8,
            start_row: u8,
            reserved: [u8; 14],
            row_bytes: [u16; 16],
            rows: [u8; 16],
        }
        let (mut row_bytes, mut rows) = ([0; 16], [0; 16]);
        row_bytes[..8].fill(64);
        rows[..8].fill(BAND as u8);
        let shapes = Shapes { palette: 1, start_row: 0, reserved: [0; 14], row_bytes, rows };
        // SAFETY: the caller has AMX; the instruction reads the 64 bytes of valid shapes.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &shapes, options(nostack, readonly)) };
        Registers(PhantomData)
    }
}

impl Drop for Registers {
    fn drop(&mut self) {
        // SAFETY: they were configured, so AMX is there. Released registers are in their first state, which
        // the system need not save when it switches threads: 8 KiB.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}

/// The sums of a tile: one block for each band of 16 rows and panel, `[BANDS][PANELS]`, in row order.
/// Four kilobytes, written by the instructions before anybody reads them.
#[repr(C, align(64))]
pub(super) struct Sums<T>([MaybeUninit<[[T; WIDTH]; BAND]>; 4]);

impl<T> Sums<T> {
    pub(super) fn new() -> Sums<T> {
        Sums([const { MaybeUninit::uninit() }; 4])
    }

    /// Where 16 sums of a row lie, for a tile of so many panels.
    pub(super) fn row<const PANELS: usize>(&self, i: usize, p: usize) -> *const T {
        self.0[i / BAND * PANELS + p].as_ptr().cast::<T>().wrapping_add(i % BAND * WIDTH)
    }
}

/// Heights of a width that makes up to 16 rows with one maker, up to 32 with another.
pub(super) const fn heights(one_band: Run, two_bands: Run) -> [Run; TALLEST] {
    let mut heights = [one_band; TALLEST];
    let mut i = BAND;
    while i < TALLEST {
        heights[i] = two_bands;
        i += 1;
    }
    heights
}

macro_rules! multiply {
    ($(#[$what:meta])* $name:ident, $product:literal, $sum:ty) => {
        $(#[$what])*
        ///
        /// # Safety
        ///
        /// This thread has [`Registers`]; `t` describes 16 BANDS rows, of which the last may be
        /// beyond its `rows`, and PANELS panels as [`Tile`] says, k a multiple of 16.
        #[inline]
        pub(super) unsafe fn $name<const BANDS: usize, const PANELS: usize>(
            t: &Tile,
            sums: &mut Sums<$sum>,
        ) {
            let (steps, a_row) = (t.k / 16, 4 * t.a_stride);
            let a = |band: usize| t.a.wrapping_add(band * BAND * t.a_stride);
            let b = |p: usize| t.b.wrapping_add(p * t.panel_stride);
            match (BANDS, PANELS) {
                // SAFETY: of a 16 words of 16 rows are read in each step, of b 16 groups; a moves on
                // by as much, 64 bytes, b by 1,024. Each of the four registers of sums is written to
                // a kilobyte of `sums`, of which there are four.
                (2, 2) => unsafe {
                    asm!(
                        "tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3",
                        "test {steps}, {steps}",
                        "jz 3f",
                        "2:",
                        "tileloadd tmm4, [{a0} + {a_row}]",
                        "tileloadd tmm6, [{b0} + {line}]",
                        "tileloadd tmm7, [{b1} + {line}]",
                        concat!($product, " tmm0, tmm4, tmm6"),
                        "tileloadd tmm5, [{a1} + {a_row}]",
                        concat!($product, " tmm1, tmm4, tmm7"),
                        concat!($product, " tmm2, tmm5, tmm6"),
                        concat!($product, " tmm3, tmm5, tmm7"),
                        "add {a0}, 64", "add {a1}, 64", "add {b0}, 1024", "add {b1}, 1024",
                        "dec {steps}",
                        "jnz 2b",
                        "3:",
                        "tilestored [{sums} + {line}], tmm0",
                        "tilestored [{sums} + {line} + 1024], tmm1",
                        "tilestored [{sums} + {line} + 2048], tmm2",
                        "tilestored [{sums} + {line} + 3072], tmm3",
                        a0 = inout(reg) a(0) => _, a1 = inout(reg) a(1) => _,
                        b0 = inout(reg) b(0) => _, b1 = inout(reg) b(1) => _,
                        steps = inout(reg) steps => _, sums = in(reg) sums,
                        a_row = in(reg) a_row, line = in(reg) 64usize,
                        out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                        out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                        options(nostack),
                    );
                },
                // SAFETY: as above.
                (1, 4) => unsafe {
                    asm!(
                        "tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3",
                        "test {steps}, {steps}",
                        "jz 3f",
                        "2:",
                        "tileloadd tmm4, [{a0} + {a_row}]",
                        "tileloadd tmm5, [{b0} + {line}]",
                        concat!($product, " tmm0, tmm4, tmm5"),
                        "tileloadd tmm6, [{b1} + {line}]",
                        concat!($product, " tmm1, tmm4, tmm6"),
                        "tileloadd tmm7, [{b2} + {line}]",
                        concat!($product, " tmm2, tmm4, tmm7"),
                        "tileloadd tmm5, [{b3} + {line}]",
                        concat!($product, " tmm3, tmm4, tmm5"),
                        "add {a0}, 64",
                        "add {b0}, 1024", "add {b1}, 1024", "add {b2}, 1024", "add {b3}, 1024",
                        "dec {steps}",
                        "jnz 2b",
                        "3:",
                        "tilestored [{sums} + {line}], tmm0",
                        "tilestored [{sums} + {line} + 1024], tmm1",
                        "tilestored [{sums} + {line} + 2048], tmm2",
                        "tilestored [{sums} + {line} + 3072], tmm3",
                        a0 = inout(reg) a(0) => _,
                        b0 = inout(reg) b(0) => _, b1 = inout(reg) b(1) => _,
                        b2 = inout(reg) b(2) => _, b3 = inout(reg) b(3) => _,
                        steps = inout(reg) steps => _, sums = in(reg) sums,
                        a_row = in(reg) a_row, line = in(reg) 64usize,
                        out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                        out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                        options(nostack),
                    );
                },
                // What remains at the edges: one register at a time.
                _ => {
                    for (place, block) in sums.0[..BANDS * PANELS].iter_mut().enumerate() {
                        let (band, p) = (place / PANELS, place % PANELS);
                        // SAFETY: as above, with one register of sums and its block.
                        unsafe {
                            asm!(
                                "tilezero tmm0",
                                "test {steps}, {steps}",
                                "jz 3f",
                                "2:",
                                "tileloadd tmm4, [{a} + {a_row}]",
                                "tileloadd tmm6, [{b} + {line}]",
                                concat!($product, " tmm0, tmm4, tmm6"),
                                "add {a}, 64", "add {b}, 1024",
                                "dec {steps}",
                                "jnz 2b",
                                "3:",
                                "tilestored [{sums} + {line}], tmm0",
                                a = inout(reg) a(band) => _, b = inout(reg) b(p) => _,
                                steps = inout(reg) steps => _, sums = in(reg) block,
                                a_row = in(reg) a_row, line = in(reg) 64usize,
                                out("tmm0") _, out("tmm4") _, out("tmm6") _,
                                options(nostack),
                            );
                        }
                    }
                }
            }
        }
    };
}

multiply! {
    /// Sums over k in f32 of products of bf16. Each step of 32 adds the sums of its even and of its odd
    /// products, and takes what is smaller than the smallest normal number for zero.
    multiply_bf16, "tdpbf16ps", f32
}

multiply! {
    /// Sums over k in i32 of products of int8, exact.
    multiply_int8, "tdpbssd", i32
}
