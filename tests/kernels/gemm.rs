//! The matrix product and its epilogues against f64, and the promise of equal bits.

use zhengzi_kernels::gelu::Activation;
use zhengzi_kernels::gemm::{Epilogue, PackedB, gemm, gemm_unpacked};
use zhengzi_kernels::{Isa, Level, MatRef, Precision};

use super::rival::gemm_crate;
use super::*;

/// m, n, k around the heights of tiles (3, 6, 14), the widths of panels (16) and of tiles (64), and
/// the blocks of rows (256) and of k (768).
pub(super) const SHAPES: [(usize, usize, usize); 26] = [
    (0, 5, 5),
    (5, 0, 5),
    (1, 1, 1),
    (3, 4, 0),
    (2, 70, 0),
    (1, 1, 256),
    (7, 2, 33),
    (300, 1, 129),
    (5, 15, 7),
    (6, 16, 8),
    (7, 17, 9),
    (13, 31, 15),
    (14, 32, 16),
    (15, 33, 17),
    (2, 63, 31),
    (1, 64, 63),
    (3, 65, 65),
    (4, 257, 100),
    (1, 129, 767),
    (2, 66, 768),
    (29, 47, 769),
    (65, 64, 600),
    (255, 48, 40),
    (256, 30, 1537),
    (257, 34, 20),
    (64, 768, 70),
];

fn product_f64(a: &Strided, w: &Strided, i: usize, j: usize) -> f64 {
    a.row(i).iter().zip(w.row(j)).map(|(&a, &w)| a as f64 * w as f64).sum()
}

#[test]
fn every_epilogue_agrees_with_f64_at_every_shape_on_every_level() {
    let mut random = Random(30);
    for isa in Isa::available() {
        for (m, n, k) in SHAPES {
            let a = Strided::random(&mut random, m, k, 1.0);
            let w = Strided::random(&mut random, n, k, 1.0);
            let packed = PackedB::pack(Isa::best(), Precision::F32, &[w.view()]);
            let residual = Strided::random(&mut random, m, n, 1.0);
            let bias = random.values(n, 1.0);
            let at = |place| product_f64(&a, &w, place / n, place % n);
            let products: Vec<f64> = (0..m * n).map(at).collect();
            // Partial sums are of the order √k, their errors of √k roundings of that.
            let tolerance = (2e-7 * (k as f64 + 5.0), 2e-6);
            let check = |epilogue, f: &dyn Fn(usize, usize, f64) -> f64| {
                let mut c = Strided::new(m, n, |_, _| f32::NAN);
                gemm(isa, a.view(), &packed, epilogue, c.view_mut());
                assert_close(&c, |i, j| f(i, j, products[i * n + j]), tolerance);
                let mut d = Strided::new(m, n, |_, _| f32::NAN);
                gemm_unpacked(isa, a.view(), w.view(), epilogue, d.view_mut());
                assert_eq!(c.bits(), d.bits(), "packed and not, {m} × {n} × {k}, {}", isa.level());
            };
            check(Epilogue::None, &|_, _, c| c);
            check(Epilogue::Bias(&bias), &|_, j, c| c + bias[j] as f64);
            check(Epilogue::BiasActivation(&bias, Activation::Tanh), &|_, j, c| {
                (c + bias[j] as f64).tanh()
            });
            check(Epilogue::BiasActivation(&bias, Activation::Gelu), &|_, j, c| {
                Activation::Gelu.apply((c + bias[j] as f64) as f32) as f64
            });
            check(Epilogue::BiasResidual(&bias, residual.view()), &|i, j, c| {
                c + bias[j] as f64 + residual.row(i)[j] as f64
            });
        }
    }
}

#[test]
fn a_row_has_the_same_bits_whatever_other_rows_are_multiplied_with_it() {
    let mut random = Random(31);
    for isa in Isa::available() {
        for (n, k) in [
            (1, 256),
            (2, 7),
            (37, 300),
            (64, 768),
            (65, 768),
            (85, 1),
            (86, 2),
            (128, 600),
            (300, 128),
            (768, 513),
            (40, 1600),
        ] {
            let a = Strided::random(&mut random, 290, k, 1.0);
            let w = Strided::random(&mut random, n, k, 1.0);
            let packed = PackedB::pack(Isa::best(), Precision::F32, &[w.view()]);
            let bias = random.values(n, 1.0);
            let run = |rows: std::ops::Range<usize>| {
                let mut c = Strided::new(rows.len(), n, |_, _| f32::NAN);
                let epilogue = Epilogue::BiasActivation(&bias, Activation::Gelu);
                gemm(isa, a.view().block(rows, 0..k), &packed, epilogue, c.view_mut());
                c
            };
            let all = run(0..a.rows);
            for (first, rows) in [
                (0, 1),
                (5, 1),
                (3, 2),
                (1, 3),
                (7, 4),
                (2, 5),
                (9, 16),
                (11, 17),
                (30, 64),
                (90, 65),
                (33, 200),
                (33, 257),
            ] {
                let part = run(first..first + rows);
                for i in 0..rows {
                    assert_eq!(
                        part.row(i),
                        all.row(first + i),
                        "row {i} of {rows}, n {n}, k {k}, {}",
                        isa.level()
                    );
                }
            }
        }
    }
}

#[test]
fn the_product_has_the_same_bits_for_any_number_of_threads() {
    let mut random = Random(32);
    for isa in Isa::available() {
        for (m, n, k) in [(300, 1, 400), (97, 33, 768), (64, 300, 520), (200, 768, 256)] {
            let a = Strided::random(&mut random, m, k, 1.0);
            let w = Strided::random(&mut random, n, k, 1.0);
            let packed = PackedB::pack(Isa::best(), Precision::F32, &[w.view()]);
            let residual = Strided::random(&mut random, m, n, 1.0);
            let bias = random.values(n, 1.0);
            assert_same_for_any_threads(|| {
                let mut c = Strided::new(m, n, |_, _| f32::NAN);
                let epilogue = Epilogue::BiasResidual(&bias, residual.view());
                gemm(isa, a.view(), &packed, epilogue, c.view_mut());
                c.bits()
            });
        }
    }
}

#[test]
fn every_level_with_vectors_gives_the_same_bits_and_the_gemm_crate_the_same_product() {
    let mut random = Random(33);
    for (m, n, k) in [(1, 33, 70), (40, 100, 300), (300, 48, 1600)] {
        let a = Strided::random(&mut random, m, k, 1.0);
        let w = Strided::random(&mut random, n, k, 1.0);
        let packed = PackedB::pack(Isa::best(), Precision::F32, &[w.view()]);
        let mut crates = Strided::new(m, n, |_, _| f32::NAN);
        gemm_crate(1, a.view(), w.view(), crates.view_mut());
        let mut first: Option<Vec<u32>> = None;
        for isa in Isa::available() {
            let mut c = Strided::new(m, n, |_, _| f32::NAN);
            gemm(isa, a.view(), &packed, Epilogue::None, c.view_mut());
            assert_close(&c, |i, j| crates.row(i)[j] as f64, (2e-7 * (k as f64 + 5.0), 2e-6));
            if isa.level() != Level::Scalar {
                assert_eq!(*first.get_or_insert(c.bits()), c.bits(), "{}", isa.level());
            }
        }
    }
}

#[test]
fn joined_weights_give_the_products_of_the_parts_side_by_side() {
    let mut random = Random(34);
    let a = Strided::random(&mut random, 9, 40, 1.0);
    let parts = [5, 16, 27].map(|n| Strided::random(&mut random, n, 40, 1.0));
    let joined = PackedB::pack(Isa::best(), Precision::F32, &parts.each_ref().map(Strided::view));
    assert_eq!((joined.n(), joined.k()), (48, 40));
    for isa in Isa::available() {
        let mut c = Strided::new(9, 48, |_, _| f32::NAN);
        gemm(isa, a.view(), &joined, Epilogue::None, c.view_mut());
        for (part, first) in parts.iter().zip([0, 5, 21]) {
            let mut alone = Strided::new(9, part.rows, |_, _| f32::NAN);
            let packed = PackedB::pack(Isa::best(), Precision::F32, &[part.view()]);
            gemm(isa, a.view(), &packed, Epilogue::None, alone.view_mut());
            for i in 0..9 {
                assert_eq!(alone.row(i), &c.row(i)[first..first + part.rows]);
            }
        }
    }
}

#[test]
#[should_panic(expected = "a of 3 columns times W of 4")]
fn shapes_that_do_not_fit_are_refused() {
    let packed = PackedB::pack(Isa::best(), Precision::F32, &[MatRef::new(&[0.0; 8], 2, 4)]);
    let (a, mut c) = ([0.0; 3], Strided::new(1, 2, |_, _| 0.0));
    gemm(Isa::best(), MatRef::new(&a, 1, 3), &packed, Epilogue::None, c.view_mut());
}
