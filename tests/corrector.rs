//! Sentences in, corrections out.

#[path = "corrector/compat.rs"]
mod compat;
