//! `golden/electra/logits.json`: reading it, and what counts as equal to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use zhengzi_model::electra::{Batch, Config, Discriminator, Generator};
use zhengzi_runtime::{Arenas, Checkpoint, Cpu};

use super::weights::{self, Head, WeightFile};

/// Vocabulary entries stored for each masked position.
const SAMPLES: usize = 64;

/// The folder of the golden files.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/electra")
}

/// The whole file.
pub fn logits() -> Value {
    let text = std::fs::read(folder().join("logits.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// One model and what transformers answers for some sentences.
pub struct Case {
    pub name: String,
    pub head: Head,
    pub config: Config,
    sentences: Vec<Sentence>,
}

struct Sentence {
    ids: Vec<u32>,
    /// The rows that hold [MASK]; none for a discriminator.
    masked: Vec<usize>,
    expected: Value,
}

impl Case {
    pub fn named(name: &str) -> Case {
        let file = logits();
        let case = file["cases"].as_array().unwrap().iter().find(|case| case["name"] == name);
        let case = case.unwrap_or_else(|| panic!("no case {name:?} in logits.json"));
        let config = Config::parse(case["config"].to_string().as_bytes(), Path::new(name)).unwrap();
        let head = match case["head"].as_str().unwrap() {
            "discriminator" => Head::Discriminator,
            "generator" => Head::Generator,
            _ => Head::Classifier(usize(&case["config"]["num_labels"])),
        };
        let sentences = case["sentences"].as_array().unwrap().iter();
        let sentences = sentences.map(|expected| {
            let length = usize(&expected["length"]);
            let mut ids = weights::ids(&format!("{name} {length}"), length, config.vocab_size);
            let masked = match head {
                Head::Generator => vec![0, length / 2, length - 1],
                _ => Vec::new(),
            };
            for &row in &masked {
                ids[row] = 103 % config.vocab_size as u32;
            }
            Sentence { ids, masked, expected: expected.clone() }
        });
        Case { name: name.to_owned(), head, sentences: sentences.collect(), config }
    }

    /// Writes the formula's weights and compares, all sentences in one ragged batch.
    pub fn check(&self, cpu: &Cpu) {
        let file = WeightFile::of(&self.config, self.head);
        self.check_weights(&file.checkpoint, cpu);
    }

    /// The same with each sentence in a batch of its own.
    pub fn check_alone(&self, cpu: &Cpu) {
        let file = WeightFile::of(&self.config, self.head);
        let model = Model::load(&file.checkpoint, &self.config, self.head, cpu);
        for sentence in &self.sentences {
            self.compare(&model, std::slice::from_ref(sentence));
        }
    }

    pub fn check_weights(&self, checkpoint: &Arc<Checkpoint>, cpu: &Cpu) {
        self.compare(&Model::load(checkpoint, &self.config, self.head, cpu), &self.sentences);
    }

    /// The logits of every sentence, for comparisons bit by bit.
    pub fn run(&self, checkpoint: &Arc<Checkpoint>, cpu: &Cpu) -> Vec<f32> {
        Model::load(checkpoint, &self.config, self.head, cpu).logits(&self.sentences)
    }

    fn compare(&self, model: &Model, sentences: &[Sentence]) {
        let found = model.logits(sentences);
        let mut rest = &found[..];
        for sentence in sentences {
            let place = format!("{} of {} tokens", self.name, sentence.ids.len());
            let rows = if self.head == Head::Generator {
                sentence.masked.len() * self.config.vocab_size
            } else {
                sentence.ids.len()
            };
            let (own, others) = rest.split_at(rows);
            rest = others;
            match self.head {
                Head::Discriminator => {
                    close(own, &numbers(&sentence.expected["logits"]), &place);
                }
                Head::Classifier(_) => {
                    let rows = sentence.expected["logits"].as_array().unwrap().iter().map(numbers);
                    // Of two labels the second is "wrong": softmax(z)₁ = sigmoid(z₁ − z₀).
                    let one = rows.map(|z| if z.len() == 2 { z[1] - z[0] } else { z[0] });
                    close(own, &one.collect::<Vec<_>>(), &place);
                }
                Head::Generator => self.compare_generator(sentence, own, &place),
            }
        }
        assert!(rest.is_empty());
    }

    fn compare_generator(&self, sentence: &Sentence, found: &[f32], place: &str) {
        let (v, expected) = (self.config.vocab_size, &sentence.expected);
        let sampled =
            weights::ids(&format!("{} {} sample", self.name, sentence.ids.len()), SAMPLES, v);
        let (gaps, sums) = (numbers(&expected["gap"]), numbers(&expected["logsumexp"]));
        for (i, logits) in found.chunks_exact(v).enumerate() {
            let place = format!("{place}, mask at {}", sentence.masked[i]);
            let chosen: Vec<f32> = sampled.iter().map(|&id| logits[id as usize]).collect();
            close(&chosen, &numbers(&expected["logits"][i]), &place);
            let whole = logits.iter().map(|&z| f64::from(z).exp()).sum::<f64>().ln();
            close(&[whole as f32], &[sums[i]], &format!("{place}, log of the sum"));
            if gaps[i] > 2e-4 {
                assert_eq!(argmax(logits), usize(&expected["argmax"][i]), "{place}, arg-max");
            }
        }
    }
}

/// Either half of a pair.
enum Model {
    Discriminator(Discriminator),
    Generator(Generator),
}

impl Model {
    fn load(checkpoint: &Arc<Checkpoint>, config: &Config, head: Head, cpu: &Cpu) -> Model {
        let checkpoint = checkpoint.clone();
        match head {
            Head::Generator => Model::Generator(Generator::load(checkpoint, config, cpu).unwrap()),
            _ => Model::Discriminator(Discriminator::load(checkpoint, config, cpu).unwrap()),
        }
    }

    fn logits(&self, sentences: &[Sentence]) -> Vec<f32> {
        let (mut batch, mut rows) = (Batch::new(), Vec::new());
        for sentence in sentences {
            rows.extend(sentence.masked.iter().map(|row| batch.tokens() + row));
            batch.push(&sentence.ids);
        }
        let arenas = &Arenas::new();
        match self {
            Model::Discriminator(model) => model.logits(&batch, arenas).unwrap(),
            Model::Generator(model) => model.logits(&batch, &rows, arenas).unwrap(),
        }
    }
}

/// |found − expected| ≤ 1e-4 + 1e-4 · |expected| throughout.
pub fn close(found: &[f32], expected: &[f64], place: &str) {
    assert_eq!(found.len(), expected.len(), "{place}");
    let excess = |(&z, &e): (&f32, &f64)| (f64::from(z) - e).abs() / (1e-4 + 1e-4 * e.abs());
    let worst =
        found.iter().zip(expected).map(excess).enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((i, ratio)) = worst {
        let (z, e) = (found[i], expected[i]);
        assert!(ratio <= 1.0, "{place}: {z} for {e} at {i}, {ratio:.2} times the tolerance");
    }
}

pub fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

pub fn usize(number: &Value) -> usize {
    number.as_u64().unwrap() as usize
}

fn argmax(logits: &[f32]) -> usize {
    (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap()
}
