//! Our CUDA kernels: the PTX that lies in the tree, compared with the scalar kernels. An emulator executes
//! it; with `ZHENGZI_TEST_DEVICE=0` in the environment the GPU of that number does.

mod attention;
mod driver;
mod emulator;
mod gemm;
mod network;
mod rows;
mod sins;
mod sources;

use driver::Gpu;
use emulator::{Arg, Cost, Memory, Plain, launch, parse};
use zhengzi_kernels::cuda::{Float, Launch, ptx};

/// Capabilities that differ in what runs on them.
const CAPABILITIES: [(u32, u32); 2] = [(7, 5), (8, 0)];

/// What runs the kernels for a capability, with what was uploaded to it.
struct Device {
    capability: (u32, u32),
    runs_on: RunsOn,
}

enum RunsOn {
    Emulator(Memory),
    Gpu(Gpu),
}

impl Device {
    fn new(capability: (u32, u32)) -> Device {
        let runs_on = match std::env::var("ZHENGZI_TEST_DEVICE") {
            Ok(number) => RunsOn::Gpu(Gpu::open(number.parse().expect("the number of a GPU"))),
            Err(_) => RunsOn::Emulator(Memory::default()),
        };
        Device { capability, runs_on }
    }

    fn upload<T: Plain>(&mut self, values: &[T]) -> Arg {
        Arg::Pointer(match &mut self.runs_on {
            RunsOn::Emulator(memory) => memory.upload(values),
            RunsOn::Gpu(gpu) => gpu.upload(values),
        })
    }

    /// Values in the type of the activations.
    fn upload_as(&mut self, float: Float, values: &[f32]) -> Arg {
        match float {
            Float::F32 => self.upload(values),
            _ => self.upload(&values.iter().map(|&x| to_bits(float, x)).collect::<Vec<u16>>()),
        }
    }

    /// Bytes that are no numbers until a kernel has written them.
    fn reserve(&mut self, bytes: usize) -> Arg {
        Arg::Pointer(match &mut self.runs_on {
            RunsOn::Emulator(memory) => memory.reserve(bytes),
            RunsOn::Gpu(gpu) => gpu.upload(&vec![-1i8; bytes]),
        })
    }

    fn run(&mut self, shape: &Launch, args: &[Arg]) -> Cost {
        let outcome = match &mut self.runs_on {
            RunsOn::Emulator(memory) => {
                let ptx = ptx(shape.file, self.capability).expect("PTX for this capability");
                launch(memory, &parse(ptx.text, shape.kernel), shape, args)
            }
            RunsOn::Gpu(gpu) => gpu.run(shape, self.capability, args),
        };
        outcome.unwrap_or_else(|error| panic!("{error}"))
    }

    fn download<T: Plain>(&self, from: Arg) -> Vec<T> {
        let Arg::Pointer(address) = from else { panic!("no pointer") };
        match &self.runs_on {
            RunsOn::Emulator(memory) => memory.download(address),
            RunsOn::Gpu(gpu) => gpu.download(address),
        }
    }

    fn download_as(&self, float: Float, from: Arg) -> Vec<f32> {
        match float {
            Float::F32 => self.download(from),
            _ => self.download(from).into_iter().map(|bits| of_bits(float, bits)).collect(),
        }
    }
}

/// Nothing: a bias or a residual that is not there.
const NULL: Arg = Arg::Pointer(0);

fn floats(capability: (u32, u32)) -> &'static [Float] {
    match capability.0 {
        ..8 => &[Float::F32, Float::F16],
        _ => &[Float::F32, Float::F16, Float::Bf16],
    }
}

fn size_of_float(float: Float) -> usize {
    if float == Float::F32 { 4 } else { 2 }
}

fn to_bits(float: Float, x: f32) -> u16 {
    match float {
        Float::Bf16 => half::bf16::from_f32(x).to_bits(),
        _ => half::f16::from_f32(x).to_bits(),
    }
}

fn of_bits(float: Float, bits: u16) -> f32 {
    match float {
        Float::Bf16 => half::bf16::from_bits(bits).to_f32(),
        _ => half::f16::from_bits(bits).to_f32(),
    }
}

/// x as the type keeps it.
fn rounded(float: Float, x: &[f32]) -> Vec<f32> {
    match float {
        Float::F32 => x.to_vec(),
        _ => x.iter().map(|&x| of_bits(float, to_bits(float, x))).collect(),
    }
}

/// The relative rounding error of the type, halved ulp.
fn unit(float: Float) -> f32 {
    match float {
        Float::F32 => f32::EPSILON / 2.0,
        Float::F16 => 1.0 / 2048.0,
        Float::Bf16 => 1.0 / 256.0,
    }
}

/// Numbers in −scale..scale that look random and are always the same (Numerical Recipes' LCG).
struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 8
    }

    fn values(&mut self, len: usize, scale: f32) -> Vec<f32> {
        (0..len).map(|_| scale * (self.next() as f32 / (1 << 23) as f32 - 1.0)).collect()
    }
}

#[track_caller]
fn assert_close(got: &[f32], want: &[f32], tolerance: f32) {
    assert_eq!(got.len(), want.len());
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let bound = tolerance * want.abs().max(1.0);
        assert!((got - want).abs() <= bound, "value {i} is {got}, not {want} ± {bound}");
    }
}
