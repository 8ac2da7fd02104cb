//! Writes the embedded model: a pair of folders → f16 safetensors under `model/data`.
//!
//! ```sh
//! cargo run --release -p zhengzi-runtime --example make_embedded -- PAIR_FOLDER model/data/tiny-zh
//! ```

use std::collections::HashMap;
use std::path::Path;

use half::f16;
use safetensors::tensor::{Dtype, TensorView};
use zhengzi_runtime::Checkpoint;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to] = &arguments[..] else {
        return Err("usage: make_embedded PAIR_FOLDER OUTPUT_FOLDER".into());
    };
    let (from, to) = (Path::new(from), Path::new(to));
    std::fs::create_dir_all(to)?;
    for half in ["discriminator", "generator"] {
        let folder = from.join(half);
        std::fs::write(to.join(format!("{half}.safetensors")), halved(&folder)?)?;
        std::fs::copy(folder.join("config.json"), to.join(format!("{half}.json")))?;
        std::fs::copy(folder.join("vocab.txt"), to.join("vocab.txt"))?;
    }
    Ok(())
}

/// Every tensor rounded to f16, but for the generator's output matrix, which is the word
/// embedding once more.
fn halved(folder: &Path) -> Outcome<Vec<u8>> {
    let checkpoint = Checkpoint::open(folder)?;
    let mut tensors = Vec::new();
    for tensor in checkpoint.tensors() {
        if tensor.name() == "generator_lm_head.weight" {
            continue;
        }
        let values = tensor.to_f32()?;
        let bytes: Vec<u8> =
            values.into_iter().flat_map(|value| f16::from_f32(value).to_le_bytes()).collect();
        tensors.push((tensor.name().to_owned(), tensor.shape().to_vec(), bytes));
    }
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| {
            Ok((name.clone(), TensorView::new(Dtype::F16, shape.clone(), bytes)?))
        })
        .collect::<Result<HashMap<_, _>, safetensors::SafeTensorError>>()?;
    Ok(safetensors::serialize(views, None)?)
}
