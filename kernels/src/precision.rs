//! The numbers that a matrix product multiplies.

use std::fmt;
use std::str::FromStr;

/// How weights are stored and multiplied. Sums, and all that is no matrix product, are f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// f32 times f32.
    F32,
    /// Weights in bf16, half the memory. Times activations rounded to bf16 where the CPU multiplies
    /// those (AMX), else times f32.
    Bf16,
    /// Weights and activations in int8, each row of either with a scale of its own: a quarter of the
    /// memory, and sums in integers, exact.
    Int8,
}

impl Precision {
    /// Every one.
    pub const ALL: [Precision; 3] = [Precision::F32, Precision::Bf16, Precision::Int8];

    /// The name that `--precision` takes.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
            Precision::Int8 => "int8",
        }
    }

    /// g: how many weights make a word of four bytes, the unit of all panels.
    pub fn per_word(self) -> usize {
        match self {
            Precision::F32 => 1,
            Precision::Bf16 => 2,
            Precision::Int8 => 4,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no precision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPrecision(String);

impl fmt::Display for UnknownPrecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no precision is called {:?}; known: f32, bf16, int8", self.0)
    }
}

impl std::error::Error for UnknownPrecision {}

impl FromStr for Precision {
    type Err = UnknownPrecision;
    fn from_str(name: &str) -> Result<Precision, UnknownPrecision> {
        let named = Precision::ALL.into_iter().find(|precision| precision.name() == name);
        named.ok_or_else(|| UnknownPrecision(name.to_owned()))
    }
}
