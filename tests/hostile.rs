//! The matrix of hazards: hostile files and texts, made here by generators, each answered as promised.
//!
//! A module is a row, or a few of one kind; what a row tried it says on standard error (`cargo test
//! hostile -- --nocapture`), and `docs/reliability.md` is the table of it. Rows of many minutes are
//! ignored tests (`just torture`), of which each has a sample among the others.

mod payloads;
mod random;
pub mod row;

mod bombs;
mod command;
mod corruption;
mod foreign;
mod frames;
mod globals;
mod opcodes;
mod pickles;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod quarantine;
mod settings;
mod tensors;
mod text;
mod zips;

use random::Random;
use row::Row;
