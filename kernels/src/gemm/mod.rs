//! GEMM: the product of activations and a weight matrix, with bias, activation or residual behind it.
//!
//! ```text
//! cᵢⱼ = epilogue(Σₗ aᵢₗ wⱼₗ)        c = epilogue(a · Wᵀ)
//! ```
//!
//! a `[m, k]`, W `[n, k]` (out × in, as PyTorch stores a Linear), c `[m, n]`. Each sum is one chain
//! of fused multiply-adds over k in order, on every level but scalar, which rounds products and
//! sums apart. So a row of c depends on k, on W and on that row of a alone: it has the same bits for
//! any number of threads, whatever other rows a has, and on every level with vectors. In bf16 and int8
//! see [`Precision`]; int8 sums are exact, so every level has the same bits.
//!
//! Cost: 2mnk flops over mk + nk + mn values. For m in the hundreds bound by arithmetic; for one
//! sentence (m of 10 to 40) by reading W. All other ops together are a tenth of it.
//!
//! | file            | what |
//! |-----------------|------|
//! | `pack.rs`       | W in panels of 16 columns, the same for every level |
//! | `transpose.rs`  | rows of f32 to panels |
//! | `scratch.rs`    | panels that are read a few times and forgotten |
//! | `quantize.rs`   | rows of a as bf16 or int8 |
//! | `rows.rs`       | the left factor: rows of f32, or made for the kernel |
//! | `tile.rs`       | what a micro-kernel is |
//! | `scalar.rs`     | the reference, 1 × 16, in every precision |
//! | `f32_avx2.rs`, `f32_avx512.rs`, `f32_neon.rs` | 6 × 16, 14 × 32, 6 × 16 |
//! | `bf16_avx2.rs`, `bf16_avx512.rs`, `bf16_neon.rs` | the same, bf16 made f32 on the way |
//! | `int8_avx2.rs`, `int8_avx_vnni.rs`, `int8_avx512_vnni.rs` | 5 × 16, 6 × 16, 14 × 32 |
//! | `int8_neon.rs`, `int8_neon_dot.rs`, `int8_neon_i8mm.rs` | 5 × 16, 6 × 16, 6 × 16 |
//! | `amx.rs`        | what AMX adds to the language: its registers, and the loop over k |
//! | `bands.rs`      | its loops and epilogues, 32 × 32, times activations in bf16 or int8 |
//! | `f32_simt.rs`, `half_mma.rs`, `half_wgmma.rs`, `int8_mma.rs` | on a GPU: the launch of the `.cu` beside each |
//! | `thin.rs`       | on a GPU: one or two columns |
//! | `blocking.rs`   | the loops around them, and how threads share them |
//! | `epilogue.rs`   | what is done to a tile of c before it leaves L1 |
//! | `backward.rs`   | gradients of both factors |

#[cfg(target_arch = "x86_64")]
pub(crate) mod amx;
mod backward;
#[cfg(target_arch = "x86_64")]
mod bands;
#[cfg(target_arch = "x86_64")]
mod bf16_avx2;
#[cfg(target_arch = "x86_64")]
mod bf16_avx512;
#[cfg(target_arch = "aarch64")]
mod bf16_neon;
mod blocking;
mod epilogue;
#[cfg(target_arch = "x86_64")]
mod f32_avx2;
#[cfg(target_arch = "x86_64")]
mod f32_avx512;
#[cfg(target_arch = "aarch64")]
mod f32_neon;
mod f32_simt;
mod half_mma;
mod half_wgmma;
#[cfg(target_arch = "x86_64")]
mod int8_avx2;
#[cfg(target_arch = "x86_64")]
mod int8_avx512_vnni;
#[cfg(target_arch = "x86_64")]
mod int8_avx_vnni;
mod int8_mma;
#[cfg(target_arch = "aarch64")]
mod int8_neon;
#[cfg(target_arch = "aarch64")]
mod int8_neon_dot;
#[cfg(target_arch = "aarch64")]
mod int8_neon_i8mm;
mod pack;
mod quantize;
mod rows;
mod scalar;
mod scratch;
mod thin;
mod tile;
mod transpose;

pub(crate) use backward::transposed;
pub use backward::{Accumulate, gemm_backward_input, gemm_backward_weight};
pub use epilogue::Epilogue;
pub use f32_simt::f32_simt_launch;
pub use half_mma::half_mma_launch;
pub use half_wgmma::{half_wgmma_launch, half_wgmma_tiles};
pub use int8_mma::int8_mma_launch;
pub use pack::PackedB;
pub(crate) use pack::{Panels, WIDTH};
pub(crate) use quantize::scale;
pub use rows::{MadeRows, Rows, make};
pub(crate) use rows::{Maker, bytes, groups};
pub(crate) use scratch::{Int8Panels, Scratch};

pub use quantize::quantize_launch;
pub use thin::thin_launch;
#[cfg(target_arch = "x86_64")]
pub(crate) use transpose::transposed16;

use crate::{Isa, Level, MatMut, MatRef, Precision, parallel};
pub(crate) use blocking::LONGEST;
use blocking::{A_STEP, Product};
use tile::{Left, Microkernel};

/// c `[m, n]` = epilogue(a `[m, k]` · Wᵀ), on the threads of the current crew. a may be a matrix of f32.
pub fn gemm<'a>(
    isa: Isa,
    a: impl Into<Rows<'a>>,
    b: &PackedB,
    epilogue: Epilogue<'a>,
    c: MatMut<f32>,
) {
    let (a, epilogue) = (a.into(), epilogue.no_finer_than(b.precision()));
    assert_fit(a, b.panels(), &epilogue, (c.rows(), c.cols()));
    assert!(b.precision() != Precision::Int8 || b.k() <= LONGEST, "a sum of {} in int8", b.k());
    Product { isa, a, b: b.panels(), epilogue }.run_shared(c);
}

/// The same, c being so many equal parts side by side (q, k and v) which are read together, some columns of each:
/// what a thread makes of one part it makes of all.
pub fn gemm_parts(
    isa: Isa,
    a: Rows,
    b: &PackedB,
    epilogue: Epilogue,
    parts: usize,
    c: MatMut<f32>,
) {
    #[cfg(target_arch = "x86_64")]
    if Microkernel::of(isa, b.precision()).left == Left::Bands {
        let epilogue = epilogue.no_finer_than(b.precision());
        assert_fit(a, b.panels(), &epilogue, (c.rows(), c.cols()));
        assert!(
            parts > 0 && c.cols().is_multiple_of(parts),
            "{parts} parts of {} columns",
            c.cols()
        );
        return Product { isa, a, b: b.panels(), epilogue }.share_parts(c, parts);
    }
    gemm(isa, a, b, epilogue, c);
}

/// The same, c as the left factor of a product in the same precision. In bf16 it is written so at once and
/// `c` stays as it was; else it is made of `c`, or is `c`.
pub fn gemm_rows<'c>(
    isa: Isa,
    a: Rows,
    b: &PackedB,
    epilogue: Epilogue,
    mut c: MatMut<'c, f32>,
    made: &'c mut MadeRows,
) -> Rows<'c> {
    let epilogue = epilogue.no_finer_than(b.precision());
    let maker = Maker::of(isa, b.precision());
    #[cfg(target_arch = "x86_64")]
    if maker.is_some_and(|maker| maker.is_bf16()) && epilogue.is_written_in_bf16() {
        assert_fit(a, b.panels(), &epilogue, (c.rows(), c.cols()));
        Product { isa, a, b: b.panels(), epilogue }.run_into_bf16(made);
        return Rows::Made(made);
    }
    gemm(isa, a, b, epilogue, c.reborrow());
    make(isa, b.precision(), c.into_ref(), made)
}

/// The same, bit for bit, with W `[n, k]` as it lies: panels are made on the way and forgotten. For
/// a matrix that is read seldom and by few rows of a, where a packed copy would cost more memory
/// than it saves time: the vocabulary behind a generator.
pub fn gemm_unpacked(isa: Isa, a: MatRef<f32>, w: MatRef<f32>, epilogue: Epilogue, c: MatMut<f32>) {
    assert!(a.cols() == w.cols(), "a of {} columns times W of {}", a.cols(), w.cols());
    assert!(c.rows() == a.rows(), "c of {} rows for a of {}", c.rows(), a.rows());
    assert!(c.cols() == w.rows(), "c of {} columns for W of {} rows", c.cols(), w.rows());
    epilogue.assert_fits(a.rows(), w.rows());
    // To pack a value costs about as much as 16 multiply-adds.
    let work = (a.rows() + 16) * w.rows() * w.cols() / A_STEP;
    let pieces = parallel::pieces(work, c.cols().div_ceil(STRIP));
    let cols = c.cols().div_ceil(pieces).next_multiple_of(STRIP).max(1);
    parallel::over_blocks(c, a.rows().max(1), cols, &|_, first, mut c| {
        let mut scratch = Scratch::default();
        for col in (0..c.cols()).step_by(STRIP) {
            let cols = col..c.cols().min(col + STRIP);
            let place = first + cols.start..first + cols.end;
            let b = scratch.transposed(isa, 1.0, w.block(place.clone(), 0..w.cols()));
            let epilogue = epilogue.columns(place);
            let product = Product { isa, a: Rows::F32(a), b, epilogue };
            product.run(c.block(0..a.rows(), cols));
        }
    });
}

/// Rows of W that [`gemm_unpacked`] packs at a time: four panels, which for k up to 4096 stay in L2.
const STRIP: usize = 64;

/// What multiplies on this level in this precision, for whoever asks what ran.
pub fn engine(isa: Isa, precision: Precision) -> &'static str {
    Microkernel::of(isa, precision).name
}

/// Rows of the tallest tile: who cuts rows into blocks had better cut there.
pub(crate) fn tall(isa: Isa, precision: Precision) -> usize {
    Microkernel::of(isa, precision).rows()
}

/// c `[m, n]` = a `[m, k]` · b `[k, n]`, on this thread: for a caller that is one of many already.
pub(crate) fn product(isa: Isa, a: MatRef<f32>, b: Panels, c: MatMut<f32>) {
    let a = Rows::F32(a);
    assert_fit(a, b, &Epilogue::None, (c.rows(), c.cols()));
    Product { isa, a, b, epilogue: Epilogue::None }.run(c);
}

/// c `[m, n]` = a · b + bias `[n]`, a rows of int8 with [`int8_offset`] added to each byte, on this thread.
pub(crate) fn product_int8(isa: Isa, a: &MadeRows, b: Panels, bias: &[f32], c: MatMut<f32>) {
    assert!(b.precision() == Precision::Int8 && b.k() <= LONGEST, "a sum of {} in int8", b.k());
    let (a, epilogue) = (Rows::Made(a), Epilogue::Bias(bias));
    assert_fit(a, b, &epilogue, (c.rows(), c.cols()));
    Product { isa, a, b, epilogue }.run(c);
}

/// Whether an instruction of this level multiplies bytes and adds their products to 32 bits: then int8 is
/// several times as fast as f32, else about as fast.
pub(crate) fn adds_products_of_bytes(isa: Isa) -> bool {
    match isa.level() {
        Level::Scalar | Level::Neon | Level::Avx2 | Level::Avx512 => false,
        Level::NeonDot | Level::NeonI8mm | Level::AvxVnni | Level::Avx512Vnni | Level::Amx => true,
    }
}

/// What the kernel of int8 wants added to each byte of its left factor: 0 or 128.
pub(crate) fn int8_offset(isa: Isa) -> u8 {
    match Microkernel::of(isa, Precision::Int8).left {
        Left::Int8 { offset } => offset,
        Left::InPlace | Left::Bands => 0,
    }
}

fn assert_fit(a: Rows, b: Panels, epilogue: &Epilogue, (rows, cols): (usize, usize)) {
    match a {
        Rows::F32(a) => {
            assert!(a.cols() == b.k(), "a of {} columns times W of {}", a.cols(), b.k())
        }
        Rows::Made(made) => {
            let (groups, wanted) = (made.groups(), b.stride() / WIDTH);
            assert!(groups == wanted, "a of {groups} groups times W of {wanted}");
        }
    }
    assert!(rows == a.rows(), "c of {rows} rows for a of {}", a.rows());
    assert!(cols == b.n(), "c of {cols} columns for W of {} rows", b.n());
    epilogue.assert_fits(a.rows(), b.n());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gelu::Activation;

    #[test]
    fn a_small_product_comes_out_by_hand_with_each_epilogue() {
        let weight = [1.0, 0.0, 2.0, 0.0, 3.0, -1.0];
        let weight = MatRef::new(&weight, 2, 3);
        let residual = [100.0, 200.0];
        for isa in Isa::available() {
            let run = |epilogue| {
                let (mut c, mut d) = ([f32::NAN; 2], [f32::NAN; 2]);
                let a = MatRef::new(&[1.0, 2.0, 3.0], 1, 3);
                gemm(
                    isa,
                    a,
                    &PackedB::pack(Isa::best(), Precision::F32, &[weight]),
                    epilogue,
                    MatMut::new(&mut c, 1, 2),
                );
                gemm_unpacked(isa, a, weight, epilogue, MatMut::new(&mut d, 1, 2));
                assert_eq!(c, d);
                c
            };
            let bias = &[0.5, -4.0];
            assert_eq!(run(Epilogue::None), [7.0, 3.0]);
            assert_eq!(run(Epilogue::Bias(bias)), [7.5, -1.0]);
            assert_eq!(run(Epilogue::BiasActivation(bias, Activation::Relu)), [7.5, 0.0]);
            let residual = MatRef::new(&residual, 1, 2);
            assert_eq!(run(Epilogue::BiasResidual(bias, residual)), [107.5, 199.0]);
        }
    }

    #[test]
    #[should_panic(expected = "a part of 2 columns beside one of 3")]
    fn parts_of_unequal_width_are_refused() {
        let w = [0.0; 5];
        PackedB::pack(Isa::best(), Precision::F32, &[MatRef::new(&w, 1, 3), MatRef::new(&w, 1, 2)]);
    }
}
