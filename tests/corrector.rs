//! Sentences in, corrections out.

#[path = "corrector/compat.rs"]
mod compat;

#[path = "corrector/decisions.rs"]
mod decisions;

#[path = "corrector/explain.rs"]
mod explain;

#[path = "corrector/forged.rs"]
pub mod forged;

#[path = "corrector/script.rs"]
mod script;

#[path = "corrector/seen.rs"]
mod seen;
