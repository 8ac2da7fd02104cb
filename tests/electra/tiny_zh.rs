//! The trained pair tiny-zh on its reference sentences (logits by transformers in float64).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use zhengzi_model::electra::{Batch, Config, Discriminator, Generator};
use zhengzi_runtime::{Arenas, Checkpoint};

use super::best;
use super::golden::{close, numbers, usize};

/// [MASK] of this vocabulary.
const MASK: u32 = 4;

/// The folder of the model, where this checkout has one beside it.
fn folder() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/models/tiny-zh");
    if !folder.join("reference.jsonl").exists() {
        eprintln!("skipped: no ../shared/models/tiny-zh beside this checkout");
        return None;
    }
    Some(folder)
}

fn reference(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("reference.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn part(folder: &Path) -> (Arc<Checkpoint>, Config) {
    let json = folder.join("config.json");
    let config = Config::parse(&std::fs::read(&json).unwrap(), &json).unwrap();
    (Arc::new(Checkpoint::open(folder).unwrap()), config)
}

fn ids(sentence: &Value) -> Vec<u32> {
    sentence["ids"].as_array().unwrap().iter().map(|id| usize(id) as u32).collect()
}

#[test]
fn the_trained_discriminator_agrees_on_its_reference_sentences() {
    let Some(folder) = folder() else { return };
    let (checkpoint, config) = part(&folder.join("discriminator"));
    let model = Discriminator::load(checkpoint, &config, &best()).unwrap();
    let mut batch = Batch::new();
    let mut expected = Vec::new();
    for sentence in reference(&folder) {
        batch.push(&ids(&sentence));
        expected.extend(numbers(&sentence["discriminator_logits"]));
    }
    let found = model.logits(&batch, &Arenas::new()).unwrap();
    close(&found, &expected, "tiny-zh discriminator");
}

#[test]
fn the_trained_generator_agrees_on_its_reference_sentences() {
    let Some(folder) = folder() else { return };
    let (checkpoint, config) = part(&folder.join("generator"));
    let model = Generator::load(checkpoint, &config, &best()).unwrap();
    let vocabulary = std::fs::read_to_string(folder.join("generator/vocab.txt")).unwrap();
    let vocabulary: Vec<&str> = vocabulary.lines().collect();
    let id = |token: &str| vocabulary.iter().position(|line| *line == token).unwrap();
    let arenas = &Arenas::new();
    for sentence in reference(&folder) {
        for asked in sentence["generator_log_probabilities"].as_array().unwrap() {
            let (mut ids, row) = (ids(&sentence), usize(&asked["position"]));
            ids[row] = MASK;
            let mut batch = Batch::new();
            batch.push(&ids);
            let logits = model.logits(&batch, &[row], arenas).unwrap();
            let whole = logits.iter().map(|&z| f64::from(z).exp()).sum::<f64>().ln();
            let top = asked["top"].as_array().unwrap();
            let expected: Vec<f64> = top.iter().map(|pair| pair[1].as_f64().unwrap()).collect();
            let found: Vec<f32> = top
                .iter()
                .map(|pair| (f64::from(logits[id(pair[0].as_str().unwrap())]) - whole) as f32)
                .collect();
            let place = format!("tiny-zh generator, row {row} of {}", sentence["text"]);
            close(&found, &expected, &place);
            if expected[0] - expected[1] > 2e-4 {
                let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
                assert_eq!(best, Some(id(top[0][0].as_str().unwrap())), "{place}, arg-max");
            }
        }
    }
}
