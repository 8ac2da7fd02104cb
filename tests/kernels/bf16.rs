//! Products by weights in bf16 against f64 over the rounded weights, and the promise of equal bits.
//!
//! Levels with vectors multiply the rounded weights by activations as they are, in f32; AMX rounds those
//! too. Its products of two bf16 are exact in f32, its sums are rounded like any: the same
//! tolerance holds for both, each against its own reference.

use zhengzi_kernels::gelu::Activation;
use zhengzi_kernels::gemm::{Epilogue, PackedB, gemm};
use zhengzi_kernels::{Isa, Level, MatRef, Precision};

use super::gemm::SHAPES;
use super::*;

fn pack(w: MatRef<f32>) -> PackedB {
    PackedB::pack(Isa::best(), Precision::Bf16, &[w])
}

/// What bf16 keeps of each value.
fn rounded(x: &Strided) -> Strided {
    let (packed, mut row) = (pack(x.view()), vec![0.0; x.cols]);
    let mut rounded = x.clone();
    for i in 0..x.rows {
        packed.row(i, &mut row);
        rounded.view_mut().row_mut(i).copy_from_slice(&row);
    }
    rounded
}

#[test]
fn bf16_keeps_eight_bits_of_every_weight() {
    let mut random = Random(50);
    let x = Strided::random(&mut random, 40, 77, 3.0);
    for i in 0..x.rows {
        for (x, y) in x.row(i).iter().zip(rounded(&x).row(i)) {
            assert!((x - y).abs() <= x.abs() / 256.0 && y.to_bits() & 0xffff == 0, "{x} as {y}");
        }
    }
}

#[test]
fn every_epilogue_agrees_with_f64_over_rounded_weights_at_every_shape_on_every_level() {
    let mut random = Random(51);
    for isa in Isa::available() {
        for (m, n, k) in SHAPES {
            let a = Strided::random(&mut random, m, k, 1.0);
            let w = Strided::random(&mut random, n, k, 1.0);
            let packed = pack(w.view());
            let multiplied = if isa.level() == Level::Amx { rounded(&a) } else { a.clone() };
            let w = rounded(&w);
            let residual = Strided::random(&mut random, m, n, 1.0);
            let bias = random.values(n, 1.0);
            let at = |(a, w): (&f32, &f32)| *a as f64 * *w as f64;
            let product = |i, j| multiplied.row(i).iter().zip(w.row(j)).map(at).sum();
            let products: Vec<f64> =
                (0..m * n).map(|place| product(place / n, place % n)).collect();
            // As in f32: the errors of √k roundings of sums of the order √k.
            let tolerance = (2e-7 * (k as f64 + 5.0), 2e-6);
            let check = |epilogue, tolerance, f: &dyn Fn(usize, usize, f64) -> f64| {
                let mut c = Strided::new(m, n, |_, _| f32::NAN);
                gemm(isa, a.view(), &packed, epilogue, c.view_mut());
                assert_close(&c, |i, j| f(i, j, products[i * n + j]), tolerance);
            };
            check(Epilogue::None, tolerance, &|_, _, c| c);
            check(Epilogue::Bias(&bias), tolerance, &|_, j, c| c + bias[j] as f64);
            // Half an ulp of bf16: what reads it next has no finer eyes.
            let rough = (tolerance.0 + 1.9e-4, 1.0 / 512.0);
            check(Epilogue::BiasActivation(&bias, Activation::Gelu), rough, &|_, j, c| {
                Activation::Gelu.apply((c + bias[j] as f64) as f32) as f64
            });
            check(Epilogue::BiasResidual(&bias, residual.view()), tolerance, &|i, j, c| {
                c + bias[j] as f64 + residual.row(i)[j] as f64
            });
        }
    }
}

#[test]
fn every_level_with_vectors_gives_the_bits_of_f32_over_rounded_weights() {
    let mut random = Random(52);
    for (m, n, k) in SHAPES {
        let a = Strided::random(&mut random, m, k, 1.0);
        let w = Strided::random(&mut random, n, k, 1.0);
        let (packed, plain) = (pack(w.view()), rounded(&w));
        let plain = PackedB::pack(Isa::best(), Precision::F32, &[plain.view()]);
        let bias = random.values(n, 1.0);
        for isa in Isa::available().into_iter().filter(|isa| isa.level() != Level::Amx) {
            let run = |weights| {
                let mut c = Strided::new(m, n, |_, _| f32::NAN);
                gemm(isa, a.view(), weights, Epilogue::Bias(&bias), c.view_mut());
                c.bits()
            };
            assert_eq!(run(&packed), run(&plain), "{m} × {n} × {k}, {}", isa.level());
        }
    }
}

#[test]
fn a_row_in_bf16_has_the_same_bits_alone_and_in_company() {
    let mut random = Random(53);
    for isa in Isa::available() {
        for (n, k) in [(1, 256), (2, 7), (37, 301), (65, 768), (85, 1), (300, 127), (112, 1601)] {
            let a = Strided::random(&mut random, 290, k, 1.0);
            let w = Strided::random(&mut random, n, k, 1.0);
            let packed = pack(w.view());
            let bias = random.values(n, 1.0);
            let run = |rows: std::ops::Range<usize>| {
                let mut c = Strided::new(rows.len(), n, |_, _| f32::NAN);
                let epilogue = Epilogue::BiasActivation(&bias, Activation::Gelu);
                gemm(isa, a.view().block(rows, 0..k), &packed, epilogue, c.view_mut());
                c
            };
            let all = run(0..a.rows);
            for (first, rows) in
                [(0, 1), (5, 1), (3, 2), (7, 4), (2, 15), (9, 16), (11, 17), (30, 33), (33, 257)]
            {
                let part = run(first..first + rows);
                for i in 0..rows {
                    let place = (i, rows, n, k, isa.level());
                    assert_eq!(part.row(i), all.row(first + i), "{place:?}");
                }
            }
        }
    }
}

#[test]
fn a_product_in_bf16_has_the_same_bits_for_any_number_of_threads() {
    let mut random = Random(54);
    for isa in Isa::available() {
        for (m, n, k) in [(300, 1, 400), (97, 33, 769), (64, 300, 521), (200, 768, 256)] {
            let a = Strided::random(&mut random, m, k, 1.0);
            let w = Strided::random(&mut random, n, k, 1.0);
            let packed = pack(w.view());
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
