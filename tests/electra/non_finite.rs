//! A NaN, an infinity or a subnormal in any tensor, in every precision, on every instruction set:
//! refused with its tensor, or an answer that it had no part in.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use safetensors::{Dtype, View};
use zhengzi_kernels::gelu::Activation;
use zhengzi_kernels::{Isa, Precision};
use zhengzi_model::Error;
use zhengzi_model::electra::{Batch, Config, Discriminator, Generator};
use zhengzi_runtime::{Arenas, Checkpoint, Cpu};

use super::weights::{Head, Tensor, WeightFile, tensors};

const VALUES: [f32; 5] = [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX];
const SUBNORMALS: [f32; 2] = [f32::from_bits(1), -1e-40];
const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::Bf16, Precision::Int8];
const HEADS: [Head; 3] = [Head::Discriminator, Head::Classifier(2), Head::Generator];

fn config(activation: &str) -> Config {
    let json = format!(
        r#"{{"vocab_size":40,"embedding_size":12,"hidden_size":18,"num_hidden_layers":2,
            "num_attention_heads":3,"intermediate_size":21,"max_position_embeddings":9,
            "hidden_act":"{activation}"}}"#
    );
    Config::parse(json.as_bytes(), Path::new("config.json")).unwrap()
}

/// The tensor of the formula with another number at one place.
#[derive(Clone)]
struct Spoilt {
    tensor: Tensor,
    place: Option<(usize, f32)>,
}

impl View for Spoilt {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.tensor.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = self.tensor.data().into_owned();
        if let Some((element, value)) = self.place {
            bytes[4 * element..][..4].copy_from_slice(&value.to_le_bytes());
        }
        bytes.into()
    }

    fn data_len(&self) -> usize {
        self.tensor.data_len()
    }
}

/// A model of which one tensor is spoilt.
struct Damage<'a> {
    config: &'a Config,
    head: Head,
}

impl Damage<'_> {
    fn file(&self, name: &str, place: Option<(usize, f32)>) -> WeightFile {
        let spoilt = tensors(self.config, self.head).into_iter().map(|tensor| {
            let place = place.filter(|_| tensor.name == name);
            (tensor.name.clone(), Spoilt { tensor, place })
        });
        WeightFile::write(spoilt.collect())
    }

    /// The bits of the logits of three sentences, which use the first word and position, not the last.
    fn answer(&self, file: &WeightFile, cpu: &Cpu) -> Result<Vec<f32>, Error> {
        let mut batch = Batch::new();
        for ids in [&[2, 0, 7, 3][..], &[2, 3], &[2, 0, 0, 9, 11, 30, 3]] {
            batch.push(ids);
        }
        let (checkpoint, arenas) = (Arc::<Checkpoint>::clone(&file.checkpoint), Arenas::new());
        match self.head {
            Head::Generator => Generator::load(checkpoint, self.config, cpu)?.logits(
                &batch,
                &[1, 2, 5, 7, 8],
                &arenas,
            ),
            _ => Discriminator::load(checkpoint, self.config, cpu)?.logits(&batch, &arenas),
        }
    }
}

fn on(isa: Isa, precision: Precision) -> Cpu {
    Cpu::new(isa, 1).unwrap().with_precision(Some(precision))
}

/// Whether nothing of the sentences above reads the last element of the tensor.
fn is_last_unread(name: &str, head: Head) -> bool {
    let tied = head == Head::Generator; // every word is an output
    let unread = ["position_embeddings.weight", "token_type_embeddings.weight"];
    unread.iter().any(|end| name.ends_with(end))
        || (name.ends_with("word_embeddings.weight") && !tied)
}

/// Whether an infinity there may rightly end: relu(−∞) = 0 and tanh(±∞) = ±1, of which a NaN is no case.
fn ends(value: f32, name: &str, activation: Activation) -> bool {
    let before = ["intermediate.dense", "discriminator_predictions.dense."];
    value.is_infinite()
        && matches!(activation, Activation::Relu | Activation::Tanh)
        && before.iter().any(|layer| name.contains(layer))
}

fn check(config: &Config, cpus: &[Cpu]) {
    for head in HEADS {
        let damage = Damage { config, head };
        let sound = damage.file("", None);
        for tensor in tensors(config, head) {
            let (name, len) = (&tensor.name, tensor.shape.iter().product::<usize>());
            for (value, element) in VALUES.iter().flat_map(|&x| [(x, 0), (x, len - 1)]) {
                let file = damage.file(name, Some((element, value)));
                for cpu in cpus {
                    let what = format!("{value} at {element} of {name}, {head:?}, {cpu:?}");
                    match damage.answer(&file, cpu) {
                        Err(error) => {
                            let line = error.to_string();
                            let told =
                                if value == f32::MAX { "non-finite output at" } else { name };
                            assert!(line.contains(told), "{what}: {line}");
                            assert!(line.contains("model.safetensors: "), "{what}: {line}");
                            assert!(line.contains("get another copy"), "{what}: {line}");
                        }
                        Ok(found) => {
                            let finite = found.iter().all(|x| x.is_finite());
                            assert!(finite, "{what}: {found:?}");
                            if value != f32::MAX && !ends(value, name, config.activation) {
                                let unread = element > 0 && is_last_unread(name, head);
                                assert!(unread, "{what}: hidden");
                                let expected = damage.answer(&sound, cpu).unwrap();
                                assert_eq!(bits(&found), bits(&expected), "{what}");
                            }
                        }
                    }
                }
            }
        }
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn what_is_no_number_is_refused_in_every_precision_on_every_instruction_set() {
    let cpus: Vec<Cpu> = Isa::available()
        .into_iter()
        .flat_map(|isa| PRECISIONS.map(|precision| on(isa, precision)))
        .collect();
    check(&config("gelu"), &cpus);
}

#[test]
fn no_activation_hides_what_is_no_number() {
    let mut isas = Isa::available();
    isas.dedup_by_key(|isa| isa.vectors().name());
    let cpus: Vec<Cpu> = isas.into_iter().map(|isa| on(isa, Precision::F32)).collect();
    for activation in ["gelu_new", "relu", "silu", "tanh", "quick_gelu", "linear"] {
        check(&config(activation), &cpus);
    }
}

#[test]
fn subnormals_are_numbers_like_others() {
    let config = config("gelu");
    for head in HEADS {
        let damage = Damage { config: &config, head };
        for tensor in tensors(&config, head) {
            let last = tensor.shape.iter().product::<usize>() - 1;
            for (value, element) in SUBNORMALS.iter().flat_map(|&x| [(x, 0), (x, last)]) {
                let file = damage.file(&tensor.name, Some((element, value)));
                for precision in PRECISIONS {
                    let logits = damage.answer(&file, &on(Isa::best(), precision));
                    logits.unwrap_or_else(|error| panic!("{value} in {}: {error}", tensor.name));
                }
            }
        }
    }
}

#[test]
fn the_layer_is_named_where_numbers_first_fail() {
    let config = config("gelu");
    for (head, name, place) in [
        (Head::Discriminator, "electra.embeddings.position_embeddings.weight", "the embeddings"),
        (Head::Discriminator, "electra.encoder.layer.0.attention.self.key.weight", "layer 0"),
        (Head::Generator, "electra.encoder.layer.1.output.dense.weight", "layer 1"),
        (Head::Generator, "generator_predictions.dense.weight", "the head"),
    ] {
        let damage = Damage { config: &config, head };
        let file = damage.file(name, Some((1, f32::NAN)));
        let tensor = file.checkpoint.tensor(name).unwrap();
        let (path, byte) = (tensor.path().display(), tensor.byte_offset() + 4);
        let line = damage.answer(&file, &on(Isa::best(), Precision::F32)).unwrap_err().to_string();
        let expected = format!(
            "{path}: non-finite output at {place}: element 1 is not a finite f32 number at byte \
             {byte} (tensor {name}): the file is damaged or its training diverged: get another copy"
        );
        assert_eq!(line, expected);
    }
}
