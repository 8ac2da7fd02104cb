//! Our CUDA kernels without a GPU: the PTX that lies in the tree, executed by an emulator and compared
//! with the scalar kernels.

mod attention;
mod emulator;
mod gemm;
mod rows;
mod sins;
mod sources;

use emulator::{Arg, Cost, Memory, Plain, launch, parse};
use zhengzi_kernels::cuda::{Float, Launch, ptx};

/// Capabilities that differ in what runs on them.
const CAPABILITIES: [(u32, u32); 2] = [(7, 5), (8, 0)];

/// A GPU of a capability, with what was uploaded to it.
struct Device {
    capability: (u32, u32),
    memory: Memory,
}

impl Device {
    fn new(capability: (u32, u32)) -> Device {
        Device { capability, memory: Memory::default() }
    }

    fn upload<T: Plain>(&mut self, values: &[T]) -> Arg {
        Arg::Pointer(self.memory.upload(values))
    }

    /// Values in the type of the activations.
    fn upload_as(&mut self, float: Float, values: &[f32]) -> Arg {
        match float {
            Float::F32 => self.upload(values),
            _ => self.upload(&values.iter().map(|&x| to_bits(float, x)).collect::<Vec<u16>>()),
        }
    }

    fn reserve(&mut self, bytes: usize) -> Arg {
        Arg::Pointer(self.memory.reserve(bytes))
    }

    fn run(&mut self, shape: &Launch, args: &[Arg]) -> Cost {
        self.try_run(shape, args).unwrap_or_else(|error| panic!("{error}"))
    }

    fn try_run(&mut self, shape: &Launch, args: &[Arg]) -> Result<Cost, String> {
        let ptx = ptx(shape.file, self.capability).expect("PTX for this capability");
        launch(&mut self.memory, &parse(ptx.text, shape.kernel), shape, args)
    }

    fn download<T: Plain>(&self, from: Arg) -> Vec<T> {
        let Arg::Pointer(address) = from else { panic!("no pointer") };
        self.memory.download(address)
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
