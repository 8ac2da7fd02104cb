//! Sentences in, corrections out.

#[path = "corrector/compat.rs"]
mod compat;

#[path = "corrector/decisions.rs"]
mod decisions;

#[path = "corrector/script.rs"]
mod script;
