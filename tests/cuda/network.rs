//! All kernels one after another: a small ELECTRA as a list of launches, against the CPU's kernels in f32.

use zhengzi_kernels::attention::{attention, attention_blocks, attention_launch};
use zhengzi_kernels::embedding::{Table, embedding, embedding_launch, embedding_rows_launch};
use zhengzi_kernels::gelu::Activation;
use zhengzi_kernels::gemm::{
    Epilogue, PackedB, f32_simt_launch, gemm, half_mma_launch, half_wgmma_launch, half_wgmma_tiles,
    thin_launch,
};
use zhengzi_kernels::layer_norm::{layer_norm, layer_norm_launch};
use zhengzi_kernels::log_sum_exp::{log_sum_exp, log_sum_exp_launch};
use zhengzi_kernels::top_k::{MOST, top_k, top_k_launch};
use zhengzi_kernels::{Isa, MatMut, MatRef, Precision};

use super::emulator::TensorMap;
use super::*;

// Vocabulary, embedding, hidden, feed-forward; heads, layers.
const V: usize = 136;
const C: usize = 64;
const H: usize = 128;
const F: usize = 256;
const HEADS: usize = 2;
const LAYERS: usize = 2;
const OFFSETS: [usize; 4] = [0, 7, 20, 37];
const T: usize = 37;
/// The masked tokens, ascending.
const MASKS: [u32; 3] = [3, 19, 36];
const EPS: f32 = 1e-12;

/// W `[n, k]` and its bias.
struct Linear {
    w: Vec<f32>,
    bias: Vec<f32>,
}

struct Norm {
    gamma: Vec<f32>,
    beta: Vec<f32>,
}

struct Layer {
    qkv: Linear,
    output: Linear,
    output_norm: Norm,
    wide: Linear,
    narrow: Linear,
    norm: Norm,
}

/// Weights of both heads over one encoder.
struct Network {
    word: Vec<f32>,
    position: Vec<f32>,
    token_type: Vec<f32>,
    norm: Norm,
    project: Linear,
    layers: Vec<Layer>,
    /// Discriminator.
    dense: Linear,
    prediction: Linear,
    /// Generator.
    transform: Linear,
    transform_norm: Norm,
    vocabulary_bias: Vec<f32>,
}

impl Network {
    /// Random, as the type keeps it, so large that no step is lost in the next.
    fn random(float: Float) -> Network {
        let mut random = Random(77);
        let mut values = |len, scale| rounded(float, &random.values(len, scale));
        let (word, position) = (values(V * C, 1.0), values(32 * C, 1.0));
        let token_type = values(C, 1.0);
        let mut linear = |n: usize, k: usize| Linear {
            w: values(n * k, (3.0 / k as f32).sqrt()),
            bias: values(n, 0.5),
        };
        let project = linear(H, C);
        let matrices: Vec<[Linear; 4]> = (0..LAYERS)
            .map(|_| [linear(3 * H, H), linear(H, H), linear(F, H), linear(H, F)])
            .collect();
        let (dense, prediction, transform) = (linear(H, H), linear(1, H), linear(C, H));
        let mut norm = |width: usize| {
            let gamma = values(width, 0.3).iter().map(|x| 1.0 + x).collect();
            Norm { gamma, beta: values(width, 0.3) }
        };
        let layers = matrices.into_iter().map(|[qkv, output, wide, narrow]| {
            let (output_norm, norm) = (norm(H), norm(H));
            Layer { qkv, output, output_norm, wide, narrow, norm }
        });
        let layers = layers.collect();
        let (norm, transform_norm) = (norm(C), norm(C));
        let vocabulary_bias = values(V, 0.5);
        Network {
            word,
            position,
            token_type,
            norm,
            project,
            layers,
            dense,
            prediction,
            transform,
            transform_norm,
            vocabulary_bias,
        }
    }
}

fn ids() -> Vec<u32> {
    (0..T as u32).map(|i| i * 29 % V as u32).collect()
}

/// What comes back: a logit a token; of each mask all logits.
struct Answers {
    replaced: Vec<f32>,
    vocabulary: Vec<f32>,
}

/// By the CPU's kernels in f32.
fn on_the_cpu(network: &Network) -> Answers {
    let isa = Isa::best();
    let product = |x: &[f32], linear: &Linear, epilogue: Epilogue| {
        let (n, k) = (linear.bias.len(), linear.w.len() / linear.bias.len());
        let packed = PackedB::pack(isa, Precision::F32, &[MatRef::new(&linear.w, n, k)]);
        let m = x.len() / k;
        let mut y = vec![0.0; m * n];
        gemm(isa, MatRef::new(x, m, k), &packed, epilogue, MatMut::new(&mut y, m, n));
        y
    };
    let normed = |mut x: Vec<f32>, norm: &Norm| {
        let (rows, width) = (x.len() / norm.gamma.len(), norm.gamma.len());
        layer_norm(isa, &norm.gamma, &norm.beta, EPS, MatMut::new(&mut x, rows, width));
        x
    };
    let mut x = vec![0.0; T * C];
    let words = Table::Rows(MatRef::new(&network.word, V, C));
    let position = MatRef::new(&network.position, 32, C);
    let rows = MatMut::new(&mut x, T, C);
    embedding(isa, words, position, &network.token_type, &ids(), &OFFSETS, rows);
    let x = normed(x, &network.norm);
    let mut x = product(&x, &network.project, Epilogue::Bias(&network.project.bias));
    for layer in &network.layers {
        let qkv = product(&x, &layer.qkv, Epilogue::Bias(&layer.qkv.bias));
        let mut context = vec![0.0; T * H];
        let y = MatMut::new(&mut context, T, H);
        attention(isa, Precision::F32, MatRef::new(&qkv, T, 3 * H), &OFFSETS, HEADS, y);
        let residual = Epilogue::BiasResidual(&layer.output.bias, MatRef::new(&x, T, H));
        let y = normed(product(&context, &layer.output, residual), &layer.output_norm);
        let activated = Epilogue::BiasActivation(&layer.wide.bias, Activation::Gelu);
        let wide = product(&y, &layer.wide, activated);
        let residual = Epilogue::BiasResidual(&layer.narrow.bias, MatRef::new(&y, T, H));
        x = normed(product(&wide, &layer.narrow, residual), &layer.norm);
    }
    let activated = |linear: &Linear, x: &[f32]| {
        product(x, linear, Epilogue::BiasActivation(&linear.bias, Activation::Gelu))
    };
    let dense = activated(&network.dense, &x);
    let replaced = product(&dense, &network.prediction, Epilogue::Bias(&network.prediction.bias));
    let rows: Vec<f32> = MASKS.iter().flat_map(|&i| x[i as usize * H..][..H].to_vec()).collect();
    let transformed = normed(activated(&network.transform, &rows), &network.transform_norm);
    let head = Linear { w: network.word.clone(), bias: network.vocabulary_bias.clone() };
    let vocabulary = product(&transformed, &head, Epilogue::Bias(&head.bias));
    Answers { replaced, vocabulary }
}

/// The same, launch by launch.
struct Launches {
    device: Device,
    float: Float,
}

impl Launches {
    /// y `[m, n]` = activation(x · Wᵀ + b) + residual; in f32 where it is wide.
    fn product(&mut self, x: Arg, linear: &Linear, m: usize, how: (Activation, Arg, bool)) -> Arg {
        let (n, k) = (linear.bias.len(), linear.w.len() / linear.bias.len());
        let (activation, residual, wide) = how;
        let Launches { device, float } = self;
        let (w, bias) = (device.upload_as(*float, &linear.w), device.upload(&linear.bias));
        let y = device.reserve(m * n * if wide { 4 } else { size_of_float(*float) });
        let sizes = [m, n, k].map(|size| Arg::Int(size as i32));
        let tail = [&[bias, residual, y][..], &sizes, &[Arg::Int(activation.number())]].concat();
        let is_wide = Arg::Int(i32::from(wide));
        let (Arg::Pointer(a), Arg::Pointer(b)) = (x, w) else { unreachable!() };
        let map = |address, rows, tile_rows| {
            Arg::Map(TensorMap { address, rows, cols: k, tile_rows: tile_rows as usize })
        };
        match (*float, device.capability) {
            (Float::F32, _) => device.run(&f32_simt_launch(m, n), &[&[x, w][..], &tail].concat()),
            (float, (9, 0)) => {
                let tiles = half_wgmma_tiles(n);
                let maps = [map(a, m, tiles[0]), map(b, n, tiles[1])];
                let args = [&maps[..], &tail, &[is_wide]].concat();
                device.run(&half_wgmma_launch(float, m, n), &args)
            }
            (float, _) => {
                let args = [&[x, w][..], &tail, &[is_wide]].concat();
                device.run(&half_mma_launch(float, m, n), &args)
            }
        };
        y
    }

    /// The norm of x `[t, c]` in f32.
    fn normed(&mut self, x: Arg, norm: &Norm, t: usize) -> Arg {
        let (c, Launches { device, float }) = (norm.gamma.len(), self);
        let y = device.reserve(t * c * size_of_float(*float));
        let (gamma, beta) = (device.upload(&norm.gamma), device.upload(&norm.beta));
        let sizes = [Arg::Int(t as i32), Arg::Int(c as i32)];
        let args = [&[gamma, beta, Arg::Float(EPS), x, y][..], &sizes].concat();
        device.run(&layer_norm_launch(*float, t, c), &args);
        y
    }

    fn embedded(&mut self, network: &Network) -> Arg {
        let Launches { device, float } = self;
        let positions: Vec<u32> =
            OFFSETS.windows(2).flat_map(|s| 0..(s[1] - s[0]) as u32).collect();
        let y = device.reserve(T * C * size_of_float(*float));
        let args = [
            device.upload_as(*float, &network.word),
            device.upload_as(*float, &network.position),
            device.upload_as(*float, &network.token_type),
            device.upload(&ids()),
            device.upload(&positions),
            device.upload(&network.norm.gamma),
            device.upload(&network.norm.beta),
            Arg::Float(EPS),
            y,
            Arg::Int(T as i32),
            Arg::Int(C as i32),
        ];
        device.run(&embedding_launch(*float, T, C), &args);
        y
    }

    fn attended(&mut self, qkv: Arg) -> Arg {
        let Launches { device, float } = self;
        let list = attention_blocks(*float, &OFFSETS);
        let words: Vec<u32> = list.iter().flatten().map(|&word| word as u32).collect();
        let y = device.reserve(T * H * size_of_float(*float));
        let mut args = vec![qkv, device.upload(&words), y, Arg::Int(H as i32)];
        if *float == Float::F32 {
            args.push(Arg::Int((H / HEADS) as i32));
        }
        device.run(&attention_launch(*float, H / HEADS, list.len(), HEADS), &args);
        y
    }

    /// Hidden states `[T, H]`.
    fn encoded(&mut self, network: &Network) -> Arg {
        const NONE: (Activation, Arg, bool) = (Activation::Linear, NULL, false);
        let x = self.embedded(network);
        let mut x = self.product(x, &network.project, T, NONE);
        for layer in &network.layers {
            let qkv = self.product(x, &layer.qkv, T, NONE);
            let context = self.attended(qkv);
            let sum = self.product(context, &layer.output, T, (Activation::Linear, x, true));
            let y = self.normed(sum, &layer.output_norm, T);
            let wide = self.product(y, &layer.wide, T, (Activation::Gelu, NULL, false));
            let sum = self.product(wide, &layer.narrow, T, (Activation::Linear, y, true));
            x = self.normed(sum, &layer.norm, T);
        }
        x
    }

    /// A logit a token.
    fn replaced(&mut self, x: Arg, network: &Network) -> Arg {
        let dense = self.product(x, &network.dense, T, (Activation::Gelu, NULL, false));
        let Launches { device, float } = self;
        let z = device.reserve(4 * T);
        let (w, bias) = (
            device.upload_as(*float, &network.prediction.w),
            device.upload(&network.prediction.bias),
        );
        let sizes = [T, 1, H].map(|size| Arg::Int(size as i32));
        device.run(&thin_launch(*float, T, 1), &[&[dense, w, bias, z][..], &sizes].concat());
        z
    }

    /// Logits of the vocabulary at the masks, `[MASKS.len(), V]` in f32.
    fn vocabulary(&mut self, x: Arg, network: &Network) -> Arg {
        let (m, Launches { device, float }) = (MASKS.len(), &mut *self);
        let rows = device.reserve(m * H * size_of_float(*float));
        let quads = Arg::Int((H * size_of_float(*float) / 16) as i32);
        let args = [x, device.upload(&MASKS), rows, Arg::Int(m as i32), quads];
        device.run(&embedding_rows_launch(m), &args);
        let sum = self.product(rows, &network.transform, m, (Activation::Gelu, NULL, true));
        let y = self.normed(sum, &network.transform_norm, m);
        let head = Linear { w: network.word.clone(), bias: network.vocabulary_bias.clone() };
        self.product(y, &head, m, (Activation::Linear, NULL, true))
    }

    /// log-sum-exp and best ids of each mask.
    fn summed_up(&mut self, logits: Arg) -> (Vec<f32>, Vec<u32>) {
        let (m, device) = (MASKS.len(), &mut self.device);
        let (whole, chosen) = (device.reserve(4 * m), device.reserve(4 * m));
        let (wanted, bounds) = (device.upload(&[5u32, 6, 7]), device.upload(&[0u32, 1, 2, 3]));
        let sizes = [V, V].map(|size| Arg::Int(size as i32));
        let args = [&[logits, wanted, bounds, whole, chosen][..], &sizes].concat();
        device.run(&log_sum_exp_launch(m), &args);
        let room = m * MOST as usize * 4;
        let (values, indices) = (device.reserve(room), device.reserve(room));
        device.run(&top_k_launch(m), &[&[logits, values, indices][..], &sizes].concat());
        (device.download(whole), device.download(indices))
    }
}

#[test]
fn a_whole_network_as_launches_answers_as_on_the_cpu() {
    // What a layer adds to the error of 16 bits is some of their roundings.
    for (capability, float, tolerance) in [
        ((7, 5), Float::F32, 1e-4),
        ((7, 5), Float::F16, 1e-2),
        ((8, 0), Float::F16, 1e-2),
        ((8, 0), Float::Bf16, 6e-2),
        ((9, 0), Float::Bf16, 6e-2),
    ] {
        let network = Network::random(float);
        let want = on_the_cpu(&network);
        let mut launches = Launches { device: Device::new(capability), float };
        let x = launches.encoded(&network);
        let replaced = launches.replaced(x, &network);
        assert_close(&launches.device.download(replaced), &want.replaced, tolerance);
        let logits = launches.vocabulary(x, &network);
        let found: Vec<f32> = launches.device.download(logits);
        assert_close(&found, &want.vocabulary, tolerance * 2.0);
        let (whole, best) = launches.summed_up(logits);
        for (i, row) in found.chunks(V).enumerate() {
            assert_close(&whole[i..=i], &[log_sum_exp(Isa::best(), row)], 1e-5);
            let first = i * MOST as usize;
            assert_eq!(best[first..first + 5], top_k(row, 5));
        }
    }
}
