//! Sentences in, corrections out.

#[path = "corrector/compat.rs"]
mod compat;

#[path = "corrector/decisions.rs"]
mod decisions;

#[path = "corrector/forged.rs"]
mod forged;

#[path = "corrector/script.rs"]
mod script;
