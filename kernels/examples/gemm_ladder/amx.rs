//! AMX: eight registers of 16 × 64 bytes, and one instruction that multiplies two of them.
//!
//! A *tile* is 16 rows of 64 bytes. With A's tile as `[16 rows][64/g'…]` of neighbouring depths and
//! W's as 16 lines of a panel, `[16][16 columns][g]`, one `tdpbf16ps` (g = 2) adds a 16 × 16 × 32
//! product into a tile of f32, one `tdpbssd` (g = 4) a 16 × 16 × 64 product of int8 into one of
//! i32: 16,384 and 32,768 operations, one instruction per 16 cycles.
//!
//! Rust's intrinsics for it are unstable, so this file speaks to it by `asm!`. Three things must
//! be so before the first tile is touched: the CPU has it (CPUID leaf 7, EDX bits 22, 24, 25);
//! Linux lets this process use it, which has to be asked for, since the state of a thread
//! grows by 8 kB (`arch_prctl`, Documentation/arch/x86/xstate.rst); and this thread has said
//! which shapes its tiles have (`ldtilecfg`). The first two are what an [`Amx`] proves, the third
//! is what [`Tiles`] holds.

use std::arch::asm;
use std::marker::PhantomData;

use crate::rung4_panels::Line;

/// 1,024 bytes: what one tile register holds.
pub type Tile<T, const N: usize> = [Line<T, N>; 16];

/// Proof that CPU and kernel let this process use AMX with bf16 and int8.
#[derive(Clone, Copy)]
pub struct Amx(());

/// This thread's tile registers, all of 16 × 64 bytes, until dropped.
pub struct Tiles(PhantomData<*mut ()>); // not Send: the configuration belongs to a thread

impl Amx {
    pub fn detect() -> Result<Amx, &'static str> {
        #[allow(unused_unsafe)] // safe in later releases of Rust than the oldest we support
        // SAFETY: every x86-64 has CPUID; leaf 7 is read only where leaf 0 says that it exists.
        let edx = unsafe {
            use std::arch::x86_64::{__cpuid, __cpuid_count};
            if __cpuid(0).eax < 7 { 0 } else { __cpuid_count(7, 0).edx }
        };
        let has = |bit: u32| edx >> bit & 1 == 1;
        if !(has(22) && has(24) && has(25)) {
            return Err("this CPU has no AMX");
        }
        if request_permission() { Ok(Amx(())) } else { Err("the kernel does not permit AMX") }
    }

    /// Gives this thread eight tiles of 16 rows of 64 bytes.
    pub fn configure(self) -> Tiles {
        #[repr(C, align(64))]
        struct Config {
            palette: u8,
            start_row: u8,
            reserved: [u8; 14],
            row_bytes: [u16; 16],
            rows: [u8; 16],
        }
        let mut config = Config {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            row_bytes: [0; 16],
            rows: [0; 16],
        };
        config.row_bytes[..8].fill(64);
        config.rows[..8].fill(16);
        // SAFETY: an Amx proves the instruction; it reads the 64 bytes of a valid configuration.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &config, options(nostack, readonly)) };
        Tiles(PhantomData)
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: a Tiles exists only where an Amx did. Releasing tells the kernel that there is
        // nothing to save at the next switch of threads.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}

/// Asks Linux for the tile data (component 18): once for a process, any number of times.
fn request_permission() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: i64 = 0x1023;
    const XTILEDATA: i64 = 18;
    if !cfg!(target_os = "linux") {
        return false;
    }
    let mut result = ARCH_PRCTL;
    // SAFETY: this system call reads no memory; syscall overwrites rcx and r11.
    unsafe {
        asm!("syscall", inout("rax") result, in("rdi") ARCH_REQ_XCOMP_PERM, in("rsi") XTILEDATA,
            out("rcx") _, out("r11") _, options(nostack));
    }
    result == 0
}

impl Tiles {
    /// c = a · wᵀ over 32 rows, 32 columns and the depth of the tiles, in bf16 (as u16) and f32.
    pub fn multiply_bf16(
        &self,
        a: [&[Tile<u16, 32>]; 2],
        w: [&[Tile<u16, 32>]; 2],
        c: &mut [[f32; 32]; 32],
    ) {
        let steps = steps(a, w);
        // SAFETY: a Tiles proves AMX and the shapes; `steps` checked what the loop reads; c is
        // 32 rows of 128 bytes.
        unsafe {
            multiply::<false>(
                a.map(|a| a.as_ptr().cast()),
                w.map(|w| w.as_ptr().cast()),
                steps,
                c.as_mut_ptr().cast(),
            );
        }
    }

    /// The same in int8 and i32.
    pub fn multiply_int8(
        &self,
        a: [&[Tile<i8, 64>]; 2],
        w: [&[Tile<i8, 64>]; 2],
        c: &mut [[i32; 32]; 32],
    ) {
        let steps = steps(a, w);
        // SAFETY: as above.
        unsafe {
            multiply::<true>(
                a.map(|a| a.as_ptr().cast()),
                w.map(|w| w.as_ptr().cast()),
                steps,
                c.as_mut_ptr().cast(),
            );
        }
    }
}

impl Tiles {
    /// Four independent products, over and over: the peak. Returns the operations made.
    pub fn spin(&self, times: u64, int8: bool) -> f64 {
        macro_rules! spin {
            ($product:literal) => {
                // SAFETY: a Tiles proves AMX and the shapes; registers only, `times` is not zero.
                unsafe {
                    asm!(
                        "tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3",
                        "tilezero tmm4", "tilezero tmm5",
                        "2:",
                        concat!($product, " tmm0, tmm4, tmm5"),
                        concat!($product, " tmm1, tmm4, tmm5"),
                        concat!($product, " tmm2, tmm4, tmm5"),
                        concat!($product, " tmm3, tmm4, tmm5"),
                        "dec {times}",
                        "jnz 2b",
                        times = inout(reg) times.max(1) => _,
                        out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                        out("tmm4") _, out("tmm5") _,
                        options(nostack, nomem),
                    );
                }
            };
        }
        if int8 {
            spin!("tdpbssd")
        } else {
            spin!("tdpbf16ps")
        }
        let depth = if int8 { 64 } else { 32 };
        (times.max(1) * 4 * 2 * 16 * 16 * depth) as f64
    }
}

/// How many tiles deep all four are; at least one.
fn steps<T, const N: usize>(a: [&[Tile<T, N>]; 2], w: [&[Tile<T, N>]; 2]) -> usize {
    assert!(size_of::<Tile<T, N>>() == 1024 && !a[0].is_empty());
    assert!(a.iter().chain(&w).all(|tiles| tiles.len() == a[0].len()));
    a[0].len()
}

/// 2 × 2 tiles of C, all of the depth. Each tile that is loaded is multiplied twice: 4 loads for 4
/// multiplications, 8 of 8 registers. A load of 16 lines takes 8 cycles, a multiplication 16:
/// the loads hide behind the products. (1 × 1 would need 2 loads for each, and wait for its sum.)
///
/// # Safety
///
/// The thread's tiles are configured as 16 × 64 bytes; `steps` ≥ 1; a and w point to `steps` tiles
/// of 1,024 bytes each, c to 4,096 bytes to write.
#[inline(never)]
unsafe fn multiply<const INT8: bool>(
    a: [*const u8; 2],
    w: [*const u8; 2],
    steps: usize,
    c: *mut u8,
) {
    macro_rules! tile_loop {
        ($product:literal) => {
            // SAFETY: the caller's promise. Every pointer moves by one tile in each of `steps`
            // steps; C's quarters are 2,048 bytes (16 rows) or 64 bytes (16 columns) apart.
            unsafe {
                asm!(
                    "tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3",
                    "2:",
                    "tileloadd tmm4, [{a0} + {line}]",
                    "tileloadd tmm6, [{w0} + {line}]",
                    "tileloadd tmm7, [{w1} + {line}]",
                    concat!($product, " tmm0, tmm4, tmm6"),
                    "tileloadd tmm5, [{a1} + {line}]",
                    concat!($product, " tmm1, tmm4, tmm7"),
                    concat!($product, " tmm2, tmm5, tmm6"),
                    concat!($product, " tmm3, tmm5, tmm7"),
                    "add {a0}, 1024", "add {a1}, 1024", "add {w0}, 1024", "add {w1}, 1024",
                    "dec {steps}",
                    "jnz 2b",
                    "tilestored [{c} + {row}], tmm0",
                    "tilestored [{c} + {row} + 64], tmm1",
                    "tilestored [{c} + {row} + 2048], tmm2",
                    "tilestored [{c} + {row} + 2112], tmm3",
                    a0 = inout(reg) a[0] => _, a1 = inout(reg) a[1] => _,
                    w0 = inout(reg) w[0] => _, w1 = inout(reg) w[1] => _,
                    steps = inout(reg) steps => _, c = in(reg) c,
                    line = in(reg) 64usize, row = in(reg) 128usize,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            }
        };
    }
    if INT8 { tile_loop!("tdpbssd") } else { tile_loop!("tdpbf16ps") }
}
