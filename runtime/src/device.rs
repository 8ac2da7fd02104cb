//! Where a network runs: the CPU, as a choice of instructions, numbers and threads.

use std::fmt;
use std::sync::Arc;

use zhengzi_kernels::parallel::{self, Crew};
use zhengzi_kernels::{Isa, Precision};

/// A CPU: the instruction set that its kernels use, the threads that share them, and the
/// numbers that they multiply.
///
/// Cloning is cheap and shares the threads.
#[derive(Clone)]
pub struct Cpu {
    isa: Isa,
    precision: Option<Precision>,
    most_memory: Option<u64>,
    crew: Arc<Crew>,
}

impl Cpu {
    /// `threads` threads (at least one) running kernels of `isa`: the caller's and helpers.
    ///
    /// Fails only where the system refuses to start a thread.
    pub fn new(isa: Isa, threads: usize) -> Result<Cpu, DeviceError> {
        let crew = Crew::new(threads)
            .map_err(|error| DeviceError(format!("cannot start {threads} threads: {error}")))?;
        Ok(Cpu { isa, precision: None, most_memory: None, crew: Arc::new(crew) })
    }

    /// The same with products of all networks loaded from now on in this precision; `None` leaves
    /// it to the file and the instruction set ([`Weights::of`](crate::Weights::of)).
    pub fn with_precision(self, precision: Option<Precision>) -> Cpu {
        Cpu { precision, ..self }
    }

    /// The same where this process is to take no more than so many bytes: a network that needs more is
    /// not loaded, and when one is loaded that does not, the system is told to refuse more.
    pub fn with_most_memory(self, most_memory: Option<u64>) -> Cpu {
        Cpu { most_memory, ..self }
    }

    /// The instruction set.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The precision that was asked for.
    pub fn precision(&self) -> Option<Precision> {
        self.precision
    }

    /// How many bytes may be taken, where that was said.
    pub fn most_memory(&self) -> Option<u64> {
        self.most_memory
    }

    /// The number of threads.
    pub fn threads(&self) -> usize {
        self.crew.threads()
    }

    /// Does `work` with the help of the crew, which kernels find by themselves. A forward pass enters
    /// once; then each of its dozens of steps costs a microsecond to share.
    pub fn run<R>(&self, work: impl FnOnce() -> R) -> R {
        self.crew.run(work)
    }

    /// Calls `piece(0)`, … `piece(pieces − 1)`, each once, each on one thread from its begin to its
    /// end: for work in which there is nothing to wait for, like whole sentences.
    pub fn each(&self, pieces: usize, piece: &(dyn Fn(usize) + Sync)) {
        self.run(|| parallel::each(pieces, piece));
    }
}

impl fmt::Debug for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cpu({}, {} threads)", self.isa.level(), self.threads())
    }
}

/// Why a device cannot be used: one line.
#[derive(Debug)]
pub struct DeviceError(pub(crate) String);

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DeviceError {}
