//! An NVIDIA GPU through its driver: memory, kernels, time. Feature `cuda`.
//!
//! What is needed is the driver alone (`libcuda`), which is looked for when [`Cuda::open`] is called: a
//! program with this module starts where there is none. Kernels come as PTX from
//! `zhengzi_kernels::cuda`, and the driver makes machine code of a file when its first kernel is
//! launched. Everything goes through one stream, in order.
//!
//! Knows no network: `tests/cuda.rs` runs every kernel through it where there is a GPU.

use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use cudarc::driver::result::{self, DriverError};
use cudarc::driver::sys::{self, CUdevice_attribute_enum as Attribute, CUresult};
use zhengzi_kernels::cuda::{Launch, ptx};

use crate::DeviceError;

/// A device, ready for work. Cloning shares it.
#[derive(Clone)]
pub struct Cuda(Arc<Inner>);

struct Inner {
    device: sys::CUdevice,
    context: sys::CUcontext,
    stream: sys::CUstream,
    /// Of each file that was loaded its module, of each kernel its function.
    modules: Mutex<HashMap<String, sys::CUmodule>>,
    name: String,
    capability: (u32, u32),
}

// SAFETY: handles of the driver may be used by any thread that has made the context current, as
// every method here does; the map has its lock.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

/// Memory on a device, freed when dropped.
pub struct Buffer {
    cuda: Cuda,
    address: u64,
    len: usize,
}

/// An argument of a kernel.
#[derive(Clone, Copy)]
pub enum Arg {
    /// An address in a [`Buffer`], or 0 where the kernel takes nothing for it.
    Pointer(u64),
    /// `int`
    Int(i32),
    /// `float`
    Float(f32),
    /// What [`Cuda::tensor_map`] made.
    Map(TensorMap),
}

/// A matrix of 16-bit numbers and its tiles, as the copy unit of sm_90 wants them described.
#[derive(Clone, Copy)]
pub struct TensorMap(sys::CUtensorMap);

impl Cuda {
    /// The device of that number.
    ///
    /// Fails, in one line, without a driver, without such a device, and where it or its driver is too old.
    pub fn open(number: usize) -> Result<Cuda, DeviceError> {
        // SAFETY: loading libcuda runs its initialisers, which NVIDIA answers for.
        if !unsafe { sys::is_culib_present() } {
            return fail("there is no NVIDIA driver here (libcuda was not found)".to_owned());
        }
        // A driver so old that it lacks a symbol is a panic in cudarc.
        catch_unwind(AssertUnwindSafe(|| Cuda::open_present(number))).unwrap_or_else(|_| {
            fail("the NVIDIA driver is too old: 525 or newer is needed".to_owned())
        })
    }

    fn open_present(number: usize) -> Result<Cuda, DeviceError> {
        let failed = |error| cannot("start CUDA", error);
        result::init().map_err(failed)?;
        let count = result::device::get_count().map_err(failed)?;
        if number >= count as usize {
            return fail(format!("there is no CUDA device {number}: the driver knows {count}"));
        }
        let device = result::device::get(number as i32).map_err(failed)?;
        let name = result::device::get_name(device).map_err(failed)?;
        // SAFETY: `device` came from the driver.
        let attribute = |which| unsafe { result::device::get_attribute(device, which) };
        let major = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
        let minor = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
        let capability = (major.map_err(failed)? as u32, minor.map_err(failed)? as u32);
        if capability < (7, 5) {
            let (major, minor) = capability;
            return fail(format!(
                "{name} has compute capability {major}.{minor}: 7.5 is the least"
            ));
        }
        // SAFETY: as above; the context is given back when this is dropped.
        let context = unsafe { result::primary_ctx::retain(device) }.map_err(failed)?;
        // SAFETY: the context is that which was just retained.
        unsafe { result::ctx::set_current(context) }.map_err(failed)?;
        // Not `NonBlocking`: copies go through the default stream, and kernels have to wait for them.
        let stream = result::stream::create(result::stream::StreamKind::Default);
        let stream = stream.map_err(failed)?;
        let modules = Mutex::default();
        Ok(Cuda(Arc::new(Inner { device, context, stream, modules, name, capability })))
    }

    /// What its maker calls it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its compute capability: (9, 0).
    pub fn capability(&self) -> (u32, u32) {
        self.0.capability
    }

    /// Memory that nobody has written yet.
    pub fn reserve(&self, len: usize) -> Result<Buffer, DeviceError> {
        self.enter()?;
        // SAFETY: the context is current. The driver refuses 0 bytes.
        let address = unsafe { result::malloc_sync(len.max(1)) };
        let address = address.map_err(|error| match error.0 {
            CUresult::CUDA_ERROR_OUT_OF_MEMORY => {
                DeviceError(format!("{} has no {len} bytes left", self.name()))
            }
            _ => cannot("reserve memory", error),
        })?;
        Ok(Buffer { cuda: self.clone(), address, len })
    }

    /// Memory with these bytes in it.
    pub fn upload(&self, bytes: &[u8]) -> Result<Buffer, DeviceError> {
        let buffer = self.reserve(bytes.len())?;
        // SAFETY: the buffer has as many bytes, and nobody else knows of it yet.
        let copied = unsafe { result::memcpy_htod_sync(buffer.address, bytes) };
        copied.map_err(|error| cannot("copy to the GPU", error))?;
        Ok(buffer)
    }

    /// The bytes of a buffer, when all that was launched is done.
    pub fn download(&self, buffer: &Buffer) -> Result<Vec<u8>, DeviceError> {
        self.synchronize()?;
        let mut bytes = vec![0; buffer.len];
        // SAFETY: the buffer has as many bytes, and no kernel is running.
        let copied = unsafe { result::memcpy_dtoh_sync(&mut bytes, buffer.address) };
        copied.map_err(|error| cannot("copy from the GPU", error))?;
        Ok(bytes)
    }

    /// Until all that was launched is done.
    pub fn synchronize(&self) -> Result<(), DeviceError> {
        self.enter()?;
        // SAFETY: the stream lives as long as this.
        let done = unsafe { result::stream::synchronize(self.0.stream) };
        done.map_err(|error| cannot("finish its work", error))
    }

    /// Starts a kernel with the PTX for `capability`, which is at most the device's.
    ///
    /// # Safety
    ///
    /// The arguments must be in number, type and size those of the kernel, and its pointers must stay
    /// valid until it is done.
    pub unsafe fn launch(
        &self,
        launch: &Launch,
        capability: (u32, u32),
        args: &[Arg],
    ) -> Result<(), DeviceError> {
        self.enter()?;
        let function = self.function(launch, capability)?;
        let mut params: Vec<*mut c_void> = args
            .iter()
            .map(|arg| match arg {
                Arg::Pointer(address) => (&raw const *address).cast_mut().cast(),
                Arg::Int(value) => (&raw const *value).cast_mut().cast(),
                Arg::Float(value) => (&raw const *value).cast_mut().cast(),
                Arg::Map(TensorMap(map)) => (&raw const *map).cast_mut().cast(),
            })
            .collect();
        let Launch { grid, threads, shared, .. } = *launch;
        let (grid, block) = ((grid[0], grid[1], 1), (threads, 1, 1));
        // SAFETY: the arguments are the caller's word; the driver copies them before it returns.
        let launched = unsafe {
            result::launch_kernel(function, grid, block, shared, self.0.stream, &mut params)
        };
        launched.map_err(|error| cannot(&format!("launch {}", launch.kernel), error))
    }

    fn function(
        &self,
        launch: &Launch,
        capability: (u32, u32),
    ) -> Result<sys::CUfunction, DeviceError> {
        use sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES as SHARED;
        let text = ptx(launch.file, capability).ok_or_else(|| {
            DeviceError(format!("there is no {} for {}", launch.kernel, self.name()))
        })?;
        let key = format!("{} {:?}", launch.file, text.architecture);
        let mut modules = self.0.modules.lock().expect("nobody panics with it");
        let module = match modules.get(&key) {
            Some(&module) => module,
            None => {
                let image = CString::new(text.text).expect("PTX without a zero");
                // SAFETY: the text ends with a zero; the driver refuses what is no PTX.
                let module = unsafe { result::module::load_data(image.as_ptr().cast()) };
                let module = module.map_err(|error| match error.0 {
                    CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION => DeviceError(
                        "the NVIDIA driver is too old: 525 or newer is needed".to_owned(),
                    ),
                    _ => cannot(&format!("load the kernels of {}", launch.file), error),
                })?;
                modules.insert(key, module);
                module
            }
        };
        let name = CString::new(launch.kernel).expect("a name without a zero");
        let failed = |error| cannot(&format!("find {}", launch.kernel), error);
        // SAFETY: modules are never unloaded while this lives.
        let function = unsafe { result::module::get_function(module, name) }.map_err(failed)?;
        if launch.shared > 0 {
            // More than 48 KB have to be asked for.
            // SAFETY: the function is that which was just found.
            let set = unsafe {
                result::function::set_function_attribute(function, SHARED, launch.shared as i32)
            };
            set.map_err(failed)?;
        }
        Ok(function)
    }

    /// The matrix `[rows, cols]` of 16-bit numbers at an address, in tiles of `tile_rows` by 64 columns,
    /// shuffled as the kernels of sm_90a want them.
    pub fn tensor_map(
        &self,
        address: u64,
        rows: usize,
        cols: usize,
        tile_rows: u32,
    ) -> Result<TensorMap, DeviceError> {
        use sys::{
            CUtensorMapDataType::CU_TENSOR_MAP_DATA_TYPE_UINT16 as U16,
            CUtensorMapFloatOOBfill::CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE as ZEROS,
            CUtensorMapInterleave::CU_TENSOR_MAP_INTERLEAVE_NONE as PLAIN,
            CUtensorMapL2promotion::CU_TENSOR_MAP_L2_PROMOTION_L2_128B as LINES,
            CUtensorMapSwizzle::CU_TENSOR_MAP_SWIZZLE_128B as SHUFFLED,
        };
        self.enter()?;
        let mut map = sys::CUtensorMap { opaque: [0; 16] };
        let (sizes, stride) = ([cols as u64, rows as u64], [2 * cols as u64]);
        let (tile, steps) = ([64, tile_rows], [1, 1]);
        // SAFETY: every pointer is to as many values as two dimensions have; the matrix is not read.
        let status = unsafe {
            sys::cuTensorMapEncodeTiled(
                &raw mut map,
                U16,
                2,
                address as *mut c_void,
                sizes.as_ptr(),
                stride.as_ptr(),
                tile.as_ptr(),
                steps.as_ptr(),
                PLAIN,
                SHUFFLED,
                LINES,
                ZEROS,
            )
        };
        status.result().map_err(|error| cannot("describe a matrix", error))?;
        Ok(TensorMap(map))
    }

    /// Milliseconds between the begin and the end of what `work` launches, as the device sees it.
    pub fn time(&self, work: impl FnOnce() -> Result<(), DeviceError>) -> Result<f32, DeviceError> {
        let failed = |error| cannot("take the time", error);
        self.enter()?;
        let flags = sys::CUevent_flags::CU_EVENT_DEFAULT;
        let begin = result::event::create(flags).map_err(failed)?;
        let end = result::event::create(flags).map_err(failed)?;
        // SAFETY: both events were just made and are destroyed below, the stream lives as long as this.
        let recorded = unsafe { result::event::record(begin, self.0.stream) };
        let outcome = recorded.map_err(failed).and_then(|()| work());
        // SAFETY: as above.
        let time = unsafe {
            let ended = result::event::record(end, self.0.stream)
                .and_then(|()| result::event::synchronize(end))
                .and_then(|()| result::event::elapsed(begin, end));
            let _ = result::event::destroy(begin);
            let _ = result::event::destroy(end);
            ended
        };
        outcome.and(time.map_err(failed))
    }

    /// Makes the context that of this thread.
    fn enter(&self) -> Result<(), DeviceError> {
        // SAFETY: the context lives as long as this.
        let entered = unsafe { result::ctx::set_current(self.0.context) };
        entered.map_err(|error| cannot("use its context", error))
    }
}

impl Buffer {
    /// Where it begins, for a kernel.
    pub fn address(&self) -> u64 {
        self.address
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // Work on it may still be under way; a failure was or will be told by whoever waits for that.
        if self.cuda.synchronize().is_ok() {
            // SAFETY: it was reserved here, is freed once, and no kernel is running.
            let _ = unsafe { result::free_sync(self.address) };
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: every buffer holds this, so none is left; what was made in `open` is given back once.
        unsafe {
            if result::ctx::set_current(self.context).is_ok() {
                let _ = result::stream::synchronize(self.stream);
                for &module in self.modules.lock().expect("nobody panics with it").values() {
                    let _ = result::module::unload(module);
                }
                let _ = result::stream::destroy(self.stream);
            }
            let _ = result::primary_ctx::release(self.device);
        }
    }
}

fn fail<T>(why: String) -> Result<T, DeviceError> {
    Err(DeviceError(why))
}

fn cannot(what: &str, error: DriverError) -> DeviceError {
    let why = error.error_string().map(|text| text.to_string_lossy().into_owned());
    DeviceError(format!("the GPU cannot {what}: {}", why.unwrap_or_else(|_| format!("{error:?}"))))
}
