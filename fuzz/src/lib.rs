//! What the targets have in common: what must be true of a file that was opened and of one that was
//! refused ([`properties`]), and repairs after a mutation ([`mend`]), without which most mutated
//! files would fail at their first length field and nothing behind it would ever be tried.

pub mod mend;
#[cfg(fuzzing)]
pub mod properties;
pub mod vocabulary;
