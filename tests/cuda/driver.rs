//! The same launches on a GPU, and what is said where there is none.

use std::sync::OnceLock;

use zhengzi_kernels::cuda::Launch;
use zhengzi_runtime::cuda::{self, Buffer, Cuda};

use super::emulator::{Arg, Cost, Plain};

/// A GPU with what was uploaded to it.
pub struct Gpu {
    cuda: Cuda,
    buffers: Vec<Buffer>,
}

impl Gpu {
    /// One for all tests: so the driver compiles each file once.
    pub fn open(number: usize) -> Gpu {
        static CUDA: OnceLock<Cuda> = OnceLock::new();
        let open = || Cuda::open(number).unwrap_or_else(|error| panic!("{error}"));
        Gpu { cuda: CUDA.get_or_init(open).clone(), buffers: Vec::new() }
    }

    pub fn upload<T: Plain>(&mut self, values: &[T]) -> u64 {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_bytes()).collect();
        self.buffers.push(self.cuda.upload(&bytes).unwrap());
        self.buffers[self.buffers.len() - 1].address()
    }

    pub fn download<T: Plain>(&self, address: u64) -> Vec<T> {
        let buffer = self.buffers.iter().find(|buffer| buffer.address() == address);
        let bytes = self.cuda.download(buffer.expect("an address of ours")).unwrap();
        bytes.chunks(size_of::<T>()).map(T::of_bytes).collect()
    }

    pub fn run(
        &mut self,
        launch: &Launch,
        capability: (u32, u32),
        args: &[Arg],
    ) -> Result<Cost, String> {
        let arg = |arg: &Arg| match *arg {
            Arg::Pointer(address) => Ok(cuda::Arg::Pointer(address)),
            Arg::Int(value) => Ok(cuda::Arg::Int(value)),
            Arg::Float(value) => Ok(cuda::Arg::Float(value)),
            Arg::Map(map) => {
                let tile = map.tile_rows as u32;
                let map = self.cuda.tensor_map(map.address, map.rows, map.cols, tile);
                map.map(cuda::Arg::Map)
            }
        };
        let args: Result<Vec<cuda::Arg>, _> = args.iter().map(arg).collect();
        // SAFETY: the tests hand the emulator the same arguments, which compares them with the kernel's.
        let ran = args.and_then(|args| unsafe { self.cuda.launch(launch, capability, &args) });
        ran.and_then(|()| self.cuda.synchronize()).map_err(|error| error.to_string())?;
        Ok(Cost::default())
    }
}

#[test]
fn without_a_gpu_one_line_says_what_is_missing() {
    match Cuda::open(0) {
        Ok(cuda) => {
            let (major, minor) = cuda.capability();
            eprintln!("skipped: here is a {} of capability {major}.{minor}", cuda.name());
        }
        Err(error) => {
            let line = error.to_string();
            assert!(
                !line.contains('\n') && line.contains("driver") || line.contains("CUDA"),
                "{line}"
            );
        }
    }
}

#[test]
fn a_device_that_is_not_there_is_refused() {
    let line = Cuda::open(1000).err().expect("nobody has a thousand GPUs").to_string();
    assert!(line.contains("no NVIDIA driver") || line.contains("no CUDA device 1000"), "{line}");
}
