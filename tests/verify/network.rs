//! Names, shapes, numbers: what loading would ask for, and every fault at once.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use safetensors::{Dtype, View, serialize_to_file};
use zhengzi_model::electra::Config;
use zhengzi_runtime::verify::Subject;

use super::{faults, said, verify};
use crate::electra::weights::{Head, Tensor, tensors};

const CONFIG: &str = r#"{"vocab_size":40,"embedding_size":12,"hidden_size":18,
    "num_hidden_layers":2,"num_attention_heads":3,"intermediate_size":21,
    "max_position_embeddings":9}"#;

const HEADS: [Head; 3] = [Head::Discriminator, Head::Generator, Head::Classifier(1)];

fn of(head: Head) -> Vec<Tensor> {
    tensors(&Config::parse(CONFIG.as_bytes(), Path::new("config.json")).unwrap(), head)
}

/// A folder with the config and these tensors; what is wrong with it, and what is said of names and shapes.
fn checked<V: View>(tensors: Vec<(String, V)>) -> (Vec<String>, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.json"), CONFIG).unwrap();
    serialize_to_file(tensors, None, &folder.path().join("model.safetensors")).unwrap();
    let checks = verify(folder.path());
    (faults(&checks), said(&checks, Subject::Network))
}

fn named(tensors: impl IntoIterator<Item = Tensor>) -> Vec<(String, Tensor)> {
    tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect()
}

#[test]
fn a_network_that_loads_is_right() {
    for head in HEADS {
        let count = of(head).len();
        let (faults, said) = checked(named(of(head)));
        let all = format!("ok: {count} tensors, all as the config asks");
        assert_eq!((faults, said), (vec![], all), "{head:?}");
    }
}

#[test]
fn each_tensor_that_is_missing_is_named() {
    for head in HEADS {
        for missing in of(head) {
            let rest = of(head).into_iter().filter(|tensor| tensor.name != missing.name);
            let (faults, _) = checked(named(rest));
            let [line] = &faults[..] else {
                panic!("{head:?} without {}: {faults:?}", missing.name)
            };
            // Without the tensor that tells the head it is none, which is all that can be said.
            let told = format!("a tensor is missing (tensor {})", missing.name);
            assert!(line.contains(&told) || line.contains("where a"), "{line}");
        }
    }
}

#[test]
fn each_shape_that_is_not_the_configs_is_named() {
    for wrong in of(Head::Discriminator) {
        let tensors = of(Head::Discriminator).into_iter().map(|mut tensor| {
            if tensor.name == wrong.name {
                tensor.shape[0] += 1;
            }
            tensor
        });
        let (faults, _) = checked(named(tensors));
        let [line] = &faults[..] else { panic!("{}: {faults:?}", wrong.name) };
        assert!(line.contains(&format!("where the config asks for {:?}", wrong.shape)), "{line}");
        assert!(line.contains(&format!("(tensor {})", wrong.name)), "{line}");
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let kept = |tensor: &Tensor| tensor.name.ends_with("weight") || tensor.name.starts_with("disc");
    let all = of(Head::Discriminator);
    let missing: Vec<String> =
        all.iter().filter(|tensor| !kept(tensor)).map(|tensor| tensor.name.clone()).collect();
    let (faults, _) = checked(named(all.into_iter().filter(kept)));
    let told = |name: &String| faults.iter().any(|line| line.contains(&format!("(tensor {name})")));
    assert!(missing.iter().all(told) && faults.len() == missing.len(), "{faults:?}");
    assert!(missing.len() >= 18);
}

#[test]
fn what_nothing_reads_is_no_fault_but_named() {
    let extra = [Tensor::new("optimizer.step", &[1]), Tensor::new("teacher.weight", &[2, 2])];
    let (faults, said) = checked(named(of(Head::Generator).into_iter().chain(extra)));
    assert_eq!(faults, Vec::<String>::new());
    assert!(said.ends_with("some that nothing reads (optimizer.step, teacher.weight)"), "{said}");
}

/// A tensor of the formula with other numbers at some places.
struct Spoilt(Tensor, Vec<(usize, f32)>);

impl View for Spoilt {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = self.0.data().into_owned();
        for (element, value) in &self.1 {
            bytes[4 * element..][..4].copy_from_slice(&value.to_le_bytes());
        }
        bytes.into()
    }

    fn data_len(&self) -> usize {
        self.0.data_len()
    }
}

#[test]
fn numbers_that_are_none_are_counted_in_every_tensor() {
    let places =
        [(1, f32::from_bits(1)), (2, f32::NAN), (3, f32::INFINITY), (5, f32::NEG_INFINITY)];
    for head in HEADS {
        let spoil = |tensor: Tensor| {
            let places = places.iter().filter(|(at, _)| *at < tensor.values().count());
            (tensor.name.clone(), Spoilt(tensor.clone(), places.copied().collect()))
        };
        let (lines, _) = checked(of(head).into_iter().map(spoil).collect());
        for tensor in of(head).iter().filter(|tensor| tensor.values().count() > 5) {
            let line =
                lines.iter().find(|line| line.contains(&format!("(tensor {})", tensor.name)));
            let line = line.unwrap_or_else(|| panic!("nothing of {}", tensor.name));
            assert!(
                line.contains("element 2 is not a finite f32 number, like 2 more at byte"),
                "{line}"
            );
            assert!(line.ends_with("get another copy"), "{line}");
        }
    }
}
