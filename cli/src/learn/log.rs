//! The log of a run: `log.jsonl`, an object a line.
//!
//! The first says what the run was begun with; then one for each step, and one for each look at held-out lines. Numbers
//! are written so that they are read again to the same bits: two runs are alike where their logs are, but for `seconds`.
//! A run that is taken up cuts off what was logged behind its last checkpoint.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use zhengzi_model::training::Figures;

/// Its name in the folder of a run.
pub const NAME: &str = "log.jsonl";

/// A log that is written.
pub struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    /// A new one, with its first line.
    pub fn begin(path: &Path, head: &Map<String, Value>) -> Result<Log, String> {
        let file = File::create(path).map_err(|error| failed(path, &error))?;
        let mut log = Log { path: path.to_owned(), file };
        log.line(&Value::Object(head.clone()))?;
        Ok(log)
    }

    /// The one that is there, up to so many steps.
    pub fn take_up(path: &Path, steps: u64) -> Result<Log, String> {
        let failed = |error| failed(path, &error);
        let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
        let (mut reader, mut line, mut end) = (BufReader::new(&file), Vec::new(), 0);
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line).map_err(failed)?;
            let value: Option<Value> = serde_json::from_slice(&line).ok();
            let is_whole = line.last() == Some(&b'\n') && value.is_some();
            if read == 0 || !is_whole || value.is_some_and(|value| step_of(&value) > steps) {
                break;
            }
            end += read as u64;
        }
        file.set_len(end).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        Ok(Log { path: path.to_owned(), file })
    }

    /// A line more, which no end of the program undoes.
    pub fn line(&mut self, value: &Value) -> Result<(), String> {
        let line = format!("{value}\n");
        self.file.write_all(line.as_bytes()).map_err(|error| failed(&self.path, &error))
    }

    /// On the disk.
    pub fn sync(&mut self) -> Result<(), String> {
        self.file.sync_data().map_err(|error| failed(&self.path, &error))
    }
}

/// The first line of a log.
pub fn head(path: &Path) -> Result<Map<String, Value>, String> {
    let mut line = String::new();
    let file = File::open(path).map_err(|error| failed(path, &error))?;
    BufReader::new(file).read_line(&mut line).map_err(|error| failed(path, &error))?;
    serde_json::from_str(&line)
        .map_err(|_| format!("{}: does not begin with the settings of a run", path.display()))
}

/// The step of a line; 0 of the first.
fn step_of(value: &Value) -> u64 {
    ["step", "validated"].iter().find_map(|key| value[*key].as_u64()).unwrap_or(0)
}

/// What figures say, under their names.
pub fn figures(figures: &Figures) -> Map<String, Value> {
    let mut map = Map::new();
    if let Some((loss, accuracy)) = figures.generator() {
        map.insert("generator_loss".into(), json!(loss));
        map.insert("accuracy".into(), json!(accuracy));
    }
    if let Some(said) = figures.discriminator() {
        map.insert("discriminator_loss".into(), json!(said.loss));
        for (key, share) in [("precision", said.precision), ("recall", said.recall)] {
            if let Some(share) = share {
                map.insert(key.into(), json!(share));
            }
        }
        map.insert("auc".into(), json!(said.auc));
    }
    map
}

fn failed(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_logged_behind_the_checkpoint_is_cut_off_and_so_is_a_torn_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let head_line = json!({"zhengzi": "0"});
        let mut log = Log::begin(&path, head_line.as_object().unwrap()).unwrap();
        for step in 1..=4 {
            log.line(&json!({"step": step})).unwrap();
            log.line(&json!({"validated": step})).unwrap();
        }
        drop(log);
        let whole = std::fs::read_to_string(&path).unwrap();
        let taken_up = |text: &str, steps: u64| {
            std::fs::write(&path, text).unwrap();
            let mut log = Log::take_up(&path, steps).unwrap();
            log.line(&json!({"step": 9})).unwrap();
            std::fs::read_to_string(&path).unwrap()
        };
        let want = "{\"zhengzi\":\"0\"}\n{\"step\":1}\n{\"validated\":1}\n{\"step\":2}\n{\"validated\":2}\n{\"step\":9}\n";
        assert_eq!(taken_up(&whole, 2), want);
        let torn = format!("{}{{\"ste", &want[..want.len() - "{\"step\":9}\n".len()]);
        assert_eq!(taken_up(&torn, 2), want);
        assert_eq!(head(&path).unwrap(), *head_line.as_object().unwrap());
    }
}
