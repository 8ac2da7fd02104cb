//! A model in another layout or precision: `zhengzi convert`.
//!
//! It is loaded as if to be run, and every part that the network asks for is taken down
//! ([`Parts`]): what is written is what will be read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zhengzi_kernels::Precision;
use zhengzi_runtime::{Checkpoint, Cpu, Parts, TensorFile};

use crate::Error;
use crate::corrector::calibration::{self, Calibration, Origin};
use crate::electra::{Discriminator, Generator, memory};
use crate::pair::{ModelPaths, Opened, Pair};

/// A model taken apart.
pub struct Conversion {
    halves: Vec<Half>,
    /// The text of `vocab.txt`.
    vocabulary: String,
    /// A text for `tokenizer_config.json`.
    rules: String,
    /// The text of the pair's calibration, where it has its own.
    calibration: Option<String>,
    precision: Precision,
}

struct Half {
    name: &'static str,
    /// The text of `config.json`.
    config: String,
    parts: Parts,
    /// What it was read from.
    checkpoint: Arc<Checkpoint>,
    /// Its files, and those beside them.
    inputs: Vec<PathBuf>,
}

/// What is in a model folder of Hugging Face's layout.
pub struct Folder {
    /// Which half: `discriminator` or `generator`.
    pub name: &'static str,
    /// Names and texts of what lies beside the weights.
    pub texts: Vec<(&'static str, String)>,
    /// `model.safetensors`.
    pub weights: TensorFile,
}

impl Conversion {
    /// Takes apart both halves, or the only one that there is. Where `paths` name no model, but a
    /// detector or a generator, that alone.
    pub fn open(paths: &ModelPaths, precision: Precision, cpu: &Cpu) -> Result<Conversion, Error> {
        let mut conversion = Conversion {
            halves: Vec::new(),
            vocabulary: String::new(),
            rules: String::new(),
            calibration: None,
            precision,
        };
        let [detector, generator] = Pair::named(paths)?.open()?;
        let halves = [(&detector, "discriminator"), (&generator, "generator")];
        let halves = halves.into_iter().filter_map(|(half, name)| Some((half.as_ref()?, name)));
        let halves: Vec<_> = halves.map(|(half, name)| (&*half.checkpoint, name)).collect();
        memory::check_conversion(&halves, cpu, precision)?;
        if let Some(half) = detector {
            let (calibration, origin) = Calibration::find(None, &half.checkpoint)?;
            let is_own = origin != Origin::Borrowed;
            conversion.calibration = is_own.then(|| calibration.to_json());
            let parts = Discriminator::take_down(&half.checkpoint, &half.config, cpu, precision)?;
            conversion.add("discriminator", half, parts);
        }
        if let Some(half) = generator {
            let parts = Generator::take_down(&half.checkpoint, &half.config, cpu, precision)?;
            conversion.add("generator", half, parts);
        }
        Ok(conversion)
    }

    fn add(&mut self, name: &'static str, half: Opened, parts: Parts) {
        let mut inputs: Vec<PathBuf> = half.checkpoint.files().map(Path::to_owned).collect();
        if let (None, Some(folder)) = (half.checkpoint.panels(), half.checkpoint.path().parent()) {
            inputs.extend(["config.json", "vocab.txt"].map(|name| folder.join(name)));
        }
        // The tokenizer has made sure that it is UTF-8.
        self.vocabulary = String::from_utf8_lossy(half.source.vocabulary()).into_owned();
        self.rules = half.source.rules();
        let (config, checkpoint) = (half.json, half.checkpoint);
        self.halves.push(Half { name, config, parts, checkpoint, inputs });
    }

    /// The files that it was read from.
    pub fn inputs(&self) -> impl Iterator<Item = &Path> {
        self.halves.iter().flat_map(|half| half.inputs.iter().map(PathBuf::as_path))
    }

    /// An error if one of them was written to meanwhile: what was made of it is not to be kept.
    pub fn check_unchanged(&self) -> Result<(), Error> {
        Ok(self.halves.iter().try_for_each(|half| half.checkpoint.check_unchanged())?)
    }

    /// All of it in one file, in panels.
    pub fn panels(&self) -> TensorFile {
        let mut metadata = BTreeMap::from([
            ("vocab".to_owned(), self.vocabulary.clone()),
            ("tokenizer_config".to_owned(), self.rules.clone()),
        ]);
        if let Some(calibration) = &self.calibration {
            metadata.insert(calibration::METADATA_KEY.to_owned(), calibration.clone());
        }
        for half in &self.halves {
            metadata.insert(format!("{}.config", half.name), half.config.clone());
        }
        let halves: Vec<_> = self.halves.iter().map(|half| (half.name, &half.parts)).collect();
        TensorFile::panels(&halves, self.precision, metadata)
    }

    /// A folder for each half, as Hugging Face lays them out, weights in f32 or bf16. Best of a model
    /// that was taken apart in f32.
    pub fn folders(&self, precision: Precision) -> Vec<Folder> {
        let folder = |half: &Half| {
            let mut texts = vec![
                ("config.json", half.config.clone()),
                ("vocab.txt", self.vocabulary.clone()),
                ("tokenizer_config.json", self.rules.clone()),
            ];
            // It lies beside the discriminator's weights.
            let calibration = self.calibration.clone().filter(|_| half.name == "discriminator");
            texts.extend(calibration.map(|text| (calibration::FILE_NAME, text)));
            Folder { name: half.name, texts, weights: TensorFile::rows(&half.parts, precision) }
        };
        self.halves.iter().map(folder).collect()
    }
}
