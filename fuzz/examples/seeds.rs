//! Writes what fuzzing starts from: for each target a corpus of whole, valid inputs and a dictionary.
//!
//! ```text
//! cargo run --example seeds -- FOLDER     FOLDER/corpus/TARGET/*, FOLDER/TARGET.dict
//! ```
//!
//! Files that PyTorch wrote come from tests/golden, files of every dress that it does not write any
//! more (or never did) from the builders of tests/checkpoint, panel files from `Conversion`.

#[path = "../../tests/checkpoint/files.rs"]
#[allow(dead_code)] // what only lies need
mod files;

#[path = "seeds/dictionary.rs"]
mod dictionary;
#[path = "seeds/texts.rs"]
mod texts;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use files::{Entry, Pickle, Tensor, entries, entry, legacy, safetensors, state_dict, zip};
use zhengzi_kernels::{Isa, Precision};
use zhengzi_model::ModelPaths;
use zhengzi_model::convert::Conversion;
use zhengzi_runtime::Cpu;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Where seeds go.
struct Seeds {
    folder: PathBuf,
}

impl Seeds {
    fn write(&self, target: &str, name: &str, bytes: &[u8]) -> Outcome<()> {
        let folder = self.folder.join("corpus").join(target);
        fs::create_dir_all(&folder)?;
        Ok(fs::write(folder.join(format!("seed-{name}")), bytes)?)
    }
}

fn main() -> Outcome<()> {
    let folder = std::env::args_os().nth(1).ok_or("name a folder")?;
    let seeds = Seeds { folder: folder.into() };
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden");
    pytorch(&seeds, &golden.join("checkpoint"))?;
    by_hand(&seeds)?;
    models(&seeds, &golden.join("electra/containers"))?;
    for (target, name, text) in texts::all() {
        seeds.write(target, &name, &text)?;
    }
    let index =
        fs::read(golden.join("checkpoint/shards-safetensors/model.safetensors.index.json"))?;
    seeds.write("json", "index", &[b"\0", &index[..]].concat())?;
    for (target, words) in dictionary::all() {
        fs::write(seeds.folder.join(format!("{target}.dict")), dictionary::text(&words))?;
    }
    Ok(())
}

/// Files of every container and of torch's ways to fill it.
fn pytorch(seeds: &Seeds, golden: &Path) -> Outcome<()> {
    for file in fs::read_dir(golden)? {
        let path = file?.path();
        let name = path.file_name().and_then(|name| name.to_str()).ok_or("a name")?.to_owned();
        match name.rsplit('.').next() {
            Some("bin" | "safetensors") => {}
            _ => continue,
        }
        let bytes = fs::read(&path)?;
        seeds.write(container(&bytes), &name, &bytes)?;
        if let Some(pickle) = data_pkl(&bytes) {
            seeds.write("pickle", &name, pickle)?;
        }
    }
    Ok(())
}

/// The target that a file is for.
fn container(bytes: &[u8]) -> &'static str {
    match bytes[0] {
        b'P' => "zip",
        0x80 => "legacy",
        _ => "safetensors",
    }
}

/// The pickle in an archive: its first entry, which ends at the sizes behind it.
fn data_pkl(archive: &[u8]) -> Option<&[u8]> {
    let archive = archive.starts_with(b"PK\x03\x04").then_some(archive)?;
    let length = |at: usize| usize::from(u16::from_le_bytes([archive[at], archive[at + 1]]));
    let data = &archive[30 + length(26) + length(28)..];
    Some(&data[..data.windows(4).position(|bytes| bytes == b"PK\x07\x08")?])
}

/// What torch 0.1 to 1.5 wrote, what other programs write, each as small as can be.
fn by_hand(seeds: &Seeds) -> Outcome<()> {
    let dtypes =
        ["Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool"];
    let storages = dtypes.map(|dtype| &*format!("{dtype}Storage").leak());
    let views = Tensor { offset: 0, shape: vec![1, 2], strides: vec![1, 1], ..Tensor::default() };
    let old = Tensor { legacy: true, ..Tensor::default() };
    let wrapped = Pickle::new()
        .op(b"}")
        .text("model")
        .op(b"}")
        .text("module.w")
        .tensor(&old)
        .op(b"ss")
        .stop();
    let parameter = Pickle::new()
        .op(b"}")
        .text("w")
        .global("torch._utils", "_rebuild_parameter")
        .op(b"(")
        .tensor(&old)
        .op(b"\x88")
        .global("collections", "OrderedDict")
        .op(b")RtRs")
        .stop();
    let memo = Pickle::new()
        .op(b"}q\x00")
        .text("w")
        .op(b"q\x01")
        .tensor(&old)
        .op(b"q\x02s")
        .text("v")
        .op(b"h\x02s")
        .stop();
    let framed = Pickle(b"\x80\x04\x95\x03\0\0\0\0\0\0\0}\x94.".to_vec()).0;
    let mut pickles = vec![
        ("old", state_dict(&[old.clone()])),
        ("view", state_dict(&[views])),
        ("wrapped", wrapped),
        ("parameter", parameter),
        ("memo", memo),
        ("framed", framed),
    ];
    for (dtype, storage) in dtypes.into_iter().zip(storages) {
        pickles.push((dtype, state_dict(&[Tensor { storage, ..Tensor::default() }])));
    }
    for (name, pickle) in &pickles {
        seeds.write("pickle", name, pickle)?;
        let size = match *name {
            "Double" | "Long" => 16,
            "Half" | "BFloat16" | "Short" => 4,
            "Char" | "Byte" | "Bool" => 2,
            _ => 8,
        };
        let data: Vec<u8> = (0..size).map(|i| if size == 2 { i } else { 60 - i / 2 }).collect();
        seeds.write("legacy", name, &legacy(pickle, &["0"], &[(2, data.clone())]))?;
        let mut archive = entries(pickle);
        archive[1] = entry("a/data/0", &data);
        seeds.write("zip", name, &zip(&archive))?;
    }
    let padded = |e: Entry| Entry { flags: 0x0808, padding: b"FB\x04\0ZZZZ".to_vec(), ..e };
    let mut archive: Vec<Entry> = entries(&pickles[0].1).into_iter().map(padded).collect();
    archive.push(entry("a/byteorder", b"little"));
    seeds.write("zip", "padded", &zip(&archive))?;

    let dtypes = [
        ("F64", 8),
        ("F32", 4),
        ("F16", 2),
        ("BF16", 2),
        ("I64", 8),
        ("I32", 4),
        ("I16", 2),
        ("I8", 1),
        ("U8", 1),
        ("BOOL", 1),
    ];
    for (dtype, size) in dtypes {
        let header = format!(
            r#"{{"__metadata__":{{"format":"pt"}},"a":{{"dtype":"{dtype}","shape":[2,1],"data_offsets":[0,{0}]}},"b":{{"dtype":"{dtype}","shape":[],"data_offsets":[{0},{1}]}}}}"#,
            2 * size,
            3 * size
        );
        seeds.write("safetensors", dtype, &safetensors(&header, &vec![1; 3 * size]))?;
    }
    Ok(())
}

/// A tiny pair as torch and transformers wrote it, and as panel files.
fn models(seeds: &Seeds, golden: &Path) -> Outcome<()> {
    for file in fs::read_dir(golden)? {
        let path = file?.path();
        let name = path.file_name().and_then(|name| name.to_str()).ok_or("a name")?;
        seeds.write("forward", name, &fs::read(&path)?)?;
    }
    let pair = seeds.folder.join("pair");
    for half in ["discriminator", "generator"] {
        let folder = pair.join(half);
        fs::create_dir_all(&folder)?;
        fs::copy(golden.join(format!("{half}.safetensors")), folder.join("model.safetensors"))?;
        fs::write(folder.join("config.json"), texts::TINY)?;
        fs::write(folder.join("vocab.txt"), texts::tiny_vocabulary())?;
    }
    let paths = ModelPaths { model: Some(pair.clone()), ..ModelPaths::default() };
    let cpu = Cpu::new(Isa::best(), 1)?;
    for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
        let conversion =
            Conversion::open(&paths, precision, &cpu).map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        conversion.panels().write(&mut bytes)?;
        seeds.write("forward", precision.name(), &bytes)?;
        seeds.write("safetensors", &format!("panels-{}", precision.name()), &bytes)?;
    }
    Ok(fs::remove_dir_all(&pair)?)
}
