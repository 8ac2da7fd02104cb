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

/// Rows of a register.
pub(crate) const BAND: usize = 16;

/// The tile registers of this thread, all of 16 × 64 bytes, until dropped.
pub(crate) struct Registers(PhantomData<*mut ()>); // not Send: they belong to the thread

impl Registers {
    /// Gives them their shape. Some dozens of cycles: once for all tiles that a thread makes in a row.
    ///
    /// # Safety
    ///
    /// The CPU has AMX and the system permits it; this thread has no other [`Registers`].
    pub(crate) unsafe fn configure() -> Registers {
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

/// The sums of a tile: one block of 16 × 16 for each band of rows and panel, `[BANDS][PANELS]`, of f32
/// or i32. Four kilobytes, written by the instructions before anybody reads them.
#[repr(C, align(64))]
pub(crate) struct Sums([MaybeUninit<[[u32; WIDTH]; BAND]>; 4]);

impl Sums {
    pub(crate) fn new() -> Sums {
        Sums([const { MaybeUninit::uninit() }; 4])
    }

    /// The rows of a block, 16 sums each.
    pub(crate) fn block(&self, block: usize) -> *const [u32; WIDTH] {
        self.0[block].as_ptr().cast()
    }
}

/// The factors of a tile: rows of words, and panels.
#[derive(Clone, Copy)]
pub(crate) struct Factors {
    /// Groups of the sum, a multiple of 16.
    pub(crate) groups: usize,
    /// Row i of 16 for each band: `groups` words at `a + i · a_stride`.
    pub(crate) a: *const u32,
    pub(crate) a_stride: usize,
    /// Panel p: 16 words for each group at `b + p · panel_stride`.
    pub(crate) b: *const u32,
    pub(crate) panel_stride: usize,
}

/// One loop over k in assembly: which registers are sums, what a step loads and multiplies, by how
/// much the pointers move on, and which block of the sums each register ends in.
macro_rules! steps {
    ($f:ident, $sums:ident, zero: [$($zero:literal),*], step: [$($step:expr),*],
     store: [$($store:literal),*], pointers: [$($pointer:ident = $start:expr),*]) => {
        asm!(
            $($zero,)*
            "test {steps}, {steps}",
            "jz 3f",
            "2:",
            $($step,)*
            "dec {steps}",
            "jnz 2b",
            "3:",
            $($store,)*
            $($pointer = inout(reg) $start => _,)*
            steps = inout(reg) $f.groups / 16 => _,
            sums = in(reg) $sums,
            a_row = in(reg) 4 * $f.a_stride, line = in(reg) 64usize,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        )
    };
}

macro_rules! multiply {
    ($(#[$what:meta])* $name:ident, $product:literal) => {
        $(#[$what])*
        ///
        /// # Safety
        ///
        /// This thread has [`Registers`]; `f` describes 16 BANDS rows and PANELS panels that can be read:
        /// 1 × 4, 1 × 2, 1 × 1, 2 × 2 or 2 × 1.
        #[inline]
        pub(crate) unsafe fn $name<const BANDS: usize, const PANELS: usize>(
            f: &Factors,
            sums: &mut Sums,
        ) {
            let a = |band: usize| f.a.wrapping_add(band * BAND * f.a_stride);
            let b = |p: usize| f.b.wrapping_add(p * f.panel_stride);
            // SAFETY: of a 16 words of 16 rows are read in each step, of b 16 groups; a moves on by as much,
            // 64 bytes, b by 1,024. Each register of sums is written to its kilobyte of `sums`.
            unsafe {
                match (BANDS, PANELS) {
                    (2, 2) => steps!(
                        f, sums,
                        zero: ["tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3"],
                        step: [
                            "tileloadd tmm6, [{b0} + {line}]",
                            "tileloadd tmm4, [{a0} + {a_row}]",
                            concat!($product, " tmm0, tmm4, tmm6"),
                            "tileloadd tmm5, [{a1} + {a_row}]",
                            concat!($product, " tmm2, tmm5, tmm6"),
                            "tileloadd tmm7, [{b1} + {line}]",
                            concat!($product, " tmm1, tmm4, tmm7"),
                            concat!($product, " tmm3, tmm5, tmm7"),
                            "add {a0}, 64", "add {a1}, 64", "add {b0}, 1024", "add {b1}, 1024"
                        ],
                        store: [
                            "tilestored [{sums} + {line}], tmm0",
                            "tilestored [{sums} + {line} + 1024], tmm1",
                            "tilestored [{sums} + {line} + 2048], tmm2",
                            "tilestored [{sums} + {line} + 3072], tmm3"
                        ],
                        pointers: [a0 = a(0), a1 = a(1), b0 = b(0), b1 = b(1)]
                    ),
                    (2, 1) => steps!(
                        f, sums,
                        zero: ["tilezero tmm0", "tilezero tmm1"],
                        step: [
                            "tileloadd tmm6, [{b0} + {line}]",
                            "tileloadd tmm4, [{a0} + {a_row}]",
                            concat!($product, " tmm0, tmm4, tmm6"),
                            "tileloadd tmm5, [{a1} + {a_row}]",
                            concat!($product, " tmm1, tmm5, tmm6"),
                            "add {a0}, 64", "add {a1}, 64", "add {b0}, 1024"
                        ],
                        store: [
                            "tilestored [{sums} + {line}], tmm0",
                            "tilestored [{sums} + {line} + 1024], tmm1"
                        ],
                        pointers: [a0 = a(0), a1 = a(1), b0 = b(0)]
                    ),
                    (1, 4) => steps!(
                        f, sums,
                        zero: ["tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3"],
                        step: [
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
                            "add {b0}, 1024", "add {b1}, 1024", "add {b2}, 1024", "add {b3}, 1024"
                        ],
                        store: [
                            "tilestored [{sums} + {line}], tmm0",
                            "tilestored [{sums} + {line} + 1024], tmm1",
                            "tilestored [{sums} + {line} + 2048], tmm2",
                            "tilestored [{sums} + {line} + 3072], tmm3"
                        ],
                        pointers: [a0 = a(0), b0 = b(0), b1 = b(1), b2 = b(2), b3 = b(3)]
                    ),
                    (1, 2) => steps!(
                        f, sums,
                        zero: ["tilezero tmm0", "tilezero tmm1"],
                        step: [
                            "tileloadd tmm4, [{a0} + {a_row}]",
                            "tileloadd tmm6, [{b0} + {line}]",
                            concat!($product, " tmm0, tmm4, tmm6"),
                            "tileloadd tmm7, [{b1} + {line}]",
                            concat!($product, " tmm1, tmm4, tmm7"),
                            "add {a0}, 64", "add {b0}, 1024", "add {b1}, 1024"
                        ],
                        store: [
                            "tilestored [{sums} + {line}], tmm0",
                            "tilestored [{sums} + {line} + 1024], tmm1"
                        ],
                        pointers: [a0 = a(0), b0 = b(0), b1 = b(1)]
                    ),
                    (1, 1) => steps!(
                        f, sums,
                        zero: ["tilezero tmm0"],
                        step: [
                            "tileloadd tmm4, [{a0} + {a_row}]",
                            "tileloadd tmm6, [{b0} + {line}]",
                            concat!($product, " tmm0, tmm4, tmm6"),
                            "add {a0}, 64", "add {b0}, 1024"
                        ],
                        store: ["tilestored [{sums} + {line}], tmm0"],
                        pointers: [a0 = a(0), b0 = b(0)]
                    ),
                    _ => unreachable!("{BANDS} bands × {PANELS} panels"),
                }
            }
        }
    };
}

multiply! {
    /// Sums over k in f32 of products of bf16. Each step of 32 adds the sums of its even and of its odd
    /// products, and takes what is smaller than the smallest normal number for zero.
    multiply_bf16, "tdpbf16ps"
}

multiply! {
    /// Sums over k in i32 of products of int8, exact.
    multiply_int8, "tdpbssd"
}

macro_rules! again {
    ($(#[$what:meta])* $name:ident, $product:literal, $products:literal) => {
        $(#[$what])*
        ///
        /// # Safety
        ///
        /// The CPU has AMX and the system permits it; this thread has no [`Registers`].
        pub(crate) unsafe fn $name(rounds: usize) -> usize {
            // SAFETY: the caller's word.
            let _registers = unsafe { Registers::configure() };
            // SAFETY: registers alone are read and written, and counted down to zero.
            unsafe {
                asm!(
                    "tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3",
                    "tilezero tmm4", "tilezero tmm5", "tilezero tmm6", "tilezero tmm7",
                    "test {rounds}, {rounds}",
                    "jz 3f",
                    "2:",
                    concat!($product, " tmm0, tmm4, tmm6"), concat!($product, " tmm1, tmm4, tmm7"),
                    concat!($product, " tmm2, tmm5, tmm6"), concat!($product, " tmm3, tmm5, tmm7"),
                    concat!($product, " tmm0, tmm4, tmm6"), concat!($product, " tmm1, tmm4, tmm7"),
                    concat!($product, " tmm2, tmm5, tmm6"), concat!($product, " tmm3, tmm5, tmm7"),
                    concat!($product, " tmm0, tmm4, tmm6"), concat!($product, " tmm1, tmm4, tmm7"),
                    concat!($product, " tmm2, tmm5, tmm6"), concat!($product, " tmm3, tmm5, tmm7"),
                    "dec {rounds}",
                    "jnz 2b",
                    "3:",
                    rounds = inout(reg) rounds => _,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack, nomem),
                );
            }
            $products
        }
    };
}

again! {
    /// Twelve instructions in bf16, `rounds` times, with nothing loaded; returns the products of each.
    again_bf16, "tdpbf16ps", 8192
}

again! {
    /// The same in int8.
    again_int8, "tdpbssd", 16384
}
