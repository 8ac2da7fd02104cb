//! T1: lies about the tensors of a whole network, each told of every tensor once: refused with the
//! name of the tensor that it is told of.

use zhengzi_model::electra::Config;

use super::Row;
use crate::checkpoint::files::{Tensor, entries, entry, state_dict, zip};
use crate::electra::weights::{self, Head};

/// What is wrong with the tensor; and what is to be said, beside its name.
type Lie = (&'static str, fn(&mut Tensor), &'static str);

const LIES: [Lie; 17] = [
    ("a row more", |t| t.shape[0] += 1, "reaches past its storage"),
    ("a row less", |t| t.shape[0] -= 1, "the shape is"),
    ("no rows", |t| t.shape[0] = 0, "the shape is"),
    ("another dimension", |t| (t.shape.push(1), t.strides.push(1)).0, "the shape is"),
    ("17 dimensions", |t| (t.shape, t.strides) = (vec![1; 17], vec![1; 17]), "17 dimensions"),
    ("33 dimensions", |t| (t.shape, t.strides) = (vec![1; 33], vec![1; 33]), "33 dimensions"),
    ("no dimensions", |t| (t.shape, t.strides) = (Vec::new(), Vec::new()), "the shape is []"),
    ("a stride more", |t| t.strides.push(1), "strides"),
    ("a negative row", |t| t.shape[0] = -1, "negative"),
    ("a negative stride", |t| t.strides[0] = -1, "negative"),
    ("a negative offset", |t| t.offset = -1, "negative"),
    ("an element too far", |t| t.offset = 1, "reaches past its storage"),
    ("an offset of 2⁶³ − 1", |t| t.offset = i64::MAX, "reaches past its storage"),
    ("2⁶³ − 1 rows", |t| t.shape[0] = i64::MAX, "overlap or overflow"),
    ("a stride of 2⁶³ − 1", |t| *t.strides.last_mut().unwrap() = i64::MAX, "overlap or overflow"),
    ("a giant of stride 0", |t| (t.shape[0], t.strides[0]) = (1 << 40, 0), "overlap"),
    (
        "a product of 2⁶⁴",
        |t| (t.shape, t.strides) = (vec![1 << 32; 2], vec![1 << 32, 1]),
        "past its storage",
    ),
];

/// What is wrong with its storage. Of an index or a storage only the key is known.
const OF_STORAGE: [Lie; 6] = [
    ("numbers that are no floats", |t| t.storage = "IntStorage", "is of i32"),
    ("half as many bytes", |t| t.storage = "HalfStorage", "where the pickle says"),
    ("an element more", |t| t.elements += 1, "where the pickle says"),
    ("a count that wraps to itself", |t| t.elements += 1 << 62, "elements are not possible"),
    ("a count below zero", |t| t.elements = -t.elements, "elements are not possible"),
    ("a storage that is not there", |t| t.key = "nobody", "has no entry"),
];

/// Refusals of a shape that is not the network's, whichever check meets it first.
const OF_SHAPES: [&str; 3] = ["the shape is", "reaches past its storage", "overlap or overflow"];

#[test]
fn t1_a_lie_about_any_tensor_is_refused_with_its_name() {
    let config = crate::electra::config("tiny discriminator");
    let network = Network::new(&config);
    let mut row = Row::new("T1");
    let whole = row.load(&network.file(|_| {}), &config).unwrap();
    assert_eq!(whole.len(), 27);

    for i in 0..whole.len() {
        let name = network.tensors[i].name;
        let named = format!("(tensor {name})");
        let mut refuse = |what: &str, file: Vec<u8>, reasons: &[&str], about: &str| {
            let line = row.load(&file, &config).err();
            let line = line.unwrap_or_else(|| panic!("{name}: {what}: accepted"));
            let has_reason = reasons.iter().any(|reason| line.contains(reason));
            assert!(has_reason && line.contains(about), "{what}, not {reasons:?}, {about}: {line}");
        };
        for (what, lie, reason) in LIES {
            // Of one element every stride is true.
            if !(what.contains("stride of") && network.tensors[i].elements == 1) {
                let file = network.file(|tensors| lie(&mut tensors[i]));
                refuse(what, file, &[&[reason], &OF_SHAPES[..]].concat(), &named);
            }
        }
        for (what, lie, reason) in OF_STORAGE {
            let file = network.file(|tensors| lie(&mut tensors[i]));
            let about = if what.contains("floats") { &named } else { "storage " };
            refuse(what, file, &[reason], about);
        }
        let twice = network.file(|tensors| tensors.push(tensors[i].clone()));
        refuse("twice", twice, &["names a tensor twice"], &named);
        let elsewhere = network.file(|tensors| tensors[i].name = "electra.something.weight");
        match name {
            // By this one a discriminator is told.
            "discriminator_predictions.dense_prediction.bias" => {
                refuse("missing", elsewhere, &["where a discriminator or a token classifier"], "");
            }
            _ => refuse("missing", elsewhere, &["a tensor is missing"], &named),
        }
    }
    // What a network does not need does no harm.
    let more = network.file(|tensors| {
        let position_ids = Tensor { name: "electra.embeddings.position_ids", ..tensors[0].clone() };
        tensors.push(position_ids);
    });
    assert!(row.load(&more, &config).is_ok());
    row.end(27 * 25 + 1);
}

#[test]
fn t1_a_config_of_other_sizes_is_refused_before_memory_is_taken_for_it() {
    let config = crate::electra::config("tiny discriminator");
    let file = Network::new(&config).file(|_| {});
    let mut row = Row::new("T1, config");
    for size in [1, 1 << 10, 1 << 24] {
        let other = [
            Config { vocab_size: size, ..config.clone() },
            Config { embedding_size: size, ..config.clone() },
            Config { hidden_size: 2 * size, ..config.clone() },
            Config { intermediate_size: size, ..config.clone() },
            Config { max_positions: size, ..config.clone() },
            Config { token_types: size, ..config.clone() },
            Config { layers: 1 + size, ..config.clone() },
        ];
        for config in other {
            // The row allows some megabytes; rows of 2²⁴ numbers are far more.
            let loaded = row.load(&file, &config);
            row.expect("other sizes", loaded, &["the shape is", "a tensor is missing"]);
        }
    }
    row.end(21);
}

/// A discriminator as a zip that may lie.
struct Network {
    tensors: Vec<Tensor>,
    data: Vec<Vec<u8>>,
}

impl Network {
    fn new(config: &Config) -> Network {
        let leak = |text: String| -> &'static str { text.leak() };
        let described = weights::tensors(config, Head::Discriminator);
        let tensors = described.iter().enumerate().map(|(i, tensor)| {
            let shape: Vec<i64> = tensor.shape.iter().map(|&size| size as i64).collect();
            let strides = (1..=shape.len()).map(|from| shape[from..].iter().product()).collect();
            let (name, key) = (leak(tensor.name.clone()), leak(i.to_string()));
            Tensor {
                name,
                key,
                elements: shape.iter().product(),
                shape,
                strides,
                ..Tensor::default()
            }
        });
        let data =
            described.iter().map(|tensor| tensor.values().flat_map(f32::to_le_bytes).collect());
        Network { tensors: tensors.collect(), data: data.collect() }
    }

    /// The file with changed descriptions of unchanged data.
    fn file(&self, change: impl FnOnce(&mut Vec<Tensor>)) -> Vec<u8> {
        let mut tensors = self.tensors.clone();
        change(&mut tensors);
        let mut archive = entries(&state_dict(&tensors));
        archive.remove(1);
        let storages = self.data.iter().enumerate();
        archive.extend(storages.map(|(i, data)| entry(&format!("a/data/{i}"), data)));
        zip(&archive)
    }
}
