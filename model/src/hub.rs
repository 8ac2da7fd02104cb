//! Models by their Hugging Face names, as the hub cache of this machine holds them. Only files
//! are looked at: what is not there is told with the command that downloads it.
//!
//! Layout and resolution follow "Hub Local Cache" (hub-docs, `docs/hub/local-cache.md`), which
//! was written for other programs to read the cache:
//!
//! ```text
//! models--org--name/refs/main                   holds the commit that `main` is
//! models--org--name/snapshots/<commit>/<file>   a link to ../../blobs/<hash>; a copy on Windows
//! models--org--name/.no_exist/<commit>/<file>   the repository is known to have no such file
//! ```
//!
//! A name is `org/name`, or `name` alone for the old models without an owner, and may end
//! in `@revision` (a branch, tag or commit) as in the `hf://` addresses of `huggingface_hub`.

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use zhengzi_runtime::error::edit_distance;

use crate::Error;
use crate::pair::WEIGHTS;

/// `path` itself where it exists or cannot be a name of the hub; otherwise the folder with
/// weights that the cache holds under that name.
///
/// # Errors
/// When the cache holds none of that name, or holds it without weights.
pub fn locate(path: &Path) -> Result<PathBuf, Error> {
    locate_with(path, &[])
}

/// The same, where the folder must hold these files too.
pub(crate) fn locate_with(path: &Path, files: &[&str]) -> Result<PathBuf, Error> {
    match Repo::named_by(path) {
        Some(repo) => repo.folder(files),
        None => Ok(path.to_owned()),
    }
}

/// A model repository of the hub in one of its states.
#[derive(Clone, PartialEq)]
pub(crate) struct Repo {
    id: String,
    revision: String,
}

const MAIN: &str = "main";

/// The halves of an ELECTRA are two repositories, told apart by how their names end.
const HALVES: [&str; 2] = ["discriminator", "generator"];

impl Repo {
    /// What `path` names on the hub. A path that exists is only a path.
    pub(crate) fn named_by(path: &Path) -> Option<Repo> {
        let missing = path.try_exists().is_ok_and(|exists| !exists);
        Repo::parse(path.to_str()?).filter(|_| missing)
    }

    /// Takes what `validate_repo_id` of `huggingface_hub` takes, except for names of weights
    /// files; so neither name nor revision can lead out of the cache.
    fn parse(value: &str) -> Option<Repo> {
        const FILES: [&str; 12] = [
            "bin",
            "ckpt",
            "gguf",
            "gz",
            "h5",
            "json",
            "msgpack",
            "onnx",
            "pt",
            "pth",
            "safetensors",
            "zip",
        ];
        let (id, revision) = value.split_once('@').unwrap_or((value, MAIN));
        let word = |part: &str| {
            (1..=96).contains(&part.len())
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
                && !part.starts_with(['-', '.'])
                && !part.ends_with(['-', '.'])
        };
        let sound = id.split('/').all(word)
            && id.split('/').count() <= 2
            && !["--", ".."].iter().any(|twice| id.contains(twice))
            && !id.ends_with(".git");
        let extension = Path::new(id).extension().and_then(|extension| extension.to_str());
        let is_file = extension.is_some_and(|extension| FILES.contains(&extension));
        // As in git, no part begins with a dot.
        let plain = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.chars().all(|c| c.is_alphanumeric() || "-_.+".contains(c))
        };
        (sound && !is_file && revision.split('/').all(plain))
            .then(|| Repo { id: id.to_owned(), revision: revision.to_owned() })
    }

    /// The repository of the half `word` that belongs to this one.
    pub(crate) fn half(&self, word: &str) -> Repo {
        Repo { id: format!("{}-{word}", family(&self.id)), ..self.clone() }
    }

    /// Whether one model is meant: this one is in the cache, or its name says which half it is.
    pub(crate) fn is_single(&self) -> bool {
        self.is_cached() || family(&self.id) != self.id
    }

    pub(crate) fn is_cached(&self) -> bool {
        self.snapshot().is_some()
    }

    /// Its folder, which holds weights and these files.
    pub(crate) fn folder(&self, files: &[&str]) -> Result<PathBuf, Error> {
        self.snapshot().ok_or_else(|| self.not_cached(&[self]))?.complete(self, files)
    }

    /// The folders of discriminator and generator.
    pub(crate) fn halves(&self, files: &[&str]) -> [Result<PathBuf, Error>; 2] {
        let halves = HALVES.map(|word| self.half(word));
        let mut lacking: Vec<&Repo> = halves.iter().filter(|half| !half.is_cached()).collect();
        if lacking.len() == HALVES.len() && !self.has_owner() {
            lacking = vec![self]; // rather a mistyped path than a pair
        }
        halves.each_ref().map(|half| match half.snapshot() {
            Some(snapshot) => snapshot.complete(half, files),
            None => Err(self.not_cached(&lacking)),
        })
    }

    /// Step 1 of the specification, and the folder for step 2.
    fn snapshot(&self) -> Option<Snapshot> {
        let is_commit =
            |text: &str| text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
        caches().iter().find_map(|cache| {
            let repository = cache.join(format!("models--{}", self.id.replace('/', "--")));
            let commit = match is_commit(&self.revision) {
                true => self.revision.clone(),
                false => fs::read_to_string(repository.join("refs").join(&self.revision)).ok()?,
            };
            let snapshot = Snapshot { commit: commit.trim().to_owned(), repository };
            (is_commit(&snapshot.commit) && snapshot.folder().is_dir()).then_some(snapshot)
        })
    }

    /// Step 4, the miss: where `wanted` were looked for, what gets them, what may be meant.
    fn not_cached(&self, wanted: &[&Repo]) -> Error {
        let listed = |one: &dyn Fn(&Repo) -> String| {
            wanted.iter().map(|repo| one(repo)).collect::<Vec<_>>().join(" and ")
        };
        let commands = listed(&Repo::command);
        let looked_for = match wanted {
            [repo] if *repo == self => "is it".to_owned(),
            [_] => format!("is {}", listed(&Repo::to_string)),
            _ => format!("are {}", listed(&Repo::to_string)),
        };
        let mut hint = match wanted {
            _ if !self.has_owner() => {
                format!("check the path, or run {commands} if the hub has it")
            }
            [_, _] => format!("run {commands}, or {} if it is one model", self.command()),
            _ => format!("run {commands}"),
        };
        let similar = self.similar(wanted != [self]);
        if !similar.is_empty() {
            hint += &format!("; similar names there: {}", similar.join(", "));
        }
        let places: Vec<String> = caches().iter().map(|path| path.display().to_string()).collect();
        let places = places.join(" or ");
        let what =
            format!("no such file or folder, nor {looked_for} in the Hugging Face cache {places}");
        Error::new(Path::new(&self.to_string()), what, hint)
    }

    /// Up to three names in the caches that are spelled most like this one, nearest first. Where
    /// a pair is wanted they are names of pairs; of this very name they are the other commits.
    fn similar(&self, pair: bool) -> Vec<String> {
        let mut near: Vec<(usize, String)> = Vec::new();
        let folders = caches().into_iter().flat_map(fs::read_dir).flatten().flatten();
        for folder in folders.map(|entry| entry.path()) {
            let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or("");
            let id = name.strip_prefix("models--").unwrap_or("").replacen("--", "/", 1);
            let Ok(snapshots) = fs::read_dir(folder.join("snapshots")) else { continue };
            if Repo::parse(&id).is_none() {
                continue; // A name of another origin could hold anything.
            }
            if id == self.id {
                let commits = snapshots.flatten().map(|commit| commit.file_name());
                let names = commits.map(|commit| format!("{id}@{}", commit.display()));
                near.extend(names.filter(|name| Repo::parse(name).is_some()).map(|name| (0, name)));
                continue;
            }
            let id = if pair { family(&id) } else { &id };
            let spelled = match id.split_once('/') {
                Some((_, name)) if !self.has_owner() => name,
                _ => id,
            };
            let distance = match spelled.contains(&self.id) {
                true => 0,
                false => edit_distance(&self.id.to_lowercase(), &spelled.to_lowercase()),
            };
            if id != self.id && distance <= 1 + self.id.len() / 3 {
                near.push((distance, id.to_owned()));
            }
        }
        near.sort();
        near.dedup();
        near.into_iter().take(3).map(|(_, name)| name).collect()
    }

    fn has_owner(&self) -> bool {
        self.id.contains('/')
    }

    fn command(&self) -> String {
        match &self.revision[..] {
            MAIN => format!("`hf download {}`", self.id),
            revision => format!("`hf download {} --revision {revision}`", self.id),
        }
    }
}

/// One commit of a repository, as far as it was downloaded.
struct Snapshot {
    repository: PathBuf,
    commit: String,
}

impl Snapshot {
    fn folder(&self) -> PathBuf {
        self.repository.join("snapshots").join(&self.commit)
    }

    /// Step 2. A link to a blob that was deleted is no file.
    fn lacks(&self, name: &str) -> bool {
        !self.folder().join(name).is_file()
    }

    /// Step 3.
    fn never_had(&self, name: &str) -> bool {
        self.repository.join(".no_exist").join(&self.commit).join(name).is_file()
    }

    /// The folder, if weights and all `files` are in it.
    fn complete(&self, repo: &Repo, files: &[&str]) -> Result<PathBuf, Error> {
        const FOREIGN: [&str; 4] =
            ["tf_model.h5", "flax_model.msgpack", "model.onnx", "onnx/model.onnx"];
        const USUAL: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];
        let (missing, never, remedy) = if WEIGHTS.iter().all(|name| self.lacks(name)) {
            let other = FOREIGN.into_iter().find(|name| !self.lacks(name));
            let only = other.map(|name| format!(" (only {name}, which is not PyTorch)"));
            (
                USUAL.join(" or ") + &only.unwrap_or_default(),
                USUAL.iter().all(|name| self.never_had(name)),
                "convert it to PyTorch with transformers, or take another model",
            )
        } else if let Some(name) = files.iter().find(|name| self.lacks(name)) {
            let remedy = "take another model, or a folder with that file beside the weights";
            (name.to_string(), self.never_had(name), remedy)
        } else {
            return Ok(self.folder());
        };
        Err(match never {
            true => Error::new(&self.folder(), format!("{repo} has no {missing}"), remedy),
            false => {
                let what = format!("{missing} of {repo} was not downloaded");
                Error::new(&self.folder(), what, format!("run {}", repo.command()))
            }
        })
    }
}

impl fmt::Display for Repo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.revision[..] {
            MAIN => write!(f, "{}", self.id),
            revision => write!(f, "{}@{revision}", self.id),
        }
    }
}

/// The name that both halves of a pair share.
fn family(id: &str) -> &str {
    let base = |word| id.strip_suffix(word)?.strip_suffix('-');
    HALVES.into_iter().find_map(base).unwrap_or(id)
}

/// Where repositories are looked for: the cache of `huggingface_hub` (constants.py has this
/// order), then the folder of transformers before 5, which it may still have to itself.
fn caches() -> Vec<PathBuf> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || env::home_dir().unwrap_or_default();
    let hub = variable("HF_HUB_CACHE").or_else(|| variable("HUGGINGFACE_HUB_CACHE"));
    let hub = hub.unwrap_or_else(|| {
        let above = variable("HF_HOME").unwrap_or_else(|| {
            variable("XDG_CACHE_HOME").unwrap_or_else(|| home().join(".cache")).join("huggingface")
        });
        above.join("hub")
    });
    let mut caches = vec![hub];
    caches.extend(variable("TRANSFORMERS_CACHE").filter(|path| *path != caches[0]));
    // A shell leaves the ~ of NAME="~/x" as it is; the Python library expands it.
    let expand = |path: PathBuf| match path.strip_prefix("~") {
        Ok(rest) => home().join(rest),
        Err(_) => path,
    };
    caches.into_iter().map(expand).collect()
}
