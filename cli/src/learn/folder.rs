//! The folder of a run.
//!
//! ```text
//! log.jsonl            what happened
//! state.safetensors    weights and moments: what --resume goes on from
//! generator/           config.json, vocab.txt, tokenizer_config.json, model.safetensors
//! discriminator/       the same
//! ```
//!
//! Each file is written beside its place and then renamed. The log is on the disk before the state that stands
//! for its lines, and the halves are, too: whatever ends the program, the state is whole and what it speaks of is there.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use zhengzi_model::config::Fill;
use zhengzi_model::training::{Origin, Owner, Run};
use zhengzi_runtime::{Checkpoint, TensorFile};

use super::log::{self, Log};
use crate::new_file;

const STATE: &str = "state.safetensors";

/// Threads, and how often a checkpoint is written, change no weight: they may differ when a run is taken up.
const FREE: [&str; 3] = ["every", "threads", "zhengzi"];

/// The folder of a run.
pub struct Folder {
    path: PathBuf,
    /// What the state was written with, where a run is taken up.
    pub notes: BTreeMap<String, String>,
}

impl Folder {
    /// The folder `path`, and the log with its head; where a run is taken up, `run` is where its
    /// state was written.
    pub fn open(
        path: &Path,
        resume: bool,
        head: &Map<String, Value>,
        run: &mut Run,
    ) -> Result<(Folder, Log), Box<dyn Error>> {
        let mut folder = Folder { path: path.to_owned(), notes: BTreeMap::new() };
        let log = path.join(log::NAME);
        if resume && log.exists() && path.join(STATE).exists() {
            let before = log::head(&log)?;
            for (key, now) in head.iter().filter(|(key, _)| !FREE.contains(&key.as_str())) {
                let then = before.get(key).unwrap_or(&Value::Null);
                if then != now {
                    let [then, now] = [then, now].map(short);
                    return Err(format!(
                        "{}: its run was begun with {key} {then}, and not {now}: \
                         say the same with --resume, or name a new folder",
                        path.display()
                    )
                    .into());
                }
            }
            folder.sweep();
            let state = Checkpoint::open(&path.join(STATE))?;
            run.resume(&state)?;
            folder.notes = state.metadata().clone().into_iter().collect();
            return Ok((folder, Log::take_up(&log, run.steps)?));
        }
        let has_anything = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
        if has_anything && !(resume && log.exists()) || path.is_file() {
            let hint = "name a new folder, or go on with --resume";
            return Err(format!("{}: is there already: {hint}", path.display()).into());
        }
        let failed = |error: io::Error| format!("{}: {error}", path.display());
        fs::create_dir_all(path).map_err(failed)?;
        Ok((folder, Log::begin(&log, head)?))
    }

    /// Removes what a kill left half-written.
    fn sweep(&self) {
        let folders =
            [self.path.clone(), self.path.join("generator"), self.path.join("discriminator")];
        let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(new_file::PREFIX) {
                _ = fs::remove_file(entry.path());
            }
        }
    }

    /// What lies beside the weights.
    pub fn write_texts(&self, origin: &Origin, fill: Option<Fill>) -> Result<(), String> {
        for (owner, name) in HALVES {
            let half = self.path.join(name);
            fs::create_dir_all(&half).map_err(|error| format!("{}: {error}", half.display()))?;
            for (name, text) in origin.texts(owner, fill) {
                self.write(&half.join(name), |out| out.write_all(text.as_bytes()))?;
            }
        }
        Ok(())
    }

    fn write(
        &self,
        path: &Path,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), String> {
        new_file::write(path, |out| content(out))
            .map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Both halves, and then the state.
    pub fn checkpoint(&self, run: &Run, notes: BTreeMap<String, String>) -> Result<(), String> {
        let write =
            |path: &Path, file: TensorFile| self.write(path, |mut out| file.write(&mut out));
        for (owner, name) in HALVES {
            write(&self.path.join(name).join("model.safetensors"), run.pair.half(owner))?;
        }
        write(&self.path.join(STATE), run.state(notes))
    }
}

const HALVES: [(Owner, &str); 2] =
    [(Owner::Generator, "generator"), (Owner::Discriminator, "discriminator")];

/// A value as a message has it.
fn short(value: &Value) -> String {
    match value.to_string() {
        long if long.chars().count() > 60 => "another".to_owned(),
        short => short,
    }
}
