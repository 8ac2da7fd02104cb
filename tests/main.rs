//! Every test of the workspace that needs more than one file, in one binary.
//! Each module's first line says what it proves.

mod allocations;
mod checkpoint;
mod cli;
mod corrector;
mod cuda;
mod electra;
mod evaluation;
mod hostile;
mod house;
mod kernels;
mod similarity;
mod tokenizer;
mod training;
mod verify;
