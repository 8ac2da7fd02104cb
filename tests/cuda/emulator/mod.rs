//! A GPU of the patient kind: it executes PTX, one thread after another, and mistrusts every kernel.
//!
//! What it runs is the text in `kernels/ptx`, which a driver gets, too: so index arithmetic, the
//! layout of shared memory, the fragments of the tensor cores and the operands of every
//! inline instruction are those of the kernels themselves. What hardware would let pass is an error here:
//!
//! - an access outside an allocation, beside its alignment, or to shared memory beyond the launch's;
//! - two threads at one byte of shared memory, one of them writing, with no barrier between;
//! - a warp's instruction that a lane does not reach, a barrier that some threads never reach.
//!
//! And where hardware leaves open when something happens, it happens as late as it may: an
//! asynchronous copy fills its place with 0xff (no number) at once and with its data when somebody
//! waits for it. Memory that nobody has written is 0xff, too. So whoever forgot to wait computes NaN.
//!
//! Not modelled: time, caches, the order of accesses to global memory between blocks, and the last
//! bits of `approx` functions and of sums in tensor cores (here they are rounded once, from f64).

mod arithmetic;
mod block;
mod decode;
mod hopper;
mod memory;
mod parse;
mod warp;

pub use hopper::TensorMap;
pub use memory::{Memory, Plain};
pub use parse::{Kernel, kernels, parse};

use block::Block;
use zhengzi_kernels::cuda::Launch;

/// An argument of a launch.
#[derive(Clone, Copy)]
pub enum Arg {
    /// What [`Memory::upload`] returned.
    Pointer(u64),
    Int(i32),
    Float(f32),
    Map(TensorMap),
}

/// What a launch cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Matrix rows that `ldmatrix` had to wait for because another of the same eight was in their banks.
    pub conflicts: usize,
}

/// Runs every block of the grid; an error names the instruction and the thread.
pub fn launch(
    memory: &mut Memory,
    kernel: &Kernel,
    shape: &Launch,
    args: &[Arg],
) -> Result<Cost, String> {
    let Launch { grid, threads, shared, .. } = *shape;
    let name = &kernel.name;
    if threads as usize > kernel.most_threads {
        return Err(format!("{name}: {threads} threads where {} are allowed", kernel.most_threads));
    }
    if args.len() != kernel.params.len() {
        return Err(format!("{name}: {} arguments for {}", args.len(), kernel.params.len()));
    }
    let params = parameters(kernel, args)?;
    let maps: Vec<TensorMap> = args
        .iter()
        .filter_map(|arg| if let Arg::Map(map) = arg { Some(*map) } else { None })
        .collect();
    let mut cost = Cost::default();
    for y in 0..grid[1] {
        for x in 0..grid[0] {
            let place = [x, y];
            let mut block =
                Block::new(kernel, memory, &params, &maps, grid, place, threads, shared);
            block.run().map_err(|error| format!("{name}, block {place:?}: {error}"))?;
            cost.conflicts += block.cost.conflicts;
        }
    }
    Ok(cost)
}

/// The bytes of the parameters, as the kernel has laid them out. A map is its number among the maps.
fn parameters(kernel: &Kernel, args: &[Arg]) -> Result<Vec<u8>, String> {
    let size = kernel.params.last().map_or(0, |(offset, size)| offset + size);
    let mut bytes = vec![0; size];
    let mut maps = 0u64;
    for (i, (arg, &(offset, size))) in args.iter().zip(&kernel.params).enumerate() {
        let value = match *arg {
            Arg::Pointer(address) => address.to_le_bytes().to_vec(),
            Arg::Int(value) => value.to_le_bytes().to_vec(),
            Arg::Float(value) => value.to_le_bytes().to_vec(),
            Arg::Map(_) => {
                maps += 1;
                [(maps - 1).to_le_bytes().to_vec(), vec![0; 120]].concat()
            }
        };
        if value.len() != size {
            let name = &kernel.name;
            return Err(format!(
                "{name}: argument {i} has {} bytes where {size} are taken",
                value.len()
            ));
        }
        bytes[offset..offset + size].copy_from_slice(&value);
    }
    Ok(bytes)
}
