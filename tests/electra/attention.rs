//! The maps of attention that an explanation draws are those of the pass, and transformers'.

use std::sync::Arc;

use serde_json::Value;
use zhengzi_kernels::Isa;
use zhengzi_model::electra::{Attention, Config, Discriminator, Generator};
use zhengzi_runtime::{Arenas, Checkpoint};

use super::golden::{Case, close, folder, numbers, usize};
use super::weights::{self, Head, WeightFile};
use super::{best, f32_on};

#[test]
fn attention_maps_are_those_of_transformers() {
    let text = std::fs::read(folder().join("attention.json")).unwrap();
    let file: Value = serde_json::from_slice(&text).unwrap();
    let maps = file["maps"].as_array().unwrap();
    for map in maps {
        let case = Case::named(map["name"].as_str().unwrap());
        let (n, layer, head) = (usize(&map["length"]), usize(&map["layer"]), usize(&map["head"]));
        let file = WeightFile::of(&case.config, case.head);
        let attention = read(&file.checkpoint, &case.config, case.head, &case.name, n, layer);
        let found = attention.weights(head);
        assert_eq!(found.len(), n * n);
        close(&found, &numbers(&map["weights"]), &format!("{} {layer}:{head}", case.name));
        // Each row is a share; were they all alike, any map would do.
        for row in found.chunks_exact(n) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{row:?}");
        }
        assert!(found.iter().copied().fold(0.0, f32::max) > 2.0 / n as f32);
    }
    assert_eq!(maps.len(), 6);
}

/// What a map says a head takes of the values is what the kernel took, on every instruction set.
#[test]
fn maps_times_values_are_what_the_kernel_wrote() {
    let case = Case::named("odd discriminator");
    let file = WeightFile::of(&case.config, case.head);
    for isa in Isa::available() {
        let model =
            Discriminator::load(Arc::clone(&file.checkpoint), &case.config, &f32_on(isa)).unwrap();
        let ids = weights::ids("attention", 40, case.config.vocab_size);
        for layer in 0..case.config.layers {
            let attention = model.attention(&ids, layer, &Arenas::new()).unwrap();
            let (n, h) = (attention.tokens(), case.config.hidden_size);
            let d = h / attention.heads();
            assert_eq!((n, attention.heads(), attention.context().len()), (40, 3, n * h));
            for head in 0..attention.heads() {
                let output = attention.output(head);
                let written = attention.context().chunks_exact(h);
                let written: Vec<f64> = written
                    .flat_map(|row| &row[head * d..(head + 1) * d])
                    .map(|&y| f64::from(y))
                    .collect();
                close(&output, &written, &format!("{isa:?}, layer {layer}, head {head}"));
            }
        }
    }
}

fn read(
    checkpoint: &Arc<Checkpoint>,
    config: &Config,
    head: Head,
    name: &str,
    length: usize,
    layer: usize,
) -> Attention {
    let (checkpoint, arenas) = (Arc::clone(checkpoint), Arenas::new());
    let mut ids = weights::ids(&format!("{name} {length}"), length, config.vocab_size);
    if head == Head::Generator {
        for row in [0, length / 2, length - 1] {
            ids[row] = 103 % config.vocab_size as u32;
        }
        let model = Generator::load(checkpoint, config, &best()).unwrap();
        return model.attention(&ids, layer, &arenas).unwrap();
    }
    let model = Discriminator::load(checkpoint, config, &best()).unwrap();
    model.attention(&ids, layer, &arenas).unwrap()
}
