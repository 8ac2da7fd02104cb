//! The model inside the program: `tiny-zh` as f16 safetensors, opened like any file.
//!
//! Its model card is `model/data/tiny-zh/README.md`; `runtime/examples/make_embedded.rs`
//! writes the files.

/// One half of the embedded pair.
pub struct Model {
    /// Stands for a path in messages.
    pub name: &'static str,
    /// A safetensors file.
    pub weights: &'static [u8],
    /// `config.json`.
    pub config: &'static [u8],
    /// `vocab.txt`.
    pub vocab: &'static [u8],
}

/// Puts bytes where a cache line begins, so that tensors in them are aligned as in a file
/// that is mapped.
#[repr(C, align(64))]
struct Aligned<T: ?Sized>(T);

static DISCRIMINATOR_WEIGHTS: &Aligned<[u8]> =
    &Aligned(*include_bytes!("../data/tiny-zh/discriminator.safetensors"));
static GENERATOR_WEIGHTS: &Aligned<[u8]> =
    &Aligned(*include_bytes!("../data/tiny-zh/generator.safetensors"));

/// The discriminator of `tiny-zh`.
pub static DISCRIMINATOR: Model = Model {
    name: "embedded discriminator",
    weights: &DISCRIMINATOR_WEIGHTS.0,
    config: include_bytes!("../data/tiny-zh/discriminator.json"),
    vocab: include_bytes!("../data/tiny-zh/vocab.txt"),
};

/// The generator of `tiny-zh`.
pub static GENERATOR: Model = Model {
    name: "embedded generator",
    weights: &GENERATOR_WEIGHTS.0,
    config: include_bytes!("../data/tiny-zh/generator.json"),
    vocab: include_bytes!("../data/tiny-zh/vocab.txt"),
};
