//! Loads, stores and sums of whole and partial vectors: the one place where a kernel meets a pointer.
//!
//! A load takes lanes `i, i + 1, …` of a slice. Lanes past its end are neither read
//! nor written; a load puts `fill` there, chosen by the caller so that they do not
//! count: 0 in a sum, −∞ in a maximum, the mean in a variance. A row of any length is
//! thus one loop without a scalar tail, and a value's arithmetic does not depend on
//! where in its row it stands. A name ends in the number of its lanes. Where no instructions are named,
//! see `arrays.rs`.
//!
//! | level  | lanes | the partial vector |
//! |--------|-------|--------------------|
//! | NEON   | 4     | up to three lanes, set one by one |
//! | AVX2   | 8     | `vmaskmov` under a mask made by comparing lane numbers |
//! | AVX-512| 16    | a mask register |

mod arrays;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use arrays::*;
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::*;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::*;
