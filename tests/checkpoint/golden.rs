//! What PyTorch wrote, in every container and dress, is read bit for bit.
//! `golden/checkpoint/generate.py` wrote it; both sides compute the same formula.

use half::{bf16, f16};
use zhengzi_runtime::{Checkpoint, Container, DType};

use super::{golden, read};

const WORD: &str = "electra.embeddings.word_embeddings.weight";
const PROJECT: &str = "electra.embeddings_project.weight";

const SHAPES: [(&str, &[usize]); 6] = [
    (WORD, &[7, 4]),
    ("electra.embeddings.LayerNorm.weight", &[4]),
    ("electra.embeddings.LayerNorm.bias", &[4]),
    (PROJECT, &[3, 4]),
    ("electra.encoder.layer.0.output.LayerNorm.weight", &[3]),
    ("generator_predictions.dense.bias", &[4]),
];

/// The formula of the generator: 16 bits of a hash of name and index, scaled to [-8, 8).
fn formula(name: &str, count: usize) -> Vec<f32> {
    let hash = |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let seed = name.bytes().fold(0x811c_9dc5, hash);
    let value = |k: u32| seed.wrapping_add(k.wrapping_mul(0x9e37_79b1)) >> 16;
    (0..count as u32).map(|k| (value(k) as f32 - 32768.0) / 4096.0).collect()
}

/// Asserts that the file holds the state dict, each number rounded as `round` does.
#[track_caller]
fn holds(file: &str, round: impl Fn(f32) -> f32) -> Checkpoint {
    let checkpoint = Checkpoint::open(&golden(file)).unwrap();
    for (name, shape) in SHAPES {
        let tensor = checkpoint.tensor(name).unwrap();
        assert_eq!(tensor.shape(), shape, "{file} {name}");
        let expected: Vec<f32> =
            formula(name, shape.iter().product()).into_iter().map(&round).collect();
        let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&tensor.to_f32().unwrap()), bits(&expected), "{file} {name}");
        let shared = tensor.shared_f32().unwrap();
        assert_eq!(bits((*shared).as_ref()), bits(&expected), "{file} {name}, shared");
        assert_eq!(tensor.non_finite(), None);
    }
    checkpoint
}

#[test]
fn every_container_holds_the_same_numbers() {
    for (file, container) in [
        ("zip.bin", Container::Zip),
        ("protocol4.bin", Container::Zip),
        ("parameters.bin", Container::Zip),
        ("f64.bin", Container::Zip),
        ("legacy.bin", Container::Legacy),
        ("plain.safetensors", Container::Safetensors),
        ("shards-bin", Container::Zip),
        ("shards-bin/pytorch_model.bin.index.json", Container::Zip),
        ("shards-safetensors", Container::Safetensors),
    ] {
        let checkpoint = holds(file, |x| x);
        assert_eq!(checkpoint.container(), container, "{file}");
        assert_eq!(checkpoint.tensors().count(), SHAPES.len(), "{file}");
        let length: u64 = checkpoint.files().map(|path| path.metadata().unwrap().len()).sum();
        assert_eq!(checkpoint.mapped_bytes(), length);
    }
}

#[test]
fn half_precision_is_what_torch_rounded() {
    for file in ["f16.bin", "f16.safetensors"] {
        holds(file, |x| f16::from_f32(x).to_f32());
    }
    for file in ["bf16.bin", "bf16.legacy.bin"] {
        holds(file, |x| bf16::from_f32(x).to_f32());
    }
}

#[test]
fn wrapped_prefixed_and_old_names_become_canonical() {
    for file in ["wrapped.bin", "parallel.bin", "lightning.bin", "gamma.bin"] {
        let checkpoint = holds(file, |x| x);
        assert_eq!(checkpoint.tensors().count(), SHAPES.len(), "{file}");
    }
    for (file, stored) in [
        ("parallel.bin", "module.electra.embeddings.LayerNorm.bias"),
        ("lightning.bin", "model.module.electra.embeddings.LayerNorm.bias"),
        ("gamma.bin", "electra.embeddings.LayerNorm.beta"),
    ] {
        let checkpoint = Checkpoint::open(&golden(file)).unwrap();
        let tensor = checkpoint.tensor("electra.embeddings.LayerNorm.bias").unwrap();
        assert_eq!(tensor.stored_name(), stored);
        assert!(tensor.error("is odd").to_string().contains(stored));
    }
    let bare = Checkpoint::open(&golden("bare.bin")).unwrap();
    assert_eq!(bare.tensor(WORD).unwrap().stored_name(), "embeddings.word_embeddings.weight");
    assert_eq!(bare.tensor(PROJECT).unwrap().to_f32().unwrap()[..], formula(PROJECT, 12));
}

#[test]
fn a_state_dict_among_an_optimiser_and_settings_is_found() {
    for file in ["training.bin", "training.legacy.bin"] {
        let checkpoint = holds(file, |x| x);
        assert_eq!(checkpoint.tensors().count(), SHAPES.len(), "{file}");
    }
}

#[test]
fn views_are_read_through_their_windows() {
    for file in ["views.bin", "views.legacy.bin"] {
        let checkpoint = holds(file, |x| x);
        let get = |name| checkpoint.tensor(name).unwrap();
        assert_eq!(get(PROJECT).strides(), [1, 3]);
        assert!(!get(PROJECT).is_contiguous());
        assert_eq!(get(WORD).strides(), [6, 1]);
        let tied = get("generator_lm_head.weight");
        assert_eq!((tied.byte_offset(), tied.path()), (get(WORD).byte_offset(), get(WORD).path()));
        assert_eq!(tied.to_f32().unwrap(), get(WORD).to_f32().unwrap());
        let positions = get("electra.embeddings.position_ids");
        assert_eq!((positions.dtype(), positions.shape()), (DType::I64, &[1, 6][..]));
        assert_eq!(positions.to_f32().unwrap(), [0., 1., 2., 3., 4., 5.]);
        assert!(get("empty").is_empty());
        assert_eq!(get("empty").to_f32().unwrap(), [0f32; 0]);
        assert_eq!((get("scalar").shape(), get("scalar").to_f32().unwrap()), (&[][..], vec![2.5]));
    }
}

#[test]
fn all_ten_types_are_read() {
    use DType::*;
    let types = [
        ("float64", F64),
        ("float32", F32),
        ("float16", F16),
        ("bfloat16", Bf16),
        ("int64", I64),
        ("int32", I32),
        ("int16", I16),
        ("int8", I8),
        ("uint8", U8),
        ("bool", Bool),
    ];
    for file in ["dtypes.bin", "dtypes.legacy.bin", "dtypes.safetensors"] {
        let checkpoint = Checkpoint::open(&golden(file)).unwrap();
        for (name, dtype) in types {
            let tensor = checkpoint.tensor(name).unwrap();
            assert_eq!(tensor.dtype(), dtype, "{file} {name}");
            assert_eq!(tensor.bytes().len(), 4 * dtype.size());
            let expected = if dtype == Bool { [0., 1., 1., 1.] } else { [0., 1., 2., 100.] };
            assert_eq!(tensor.to_f32().unwrap(), expected, "{file} {name}");
        }
    }
}

#[test]
fn aligned_f32_is_used_in_place_and_other_bytes_are_copied() {
    let place = |file: &str| {
        let checkpoint = Checkpoint::open(&golden(file)).unwrap();
        let tensor = checkpoint.tensor(WORD).unwrap();
        let shared = tensor.shared_f32().unwrap();
        let in_place = std::ptr::addr_eq((*shared).as_ref().as_ptr(), tensor.bytes().as_ptr());
        drop(checkpoint); // the values outlive their checkpoint
        assert_eq!((*shared).as_ref(), formula(WORD, 28));
        in_place
    };
    assert!(place("zip.bin"));
    assert!(!place("views.bin"));
    assert!(!place("f64.bin"));
}

#[test]
fn the_metadata_of_safetensors_is_kept() {
    let checkpoint = Checkpoint::open(&golden("plain.safetensors")).unwrap();
    assert_eq!(checkpoint.metadata().get("format").map(String::as_str), Some("pt"));
    assert!(Checkpoint::open(&golden("zip.bin")).unwrap().metadata().is_empty());
}

#[test]
fn bytes_in_the_program_are_read_like_a_file() {
    for file in ["zip.bin", "legacy.bin", "plain.safetensors"] {
        let bytes = std::fs::read(golden(file)).unwrap().leak();
        let checkpoint = Checkpoint::from_static("embedded", bytes).unwrap();
        assert_eq!(checkpoint.tensor(WORD).unwrap().to_f32().unwrap(), formula(WORD, 28));
        assert_eq!(checkpoint.mapped_bytes(), bytes.len() as u64);
        assert_eq!(checkpoint.path().to_str(), Some("embedded"));
    }
}

#[test]
fn a_missing_tensor_is_named_with_its_nearest_neighbour() {
    let checkpoint = Checkpoint::open(&golden("zip.bin")).unwrap();
    let error = checkpoint.tensor("electra.embedings.LayerNorm.weight").unwrap_err().to_string();
    assert!(error.contains("(tensor electra.embedings.LayerNorm.weight)"), "{error}");
    assert!(error.contains("nearest it holds is electra.embeddings.LayerNorm.weight"), "{error}");
}

#[test]
fn a_module_instead_of_its_state_dict_is_refused_by_name() {
    let error = read(&golden("whole_model.bin")).unwrap_err();
    assert!(error.contains("the global torch.nn.modules.linear.Linear is not allowed"), "{error}");
    assert!(error.contains("torch.save(model.state_dict()"), "{error}");
}

#[test]
fn the_small_trained_pair_is_equal_in_both_containers() {
    let models = golden("").join("../../../../shared/models/tiny-zh");
    let (zip, legacy) =
        (models.join("generator/pytorch_model.bin"), models.join("legacy/generator.bin"));
    if !zip.exists() {
        eprintln!("skipped: no {}", zip.display());
        return;
    }
    let everything = read(&zip).unwrap();
    assert!(everything.iter().any(|(name, ..)| name == WORD));
    assert_eq!(everything, read(&legacy).unwrap());
    read(&models.join("discriminator")).unwrap();
}
