//! Where the two halves of a model are, and what must be true of them together.
//!
//! A half is a folder with `config.json`, `vocab.txt` and weights; or it lies, with all that it
//! needs, in a panel file (`zhengzi convert`), such as the one compiled into the program.
//! `--model DIR` holds both as `discriminator/` and `generator/`, or in folders
//! whose names contain these words (`chinese_electra_base_discriminator_pytorch`). What is no
//! path is looked up by its name on the Hugging Face hub ([`hub`]): `--model NAME` is the one
//! model of that name, or `NAME-discriminator` and `NAME-generator`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zhengzi_runtime::{Access, Checkpoint, Cpu};

use crate::config::Config;
use crate::electra::{Discriminator, Generator, Kind, memory};
use crate::hub::{self, Repo};
use crate::tokenizer::{self, Tokenizer};
use crate::{Error, beside, embedded};

/// What the user named, by path or by name on the hub; all `None` means the embedded model.
#[derive(Clone, Debug, Default)]
pub struct ModelPaths {
    /// A folder with both halves, or the folder or file of a single model.
    pub model: Option<PathBuf>,
    /// The folder or weights file of the discriminator or token classifier.
    pub detector: Option<PathBuf>,
    /// The folder or weights file of the generator.
    pub generator: Option<PathBuf>,
    /// Whether their files are mapped or read.
    pub access: Access,
}

impl ModelPaths {
    /// The discriminator alone, for whoever has ids and no text: no vocabulary is read. `None` where
    /// only a generator was named.
    pub fn discriminator(&self, cpu: &Cpu) -> Result<Option<Discriminator>, Error> {
        let [detector, _] = Pair::named(self)?.halves()?;
        let network =
            detector.map(|half| half.network("discriminator", self.access)).transpose()?;
        let load = |(file, config): (Arc<Checkpoint>, Config)| {
            memory::check(&[(&file, "discriminator")], cpu)?;
            Discriminator::load(file, &config, cpu)
        };
        network.map(load).transpose()
    }

    /// The generator alone, in the same way.
    pub fn generator(&self, cpu: &Cpu) -> Result<Option<Generator>, Error> {
        let [_, generator] = Pair::named(self)?.halves()?;
        let network = generator.map(|half| half.network("generator", self.access)).transpose()?;
        let load = |(file, config): (Arc<Checkpoint>, Config)| {
            memory::check(&[(&file, "generator")], cpu)?;
            Generator::load(file, &config, cpu)
        };
        network.map(load).transpose()
    }
}

/// The two halves, found but not yet loaded.
pub(crate) struct Pair {
    detector: Result<Half, Error>,
    generator: Result<Half, Error>,
    /// Whether `--model` named one model, so that the other half is missing for no fault.
    is_single: bool,
    access: Access,
}

/// One of them.
#[derive(Clone)]
pub(crate) enum Half {
    /// A file, or a folder that holds one.
    At(PathBuf),
    /// Opened to see what it is.
    Open(Arc<Checkpoint>),
}

/// A half whose files were read and fit together.
pub(crate) struct Opened {
    pub(crate) checkpoint: Arc<Checkpoint>,
    pub(crate) config: Config,
    /// The text of `config.json`.
    pub(crate) json: String,
    pub(crate) source: tokenizer::Source,
    pub(crate) tokenizer: Arc<Tokenizer>,
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
        let access = paths.access;
        let mut pair = match &paths.model {
            None => {
                let half = Half::Open(Arc::new(embedded::checkpoint()?));
                Pair { detector: Ok(half.clone()), generator: Ok(half), is_single: false, access }
            }
            Some(path) => Pair::below(path, access)?,
        };
        if let Some(path) = &paths.detector {
            pair.detector = hub::locate_with(path, &BESIDE).map(Half::At);
        }
        if let Some(path) = &paths.generator {
            pair.generator = hub::locate_with(path, &BESIDE).map(Half::At);
        }
        Ok(pair)
    }

    /// The same, but where only a detector or only a generator is named, only that.
    pub(crate) fn named(paths: &ModelPaths) -> Result<Pair, Error> {
        let lone = |path: &PathBuf| hub::locate_with(path, &BESIDE);
        match (&paths.model, &paths.detector, &paths.generator) {
            (None, Some(path), None) | (None, None, Some(path)) => {
                Pair::single(&lone(path)?, None, paths.access)
            }
            _ => Pair::resolve(paths),
        }
    }

    /// The discriminator or token classifier.
    pub(crate) fn load_detector(self, cpu: &Cpu) -> Result<(Arc<Tokenizer>, Discriminator), Error> {
        let Opened { checkpoint, config, tokenizer, .. } =
            self.detector?.open("discriminator", None, self.access)?;
        memory::check(&[(&checkpoint, "discriminator")], cpu)?;
        Ok((tokenizer, Discriminator::load(checkpoint, &config, cpu)?))
    }

    /// The generator.
    pub(crate) fn load_generator(self, cpu: &Cpu) -> Result<(Arc<Tokenizer>, Generator), Error> {
        let Opened { checkpoint, config, tokenizer, .. } =
            self.generator?.open("generator", None, self.access)?;
        memory::check(&[(&checkpoint, "generator")], cpu)?;
        Ok((tokenizer, Generator::load(checkpoint, &config, cpu)?))
    }

    /// Both, and the tokenizer of the detector. What they have in common is kept once.
    pub(crate) fn load(
        self,
        cpu: &Cpu,
    ) -> Result<(Arc<Tokenizer>, Discriminator, Generator), Error> {
        let (detector, generator) = (self.detector?, self.generator?);
        let detector = detector.open("discriminator", None, self.access)?;
        let generator = generator.open("generator", Some(&detector), self.access)?;
        check_same_vocabulary(&detector, &generator)?;
        let halves =
            [(&*detector.checkpoint, "discriminator"), (&*generator.checkpoint, "generator")];
        memory::check(&halves, cpu)?;
        let discriminator =
            Discriminator::load(Arc::clone(&detector.checkpoint), &detector.config, cpu)?;
        let Opened { checkpoint, config, .. } = generator;
        let generator = Generator::load_beside(&discriminator, checkpoint, &config, cpu)?;
        Ok((detector.tokenizer, discriminator, generator))
    }

    /// The halves that there are, discriminator first, opened.
    pub(crate) fn open(self) -> Result<[Option<Opened>; 2], Error> {
        let access = self.access;
        let [detector, generator] = self.halves()?;
        let detector = detector.map(|half| half.open("discriminator", None, access)).transpose()?;
        let generator =
            generator.map(|half| half.open("generator", detector.as_ref(), access)).transpose()?;
        if let (Some(detector), Some(generator)) = (&detector, &generator) {
            check_same_vocabulary(detector, generator)?;
        }
        Ok([detector, generator])
    }

    /// Those that there are. That one is missing is no mistake where the model is a single one.
    pub(crate) fn halves(self) -> Result<[Option<Half>; 2], Error> {
        Ok(match (self.detector, self.generator) {
            (Ok(detector), Err(_)) if self.is_single => [Some(detector), None],
            (Err(_), Ok(generator)) if self.is_single => [None, Some(generator)],
            (detector, generator) => [Some(detector?), Some(generator?)],
        })
    }

    /// Both halves in the folder `path`, or the single model that it is.
    fn below(path: &Path, access: Access) -> Result<Pair, Error> {
        if let Some(repo) = Repo::named_by(path) {
            return Pair::cached(&repo, access);
        }
        let metadata = fs::metadata(path).map_err(|error| {
            let what = format!("cannot open the model: {error}");
            Error::new(path, what, "give --model a folder that exists")
        })?;
        if metadata.is_file() || WEIGHTS.iter().any(|name| path.join(name).exists()) {
            return Pair::single(path, None, access);
        }
        Ok(Pair {
            detector: folder_named(path, "discriminator"),
            generator: folder_named(path, "generator"),
            is_single: false,
            access,
        })
    }

    /// The same in the hub's cache.
    fn cached(repo: &Repo, access: Access) -> Result<Pair, Error> {
        if repo.is_single() {
            return Pair::single(&repo.folder(&BESIDE)?, Some(repo), access);
        }
        let [detector, generator] = repo.halves(&BESIDE).map(|folder| folder.map(Half::At));
        Ok(Pair { detector, generator, is_single: false, access })
    }

    /// The half that the model at `path` is; for want of the other, the one that `repo` has. A panel
    /// file may be both.
    fn single(path: &Path, repo: Option<&Repo>, access: Access) -> Result<Pair, Error> {
        let checkpoint = Arc::new(Checkpoint::open_by(path, access)?);
        let kind = Kind::of(&checkpoint);
        let half = Half::Open(checkpoint);
        let missing = |what: &str, option: &str| {
            let hint = match repo.map(|repo| repo.half(what)).filter(Repo::is_cached) {
                Some(other) => format!("name one with {option}, perhaps {option} {other}"),
                None => format!("name one with {option}"),
            };
            Err(Error::new(path, format!("has no {what}"), hint))
        };
        let (detector, generator) = match kind {
            Kind::Pair => (Ok(half.clone()), Ok(half)),
            Kind::Generator => (missing("discriminator", "--detector"), Ok(half)),
            _ => (Ok(half), missing("generator", "--generator")),
        };
        let is_single = detector.is_err() || generator.is_err();
        Ok(Pair { detector, generator, is_single, access })
    }
}

/// The one folder below `path` whose name is, or contains, `word`.
fn folder_named(path: &Path, word: &str) -> Result<Half, Error> {
    if path.join(word).is_dir() {
        return Ok(Half::At(path.join(word)));
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
        [one] => Ok(Half::At(one.clone())),
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
    pub(crate) fn checkpoint(&self, access: Access) -> Result<Arc<Checkpoint>, Error> {
        Ok(match self {
            Half::At(path) => Arc::new(Checkpoint::open_by(path, access)?),
            Half::Open(checkpoint) => Arc::clone(checkpoint),
        })
    }

    /// `which` is what a panel file calls the half. No vocabulary is read.
    pub(crate) fn network(
        &self,
        which: &str,
        access: Access,
    ) -> Result<(Arc<Checkpoint>, Config), Error> {
        let checkpoint = self.checkpoint(access)?;
        let (json, path) = config_of(&checkpoint, which)?;
        let config = Config::parse(json.as_bytes(), &path)?;
        Ok((checkpoint, config))
    }

    /// A tokenizer that `twin` has is not made again.
    pub(crate) fn open(
        &self,
        which: &str,
        twin: Option<&Opened>,
        access: Access,
    ) -> Result<Opened, Error> {
        let checkpoint = self.checkpoint(access)?;
        let (json, path) = config_of(&checkpoint, which)?;
        let (source, vocab) = match checkpoint.panels() {
            Some(_) => {
                let text = |key: &str| said(&checkpoint, key, which);
                let file = path.display().to_string();
                let source =
                    tokenizer::Source::new(text("vocab")?, text("tokenizer_config")?, &file)?;
                (source, path.clone())
            }
            None => {
                let folder = path.parent().unwrap_or(Path::new(""));
                (tokenizer::Source::open(folder)?, folder.join("vocab.txt"))
            }
        };
        let config = Config::parse(json.as_bytes(), &path)?;
        let tokenizer = match twin.filter(|twin| twin.source == source) {
            Some(twin) => Arc::clone(&twin.tokenizer),
            None => Arc::new(source.tokenizer()?),
        };
        if tokenizer.len() != config.vocab_size {
            let what = format!(
                "{} tokens, where config.json says vocab_size {}",
                tokenizer.len(),
                config.vocab_size
            );
            let hint = "the vocabulary must be the one that came with the weights";
            return Err(Error::new(&vocab, what, hint));
        }
        Ok(Opened { checkpoint, config, json, source, tokenizer })
    }
}

/// The text of a half's config, and where it stands: in a panel file, or beside the weights.
fn config_of(checkpoint: &Checkpoint, which: &str) -> Result<(String, PathBuf), Error> {
    if checkpoint.panels().is_some() {
        let json = said(checkpoint, &format!("{which}.config"), which)?;
        return Ok((json.to_owned(), checkpoint.path().to_owned()));
    }
    let path = checkpoint.path().parent().unwrap_or(Path::new("")).join("config.json");
    let json = beside::read(&path, beside::JSON_LIMIT)
        .and_then(|json| String::from_utf8(json).map_err(io::Error::other));
    match json {
        Ok(json) => Ok((json, path)),
        Err(error) => {
            let hint = "a model folder holds config.json, vocab.txt and the weights";
            Err(Error::new(&path, format!("cannot read the config: {error}"), hint))
        }
    }
}

/// What the metadata of a panel file say under `key`.
fn said<'a>(checkpoint: &'a Checkpoint, key: &str, which: &str) -> Result<&'a str, Error> {
    let value = checkpoint.metadata().get(key).map(String::as_str);
    value.ok_or_else(|| {
        let hint = format!("give a file that holds a {which}, or convert it again");
        Error::new(checkpoint.path(), format!("its metadata have no {key}"), hint)
    })
}

/// Ids of one half mean nothing to the other unless the vocabularies are the same.
pub(crate) fn check_same_vocabulary(detector: &Opened, generator: &Opened) -> Result<(), Error> {
    let (a, b) = (&detector.tokenizer, &generator.tokenizer);
    if Arc::ptr_eq(a, b) {
        return Ok(());
    }
    let differs = (0..a.len().min(b.len()) as u32).find(|&id| a.token(id) != b.token(id));
    let what = match differs {
        Some(id) => format!("token {id} is {:?} and not {:?}", a.token(id), b.token(id)),
        None if a.len() != b.len() => format!("{} tokens and not {}", a.len(), b.len()),
        None => return Ok(()),
    };
    let theirs = generator.checkpoint.path().display();
    Err(Error::new(
        detector.checkpoint.path(),
        format!("its vocabulary is not that of {theirs}: {what}"),
        "give a detector and a generator that were trained with one vocab.txt",
    ))
}
