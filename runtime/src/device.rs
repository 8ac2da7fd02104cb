//! Where a network runs: the CPU, as a choice of instructions and a pool of threads.

use std::fmt;
use std::sync::Arc;

use zhengzi_kernels::Isa;

/// A CPU: the instruction set that its kernels use and the threads that they share.
///
/// Cloning is cheap and shares the pool.
#[derive(Clone)]
pub struct Cpu {
    isa: Isa,
    pool: Arc<rayon::ThreadPool>,
}

impl Cpu {
    /// `threads` threads (at least one) running kernels of `isa`.
    ///
    /// Fails only where the system refuses to start a thread.
    pub fn new(isa: Isa, threads: usize) -> Result<Cpu, DeviceError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .thread_name(|i| format!("zhengzi-{i}"))
            .build()
            .map_err(|error| DeviceError(format!("cannot start {threads} threads: {error}")))?;
        Ok(Cpu { isa, pool: Arc::new(pool) })
    }

    /// The instruction set.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The number of threads.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Runs `work` inside the pool, where kernels find their threads. A forward pass enters
    /// once, so that the fork and join is paid once and not at each of its dozens of steps.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.pool.install(work)
    }
}

impl fmt::Debug for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cpu({}, {} threads)", self.isa.level(), self.threads())
    }
}

/// Why a device cannot be used: one line.
#[derive(Debug)]
pub struct DeviceError(String);

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DeviceError {}
