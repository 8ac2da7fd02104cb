//! Matrix products: tiles, edges and epilogues against the scalar kernels.

use zhengzi_kernels::gelu::Activation;
use zhengzi_kernels::gemm::{
    Epilogue, PackedB, f32_simt_launch, gemm, half_mma_launch, half_wgmma_launch, half_wgmma_tiles,
    int8_mma_launch,
};
use zhengzi_kernels::{Isa, MatMut, MatRef, Precision};

use super::emulator::TensorMap;
use super::*;

/// m, n, k around the edges of tiles and steps.
const SHAPES: [[usize; 3]; 8] = [
    [1, 8, 16],
    [5, 72, 48],
    [32, 64, 64],
    [33, 136, 112],
    [64, 8, 208],
    [100, 200, 96],
    [127, 64, 272],
    [130, 136, 160],
];

/// A product with everything that may be added to it.
struct Product {
    a: Vec<f32>,
    w: Vec<f32>,
    bias: Vec<f32>,
    residual: Vec<f32>,
}

impl Product {
    fn random(random: &mut Random, float: Float, [m, n, k]: [usize; 3]) -> Product {
        let mut values = |len: usize, scale: f32| rounded(float, &random.values(len, scale));
        Product {
            a: values(m * k, 1.0),
            w: values(n * k, 1.0),
            bias: values(n, 1.0),
            residual: values(m * n, 1.0),
        }
    }

    /// By the CPU's kernels in f32.
    fn on_the_cpu(
        &self,
        isa: Isa,
        precision: Precision,
        [m, n, k]: [usize; 3],
        how: How,
    ) -> Vec<f32> {
        let packed = PackedB::pack(isa, precision, &[MatRef::new(&self.w, n, k)]);
        let mut c = vec![0.0; m * n];
        let epilogue = match how {
            How::Plain => Epilogue::None,
            How::Gelu => Epilogue::BiasActivation(&self.bias, Activation::Gelu),
            How::Tanh => Epilogue::BiasActivation(&self.bias, Activation::Tanh),
            How::Residual => Epilogue::BiasResidual(&self.bias, MatRef::new(&self.residual, m, n)),
        };
        let a = MatRef::new(&self.a, m, k);
        gemm(isa, a, &packed, epilogue, MatMut::new(&mut c, m, n));
        c
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Plain,
    Gelu,
    /// Not the activation that the epilogue expects.
    Tanh,
    /// Bias and residual; written in f32, for a layer norm.
    Residual,
}

const HOW: [How; 4] = [How::Plain, How::Gelu, How::Residual, How::Tanh];

/// Arguments behind the factors: bias, residual, c, m, n, k, activation.
fn tail(
    device: &mut Device,
    product: &Product,
    float: Float,
    shape: [usize; 3],
    how: How,
    c: Arg,
) -> Vec<Arg> {
    let bias = if how == How::Plain { NULL } else { device.upload(&product.bias) };
    let residual = match how {
        How::Residual => device.upload_as(float, &product.residual),
        _ => NULL,
    };
    let activation = match how {
        How::Gelu => Activation::Gelu,
        How::Tanh => Activation::Tanh,
        _ => Activation::Linear,
    };
    let shape = shape.map(|size| Arg::Int(size as i32));
    [&[bias, residual, c][..], &shape, &[Arg::Int(activation.number())]].concat()
}

#[test]
fn f32_has_the_bits_of_a_cpu_with_vectors() {
    // On every level but scalar a sum is one chain of fused multiply-adds.
    let isa = Isa::best();
    for (i, shape) in SHAPES.into_iter().enumerate() {
        let (how, [m, n, _]) = (HOW[i % 4], shape);
        let product = Product::random(&mut Random(i as u32), Float::F32, shape);
        let mut device = Device::new((7, 5));
        let c = device.reserve(4 * m * n);
        let factors = [device.upload(&product.a), device.upload(&product.w)];
        let tail = tail(&mut device, &product, Float::F32, shape, how, c);
        device.run(&f32_simt_launch(m, n), &[&factors[..], &tail].concat());
        let (got, want) = (device.download(c), product.on_the_cpu(isa, Precision::F32, shape, how));
        match how {
            // GELU divides to the last bit but one.
            How::Gelu | How::Tanh => assert_close(&got, &want, 1e-5),
            _ if isa.level() == zhengzi_kernels::Level::Scalar => assert_close(&got, &want, 1e-5),
            _ => assert_eq!(got, want, "{shape:?}"),
        }
    }
}

#[test]
fn products_of_16_bits_agree_with_f32_on_every_capability() {
    for capability in CAPABILITIES {
        for &float in &floats(capability)[1..] {
            for (i, shape) in SHAPES.into_iter().enumerate() {
                half(capability, float, shape, HOW[i % 4], false);
            }
        }
    }
}

#[test]
fn large_tiles_of_16_bits_agree_with_f32() {
    for capability in CAPABILITIES {
        for (float, shape, how) in
            [(Float::F16, [130, 136, 160], How::Gelu), (Float::Bf16, [70, 200, 56], How::Residual)]
        {
            if floats(capability).contains(&float) {
                half(capability, float, shape, how, true);
            }
        }
    }
}

fn half(capability: (u32, u32), float: Float, shape: [usize; 3], how: How, large: bool) {
    let [m, n, _] = shape;
    let product = Product::random(&mut Random(m as u32), float, shape);
    let wide = how == How::Residual;
    let out = if wide { Float::F32 } else { float };
    let mut device = Device::new(capability);
    let c = device.reserve(size_of_float(out) * m * n);
    let factors = [device.upload_as(float, &product.a), device.upload_as(float, &product.w)];
    let tail = tail(&mut device, &product, float, shape, how, c);
    let args = [&factors[..], &tail, &[Arg::Int(i32::from(wide))]].concat();
    let launch = half_mma_launch(float, m, n);
    let launch = if large {
        enlarged(launch, half_mma_launch(float, 1 << 14, 1 << 14), m, n)
    } else {
        launch
    };
    let cost = device.run(&launch, &args);
    assert_eq!(cost.conflicts, 0, "rows of one `ldmatrix` share banks");
    let want = product.on_the_cpu(Isa::best(), Precision::F32, shape, how);
    assert_close(&device.download_as(out, c), &want, unit(out) + 1e-5);
}

#[test]
fn warpgroups_agree_with_f32_in_both_widths() {
    for (i, shape) in [[1, 8, 16], [100, 136, 72], [130, 192, 384], [64, 200, 448], [129, 384, 320]]
        .into_iter()
        .enumerate()
    {
        let ([m, n, k], how) = (shape, HOW[i % 4]);
        for float in [Float::F16, Float::Bf16] {
            let product = Product::random(&mut Random(m as u32), float, shape);
            let wide = how == How::Residual;
            let out = if wide { Float::F32 } else { float };
            let mut device = Device::new((9, 0));
            let c = device.reserve(size_of_float(out) * m * n);
            let tiles = half_wgmma_tiles(n);
            let mut map = |values: &[f32], rows: usize, tile_rows: u32| {
                let Arg::Pointer(address) = device.upload_as(float, values) else { unreachable!() };
                Arg::Map(TensorMap { address, rows, cols: k, tile_rows: tile_rows as usize })
            };
            let factors = [map(&product.a, m, tiles[0]), map(&product.w, n, tiles[1])];
            let tail = tail(&mut device, &product, float, shape, how, c);
            let args = [&factors[..], &tail, &[Arg::Int(i32::from(wide))]].concat();
            device.run(&half_wgmma_launch(float, m, n), &args);
            let want = product.on_the_cpu(Isa::best(), Precision::F32, shape, how);
            assert_close(&device.download_as(out, c), &want, unit(out) + 1e-5);
        }
    }
}

/// The large kernel for a shape for which the small one would be chosen.
fn enlarged(small: Launch, large: Launch, m: usize, n: usize) -> Launch {
    assert_ne!(small.kernel, large.kernel);
    let size = large.grid.map(|blocks| (1 << 14) / blocks);
    let grid = [n.div_ceil(size[0] as usize) as u32, m.div_ceil(size[1] as usize) as u32];
    Launch { grid, ..large }
}

#[test]
fn int8_has_the_bits_of_the_cpu_on_every_capability() {
    for capability in CAPABILITIES {
        for (i, shape) in SHAPES.into_iter().enumerate() {
            int8(capability, shape, HOW[i % 4], false);
        }
        int8(capability, [130, 136, 160], How::Residual, true);
    }
}

fn int8(capability: (u32, u32), shape: [usize; 3], how: How, large: bool) {
    let [m, n, k] = shape;
    let product = Product::random(&mut Random(n as u32), Float::F32, shape);
    let (q, s) = rows::quantized(&product.a, k);
    let (w, t) = rows::quantized(&product.w, k);
    let mut device = Device::new(capability);
    let c = device.reserve(4 * m * n);
    let factors = [device.upload(&q), device.upload(&s), device.upload(&w), device.upload(&t)];
    let tail = tail(&mut device, &product, Float::F32, shape, how, c);
    let args = [&factors[..], &tail, &[Arg::Int(1)]].concat();
    let launch = int8_mma_launch(Float::F32, m, n);
    let launch = match large {
        true => enlarged(launch, int8_mma_launch(Float::F32, 1 << 14, 1 << 14), m, n),
        false => launch,
    };
    assert_eq!(device.run(&launch, &args).conflicts, 0);
    let want = product.on_the_cpu(Isa::best(), Precision::Int8, shape, how);
    match how {
        // The CPU's GELU is no finer than int8 asks for (`kernels/src/rough_gelu.rs`).
        How::Gelu => assert_close(&device.download(c), &want, 2e-4),
        How::Tanh => assert_close(&device.download(c), &want, 1e-5),
        _ => assert_eq!(device.download::<f32>(c), want, "{shape:?}"),
    }
}

#[test]
fn a_sum_does_not_depend_on_how_many_rows_are_beside_it() {
    let shape = [40, 64, 96];
    let product = Product::random(&mut Random(9), Float::F16, shape);
    let run = |m: usize| {
        let mut device = Device::new((8, 0));
        let c = device.reserve(4 * m * 64);
        let factors = [
            device.upload_as(Float::F16, &product.a[..m * 96]),
            device.upload_as(Float::F16, &product.w),
        ];
        let shape = [m, 64, 96];
        let tail = tail(&mut device, &product, Float::F16, shape, How::Plain, c);
        let args = [&factors[..], &tail, &[Arg::Int(1)]].concat();
        device.run(&half_mma_launch(Float::F16, m, 64), &args);
        device.download::<f32>(c)
    };
    assert_eq!(run(40)[..3 * 64], run(3));
}
