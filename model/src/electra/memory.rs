//! How much memory it takes to run a network, told from its tensors before any of it is taken.
//!
//! ```text
//! files     what is used where it lies: panels in this precision, embeddings in f32
//! weights   what is packed: 16 ⌈n/16⌉ columns of k numbers; and vectors, which are copied
//! loading   the rows of the largest matrix beside its panels, and a copy where they are no f32
//! passes    for each thread 2 · 256 tokens (5½ widths of h and 1½ of f), heads, scratch
//! text      what a program holds besides
//! ```
//!
//! An upper bound that is near: what is held in a pass of full batches of long sentences.

use std::collections::HashSet;

use zhengzi_kernels::Precision;
use zhengzi_kernels::gemm::PackedB;
use zhengzi_runtime::{Access, Arena, Checkpoint, Cpu, DType, Need, TensorView, Weights, memory};

use super::PART;
use crate::Error;

/// Which half of a checkpoint: `discriminator` or `generator`.
pub type Half<'a> = (&'a Checkpoint, &'a str);

/// What it takes to load these halves and to run them.
pub fn need(halves: &[Half], cpu: &Cpu) -> Need {
    needed(halves, cpu, cpu.precision(), false)
}

/// An error if it is more than may be had.
pub(crate) fn check(halves: &[Half], cpu: &Cpu) -> Result<(), Error> {
    refuse(halves, cpu, &need(halves, cpu))
}

/// The same for halves that are loaded to be written in another layout: then tables are packed, too,
/// and nothing is run.
pub(crate) fn check_conversion(
    halves: &[Half],
    cpu: &Cpu,
    precision: Precision,
) -> Result<(), Error> {
    let need = needed(halves, cpu, Some(precision), true);
    refuse(halves, cpu, &Need { passes: 0, ..need })
}

fn refuse(halves: &[Half], cpu: &Cpu, need: &Need) -> Result<(), Error> {
    let Some((checkpoint, half)) = halves.first() else { return Ok(()) };
    let precision = Weights::of(checkpoint, half, cpu.isa(), cpu.precision()).precision();
    let hint = match (precision, cpu.threads()) {
        (Precision::Int8, 1) => "take a smaller model",
        (Precision::Int8, _) => "take fewer --threads, or a smaller model",
        (_, 1) => "take its int8 file, which zhengzi convert writes",
        (_, _) => "take its int8 file, which zhengzi convert writes, or fewer --threads",
    };
    let (most, threads) = (cpu.most_memory(), cpu.threads());
    Ok(memory::check(checkpoint.path(), need, most, threads, hint)?)
}

fn needed(halves: &[Half], cpu: &Cpu, precision: Option<Precision>, converted: bool) -> Need {
    let mut need = Need { files: PROGRAM, text: TEXT, ..Need::default() };
    let mut whole_files = HashSet::new();
    for &(checkpoint, half) in halves {
        let weights = Weights::of(checkpoint, half, cpu.isa(), precision);
        let load = match checkpoint.panels() {
            Some(_) => of_panels(weights, converted),
            None => of_rows(weights, converted),
        };
        need.files += load.in_place;
        need.weights += load.packed;
        need.loading = need.loading.max(load.beside);
        let stays = checkpoint.panels().is_some() || checkpoint.access() == Access::Read;
        if stays && whole_files.insert(checkpoint.path()) {
            need.files += checkpoint.mapped_bytes();
        }
        let pass = widths(weights).map_or(0, |widths| widths.pass(cpu.threads()));
        need.passes = need.passes.max(pass);
        need.text += BYTES_A_TOKEN * vocabulary(weights) as u64;
    }
    need
}

/// Of the program's own code and tables, what is in memory.
const PROGRAM: u64 = 6 << 20;

/// Tables of sounds and shapes, and a batch of lines with all that is known of them.
const TEXT: u64 = 8 << 20;

/// A token of the vocabulary, with its place in the maps that find it.
const BYTES_A_TOKEN: u64 = 256;

/// What each thread keeps beside its activations: panels of keys and values, rows in int8.
const SCRATCH: u64 = 1 << 20;

/// Places that a generator is asked about at once, each a row of the vocabulary.
const PLACES: usize = 64;

/// What loading takes of a file, in bytes.
#[derive(Default)]
struct Load {
    in_place: u64,
    packed: u64,
    beside: u64,
}

/// Panels are used where they lie, unless they are wanted in another precision.
fn of_panels(weights: Weights, converted: bool) -> Load {
    let mut load = Load::default();
    for tensor in weights.tensors() {
        let values = 4 * tensor.len() as u64;
        let precision = match (tensor.dtype(), tensor.shape().len()) {
            (DType::F32, 4) => Precision::F32,
            (DType::Bf16, 4) => Precision::Bf16,
            (DType::I8, 4) => Precision::Int8,
            // Scales, sums, biases, norms.
            (_, 1) => {
                load.packed += values;
                continue;
            }
            _ => {
                load.packed += if converted { values } else { 0 };
                continue;
            }
        };
        if precision != weights.precision() {
            let [panels, groups, lanes, word] = [0, 1, 2, 3].map(|i| tensor.shape()[i]);
            load.packed += packed(weights.precision(), panels * lanes, groups * word);
            load.beside = load.beside.max(values);
        }
    }
    load
}

/// Rows are packed, and their pages given back; tables and positions in f32 stay where they are.
fn of_rows(weights: Weights, converted: bool) -> Load {
    let mut load = Load::default();
    let mut seen = HashSet::new();
    let is_read = weights.checkpoint().access() == Access::Read;
    for tensor in weights.tensors() {
        // Buffers that no network asks for; one weight under two names.
        let place = (tensor.path(), tensor.byte_offset(), tensor.shape());
        if !is_part(&tensor) || !seen.insert(place) {
            continue;
        }
        let (stored, values) = (tensor.bytes().len() as u64, 4 * tensor.len() as u64);
        let lies_ready = tensor.dtype() == DType::F32 && tensor.is_contiguous();
        let copy = if lies_ready { 0 } else { values };
        let mapped = if is_read { 0 } else { stored };
        let is_table = TABLES.iter().any(|end| tensor.name().ends_with(end));
        let is_f32 = weights.precision() == Precision::F32;
        match *tensor.shape() {
            [_, _] if is_position(&tensor) || is_table && is_f32 && !converted => {
                load.in_place += if lies_ready { mapped } else { 0 };
                load.packed += if converted { values } else { copy };
            }
            [n, k] => {
                load.packed += packed(weights.precision(), n, k);
                load.in_place += mapped.min(EDGES);
                // Query, key and value at once; two tables, to see whether they are one.
                let at_once = if is_table { 2 } else { 3 };
                let at_once = if is_table || n == k { at_once } else { 1 };
                load.beside = load.beside.max(at_once * (mapped + copy));
            }
            _ => {
                load.packed += values;
                load.in_place += mapped.min(EDGES);
            }
        }
    }
    // Each page is there once, however many tensors it has.
    load.in_place = load.in_place.min(weights.checkpoint().mapped_bytes());
    load
}

/// Pages at the ends of a tensor that are not given back, and those that come along.
const EDGES: u64 = 128 << 10;

/// What is looked up row by row.
const TABLES: [&str; 2] = ["embeddings.word_embeddings.weight", "generator_lm_head.weight"];

fn is_position(tensor: &TensorView) -> bool {
    let name = tensor.name();
    name.ends_with("position_embeddings.weight") || name.ends_with("token_type_embeddings.weight")
}

/// Whether it can be a part of a network.
fn is_part(tensor: &TensorView) -> bool {
    matches!(tensor.dtype(), DType::F64 | DType::F32 | DType::F16 | DType::Bf16)
}

fn packed(precision: Precision, n: usize, k: usize) -> u64 {
    let (words, columns) = PackedB::lengths(precision, n, k);
    4 * words as u64 + 8 * columns as u64
}

/// h, f, positions; c and v of a generator.
struct Widths {
    h: usize,
    f: usize,
    positions: usize,
    vocabulary: usize,
}

/// Told from biases, which have the shape of their layer in files of any layout.
fn widths(weights: Weights) -> Option<Widths> {
    let len = |name: &str| weights.get(name).map(|tensor| tensor.len());
    let first = |name: &str| len(&format!("electra.encoder.layer.0.{name}.bias"));
    let positions = weights.get("electra.embeddings.position_embeddings.weight")?;
    Some(Widths {
        h: first("attention.output.dense")?,
        f: first("intermediate.dense")?,
        positions: *positions.shape().first()?,
        vocabulary: len("generator_lm_head.bias").unwrap_or(0),
    })
}

impl Widths {
    /// Each thread reads a part of a batch by itself.
    fn pass(&self, threads: usize) -> u64 {
        let (h, f) = (self.h, self.f);
        let t = self.positions.max(2 * PART);
        // Rows made for products, of bf16 at most.
        let made = [(t, h.div_ceil(2)), (t, f.div_ceil(2))];
        let floats = Arena::floats(&[(t, h), (t, h), (t, h), (t, 3 * h), (t, f), (t, h)])
            + Arena::floats(&made);
        // The parts' rows of logits, and all of them together.
        let logits = 2 * PLACES * self.vocabulary;
        threads as u64 * (4 * floats as u64 + SCRATCH) + 4 * logits as u64
    }
}

/// Entries of the vocabulary, about.
fn vocabulary(weights: Weights) -> usize {
    let words = weights.get(super::embeddings::WORDS).map(|tensor| tensor.shape().to_vec());
    match words.as_deref() {
        Some([v, _]) => *v,
        Some([panels, _, lanes, _]) => panels * lanes,
        _ => 0,
    }
}
