//! What a micro-kernel is: data, one for each instruction set and precision.
//!
//! ```text
//! c [rows, 16 panels]  =  (0, bias or c)  +  a [rows, k] · b [k, 16 panels]
//! ```
//!
//! A tile of c stays in registers while k runs: each step loads one row of the panels and `rows`
//! values of a, and does rows · panels · 16 fused multiply-adds with them. The more of both, the
//! fewer loads a multiply-add; the registers set the limit. With few rows there is nothing to reuse,
//! but one multiply-add takes four cycles, and two begin in each: eight sums must be
//! open at once. So few rows take more panels, and each kernel lists what it can do.
//!
//! In bf16 and int8 a step takes a word of each row, two or four values at once (`pack.rs`).

use super::pack::WIDTH;
use crate::{Isa, Level, Precision, Vectors};

/// The micro-kernels of one instruction set and precision.
pub(super) struct Microkernel {
    /// What `inspect` and `bench` call it.
    pub(super) name: &'static str,
    /// What it wants a to be.
    pub(super) left: Left,
    /// Most panels first; the last has one panel, and the most rows that any has.
    pub(super) widths: &'static [Width],
}

/// The left factor as a kernel reads it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Rows of f32 where they lie: k values each.
    InPlace,
    /// Rows of int8 in words of four with this added to each byte, and filled with it up to the end of
    /// the panels' groups.
    Int8 { offset: u8 },
    /// Rows of bf16 or int8, whichever the panels hold, filled with zeros up to the end of the panels'
    /// groups, and with rows of zeros up to a multiple of 16; a tile begins at such a multiple. For AMX: the
    /// thread that makes tiles has configured its registers.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    Bands,
}

/// Tiles of one width.
pub(super) struct Width {
    /// Panels of a tile.
    pub(super) panels: usize,
    /// `heights[i]` makes i + 1 rows.
    pub(super) heights: &'static [Run],
}

/// Makes a tile. Callers must hold the [`Isa`] of its [`Microkernel`] and keep what [`Tile`] says.
pub(super) type Run = unsafe fn(&Tile);

/// Where a tile's factors lie, for a number of rows and panels that its maker knows.
pub(super) struct Tile {
    /// Words of a row of a: steps of the sum.
    pub(super) k: usize,
    /// Row i: k words to read at `a + i · a_stride`.
    pub(super) a: *const u32,
    pub(super) a_stride: usize,
    /// Panel p: 16 words to read for each group of k, at `b + p · panel_stride`.
    pub(super) b: *const u32,
    pub(super) panel_stride: usize,
    /// Row i: 16 · panels floats to write, ours alone, at `c + i · c_stride`.
    pub(super) c: *mut f32,
    pub(super) c_stride: usize,
    /// What the sums begin with.
    pub(super) start: Start,
    /// int8 only; else its pointers point to nothing.
    pub(super) scale: Scale,
}

/// What the integer sums of a tile in int8 are worth: c = start + sum · (row · column).
#[derive(Clone, Copy)]
pub(super) struct Scale {
    /// A float for each row.
    pub(super) rows: *const f32,
    /// 16 · panels floats.
    pub(super) columns: *const f32,
    /// 16 · panels integers: Σ b of each column, which a kernel with an offset takes off.
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "no offset elsewhere"))]
    pub(super) sums: *const i32,
}

/// What a tile's sums begin with.
#[derive(Clone, Copy)]
pub(super) enum Start {
    /// Nothing.
    Zero,
    /// The same row under every row: 16 · panels floats to read. A bias costs nothing here.
    Row(*const f32),
    /// What c holds: the sum over earlier blocks of k, exact, as it stood in registers.
    Resume,
}

impl Tile {
    /// What row i begins with lies at the pointer + i · the stride: for a kernel that adds it last,
    /// whose loop over the sums has no case to tell apart.
    #[inline]
    pub(super) fn start(&self) -> (*const f32, usize) {
        static NOTHING: [f32; 4 * WIDTH] = [0.0; 4 * WIDTH];
        match self.start {
            Start::Zero => (NOTHING.as_ptr(), 0),
            Start::Row(row) => (row, 0),
            Start::Resume => (self.c, self.c_stride),
        }
    }
}

impl Microkernel {
    /// The tiles of this instruction set and precision.
    pub(super) fn of(isa: Isa, precision: Precision) -> &'static Microkernel {
        match precision {
            Precision::F32 => match isa.vectors() {
                #[cfg(target_arch = "x86_64")]
                Vectors::Avx512 => &super::f32_avx512::AVX512,
                #[cfg(target_arch = "x86_64")]
                Vectors::Avx2 => &super::f32_avx2::AVX2,
                #[cfg(target_arch = "aarch64")]
                Vectors::Neon => &super::f32_neon::NEON,
                _ => &super::scalar::F32,
            },
            #[cfg(target_arch = "x86_64")]
            Precision::Bf16 if isa.level() == Level::Amx => &super::bands::BF16,
            Precision::Bf16 => match isa.vectors() {
                #[cfg(target_arch = "x86_64")]
                Vectors::Avx512 => &super::bf16_avx512::KERNEL,
                #[cfg(target_arch = "x86_64")]
                Vectors::Avx2 => &super::bf16_avx2::KERNEL,
                #[cfg(target_arch = "aarch64")]
                Vectors::Neon => &super::bf16_neon::KERNEL,
                _ => &super::scalar::BF16,
            },
            Precision::Int8 => match isa.level() {
                #[cfg(target_arch = "x86_64")]
                Level::Amx => &super::bands::INT8,
                #[cfg(target_arch = "x86_64")]
                Level::Avx512Vnni => &super::int8_avx512_vnni::KERNEL,
                #[cfg(target_arch = "x86_64")]
                Level::AvxVnni => &super::int8_avx_vnni::KERNEL,
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 | Level::Avx512 => &super::int8_avx2::KERNEL,
                #[cfg(target_arch = "aarch64")]
                Level::NeonI8mm => &super::int8_neon_i8mm::KERNEL,
                #[cfg(target_arch = "aarch64")]
                Level::NeonDot => &super::int8_neon_dot::KERNEL,
                #[cfg(target_arch = "aarch64")]
                Level::Neon => &super::int8_neon::KERNEL,
                _ => &super::scalar::INT8,
            },
        }
    }

    /// The most rows of a tile. AMX lists no widths: its tiles are made in `bands.rs`.
    pub(super) fn rows(&self) -> usize {
        self.widths.last().map_or(2 * WIDTH, |width| width.heights.len())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::pack::PackedB;
    use super::super::{quantize::quantize, scalar};
    use super::*;
    use crate::MatRef;

    /// Runs every tile of a kernel in int8 beside the reference, and asserts that they leave the same bits in
    /// the same places.
    ///
    /// # Safety
    ///
    /// The CPU has what the kernel asks for.
    pub(in super::super) unsafe fn assert_equals_scalar(kernel: &Microkernel) {
        // AMX wants bands of rows and its registers configured: `int8_amx.rs` has a test of its own.
        let Left::Int8 { offset } = kernel.left else { return };
        let mut state = 1u32;
        let mut values = |len: usize| -> Vec<f32> {
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            };
            (0..len).map(|_| next()).collect()
        };
        for width in kernel.widths {
            let n = width.panels * WIDTH;
            for (rows, k) in (1..=width.heights.len()).zip([1, 64, 65, 300, 0].into_iter().cycle())
            {
                let (a, w) = (values(rows * k), values(n * k));
                let packed = PackedB::pack(Isa::best(), Precision::Int8, &[MatRef::new(&w, n, k)]);
                let (groups, bias) = (packed.panels().stride() / WIDTH, values(n));
                let isa = Isa::best();
                let made = |offset| {
                    let mut words = vec![0u32; rows * groups];
                    let mut scales = vec![0.0; rows];
                    for (i, scale) in scales.iter_mut().enumerate() {
                        let mut bytes = vec![0u8; 4 * groups];
                        *scale = quantize(isa, &a[i * k..][..k], offset, &mut bytes);
                        let (fours, _) = bytes.as_chunks();
                        for (word, &four) in words[i * groups..].iter_mut().zip(fours) {
                            *word = u32::from_ne_bytes(four);
                        }
                    }
                    (words, scales)
                };
                let ((biased, _), (plain, scales)) = (made(offset), made(0));
                let c_stride = n + 3;
                for start in [Start::Zero, Start::Row(bias.as_ptr()), Start::Resume] {
                    let before = values(rows * c_stride);
                    let (mut got, mut want) = (before.clone(), before);
                    let tile = |i: usize, p: usize, a: &[u32], c: &mut [f32]| Tile {
                        k: groups,
                        a: a[i * groups..].as_ptr(),
                        a_stride: groups,
                        b: packed.words()[p * packed.panels().stride()..].as_ptr(),
                        panel_stride: packed.panels().stride(),
                        c: c[i * c_stride + p * WIDTH..].as_mut_ptr(),
                        c_stride,
                        start: match start {
                            Start::Row(row) => Start::Row(row.wrapping_add(p * WIDTH)),
                            other => other,
                        },
                        scale: Scale {
                            rows: scales[i..].as_ptr(),
                            columns: packed.scales()[p * WIDTH..].as_ptr(),
                            sums: packed.sums()[p * WIDTH..].as_ptr(),
                        },
                    };
                    // SAFETY: the caller's word, and rows, panels and groups as the tile says.
                    unsafe { width.heights[rows - 1](&tile(0, 0, &biased, &mut got)) };
                    for (i, p) in (0..rows).flat_map(|i| (0..width.panels).map(move |p| (i, p))) {
                        // SAFETY: one row and one panel of the same.
                        unsafe {
                            scalar::INT8.widths[0].heights[0](&tile(i, p, &plain, &mut want))
                        };
                    }
                    let bits = |c: &[f32]| c.iter().map(|c| c.to_bits()).collect::<Vec<_>>();
                    assert_eq!(bits(&got), bits(&want), "{}, {rows} × {n}, {k}", kernel.name);
                }
            }
        }
    }

    #[test]
    fn every_tile_in_int8_equals_the_reference() {
        for isa in Isa::available() {
            // SAFETY: the isa proves it.
            unsafe { assert_equals_scalar(Microkernel::of(isa, Precision::Int8)) };
        }
    }
}
