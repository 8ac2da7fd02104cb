//! All that can be said of a model without running it: its files, its names and shapes against its config, its
//! vocabulary. What is held against the config is what loading asks for ([`Survey`]).

use std::path::Path;
use std::sync::Arc;

use zhengzi_runtime::verify::{Check, Subject, Verdict, Watch, digest_of, unreadable};
use zhengzi_runtime::{Access, Checkpoint, CheckpointError, Survey};

use crate::Error;
use crate::electra::{Discriminator, Generator};
use crate::pair::{Half, ModelPaths, Opened, Pair, check_same_vocabulary};

/// What lies beside the weights, and must be right with them.
const BESIDE: [&str; 3] = ["config.json", "vocab.txt", "tokenizer_config.json"];

/// Looks at everything that `paths` name; `watch` hears how many bytes were read.
///
/// # Errors
/// When no model is found there. That one is found and wrong is no error but a verdict.
pub fn verify(paths: &ModelPaths, watch: Watch) -> Result<Vec<Check>, Error> {
    let halves = match Pair::named(paths).and_then(Pair::halves) {
        Ok(halves) => halves,
        // A file that is not there is a mistake of whoever named it.
        Err(Error::Checkpoint(error)) if error.path.is_file() => {
            return Ok(unreadable(error, watch));
        }
        Err(error) => return Err(error),
    };
    let mut checks = Vec::new();
    let mut files: Vec<Model> = Vec::new();
    for (which, half) in ["discriminator", "generator"].into_iter().zip(halves) {
        match half.map(|half| half.checkpoint(paths.access)).transpose() {
            Ok(None) => {}
            Ok(Some(checkpoint)) => {
                match files.iter_mut().find(|file| Arc::ptr_eq(&file.checkpoint, &checkpoint)) {
                    Some(file) => file.halves.push(which),
                    None => files.push(Model { checkpoint, halves: vec![which] }),
                }
            }
            Err(Error::Checkpoint(error)) => checks.extend(unreadable(error, watch)),
            Err(error) => return Err(error),
        }
    }
    let mut twin = None;
    for file in &files {
        checks.extend(file.checkpoint.verify(watch));
        checks.extend(file.beside(watch));
        checks.push(file.network());
        checks.push(file.vocabulary(&mut twin));
    }
    Ok(checks)
}

/// A file of weights, and which halves of a model it is.
struct Model {
    checkpoint: Arc<Checkpoint>,
    halves: Vec<&'static str>,
}

impl Model {
    fn check(&self, subject: Subject, verdict: Verdict) -> Check {
        Check { file: self.checkpoint.path().to_owned(), subject, verdict }
    }

    fn folder(&self) -> &Path {
        self.checkpoint.path().parent().unwrap_or(Path::new(""))
    }

    /// Digests of the other files, where somebody tells them.
    fn beside(&self, watch: Watch) -> Vec<Check> {
        if self.checkpoint.panels().is_some() {
            return Vec::new();
        }
        let index = self.checkpoint.files().all(|file| file != self.checkpoint.path());
        let index = index.then(|| self.checkpoint.path().to_owned());
        let others = BESIDE.iter().map(|name| self.folder().join(name));
        index.into_iter().chain(others).filter_map(|path| digest_of(&path, watch)).collect()
    }

    /// Whether the file beside the weights is not there at all.
    fn lacks(&self, name: &str) -> bool {
        self.checkpoint.panels().is_none() && !self.folder().join(name).exists()
    }

    /// Names and shapes of all halves.
    fn network(&self) -> Check {
        if self.lacks("config.json") {
            let why = "no config.json is beside it: put it there";
            return self.check(Subject::Network, Verdict::Unchecked(why.to_owned()));
        }
        let survey = Survey::new();
        let asked = self.halves.iter().try_for_each(|which| {
            let (checkpoint, config) =
                Half::Open(Arc::clone(&self.checkpoint)).network(which, Access::default())?;
            match *which {
                "generator" => Generator::survey(&checkpoint, &config, &survey),
                _ => Discriminator::survey(&checkpoint, &config, &survey),
            }
        });
        let (mut unread, mut count) = (Vec::new(), 0);
        for tensor in self.checkpoint.tensors() {
            count += 1;
            if !survey.reads(&tensor) {
                unread.push(tensor.stored_name());
            }
        }
        let mut faults = survey.faults();
        faults.extend(asked.err().map(fault));
        let read = count - unread.len();
        let verdict = Verdict::of(faults, || match unread.is_empty() {
            true => format!("{read} tensors, all as the config asks"),
            false => format!(
                "{read} tensors as the config asks, and some that nothing reads ({})",
                unread.join(", ")
            ),
        });
        self.check(Subject::Network, verdict)
    }

    /// The vocabulary, which all halves have in common. `twin` is the half before this file.
    fn vocabulary(&self, twin: &mut Option<Opened>) -> Check {
        if let Some(name) = ["config.json", "vocab.txt"].into_iter().find(|name| self.lacks(name)) {
            let why = format!("no {name} is beside it: put it there");
            return self.check(Subject::Vocabulary, Verdict::Unchecked(why));
        }
        let opened = self.halves.iter().try_fold(0, |_, which| {
            let half = Half::Open(Arc::clone(&self.checkpoint)).open(
                which,
                twin.as_ref(),
                Access::default(),
            )?;
            if let Some(twin) = twin {
                check_same_vocabulary(twin, &half)?;
            }
            let tokens = half.tokenizer.len();
            *twin = Some(half);
            Ok(tokens)
        });
        let verdict = match opened {
            Ok(tokens) => Verdict::Passed(format!("{tokens} tokens, as the config says")),
            Err(error) => Verdict::Failed(vec![fault(error)]),
        };
        self.check(Subject::Vocabulary, verdict)
    }
}

/// Any error about a model in the form that tells its parts.
fn fault(error: Error) -> CheckpointError {
    let (path, what, hint) = match error {
        Error::Checkpoint(error) => return error,
        Error::Tokenizer(error) => (error.file.into(), error.what, error.hint.to_owned()),
        Error::Model { path, what, hint } => (path, what, hint),
    };
    let error = CheckpointError::new(&path, what);
    if hint.is_empty() { error } else { error.hint(hint) }
}
