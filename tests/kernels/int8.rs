//! The matrix product in int8: the same bits on every level, and as near to f32 as its steps allow.

use zhengzi_kernels::gelu::{Activation, activate};
use zhengzi_kernels::gemm::{Epilogue, PackedB, gemm};
use zhengzi_kernels::{Isa, Level, Precision};

use super::gemm::SHAPES;
use super::*;

/// More around the groups of a panel (4 steps, filled up to 64) and the rows made at a time (128), and
/// sums as long as those of a feed-forward.
const MORE_SHAPES: [(usize, usize, usize); 8] = [
    (1, 1, 3),
    (2, 5, 4),
    (5, 33, 61),
    (127, 16, 64),
    (128, 17, 65),
    (129, 3, 127),
    (3, 40, 4096),
    (16, 80, 3073),
];

fn shapes() -> impl Iterator<Item = (usize, usize, usize)> {
    SHAPES.into_iter().chain(MORE_SHAPES)
}

fn product(isa: Isa, a: &Strided, w: &PackedB, epilogue: Epilogue) -> Strided {
    let mut c = Strided::new(a.rows, w.n(), |_, _| f32::NAN);
    gemm(isa, a.view(), w, epilogue, c.view_mut());
    c.assert_gaps_untouched();
    c
}

fn packed(w: &Strided) -> PackedB {
    PackedB::pack(Isa::best(), Precision::Int8, &[w.view()])
}

#[test]
fn every_level_has_the_bits_of_the_reference_at_every_shape_with_each_epilogue() {
    let scalar = Isa::new(Level::Scalar).unwrap();
    let mut random = Random(60);
    for (m, n, k) in shapes() {
        let a = Strided::random(&mut random, m, k, 3.0);
        let w = packed(&Strided::random(&mut random, n, k, 0.1));
        let residual = Strided::random(&mut random, m, n, 1.0);
        let bias = random.values(n, 1.0);
        let exact = [
            Epilogue::None,
            Epilogue::Bias(&bias),
            Epilogue::BiasActivation(&bias, Activation::Relu),
            Epilogue::BiasResidual(&bias, residual.view()),
        ];
        for epilogue in exact {
            let want = product(scalar, &a, &w, epilogue).bits();
            for isa in Isa::available() {
                let got = product(isa, &a, &w, epilogue).bits();
                assert_eq!(got, want, "{m} × {n} × {k}, {epilogue:?}, {}", isa.level());
            }
        }
        // GELU is the rough one, and has the same bits on each level, too.
        for isa in Isa::available() {
            let mut want = product(scalar, &a, &w, Epilogue::Bias(&bias));
            activate(isa, Activation::RoughGelu, want.view_mut());
            let epilogue = Epilogue::BiasActivation(&bias, Activation::Gelu);
            let got = product(isa, &a, &w, epilogue);
            assert_eq!(got.bits(), want.bits(), "{m} × {n} × {k}, GELU, {}", isa.level());
        }
    }
}

#[test]
fn a_row_has_the_same_bits_whatever_rows_are_beside_it() {
    let mut random = Random(61);
    for isa in Isa::available() {
        for (n, k) in [(1, 256), (37, 300), (64, 768), (130, 65)] {
            // Rows of very different magnitude, which one scale for all would ruin.
            let noise = Strided::random(&mut random, 150, k, 1.0);
            let a = Strided::new(150, k, |i, j| noise.row(i)[j] * 10f32.powi(i as i32 % 9 - 4));
            let w = packed(&Strided::random(&mut random, n, k, 1.0));
            let bias = random.values(n, 1.0);
            let epilogue = Epilogue::BiasActivation(&bias, Activation::Gelu);
            let all = product(isa, &a, &w, epilogue);
            for (first, rows) in
                [(0, 1), (5, 1), (3, 2), (1, 3), (7, 4), (2, 5), (9, 16), (20, 129)]
            {
                let block = a.view().block(first..first + rows, 0..k);
                let mut part = Strided::new(rows, n, |_, _| f32::NAN);
                gemm(isa, block, &w, epilogue, part.view_mut());
                for i in 0..rows {
                    let (part, all) = (part.row(i), all.row(first + i));
                    assert_eq!(part, all, "row {i} of {rows}, {n} × {k}, {}", isa.level());
                }
            }
        }
    }
}

#[test]
fn the_product_has_the_same_bits_for_any_number_of_threads() {
    let mut random = Random(62);
    for isa in Isa::available() {
        for (m, n, k) in [(300, 1, 400), (97, 33, 768), (64, 300, 520), (200, 768, 256)] {
            let a = Strided::random(&mut random, m, k, 1.0);
            let w = Strided::random(&mut random, n, k, 1.0);
            let residual = Strided::random(&mut random, m, n, 1.0);
            let bias = random.values(n, 1.0);
            assert_same_for_any_threads(|| {
                let epilogue = Epilogue::BiasResidual(&bias, residual.view());
                product(isa, &a, &packed(&w), epilogue).bits()
            });
        }
    }
}

#[test]
fn the_product_is_that_of_the_rounded_factors_and_near_that_of_the_real_ones() {
    let mut random = Random(63);
    for isa in Isa::available() {
        for (m, n, k) in [(1, 1, 1), (9, 33, 70), (4, 50, 1000), (2, 3, 4096)] {
            let a = Strided::random(&mut random, m, k, 2.0);
            let w = Strided::random(&mut random, n, k, 0.2);
            // Rows of activations and of weights are rounded alike.
            let (steps_a, steps_w) = (packed(&a), packed(&w));
            let c = product(isa, &a, &steps_w, Epilogue::None);
            let (mut x, mut y) = (vec![0.0; k], vec![0.0; k]);
            for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                steps_a.row(i, &mut x);
                steps_w.row(j, &mut y);
                let products = || x.iter().zip(&y).map(|(&x, &y)| f64::from(x) * f64::from(y));
                let (rounded, magnitude) =
                    (products().sum::<f64>(), products().map(f64::abs).sum::<f64>());
                let got = f64::from(c.row(i)[j]);
                assert!((got - rounded).abs() <= 5e-7 * magnitude, "{got}, not {rounded}");
                // Half a step of either factor is lost at most, times the other.
                let (half_a, half_w) =
                    [steps_a.scales()[i], steps_w.scales()[j]].map(|s| f64::from(s) / 2.0).into();
                let real = || a.row(i).iter().zip(w.row(j)).map(|(&a, &w)| (a as f64, w as f64));
                let bound: f64 = real()
                    .map(|(a, w)| a.abs() * half_w + w.abs() * half_a + half_a * half_w)
                    .sum();
                let real: f64 = real().map(|(a, w)| a * w).sum();
                assert!((got - real).abs() <= 1.00001 * bound + 1e-6, "{got}, not {real}");
            }
        }
    }
}

#[test]
fn the_greatest_values_do_not_saturate() {
    // Each row one pattern of signs within a word, so that every two of its bytes agree in some row; the
    // step is 1, and sums of 127² are exact.
    let k = 4096;
    let signs = |pattern: usize, l: usize| if pattern >> (l % 4) & 1 == 1 { -127.0 } else { 127.0 };
    let a = Strided::new(16, k, signs);
    let w = Strided::new(17, k, |j, l| signs(j % 16, l));
    for isa in Isa::available() {
        let c = product(isa, &a, &packed(&w), Epilogue::None);
        for (i, j) in (0..16usize).flat_map(|i| (0..17usize).map(move |j| (i, j))) {
            let unlike = (i ^ (j % 16)).count_ones() as f32;
            let want = (4.0 - 2.0 * unlike) * 127.0 * 127.0 * (k / 4) as f32;
            assert_eq!(c.row(i)[j], want, "patterns {i} and {j}, {}", isa.level());
        }
    }
}

#[test]
fn the_longest_sum_is_exact() {
    let a = Strided::new(2, 66_000, |i, _| [127.0, -127.0][i]);
    let longest = packed(&Strided::new(1, 66_000, |_, _| 127.0));
    for isa in Isa::available() {
        let c = product(isa, &a, &longest, Epilogue::None);
        let sum = (127 * 127 * 66_000) as f32;
        assert_eq!((c.row(0)[0], c.row(1)[0]), (sum, -sum), "{}", isa.level());
    }
}

#[test]
#[should_panic(expected = "a sum of 66001 in int8")]
fn a_longer_sum_is_refused() {
    let long = Strided::new(1, 66_001, |_, _| 1.0);
    product(Isa::best(), &long, &packed(&long), Epilogue::None);
}

#[test]
fn a_row_of_weights_comes_back_in_whole_steps_half_a_step_away_at_most() {
    let mut random = Random(64);
    for (n, k) in [(1, 1), (16, 64), (19, 7), (33, 130), (5, 257)] {
        let w = Strided::random(&mut random, n, k, 4.0);
        let packed = packed(&w);
        for j in 0..n {
            let mut row = vec![f32::NAN; k];
            packed.row(j, &mut row);
            let scale = packed.scales()[j];
            let greatest = w.row(j).iter().fold(0.0f32, |most, w| most.max(w.abs()));
            assert_eq!(scale, greatest / 127.0);
            for (&back, &w) in row.iter().zip(w.row(j)) {
                let steps = (back / scale).round();
                assert!(back == scale * steps && steps.abs() <= 127.0, "{back} of {scale}");
                assert!((back - w).abs() <= 0.50001 * scale, "{w} came back as {back}");
            }
            let sum: f32 = row.iter().map(|w| (w / scale).round()).sum();
            assert_eq!(packed.sums()[j], sum as i32);
        }
    }
}
