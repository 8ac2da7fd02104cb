//! Which instructions this CPU has, as a value that cannot be forged.
//!
//! A kernel for AVX2 may only run where AVX2 exists. `Isa` has a private field
//! and one constructor that asks the CPU, so holding an `Isa` *is* the proof;
//! every SAFETY argument in this crate that says "the `isa` proves it" means this file.

use std::fmt;
use std::str::FromStr;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
use std::sync::OnceLock;

/// What a CPU can do, weakest first: a name for each step that some kernel is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Plain Rust: the reference of every kernel, right on any CPU.
    Scalar,
    /// Arm's 128-bit vectors (every aarch64 CPU).
    Neon,
    /// And dot products of four bytes: `sdot` (Cortex-A55, Neoverse N1).
    NeonDot,
    /// And products of byte matrices: `smmla` (Armv8.6, Neoverse V1).
    NeonI8mm,
    /// 256-bit vectors with fused multiply-add (x86-64 since 2013): AVX2 and FMA.
    Avx2,
    /// And dot products of four bytes: AVX-VNNI (Alder Lake, Zen 5).
    AvxVnni,
    /// 512-bit vectors with masks: AVX-512 F, BW, DQ and VL.
    Avx512,
    /// And dot products of four bytes: AVX-512 VNNI (Cascade Lake, Zen 4).
    Avx512Vnni,
    /// And products of tiles in bf16 and int8: AMX, with AVX-512 BF16 (Sapphire Rapids).
    Amx,
}

/// The registers in which a [`Level`] computes with f32: what all but the products of bf16 and int8
/// are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vectors {
    /// None.
    Scalar,
    /// 4 lanes.
    Neon,
    /// 8 lanes.
    Avx2,
    /// 16 lanes, masked.
    Avx512,
}

impl Vectors {
    /// The name of the weakest level that has them.
    pub fn name(self) -> &'static str {
        match self {
            Vectors::Scalar => Level::Scalar.name(),
            Vectors::Neon => Level::Neon.name(),
            Vectors::Avx2 => Level::Avx2.name(),
            Vectors::Avx512 => Level::Avx512.name(),
        }
    }
}

impl Level {
    /// Every level, weakest first.
    pub const ALL: [Level; 9] = [
        Level::Scalar,
        Level::Neon,
        Level::NeonDot,
        Level::NeonI8mm,
        Level::Avx2,
        Level::AvxVnni,
        Level::Avx512,
        Level::Avx512Vnni,
        Level::Amx,
    ];

    /// The name that `--isa` takes and `inspect` prints.
    pub fn name(self) -> &'static str {
        match self {
            Level::Scalar => "scalar",
            Level::Neon => "neon",
            Level::NeonDot => "neon-dot",
            Level::NeonI8mm => "neon-i8mm",
            Level::Avx2 => "avx2",
            Level::AvxVnni => "avx-vnni",
            Level::Avx512 => "avx512",
            Level::Avx512Vnni => "avx512-vnni",
            Level::Amx => "amx",
        }
    }

    /// Its registers.
    pub fn vectors(self) -> Vectors {
        match self {
            Level::Scalar => Vectors::Scalar,
            Level::Neon | Level::NeonDot | Level::NeonI8mm => Vectors::Neon,
            Level::Avx2 | Level::AvxVnni => Vectors::Avx2,
            Level::Avx512 | Level::Avx512Vnni | Level::Amx => Vectors::Avx512,
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn is_supported(self) -> bool {
        match self {
            Level::Scalar => true,
            Level::Neon | Level::NeonDot | Level::NeonI8mm => false,
            Level::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Level::AvxVnni => Level::Avx2.is_supported() && is_x86_feature_detected!("avxvnni"),
            Level::Avx512 => {
                Level::Avx2.is_supported()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            Level::Avx512Vnni => {
                Level::Avx512.is_supported() && is_x86_feature_detected!("avx512vnni")
            }
            Level::Amx => {
                Level::Avx512Vnni.is_supported()
                    && is_x86_feature_detected!("avx512bf16")
                    && amx_is_permitted()
            }
        }
    }

    #[cfg(target_arch = "aarch64")]
    fn is_supported(self) -> bool {
        use std::arch::is_aarch64_feature_detected;
        match self {
            Level::Scalar | Level::Neon => true,
            Level::NeonDot => is_aarch64_feature_detected!("dotprod"),
            Level::NeonI8mm => {
                Level::NeonDot.is_supported() && is_aarch64_feature_detected!("i8mm")
            }
            _ => false,
        }
    }

    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    fn is_supported(self) -> bool {
        self == Level::Scalar
    }
}

/// Whether the CPU has AMX for bf16 and int8 and the system lets this process use it, which has to be
/// asked for: a thread's state grows by 8 KiB. Linux answers for its own support and for the CPU's
/// (Documentation/arch/x86/xstate.rst), so XCR0 need not be read as well. Asked once.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn amx_is_permitted() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    static PERMITTED: OnceLock<bool> = OnceLock::new();
    *PERMITTED.get_or_init(|| {
        #[allow(unused_unsafe)] // safe in later releases of Rust than the oldest we support
        // SAFETY: every x86-64 has CPUID; leaf 7 is read only where leaf 0 says that it exists.
        let edx = unsafe { if __cpuid(0).eax < 7 { 0 } else { __cpuid_count(7, 0).edx } };
        // AMX-BF16, AMX-TILE, AMX-INT8.
        [22, 24, 25].iter().all(|bit| edx >> bit & 1 == 1) && request_tile_data()
    })
}

/// Asks Linux for component 18 of a thread's state, the data of tiles.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn request_tile_data() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: i64 = 0x1023;
    const XTILEDATA: i64 = 18;
    let mut result = ARCH_PRCTL;
    // SAFETY: this system call reads and writes none of our memory; `syscall` overwrites rcx and r11.
    unsafe {
        std::arch::asm!("syscall", inout("rax") result, in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XTILEDATA, out("rcx") _, out("r11") _, options(nostack));
    }
    result == 0
}

#[cfg(all(target_arch = "x86_64", not(target_os = "linux")))]
fn amx_is_permitted() -> bool {
    false
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownLevel(String);

impl fmt::Display for UnknownLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Level::ALL.map(Level::name).join(", ");
        write!(f, "no instruction set is called {:?}; known: {known}", self.0)
    }
}

impl std::error::Error for UnknownLevel {}

impl FromStr for Level {
    type Err = UnknownLevel;
    fn from_str(name: &str) -> Result<Level, UnknownLevel> {
        Level::ALL
            .into_iter()
            .find(|level| level.name() == name)
            .ok_or_else(|| UnknownLevel(name.to_owned()))
    }
}

/// Proof that this CPU, and the operating system on it, run a [`Level`]'s instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa {
    level: Level,
}

impl Isa {
    /// The proof for `level`, or `None` where the CPU lacks it.
    pub fn new(level: Level) -> Option<Isa> {
        level.is_supported().then_some(Isa { level })
    }

    /// The strongest level of this CPU.
    pub fn best() -> Isa {
        *Isa::available().last().expect("scalar is always available")
    }

    /// Every level of this CPU, weakest first: what tests walk through.
    pub fn available() -> Vec<Isa> {
        Level::ALL.into_iter().filter_map(Isa::new).collect()
    }

    /// The level that was proven.
    pub fn level(self) -> Level {
        self.level
    }

    /// The registers of that level.
    pub fn vectors(self) -> Vectors {
        self.level.vectors()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalar_is_available_and_best_is_the_last() {
        let available = Isa::available();
        assert_eq!(available[0].level(), Level::Scalar);
        assert_eq!(available.last(), Some(&Isa::best()));
    }

    #[test]
    fn every_name_parses_back_and_a_wrong_one_is_refused() {
        for level in Level::ALL {
            assert_eq!(level.name().parse(), Ok(level));
        }
        assert!("sse9".parse::<Level>().unwrap_err().to_string().contains("sse9"));
    }
}
