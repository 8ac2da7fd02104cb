//! The CUDA kernels' products and attention on a GPU: checked, then timed.
//!
//! ```sh
//! cargo run --release -p zhengzi-runtime --features cuda --example cuda_bench          # GPU 0
//! cargo run --release -p zhengzi-runtime --features cuda --example cuda_bench -- 1
//! ```
//!
//! Factors are all 1, so every sum is k, exactly, in every type, and attention returns its values. Time: the
//! median of 20 rounds of 10 launches each, as the device's own events see it; the first round, in
//! which the driver compiles, does not count. What to hold it against: docs/gpu.md.

use zhengzi_kernels::attention::{attention_blocks, attention_launch};
use zhengzi_kernels::cuda::{Float, Launch};
use zhengzi_kernels::gemm::{
    f32_simt_launch, half_mma_launch, half_wgmma_launch, half_wgmma_tiles, int8_mma_launch,
};
use zhengzi_runtime::DeviceError;
use zhengzi_runtime::cuda::{Arg, Buffer, Cuda};

/// m × n × k: 4,096 tokens in ELECTRA-base, one sentence of 32 in base and in small, 16,384 in small.
const SHAPES: [[usize; 3]; 8] = [
    [4096, 2304, 768],
    [4096, 768, 768],
    [4096, 3072, 768],
    [4096, 768, 3072],
    [32, 768, 768],
    [32, 3072, 768],
    [32, 256, 1024],
    [16384, 1024, 256],
];

/// Sentences, tokens of each, heads of 64 columns.
const SENTENCES: [[usize; 3]; 3] = [[32, 512, 12], [128, 128, 12], [256, 64, 4]];

const ROUNDS: usize = 20;
const LAUNCHES: usize = 10;

fn main() {
    let number = std::env::args().nth(1).map_or(0, |word| word.parse().expect("a number"));
    if let Err(error) = Cuda::open(number).and_then(|cuda| table(&cuda)) {
        eprintln!("cuda_bench: {error}");
        std::process::exit(2);
    }
}

fn table(cuda: &Cuda) -> Result<(), DeviceError> {
    let (major, minor) = cuda.capability();
    println!("{}, compute capability {major}.{minor}\n", cuda.name());
    println!("| kernel | shape | µs | TFLOP/s |\n|---|---|--:|--:|");
    for shape in SHAPES {
        for kind in [Kind::Simt, Kind::Int8, Kind::Mma(Float::F16), Kind::Mma(Float::Bf16)] {
            product(cuda, kind, shape)?;
        }
        if cuda.capability() == (9, 0) {
            product(cuda, Kind::Wgmma(Float::F16), shape)?;
            product(cuda, Kind::Wgmma(Float::Bf16), shape)?;
        }
    }
    for shape in SENTENCES {
        for float in [Float::F32, Float::F16, Float::Bf16] {
            attend(cuda, float, shape)?;
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Simt,
    Int8,
    Mma(Float),
    Wgmma(Float),
}

fn product(cuda: &Cuda, kind: Kind, [m, n, k]: [usize; 3]) -> Result<(), DeviceError> {
    let one: &[u8] = match kind {
        Kind::Simt => &1f32.to_le_bytes(),
        Kind::Int8 => &[1],
        Kind::Mma(float) | Kind::Wgmma(float) => &half_one(float),
    };
    if needs_ampere(kind) && cuda.capability() < (8, 0) {
        return Ok(());
    }
    let (a, w) = (cuda.upload(&one.repeat(m * k))?, cuda.upload(&one.repeat(n * k))?);
    let c = cuda.reserve(4 * m * n)?;
    let (s, t) = (ones(cuda, m)?, ones(cuda, n)?);
    let pointer = |buffer: &Buffer| Arg::Pointer(buffer.address());
    let none = Arg::Pointer(0);
    let sizes = [m, n, k].map(|size| Arg::Int(size as i32));
    // No bias, no residual; activation 6 is none; c in f32.
    let tail = [&[none, none, pointer(&c)][..], &sizes, &[Arg::Int(6), Arg::Int(1)]].concat();
    let (launch, head) = match kind {
        Kind::Simt => (f32_simt_launch(m, n), vec![pointer(&a), pointer(&w)]),
        Kind::Int8 => {
            let head = vec![pointer(&a), pointer(&s), pointer(&w), pointer(&t)];
            (int8_mma_launch(Float::F32, m, n), head)
        }
        Kind::Mma(float) => (half_mma_launch(float, m, n), vec![pointer(&a), pointer(&w)]),
        Kind::Wgmma(float) => {
            let tiles = half_wgmma_tiles(n);
            let maps = [
                cuda.tensor_map(a.address(), m, k, tiles[0])?,
                cuda.tensor_map(w.address(), n, k, tiles[1])?,
            ];
            (half_wgmma_launch(float, m, n), maps.map(Arg::Map).to_vec())
        }
    };
    let mut args = [head, tail].concat();
    if kind == Kind::Simt {
        args.pop(); // it writes nothing but f32
    }
    run(cuda, &launch, &args)?;
    let sums = floats(&cuda.download(&c)?);
    let wrong = sums.iter().position(|&sum| sum != k as f32);
    assert!(wrong.is_none(), "{}: {:?}", launch.kernel, wrong.map(|at| (at, sums[at])));
    report(cuda, &launch, &args, &format!("{m} × {n} × {k}"), 2.0 * (m * n * k) as f64)
}

fn attend(cuda: &Cuda, float: Float, [sentences, n, heads]: [usize; 3]) -> Result<(), DeviceError> {
    if float == Float::Bf16 && cuda.capability() < (8, 0) {
        return Ok(());
    }
    let (d, t) = (64, sentences * n);
    let h = heads * d;
    let one = match float {
        Float::F32 => 1f32.to_le_bytes().to_vec(),
        _ => half_one(float).to_vec(),
    };
    let qkv = cuda.upload(&one.repeat(3 * t * h))?;
    let y = cuda.reserve(one.len() * t * h)?;
    let offsets: Vec<usize> = (0..=sentences).map(|s| s * n).collect();
    let list = attention_blocks(float, &offsets);
    let bytes: Vec<u8> = list.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
    let blocks = cuda.upload(&bytes)?;
    let mut args: Vec<Arg> =
        [&qkv, &blocks, &y].map(|buffer| Arg::Pointer(buffer.address())).to_vec();
    args.push(Arg::Int(h as i32));
    if float == Float::F32 {
        args.push(Arg::Int(d as i32));
    }
    let launch = attention_launch(float, d, list.len(), heads);
    run(cuda, &launch, &args)?;
    // The mean of ones; in f32 the sum of weights may be off in its last bits.
    let right = |value: &[u8]| match float {
        Float::F32 => (floats(value)[0] - 1.0).abs() < 1e-5,
        _ => value == one,
    };
    assert!(cuda.download(&y)?.chunks(one.len()).all(right), "{}", launch.kernel);
    let flops = 4.0 * (sentences * heads * n * n * d) as f64;
    report(cuda, &launch, &args, &format!("{sentences} × {n}, {heads} heads of {d}"), flops)
}

fn report(
    cuda: &Cuda,
    launch: &Launch,
    args: &[Arg],
    shape: &str,
    flops: f64,
) -> Result<(), DeviceError> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let time = cuda.time(|| (0..LAUNCHES).try_for_each(|_| start(cuda, launch, args)))?;
        times.push(f64::from(time) * 1e-3 / LAUNCHES as f64);
    }
    times.sort_by(f64::total_cmp);
    let time = times[ROUNDS / 2];
    println!("| `{}` | {shape} | {:.1} | {:.1} |", launch.kernel, time * 1e6, flops / time / 1e12);
    Ok(())
}

fn run(cuda: &Cuda, launch: &Launch, args: &[Arg]) -> Result<(), DeviceError> {
    start(cuda, launch, args)?;
    cuda.synchronize()
}

fn start(cuda: &Cuda, launch: &Launch, args: &[Arg]) -> Result<(), DeviceError> {
    // SAFETY: the arguments are those of the kernels in tests/cuda/gemm.rs and attention.rs, where
    // an emulator compares them; their buffers live in the caller, which waits for the results.
    unsafe { cuda.launch(launch, cuda.capability(), args) }
}

fn needs_ampere(kind: Kind) -> bool {
    matches!(kind, Kind::Mma(Float::Bf16) | Kind::Wgmma(_))
}

/// 1 in 16 bits.
fn half_one(float: Float) -> [u8; 2] {
    let bits: u16 = if float == Float::Bf16 { 0x3f80 } else { 0x3c00 };
    bits.to_le_bytes()
}

fn ones(cuda: &Cuda, len: usize) -> Result<Buffer, DeviceError> {
    cuda.upload(&1f32.to_le_bytes().repeat(len))
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}
