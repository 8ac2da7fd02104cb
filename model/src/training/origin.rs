//! Where a pair to be trained comes from: the shapes of its halves, its vocabulary, and weights if there are any.
//!
//! ```text
//! config.json                                    the discriminator's; the generator is so much smaller
//! DIR with generator/ and discriminator/         a config.json in each, and no weights: both shapes
//! the same with weights in both, or a hub name   a pair to be trained further
//! ```
//!
//! The smaller generator is that of google-research/electra, `run_pretraining.py`, `get_generator_config`: as many layers,
//! hidden width h · size, a head for each 64 of it, and a feed-forward layer of four times the width.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use zhengzi_runtime::Checkpoint;

use super::{Embeddings, Owner, Pair, Start};
use crate::config::{Config, Fill};
use crate::pair::{Opened, Pair as Halves, WEIGHTS};
use crate::tokenizer::{Source, Tokenizer};
use crate::{Error, ModelPaths, beside};

/// Where a pair comes from.
pub struct Origin {
    /// The generator's shape.
    pub generator: Half,
    /// The discriminator's.
    pub discriminator: Half,
    source: Source,
    tokenizer: Tokenizer,
    weights: Option<[Opened; 2]>,
}

/// The shape of a half.
#[derive(Clone, Debug, PartialEq)]
pub struct Half {
    /// What it says to us.
    pub config: Config,
    /// All that its `config.json` holds.
    json: Map<String, Value>,
}

const WHAT: &str = "give the config.json of a discriminator, a folder with generator/config.json and \
                    discriminator/config.json, or a trained pair";

impl Origin {
    /// Looks at `path`. A vocabulary that is not named lies beside the config; `size` is the generator's share of
    /// the discriminator's width where only that is given.
    ///
    /// # Errors
    /// Where nothing of the above is there, a config is none, the vocabulary is none or has another size, or the file
    /// is one of `convert`.
    pub fn find(
        path: &Path,
        vocabulary: Option<&Path>,
        size: Option<f64>,
    ) -> Result<Origin, Error> {
        let halves = ["generator", "discriminator"].map(|half| path.join(half));
        let trained = |folder: &PathBuf| WEIGHTS.iter().any(|name| folder.join(name).exists());
        if path.is_file() {
            return Origin::derived(path, vocabulary, size.unwrap_or(0.25));
        }
        let origin = if path.is_dir() && !halves.iter().any(trained) {
            let is_shape = |folder: &PathBuf| folder.join("config.json").is_file();
            if halves.iter().all(is_shape) {
                Origin::shapes(path, &halves, vocabulary)
            } else if is_shape(&path.to_owned()) && !trained(&path.to_owned()) {
                return Origin::derived(
                    &path.join("config.json"),
                    vocabulary,
                    size.unwrap_or(0.25),
                );
            } else {
                Origin::trained(path, vocabulary)
            }
        } else {
            Origin::trained(path, vocabulary)
        }?;
        match size {
            None => Ok(origin),
            Some(_) => {
                let hint = "leave --generator-size out, or give the discriminator's config.json";
                Err(Error::new(path, "tells the generator's shape itself", hint))
            }
        }
    }

    /// From a discriminator's config.
    fn derived(path: &Path, vocabulary: Option<&Path>, size: f64) -> Result<Origin, Error> {
        if let Ok(checkpoint) = Checkpoint::open(path) {
            return Err(match checkpoint.panels() {
                Some(_) => panels(path),
                None => Error::new(path, "is a file of weights", WHAT),
            });
        }
        let discriminator = Half::read(path)?;
        let mut json = discriminator.json.clone();
        let hidden = (discriminator.config.hidden_size as f64 * size).round() as u64;
        json.insert("hidden_size".into(), hidden.into());
        json.insert("intermediate_size".into(), (4 * hidden).into());
        json.insert("num_attention_heads".into(), (hidden / 64).max(1).into());
        let generator = Half::of(json, path)?;
        let beside = path.parent().unwrap_or(Path::new(""));
        let source = source(vocabulary, &[beside.to_owned()])?;
        Origin::whole([generator, discriminator], source, None)
    }

    /// From the configs of both.
    fn shapes(
        path: &Path,
        halves: &[PathBuf; 2],
        vocabulary: Option<&Path>,
    ) -> Result<Origin, Error> {
        let [generator, discriminator] = halves;
        let places = [path.to_owned(), discriminator.clone(), generator.clone()];
        let source = source(vocabulary, &places)?;
        let [generator, discriminator] =
            [generator, discriminator].map(|half| Half::read(&half.join("config.json")));
        Origin::whole([generator?, discriminator?], source, None)
    }

    /// From a pair with weights.
    fn trained(path: &Path, vocabulary: Option<&Path>) -> Result<Origin, Error> {
        let paths = ModelPaths { model: Some(path.to_owned()), ..ModelPaths::default() };
        let [Some(discriminator), Some(generator)] = Halves::resolve(&paths)?.open()? else {
            return Err(Error::new(path, "is only one half of a pair", WHAT));
        };
        for half in [&generator, &discriminator] {
            if half.checkpoint.panels().is_some() {
                return Err(panels(half.checkpoint.path()));
            }
        }
        let source = discriminator.source.clone();
        if let Some(named) = vocabulary
            && self::source(Some(named), &[])? != source
        {
            let what = "is not the vocabulary that the pair was trained with";
            return Err(Error::new(named, what, "leave --vocab out"));
        }
        let half = |opened: &Opened| {
            let path = opened.checkpoint.path().with_file_name("config.json");
            Half::of(object(opened.json.as_bytes(), &path)?, &path)
        };
        let halves = [half(&generator)?, half(&discriminator)?];
        Origin::whole(halves, source, Some([generator, discriminator]))
    }

    fn whole(
        [generator, discriminator]: [Half; 2],
        source: Source,
        weights: Option<[Opened; 2]>,
    ) -> Result<Origin, Error> {
        let tokenizer = source.tokenizer()?;
        let (has, wants) = (tokenizer.len(), discriminator.config.vocab_size);
        if has != wants {
            let what = format!("{has} tokens, where config.json says vocab_size {wants}");
            let hint = format!("set vocab_size to {has}, or give the other vocabulary");
            return Err(Error::new(Path::new(source.file()), what, hint));
        }
        if has > usize::from(u16::MAX) + 1 {
            let what = format!("{has} tokens, where 65,536 can be trained");
            return Err(Error::new(Path::new(source.file()), what, "make one with zhengzi vocab"));
        }
        Ok(Origin { generator, discriminator, source, tokenizer, weights })
    }

    /// Cuts text into the pair's tokens.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// A number that is another one for another vocabulary: FNV-1a.
    pub fn fingerprint(&self) -> String {
        let bytes = self.source.vocabulary().iter().map(|&byte| u64::from(byte));
        let hash = bytes
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, x| (hash ^ x).wrapping_mul(0x100_0000_01b3));
        format!("{hash:016x}")
    }

    /// Whether there are weights to go on from.
    pub fn is_trained(&self) -> bool {
        self.weights.is_some()
    }

    /// The pair as it begins: with its weights, or fresh ones.
    pub fn pair(&self, embeddings: Embeddings, start: Start, seed: u64) -> Result<Pair, Error> {
        let [generator, discriminator] = [&self.generator.config, &self.discriminator.config];
        let Some([g, d]) = &self.weights else {
            return Pair::started(generator, discriminator, embeddings, start, seed);
        };
        let halves = [(&*g.checkpoint, generator), (&*d.checkpoint, discriminator)];
        let pair = Pair::load(halves[0], halves[1], embeddings)?;
        for tensor in pair.layout().tensors().iter().filter(|tensor| tensor.owner == Owner::Both) {
            let theirs = g.checkpoint.tensor(&tensor.name)?.to_f32()?;
            if theirs[..] != pair.weights.values()[tensor.place.clone()] {
                let what = "its embeddings are not those of the discriminator";
                return Err(Error::new(g.checkpoint.path(), what, "train them --apart"));
            }
        }
        Ok(pair)
    }

    /// What lies beside a half's weights: names and texts.
    pub fn texts(&self, owner: Owner, fill: Option<Fill>) -> Vec<(&'static str, String)> {
        let (half, class) = match owner {
            Owner::Generator => (&self.generator, "ElectraForMaskedLM"),
            _ => (&self.discriminator, "ElectraForPreTraining"),
        };
        let mut json = half.json.clone();
        json.insert("model_type".into(), "electra".into());
        json.insert("architectures".into(), vec![class].into());
        match fill.filter(|_| owner == Owner::Generator) {
            Some(Fill::Seen) => _ = json.insert("zhengzi_fill".into(), "seen".into()),
            Some(Fill::Mask) => _ = json.remove("zhengzi_fill"),
            None => {}
        }
        let json = serde_json::to_string_pretty(&json).expect("a map of JSON");
        let vocabulary = String::from_utf8_lossy(self.source.vocabulary()).into_owned();
        vec![
            ("config.json", json + "\n"),
            ("vocab.txt", vocabulary),
            ("tokenizer_config.json", self.source.rules() + "\n"),
        ]
    }
}

impl Half {
    /// All that its `config.json` holds.
    pub fn json(&self) -> &Map<String, Value> {
        &self.json
    }

    fn read(path: &Path) -> Result<Half, Error> {
        let failed = |error| Error::new(path, format!("cannot read the config: {error}"), WHAT);
        let bytes = beside::read(path, beside::JSON_LIMIT).map_err(failed)?;
        Half::of(object(&bytes, path)?, path)
    }

    fn of(json: Map<String, Value>, path: &Path) -> Result<Half, Error> {
        let text = serde_json::to_vec(&json).expect("a map of JSON");
        Ok(Half { config: Config::parse(&text, path)?, json })
    }
}

fn object(json: &[u8], path: &Path) -> Result<Map<String, Value>, Error> {
    let json = json.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(json);
    serde_json::from_slice(json)
        .map_err(|error| Error::new(path, format!("not a model config: {error}"), WHAT))
}

fn panels(path: &Path) -> Error {
    let hint = "train from the files that it was converted from";
    Error::new(path, "is a panel file, whose weights are rounded and packed", hint)
}

/// The vocabulary that was named, or the first that lies in one of the folders.
fn source(named: Option<&Path>, folders: &[PathBuf]) -> Result<Source, Error> {
    let Some(path) = named else {
        let has = |folder: &&PathBuf| folder.join("vocab.txt").exists();
        return match folders.iter().find(has) {
            Some(folder) => Ok(Source::open(folder)?),
            None => {
                let hint = "name one with --vocab: zhengzi vocab makes one";
                let folder = folders.first().map_or(Path::new(""), |folder| folder);
                Err(Error::new(&folder.join("vocab.txt"), "there is no vocabulary", hint))
            }
        };
    };
    let failed = |error: std::io::Error| {
        Error::new(path, format!("cannot read: {error}"), "name a vocab.txt")
    };
    let text = beside::read(path, 4 << 20)
        .and_then(|bytes| String::from_utf8(bytes).map_err(|_| std::io::Error::other("not UTF-8")));
    let rules = path.with_file_name("tokenizer_config.json");
    let rules = fs::read_to_string(rules).unwrap_or_else(|_| "{}".to_owned());
    Ok(Source::new(&text.map_err(failed)?, &rules, &path.display().to_string())?)
}
