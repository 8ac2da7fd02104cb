//! Where the two halves of a model are, and what must be true of them together.
//!
//! A half is a folder with `config.json`, `vocab.txt` and weights, or the pair compiled into
//! the program. `--model DIR` holds both as `discriminator/` and `generator/`, or in folders
//! whose names contain these words (`chinese_electra_base_discriminator_pytorch`). What is no
//! path is looked up by its name on the Hugging Face hub ([`hub`]): `--model NAME` is the one
//! model of that name, or `NAME-discriminator` and `NAME-generator`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zhengzi_runtime::{Checkpoint, Cpu};

use crate::config::Config;
use crate::electra::{Discriminator, Generator, Kind};
use crate::hub::{self, Repo};
use crate::tokenizer::Tokenizer;
use crate::{Error, embedded};

/// What the user named, by path or by name on the hub; all `None` means the embedded model.
#[derive(Clone, Debug, Default)]
pub struct ModelPaths {
    /// A folder with both halves, or the folder or file of a single model.
    pub model: Option<PathBuf>,
    /// The folder or weights file of the discriminator or token classifier.
    pub detector: Option<PathBuf>,
    /// The folder or weights file of the generator.
    pub generator: Option<PathBuf>,
}

impl ModelPaths {
    /// The discriminator alone, for whoever has ids and no text: no vocabulary is read. `None` where
    /// only a generator was named.
    pub fn discriminator(&self, cpu: &Cpu) -> Result<Option<Discriminator>, Error> {
        let (detector, _) = self.named()?;
        detector.map(|half| half.discriminator(cpu)).transpose()
    }

    /// The generator alone, in the same way.
    pub fn generator(&self, cpu: &Cpu) -> Result<Option<Generator>, Error> {
        let (_, generator) = self.named()?;
        generator.map(|half| half.generator(cpu)).transpose()
    }

    /// Of the two those that were named, which a `model` of both and nothing at all do, too.
    fn named(&self) -> Result<(Option<Half>, Option<Half>), Error> {
        let pair = Pair::resolve(self)?;
        let (detector, generator) = match (pair.detector, pair.generator) {
            // That a model lacks one is no mistake where it has the other.
            (Err(_), Ok(half)) if self.detector.is_none() => (None, Some(half)),
            (Ok(half), Err(_)) if self.generator.is_none() => (Some(half), None),
            (detector, generator) => (Some(detector?), Some(generator?)),
        };
        Ok(match (&self.model, &self.detector, &self.generator) {
            (None, Some(_), None) => (detector, None),
            (None, None, Some(_)) => (None, generator),
            _ => (detector, generator),
        })
    }
}

/// The two halves, found but not yet opened.
pub(crate) struct Pair {
    detector: Result<Half, Error>,
    generator: Result<Half, Error>,
}

/// One of them.
pub(crate) enum Half {
    /// Weights (a file, or a folder that holds them) and the folder of config and vocabulary.
    Files { weights: PathBuf, folder: PathBuf },
    /// Compiled in.
    Embedded(&'static embedded::Model),
}

/// The names under which weights are looked for, as in Hugging Face's folders.
pub(crate) const WEIGHTS: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// What must lie beside them.
const BESIDE: [&str; 2] = ["config.json", "vocab.txt"];

impl Pair {
    /// Finds the halves. That one is missing is an error only for who asks for it.
    pub(crate) fn resolve(paths: &ModelPaths) -> Result<Pair, Error> {
        let mut pair = match &paths.model {
            None => Pair {
                detector: Ok(Half::Embedded(&embedded::DISCRIMINATOR)),
                generator: Ok(Half::Embedded(&embedded::GENERATOR)),
            },
            Some(path) => Pair::below(path)?,
        };
        if let Some(path) = &paths.detector {
            pair.detector = hub::locate_with(path, &BESIDE).map(|path| Half::at(&path));
        }
        if let Some(path) = &paths.generator {
            pair.generator = hub::locate_with(path, &BESIDE).map(|path| Half::at(&path));
        }
        Ok(pair)
    }

    pub(crate) fn detector(self) -> Result<Half, Error> {
        self.detector
    }

    pub(crate) fn generator(self) -> Result<Half, Error> {
        self.generator
    }

    pub(crate) fn both(self) -> Result<(Half, Half), Error> {
        Ok((self.detector?, self.generator?))
    }

    /// Both halves in the folder `path`, or the single model that it is.
    fn below(path: &Path) -> Result<Pair, Error> {
        if let Some(repo) = Repo::named_by(path) {
            return Pair::cached(&repo);
        }
        let metadata = fs::metadata(path).map_err(|error| {
            let what = format!("cannot open the model: {error}");
            Error::new(path, what, "give --model a folder that exists")
        })?;
        if metadata.is_file() || WEIGHTS.iter().any(|name| path.join(name).exists()) {
            return Pair::single(path, None);
        }
        Ok(Pair {
            detector: folder_named(path, "discriminator"),
            generator: folder_named(path, "generator"),
        })
    }

    /// The same in the hub's cache.
    fn cached(repo: &Repo) -> Result<Pair, Error> {
        if repo.is_single() {
            return Pair::single(&repo.folder(&BESIDE)?, Some(repo));
        }
        let [detector, generator] =
            repo.halves(&BESIDE).map(|folder| folder.map(|folder| Half::at(&folder)));
        Ok(Pair { detector, generator })
    }

    /// The half that the model at `path` is; for want of the other, the one that `repo` has.
    fn single(path: &Path, repo: Option<&Repo>) -> Result<Pair, Error> {
        let half = Half::at(path);
        let missing = |what: &str, option: &str| {
            let hint = match repo.map(|repo| repo.half(what)).filter(Repo::is_cached) {
                Some(other) => format!("name one with {option}, perhaps {option} {other}"),
                None => format!("name one with {option}"),
            };
            Err(Error::new(path, format!("has no {what}"), hint))
        };
        Ok(match Kind::of(&half.checkpoint()?) {
            Kind::Generator => {
                Pair { detector: missing("discriminator", "--detector"), generator: Ok(half) }
            }
            _ => Pair { detector: Ok(half), generator: missing("generator", "--generator") },
        })
    }
}

/// The one folder below `path` whose name is, or contains, `word`.
fn folder_named(path: &Path, word: &str) -> Result<Half, Error> {
    if path.join(word).is_dir() {
        return Ok(Half::at(&path.join(word)));
    }
    let entries = fs::read_dir(path)
        .map_err(|error| Error::new(path, format!("cannot list the folder: {error}"), ""))?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
            path.is_dir() && name.contains(word)
        })
        .collect();
    found.sort();
    let option = if word == "generator" { "--generator" } else { "--detector" };
    match &found[..] {
        [one] => Ok(Half::at(one)),
        [] => Err(Error::new(
            path,
            format!("no {word}/ here"),
            format!(
                "give the folder that holds discriminator/ and generator/, or name one with {option}"
            ),
        )),
        [first, second, ..] => Err(Error::new(
            path,
            format!("both {} and {} could be the {word}", first.display(), second.display()),
            format!("name one with {option}"),
        )),
    }
}

impl Half {
    fn at(path: &Path) -> Half {
        let folder = match path.is_file() {
            true => path.parent().unwrap_or(Path::new("")).to_owned(),
            false => path.to_owned(),
        };
        Half::Files { weights: path.to_owned(), folder }
    }

    pub(crate) fn load_discriminator(
        &self,
        cpu: &Cpu,
    ) -> Result<(Tokenizer, Discriminator), Error> {
        let (checkpoint, config, tokenizer) = self.open()?;
        Ok((tokenizer, Discriminator::load(Arc::new(checkpoint), &config, cpu)?))
    }

    pub(crate) fn load_generator(&self, cpu: &Cpu) -> Result<(Tokenizer, Generator), Error> {
        let (checkpoint, config, tokenizer) = self.open()?;
        Ok((tokenizer, Generator::load(Arc::new(checkpoint), &config, cpu)?))
    }

    fn discriminator(&self, cpu: &Cpu) -> Result<Discriminator, Error> {
        let (checkpoint, config) = self.network()?;
        Discriminator::load(Arc::new(checkpoint), &config, cpu)
    }

    fn generator(&self, cpu: &Cpu) -> Result<Generator, Error> {
        let (checkpoint, config) = self.network()?;
        Generator::load(Arc::new(checkpoint), &config, cpu)
    }

    fn checkpoint(&self) -> Result<Checkpoint, Error> {
        Ok(match self {
            Half::Files { weights, .. } => Checkpoint::open(weights)?,
            Half::Embedded(model) => Checkpoint::from_static(model.name, model.weights)?,
        })
    }

    fn network(&self) -> Result<(Checkpoint, Config), Error> {
        let checkpoint = self.checkpoint()?;
        let config = match self {
            Half::Files { folder, .. } => {
                let path = folder.join("config.json");
                let json = fs::read(&path).map_err(|error| {
                    let hint = "a model folder holds config.json, vocab.txt and the weights";
                    Error::new(&path, format!("cannot read the config: {error}"), hint)
                })?;
                Config::parse(&json, &path)?
            }
            Half::Embedded(model) => Config::parse(model.config, Path::new(model.name))?,
        };
        Ok((checkpoint, config))
    }

    fn open(&self) -> Result<(Checkpoint, Config, Tokenizer), Error> {
        let (checkpoint, config) = self.network()?;
        let (tokenizer, place) = match self {
            Half::Files { folder, .. } => (Tokenizer::open(folder)?, folder.join("vocab.txt")),
            Half::Embedded(model) => (
                Tokenizer::new(model.vocab, model.name, true, None)?,
                Path::new(model.name).to_owned(),
            ),
        };
        if tokenizer.len() != config.vocab_size {
            let what = format!(
                "{} tokens, where config.json says vocab_size {}",
                tokenizer.len(),
                config.vocab_size
            );
            let hint = "the vocabulary must be the one that came with the weights";
            return Err(Error::new(&place, what, hint));
        }
        Ok((checkpoint, config, tokenizer))
    }
}

/// Ids of one half mean nothing to the other unless the vocabularies are the same.
pub(crate) fn check_same_vocabulary(
    detector: (&Tokenizer, &Checkpoint),
    generator: (&Tokenizer, &Checkpoint),
) -> Result<(), Error> {
    let (a, b) = (detector.0, generator.0);
    let differs = (0..a.len().min(b.len()) as u32).find(|&id| a.token(id) != b.token(id));
    let what = match differs {
        Some(id) => format!("token {id} is {:?} and not {:?}", a.token(id), b.token(id)),
        None if a.len() != b.len() => format!("{} tokens and not {}", a.len(), b.len()),
        None => return Ok(()),
    };
    Err(Error::new(
        detector.1.path(),
        format!("its vocabulary is not that of {}: {what}", generator.1.path().display()),
        "give a detector and a generator that were trained with one vocab.txt",
    ))
}
