//! The matrix product and its epilogues against f64, and the promise of equal bits.

use std::sync::Arc;

use zhengzi_kernels::gelu::Activation;
use zhengzi_kernels::gemm::{Epilogue, PackedB, gemm};
use zhengzi_kernels::{Isa, MatRef};

use super::*;

/// m, n, k around the widths of tiles, of the narrow engine (n ≤ 64) and of pieces of k (512).
const SHAPES: [(usize, usize, usize); 19] = [
    (0, 5, 5),
    (5, 0, 5),
    (1, 1, 1),
    (3, 4, 0),
    (2, 70, 0),
    (1, 1, 256),
    (7, 2, 33),
    (300, 1, 129),
    (5, 64, 65),
    (65, 64, 600),
    (1, 65, 1),
    (2, 66, 2),
    (1, 128, 63),
    (3, 70, 513),
    (4, 257, 100),
    (17, 131, 48),
    (33, 193, 64),
    (64, 768, 70),
    (130, 100, 1030),
];

/// The values of W `[n, k]`, and W.
fn weight(random: &mut Random, n: usize, k: usize) -> (Arc<Vec<f32>>, PackedB) {
    let values = Arc::new(random.values(n * k, 1.0));
    (values.clone(), PackedB::new(values, n, k))
}

fn product_f64(a: &Strided, w: &[f32], i: usize, j: usize) -> f64 {
    let k = a.cols;
    a.row(i).iter().zip(&w[j * k..]).map(|(&a, &w)| a as f64 * w as f64).sum()
}

#[test]
fn every_epilogue_agrees_with_f64_at_every_shape_on_every_level() {
    let mut random = Random(30);
    for isa in Isa::available() {
        for (m, n, k) in SHAPES {
            let a = Strided::random(&mut random, m, k, 1.0);
            let (w, packed) = weight(&mut random, n, k);
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
        ] {
            let a = Strided::random(&mut random, 290, k, 1.0);
            let (_, packed) = weight(&mut random, n, k);
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
            let (_, packed) = weight(&mut random, n, k);
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
fn weights_may_lie_anywhere_behind_a_shared_slice() {
    /// Stands for a part of a mapped file: the values begin where no vector does.
    struct Part(Vec<f32>);
    impl AsRef<[f32]> for Part {
        fn as_ref(&self) -> &[f32] {
            &self.0[3..]
        }
    }
    let mut random = Random(33);
    let values = random.values(3 + 70 * 20, 1.0);
    let a = Strided::random(&mut random, 6, 20, 1.0);
    for isa in Isa::available() {
        let packed = PackedB::new(Arc::new(Part(values.clone())), 70, 20);
        assert_eq!((packed.n(), packed.k()), (70, 20));
        let mut c = Strided::new(6, 70, |_, _| f32::NAN);
        gemm(isa, a.view(), &packed, Epilogue::None, c.view_mut());
        assert_close(&c, |i, j| product_f64(&a, &values[3..], i, j), (1e-5, 1e-6));
    }
}

#[test]
#[should_panic(expected = "a of 3 columns times W of 4")]
fn shapes_that_do_not_fit_are_refused() {
    let packed = PackedB::new(Arc::new(vec![0.0f32; 8]), 2, 4);
    let (a, mut c) = ([0.0; 3], Strided::new(1, 2, |_, _| 0.0));
    gemm(Isa::best(), MatRef::new(&a, 1, 3), &packed, Epilogue::None, c.view_mut());
}
