//! ELECTRA, its tokenizer, and the correction of Chinese text.
//!
//! A line of text becomes token ids with byte spans ([`tokenizer`]); the discriminator says
//! which were replaced and the generator what could stand there ([`electra`]); sound and
//! shape decide among the candidates ([`corrector`]). How both halves learn: [`training`].

mod beside;
pub mod config;
pub mod convert;
pub mod corrector;
pub mod electra;
mod embedded;
mod error;
pub mod evaluation;
pub mod hub;
mod pair;
pub mod tokenizer;
pub mod training;
mod verify;

pub use error::Error;
pub use pair::ModelPaths;
pub use verify::verify;
