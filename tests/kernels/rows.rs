//! Ops that work row by row: activations, layer norm, softmax, embedding.

use zhengzi_kernels::embedding::{Table, embedding};
use zhengzi_kernels::gelu::{Activation, activate, sigmoid};
use zhengzi_kernels::layer_norm::layer_norm;
use zhengzi_kernels::softmax::softmax;
use zhengzi_kernels::{Isa, MatRef};

use super::*;

const ACTIVATIONS: [Activation; 7] = [
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Relu,
    Activation::Silu,
    Activation::Tanh,
    Activation::QuickGelu,
    Activation::Linear,
];

/// The formulas of `gelu.rs` in f64.
fn activation_f64(activation: Activation, x: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    match activation {
        Activation::Gelu | Activation::RoughGelu => 0.5 * x * erfc_f64(-x / 2f64.sqrt()),
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            0.5 * x * (1.0 + inner.tanh())
        }
        Activation::Relu => x.max(0.0),
        Activation::Silu => x * sigmoid(x),
        Activation::Tanh => x.tanh(),
        Activation::QuickGelu => x * sigmoid(1.702 * x),
        Activation::Linear => x,
    }
}

/// 1 − erf, by series near 0 and by continued fraction far from it (Abramowitz & Stegun 7.1.5, 7.1.14).
fn erfc_f64(x: f64) -> f64 {
    let a = x.abs();
    if a < 2.5 {
        let (mut term, mut sum) = (x, x);
        for n in 1..90 {
            term *= -x * x / n as f64;
            sum += term / (2 * n + 1) as f64;
        }
        return 1.0 - sum * std::f64::consts::FRAC_2_SQRT_PI;
    }
    let tail = (1..200).rev().fold(a, |tail, n| a + n as f64 / 2.0 / tail);
    let erfc = (-a * a).exp() / std::f64::consts::PI.sqrt() / tail;
    if x > 0.0 { erfc } else { 2.0 - erfc }
}

#[test]
fn every_activation_agrees_with_f64_to_a_millionth_on_every_level() {
    // −12 to 12 in steps of 2⁻¹³, then far out.
    let far = [20.0, -20.0, 88.0, -88.0, 1e4, -1e4, 1e30, -1e30];
    let x: Vec<f32> = (-98_304..=98_304).map(|i| i as f32 / 8192.0).chain(far).collect();
    for isa in Isa::available() {
        for activation in ACTIVATIONS {
            let mut y = Strided::new(1, x.len(), |_, j| x[j]);
            activate(isa, activation, y.view_mut());
            assert_close(&y, |_, j| activation_f64(activation, x[j] as f64), (1e-6, 1e-6));
        }
    }
}

#[test]
fn activations_agree_with_their_scalar_form_at_every_width() {
    let mut random = Random(1);
    for isa in Isa::available() {
        for activation in ACTIVATIONS {
            for cols in WIDTHS {
                let x = Strided::random(&mut random, 3, cols, 6.0);
                let mut y = x.clone();
                activate(isa, activation, y.view_mut());
                let want = |i: usize, j: usize| activation.apply(x.row(i)[j]) as f64;
                assert_close(&y, want, (1e-6, 1e-6));
            }
        }
    }
}

#[test]
fn activations_keep_nan() {
    for isa in Isa::available() {
        for activation in ACTIVATIONS {
            let mut y = Strided::new(1, 17, |_, _| f32::NAN);
            activate(isa, activation, y.view_mut());
            assert!(y.row(0).iter().all(|y| y.is_nan()), "{activation:?} on {}", isa.level());
        }
    }
}

#[test]
fn sigmoid_agrees_with_f64() {
    for i in -900..=900 {
        let x = i as f32 / 10.0;
        let want = 1.0 / (1.0 + (-x as f64).exp());
        assert!((sigmoid(x) as f64 - want).abs() <= 3e-7 * want + 1e-38, "{x}");
    }
}

#[test]
fn layer_norm_agrees_with_f64_at_every_width_and_offset() {
    let mut random = Random(2);
    for isa in Isa::available() {
        for cols in WIDTHS {
            let (gamma, beta) = (random.values(cols, 2.0), random.values(cols, 1.0));
            // Rows far from zero are where a one-pass variance fails.
            let noise = Strided::random(&mut random, 4, cols, 1.0);
            // Neighbours 3 apart: two values that are nearly equal have no deviation to divide by.
            let offset = [0.0, 1.0, -300.0, 5000.0];
            let x = Strided::new(4, cols, |i, j| noise.row(i)[j] + offset[i] + (j % 2 * 3) as f32);
            let mut y = x.clone();
            layer_norm(isa, &gamma, &beta, 1e-12, y.view_mut());
            let mean_and_scale = |i: usize| {
                let row = x.row(i).iter().map(|&x| x as f64);
                let mean = row.clone().sum::<f64>() / cols as f64;
                let variance = row.map(|x| (x - mean).powi(2)).sum::<f64>() / cols as f64;
                (mean, 1.0 / (variance + 1e-12).sqrt())
            };
            let want = |i: usize, j: usize| {
                let (mean, scale) = mean_and_scale(i);
                (x.row(i)[j] as f64 - mean) * scale * gamma[j] as f64 + beta[j] as f64
            };
            let near = |y: &Strided, rows: std::ops::Range<usize>, tolerance| {
                let part = Strided::new(rows.len(), cols, |i, j| y.row(rows.start + i)[j]);
                assert_close(&part, |i, j| want(rows.start + i, j), tolerance);
            };
            if cols > 1 {
                near(&y, 0..2, (3e-6, 3e-6));
                // The mean itself is rounded to f32, and half an ulp of 5000 is 2.4e-4.
                near(&y, 2..3, (1e-4 * mean_and_scale(2).1, 1e-4));
                near(&y, 3..4, (1e-3 * mean_and_scale(3).1, 1e-4));
            }
            y.assert_gaps_untouched();
        }
    }
}

#[test]
fn layer_norm_of_constant_rows_is_beta() {
    let mut random = Random(3);
    for isa in Isa::available() {
        for cols in WIDTHS {
            let beta = random.values(cols, 1.0);
            let mut y = Strided::new(4, cols, |i, _| [0.0, 0.3, -777.7, 1e6][i]);
            let gamma = Guarded::new(&vec![1.5; cols]);
            layer_norm(isa, &gamma, &beta, 1e-12, y.view_mut());
            assert_close(&y, |_, j| beta[j] as f64, (0.0, 0.0));
        }
    }
}

#[test]
fn softmax_agrees_with_f64_at_every_width_and_its_rows_sum_to_one() {
    let mut random = Random(4);
    for isa in Isa::available() {
        for cols in WIDTHS {
            for scale in [0.01, 10.0, 1e4] {
                let x = Strided::new(3, cols, |_, _| match random.below(5) {
                    0 => f32::NEG_INFINITY,
                    _ => random.value(scale),
                });
                let mut y = x.clone();
                softmax(isa, y.view_mut());
                let want = |i: usize, j: usize| {
                    let max = x.row(i).iter().copied().fold(f32::NEG_INFINITY, f32::max) as f64;
                    let e = |x: &f32| (*x as f64 - max).exp();
                    e(&x.row(i)[j]) / x.row(i).iter().map(e).sum::<f64>()
                };
                assert_close(&y, want, (1e-9, 2e-6));
                for i in 0..3 {
                    let sum: f64 = y.row(i).iter().map(|&y| y as f64).sum();
                    assert!(cols == 0 || sum.is_nan() || (sum - 1.0).abs() < 1e-5);
                }
            }
        }
    }
}

#[test]
fn embedding_is_the_exact_sum_of_its_three_rows_on_every_level() {
    let mut random = Random(5);
    let offsets = [0, 0, 4, 5, 5, 11];
    for isa in Isa::available() {
        for cols in WIDTHS {
            let word = Strided::random(&mut random, 50, cols, 1.0);
            let position = Strided::random(&mut random, 6, cols, 1.0);
            let token_type = random.values(cols, 1.0);
            let ids: Vec<u32> = (0..11).map(|_| random.below(50) as u32).collect();
            let ids = Guarded::new(&ids);
            let mut y = Strided::new(11, cols, |_, _| f32::NAN);
            let (words, positions) = (word.view(), position.view());
            embedding(
                isa,
                Table::Rows(words),
                positions,
                &token_type,
                &ids,
                &offsets,
                y.view_mut(),
            );
            for s in offsets.windows(2) {
                for (place, i) in (s[0]..s[1]).enumerate() {
                    let (word, position) = (word.row(ids[i] as usize), position.row(place));
                    let want = |j: usize| word[j] + position[j] + token_type[j];
                    assert!((0..cols).all(|j| y.row(i)[j] == want(j)));
                }
            }
            y.assert_gaps_untouched();
        }
    }
}

#[test]
fn row_ops_give_the_same_bits_for_any_number_of_threads() {
    let (rows, cols) = (700, 133);
    let x = Strided::random(&mut Random(6), rows, cols, 3.0);
    let (gamma, beta) = (Random(7).values(cols, 1.0), Random(8).values(cols, 1.0));
    let ids: Vec<u32> = (0..rows as u32).rev().collect();
    let offsets = [0, 300, 300, 301, 700];
    let table = Strided::random(&mut Random(9), rows, cols, 1.0);
    for isa in Isa::available() {
        assert_same_for_any_threads(|| {
            let mut y = x.clone();
            activate(isa, Activation::Gelu, y.view_mut());
            layer_norm(isa, &gamma, &beta, 1e-12, y.view_mut());
            softmax(isa, y.view_mut());
            let mut z = y.clone();
            let (words, positions): (MatRef<f32>, _) = (y.view(), table.view());
            embedding(isa, Table::Rows(words), positions, &gamma, &ids, &offsets, z.view_mut());
            z.bits()
        });
    }
}
