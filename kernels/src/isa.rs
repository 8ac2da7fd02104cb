//! Which instructions this CPU has, as a value that cannot be forged.
//!
//! A kernel for AVX2 may only run where AVX2 exists. `Isa` has a private field
//! and one constructor that asks the CPU, so holding an `Isa` *is* the proof;
//! every SAFETY argument in this crate that says "the `isa` proves it" means this file.

use std::fmt;
use std::str::FromStr;

/// A family of instructions that kernels are written for, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Plain Rust: the reference of every kernel, right on any CPU.
    Scalar,
    /// Arm's 128-bit vectors (every aarch64 CPU).
    Neon,
    /// 256-bit vectors with fused multiply-add (x86-64 since 2013): AVX2 and FMA.
    Avx2,
    /// 512-bit vectors with masks: AVX-512 F, BW, DQ and VL.
    Avx512,
}

impl Level {
    /// Every level, weakest first.
    pub const ALL: [Level; 4] = [Level::Scalar, Level::Neon, Level::Avx2, Level::Avx512];

    /// The name that `--isa` takes and `inspect` prints.
    pub fn name(self) -> &'static str {
        match self {
            Level::Scalar => "scalar",
            Level::Neon => "neon",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
        }
    }

    fn is_supported(self) -> bool {
        match self {
            Level::Scalar => true,
            #[cfg(target_arch = "aarch64")]
            Level::Neon => true,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => {
                Level::Avx2.is_supported()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[allow(unreachable_patterns)] // levels of the other architectures
            _ => false,
        }
    }
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
        write!(f, "no instruction set is called {:?}; known: scalar, neon, avx2, avx512", self.0)
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
