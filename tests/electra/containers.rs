//! One tiny pair in every container that torch writes: equal bit for bit, tensors and logits.

use std::borrow::Cow;
use std::sync::Arc;

use half::{bf16, f16};
use safetensors::{Dtype, View};
use zhengzi_runtime::{Checkpoint, Container, DType};

use super::best;
use super::golden::{Case, folder};
use super::weights::{Tensor, WeightFile, tensors};

const DISCRIMINATOR: [(&str, Container); 5] = [
    ("discriminator.zip.bin", Container::Zip),
    ("discriminator.legacy.bin", Container::Legacy),
    ("discriminator.safetensors", Container::Safetensors),
    ("discriminator.views.zip.bin", Container::Zip),
    ("discriminator.views.legacy.bin", Container::Legacy),
];

const GENERATOR: [(&str, Container); 3] = [
    ("generator.zip.bin", Container::Zip),
    ("generator.legacy.bin", Container::Legacy),
    ("generator.safetensors", Container::Safetensors),
];

#[test]
fn every_container_holds_the_same_bits_and_gives_the_same_logits() {
    for (files, case) in [
        (&DISCRIMINATOR[..], Case::named("tiny discriminator")),
        (&GENERATOR[..], Case::named("tiny generator")),
    ] {
        let reference = WeightFile::of(&case.config, case.head);
        let logits = case.run(&reference.checkpoint, &best());
        case.check_weights(&reference.checkpoint, &best());
        for &(file, container) in files {
            let checkpoint = open(file);
            assert_eq!(checkpoint.container(), container, "{file}");
            compare(&checkpoint, &case, DType::F32, |x| x);
            assert_eq!(bits(&case.run(&checkpoint, &best())), bits(&logits), "{file}");
        }
    }
}

#[test]
fn half_precision_is_read_as_the_rounded_numbers() {
    let to_f16 = |x| f16::from_f32(x).to_f32();
    let to_bf16 = |x| bf16::from_f32(x).to_f32();
    half_file("discriminator.f16.zip.bin", DType::F16, to_f16);
    half_file("discriminator.bf16.legacy.bin", DType::Bf16, to_bf16);
    half_file("generator.f16.safetensors", DType::F16, to_f16);
    half_file("generator.bf16.zip.bin", DType::Bf16, to_bf16);
}

/// Tensors equal the rounded ones of the formula, and logits those of an f32 file that holds them.
fn half_file(file: &str, dtype: DType, round: fn(f32) -> f32) {
    let case = Case::named(&format!("tiny {}", file.split('.').next().unwrap()));
    let checkpoint = open(file);
    compare(&checkpoint, &case, dtype, round);
    let rounded = tensors(&case.config, case.head)
        .into_iter()
        .map(|tensor| (tensor.name.clone(), Rounded { tensor, round }));
    let widened = WeightFile::write(rounded.collect());
    let found = case.run(&checkpoint, &best());
    assert_eq!(bits(&found), bits(&case.run(&widened.checkpoint, &best())), "{file}");
    // …and rounding did change them: the comparison above is not with the exact weights.
    let exact = WeightFile::of(&case.config, case.head);
    assert_ne!(bits(&found), bits(&case.run(&exact.checkpoint, &best())), "{file}");
}

#[test]
fn a_tied_head_is_the_word_embedding_however_it_is_stored() {
    for (file, _) in GENERATOR {
        let checkpoint = open(file);
        let word = checkpoint.tensor("electra.embeddings.word_embeddings.weight").unwrap();
        match checkpoint.get("generator_lm_head.weight") {
            Some(head) => {
                assert_ne!(checkpoint.container(), Container::Safetensors, "{file}");
                assert_eq!(bits(&head.to_f32().unwrap()), bits(&word.to_f32().unwrap()), "{file}");
            }
            None => assert_eq!(checkpoint.container(), Container::Safetensors, "{file}"),
        }
    }
}

fn open(file: &str) -> Arc<Checkpoint> {
    Arc::new(Checkpoint::open(&folder().join("containers").join(file)).unwrap())
}

/// Every tensor of the formula is there, in that dtype, its values rounded.
fn compare(checkpoint: &Checkpoint, case: &Case, dtype: DType, round: fn(f32) -> f32) {
    for expected in tensors(&case.config, case.head) {
        let place = format!("{} of {}", expected.name, checkpoint.path().display());
        let found = checkpoint.tensor(&expected.name).unwrap();
        assert_eq!((found.shape(), found.dtype()), (&expected.shape[..], dtype), "{place}");
        let rounded: Vec<f32> = expected.values().map(round).collect();
        assert_eq!(bits(&found.to_f32().unwrap()), bits(&rounded), "{place}");
        let shared = found.shared_f32().unwrap();
        assert_eq!(bits((*shared).as_ref()), bits(&rounded), "{place}, shared");
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

/// A tensor of the formula after `round`, stored as f32.
struct Rounded {
    tensor: Tensor,
    round: fn(f32) -> f32,
}

impl View for Rounded {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.tensor.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let values = self.tensor.values().map(self.round);
        values.flat_map(f32::to_le_bytes).collect::<Vec<u8>>().into()
    }

    fn data_len(&self) -> usize {
        self.tensor.data_len()
    }
}
