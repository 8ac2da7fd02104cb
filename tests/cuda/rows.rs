//! Kernels that work row by row: embedding, layer norm, activations, log-sum-exp, top k, int8.

use zhengzi_kernels::embedding::{Table, embedding, embedding_launch};
use zhengzi_kernels::gelu::{Activation, gelu_launch};
use zhengzi_kernels::gemm::{quantize_launch, thin_launch};
use zhengzi_kernels::layer_norm::{layer_norm, layer_norm_launch};
use zhengzi_kernels::log_sum_exp::{log_sum_exp, log_sum_exp_launch};
use zhengzi_kernels::top_k::{MOST, top_k, top_k_launch};
use zhengzi_kernels::{Isa, Level, MatMut, MatRef};

use super::*;

fn scalar() -> Isa {
    Isa::new(Level::Scalar).expect("every CPU is one")
}

#[test]
fn layer_norm_agrees_with_the_scalar_kernel_in_every_type() {
    let mut random = Random(1);
    for capability in CAPABILITIES {
        for &float in floats(capability) {
            for (t, c) in [(1, 4), (3, 24), (4, 128), (5, 132), (2, 768), (1, 1024)] {
                let mut x = random.values(t * c, 3.0);
                x[..c].fill(1e6); // a constant row becomes beta
                let (gamma, beta) = (random.values(c, 2.0), random.values(c, 1.0));
                let mut device = Device::new(capability);
                let y = device.reserve(t * c * size_of_float(float));
                let args = [device.upload(&gamma), device.upload(&beta), Arg::Float(1e-12)];
                let shape = [Arg::Int(t as i32), Arg::Int(c as i32)];
                let args = [&args[..], &[device.upload(&x), y], &shape].concat();
                device.run(&layer_norm_launch(float, t, c), &args);
                layer_norm(scalar(), &gamma, &beta, 1e-12, MatMut::new(&mut x, t, c));
                assert_close(&device.download_as(float, y), &x, unit(float) + 2e-6);
            }
        }
    }
}

#[test]
fn embedding_gathers_adds_and_normalises() {
    let mut random = Random(2);
    for capability in CAPABILITIES {
        for &float in floats(capability) {
            for c in [8, 128, 300] {
                let (ids, positions) = ([7u32, 0, 6, 6, 3], [0u32, 1, 2, 0, 1]);
                let word = rounded(float, &random.values(8 * c, 1.0));
                let position = rounded(float, &random.values(3 * c, 1.0));
                let token_type = rounded(float, &random.values(c, 1.0));
                let (gamma, beta) = (random.values(c, 2.0), random.values(c, 1.0));
                let mut device = Device::new(capability);
                let y = device.reserve(5 * c * size_of_float(float));
                let args = [
                    device.upload_as(float, &word),
                    device.upload_as(float, &position),
                    device.upload_as(float, &token_type),
                    device.upload(&ids),
                    device.upload(&positions),
                    device.upload(&gamma),
                    device.upload(&beta),
                    Arg::Float(1e-12),
                    y,
                    Arg::Int(5),
                    Arg::Int(c as i32),
                ];
                device.run(&embedding_launch(float, 5, c), &args);
                let mut want = vec![0.0; 5 * c];
                let words = Table::Rows(MatRef::new(&word, 8, c));
                let position = MatRef::new(&position, 3, c);
                let rows = MatMut::new(&mut want, 5, c);
                embedding(scalar(), words, position, &token_type, &ids, &[0, 3, 5], rows);
                layer_norm(scalar(), &gamma, &beta, 1e-12, MatMut::new(&mut want, 5, c));
                assert_close(&device.download_as(float, y), &want, unit(float) + 2e-6);
            }
        }
    }
}

#[test]
fn every_activation_agrees_with_the_scalar_kernel() {
    let far = [30.0, -30.0, 90.0, -90.0, 1e30, -1e30];
    let x: Vec<f32> = (-800..=800).map(|i| i as f32 / 64.0).chain(far).collect();
    for activation in [
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Relu,
        Activation::Silu,
        Activation::Tanh,
        Activation::QuickGelu,
        Activation::Linear,
    ] {
        let mut device = Device::new((7, 5));
        let y = device.upload(&x);
        let args = [Arg::Int(activation.number()), y, Arg::Int(x.len() as i32)];
        device.run(&gelu_launch(x.len()), &args);
        let want: Vec<f32> = x.iter().map(|&x| activation.apply(x)).collect();
        assert_close(&device.download(y), &want, 1e-6);
    }
}

#[test]
fn log_sum_exp_sees_a_whole_row_and_hands_out_the_logits_asked_for() {
    for (v, stride) in [(1, 8), (31, 32), (255, 256), (300, 304), (1111, 1112)] {
        let x: Vec<f32> = Random(v as u32).values(2 * stride, 9.0);
        let (wanted, bounds) = ([0, v as u32 - 1, v as u32 / 2], [0u32, 1, 3]);
        let mut device = Device::new((7, 5));
        let (whole, chosen) = (device.reserve(8), device.reserve(12));
        let args = [
            device.upload(&x),
            device.upload(&wanted),
            device.upload(&bounds),
            whole,
            chosen,
            Arg::Int(v as i32),
            Arg::Int(stride as i32),
        ];
        device.run(&log_sum_exp_launch(2), &args);
        let want = [0, stride].map(|first| log_sum_exp(scalar(), &x[first..first + v]));
        assert_close(&device.download(whole), &want, 2e-6);
        let want = [x[0], x[stride + v - 1], x[stride + v / 2]];
        assert_eq!(device.download::<f32>(chosen), want);
    }
}

#[test]
fn what_is_no_number_shows_in_the_log_sum_exp() {
    let (nothing, nan) = (f32::NEG_INFINITY, f32::NAN);
    let rows = [[nothing; 4], [nothing, 2.0, nothing, nothing], [1.0, nan, 2.0, 3.0], [nan; 4]];
    let infinite = [1.0, f32::INFINITY, 2.0, 3.0];
    let x: Vec<f32> = rows.iter().flatten().copied().chain(infinite).collect();
    let mut device = Device::new((7, 5));
    let (whole, none) = (device.reserve(20), device.upload(&[0u32; 6]));
    let args = [device.upload(&x), none, none, whole, whole, Arg::Int(4), Arg::Int(4)];
    device.run(&log_sum_exp_launch(5), &args);
    let whole: Vec<f32> = device.download(whole);
    assert_eq!(whole[..2], [nothing, 2.0]);
    assert!(whole[2].is_nan() && whole[3].is_nan() && !whole[4].is_finite());
}

#[test]
fn the_top_comes_out_in_order_with_ties_to_the_lower_index() {
    for v in [1, 20, 33, 257, 2000] {
        let mut x = Random(v as u32).values(2 * v, 50.0);
        x.iter_mut().for_each(|x| *x = x.round()); // many are equal
        let mut device = Device::new((7, 5));
        let room = 2 * MOST as usize * 4;
        let (values, indices) = (device.reserve(room), device.reserve(room));
        let shape = [Arg::Int(v as i32), Arg::Int(v as i32)];
        let args = [&[device.upload(&x), values, indices][..], &shape].concat();
        device.run(&top_k_launch(2), &args);
        let (values, indices): (Vec<f32>, Vec<u32>) =
            (device.download(values), device.download(indices));
        for (row, x) in x.chunks(v).enumerate() {
            let want = top_k(x, MOST as usize);
            let first = row * MOST as usize;
            assert_eq!(indices[first..first + want.len()], want);
            for (value, &index) in values[first..].iter().zip(&want) {
                assert_eq!(*value, x[index as usize]);
            }
        }
    }
}

#[test]
fn rows_become_the_bytes_and_scales_that_the_definition_says() {
    let mut random = Random(5);
    for float in [Float::F32, Float::F16] {
        for (t, c) in [(1, 16), (6, 144), (3, 768)] {
            let mut x = rounded(float, &random.values(t * c, 4.0));
            x[..c / 2].fill(0.0);
            (x[0], x[1]) = (6.0, -3.0); // 127 and −63.5, which goes to the even −64
            let mut device = Device::new((7, 5));
            let (q, s) = (device.reserve(t * c), device.reserve(4 * t));
            let shape = [Arg::Int(t as i32), Arg::Int(c as i32)];
            let args = [&[device.upload_as(float, &x), q, s][..], &shape].concat();
            device.run(&quantize_launch(float, t, c), &args);
            let (bytes, scales) = quantized(&x, c);
            assert_eq!(device.download::<i8>(q), bytes);
            assert_eq!(device.download::<f32>(s), scales);
        }
    }
}

/// The definition in `quantize.rs`.
pub fn quantized(x: &[f32], c: usize) -> (Vec<i8>, Vec<f32>) {
    let greatest = |row: &[f32]| row.iter().fold(0f32, |most, x| most.max(x.abs()));
    let scales = x.chunks(c).map(|row| greatest(row) / 127.0).collect();
    let bytes = x.chunks(c).flat_map(|row| {
        let inverse = 127.0 / greatest(row);
        row.iter().map(move |x| (x * inverse).round_ties_even() as i8)
    });
    (bytes.collect(), scales)
}

#[test]
fn one_or_two_columns_come_out_of_rows_of_any_width() {
    let mut random = Random(6);
    for capability in CAPABILITIES {
        for &float in floats(capability) {
            for (m, n, k) in [(1, 1, 4), (5, 2, 128), (7, 1, 260)] {
                let (a, w) = (random.values(m * k, 1.0), random.values(n * k, 1.0));
                let (a, w) = (rounded(float, &a), rounded(float, &w));
                let bias = random.values(n, 1.0);
                let mut device = Device::new(capability);
                let c = device.reserve(4 * m * n);
                let args = [
                    device.upload_as(float, &a),
                    device.upload_as(float, &w),
                    device.upload(&bias),
                    c,
                    Arg::Int(m as i32),
                    Arg::Int(n as i32),
                    Arg::Int(k as i32),
                ];
                device.run(&thin_launch(float, m, n), &args);
                let dot = |i: usize, j: usize| -> f32 {
                    let (a, w) = (&a[i * k..(i + 1) * k], &w[j * k..(j + 1) * k]);
                    a.iter().zip(w).map(|(a, w)| a * w).sum::<f32>() + bias[j]
                };
                let want: Vec<f32> = (0..m * n).map(|at| dot(at / n, at % n)).collect();
                assert_close(&device.download(c), &want, 1e-5);
            }
        }
    }
}
