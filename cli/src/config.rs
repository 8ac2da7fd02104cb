//! `zhengzi.toml`: settings of a project, found in the current folder or the nearest above.
//!
//! Its keys are the long names of options, and they are read as if they had been typed before
//! everything else: one parser, one set of messages, and the command line wins. What may be
//! set is listed in [`SETTINGS`]; what a single run is about (files, formats) may not.

use std::env;
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{ArgMatches, Command, CommandFactory};
use toml::{Table, Value};

use crate::args::{Args, ConfigArgs};

/// The name under which it is looked for.
const NAME: &str = "zhengzi.toml";

/// What it may set, by kind.
const SETTINGS: [(&str, Kind); 19] = [
    ("model", Kind::Model),
    ("detector", Kind::Model),
    ("generator", Kind::Model),
    ("no-mmap", Kind::Switch),
    ("policy", Kind::Text),
    ("mode", Kind::Text),
    ("calibration", Kind::Files),
    ("threshold", Kind::Number),
    ("margin", Kind::Number),
    ("top-k", Kind::Number),
    ("rounds", Kind::Number),
    ("script", Kind::Text),
    ("protect", Kind::Files),
    ("confusion", Kind::Files),
    ("markdown", Kind::Switch),
    ("threads", Kind::Number),
    ("max-memory", Kind::Text),
    ("isa", Kind::Text),
    ("precision", Kind::Text),
];

/// What of it concerns `fill`, whose other options mean something else.
const OF_FILL: [&str; 8] =
    ["model", "detector", "generator", "no-mmap", "threads", "max-memory", "isa", "precision"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Switch,
    /// A path from the folder of the file, or a name that is no path.
    Model,
    /// One path, or several, from the folder of the file.
    Files,
}

/// The settings of a file, as arguments.
pub struct Config {
    path: PathBuf,
    /// By key, in the order of the file.
    arguments: Vec<(&'static str, Vec<OsString>)>,
}

impl Config {
    /// The file that applies: the one that was named, or the nearest.
    pub fn find(asked: &ConfigArgs) -> Result<Option<Config>, Box<dyn Error>> {
        if let Some(path) = &asked.config {
            return Config::read(path.clone()).map(Some);
        }
        let here = env::current_dir().unwrap_or_default();
        let nearest = here.ancestors().map(|folder| folder.join(NAME)).find(|path| path.is_file());
        match nearest {
            Some(path) if !asked.no_config => Config::read(path).map(Some),
            _ => Ok(None),
        }
    }

    fn read(path: PathBuf) -> Result<Config, Box<dyn Error>> {
        let shown = path.display();
        let text = fs::read_to_string(&path).map_err(|error| format!("{shown}: {error}"))?;
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let before = &text[..error.span().map_or(0, |span| span.start.min(text.len()))];
            let line = before.matches('\n').count() + 1;
            format!("{shown}:{line}: {}", error.message().replace('\n', " "))
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut arguments = Vec::new();
        for (key, value) in &table {
            let Some(&(key, kind)) = SETTINGS.iter().find(|(known, _)| known == key) else {
                let known = SETTINGS.map(|(key, _)| key).join(", ");
                return Err(format!("{shown}: {key} is no setting: there are {known}").into());
            };
            let typed = typed(key, kind, value, folder)
                .ok_or_else(|| format!("{shown}: {key} must be {}", kind.wanted()))?;
            check(&typed).map_err(|error| format!("{shown}: {error}"))?;
            arguments.push((key, typed));
        }
        Ok(Config { path, arguments })
    }

    /// For messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was typed, with what the file says typed before it. A variable of the
    /// environment stands between the two.
    pub fn before(&self, typed: &[OsString]) -> Vec<OsString> {
        // typed[1] is the command: what comes before it, a --help, ends the program earlier.
        let command = typed.get(1).cloned().unwrap_or_default();
        let applies = |key: &str| {
            let overruled = key == "threads" && env::var_os("ZHENGZI_THREADS").is_some();
            concerns(&command, key) && !overruled
        };
        let settings = self.arguments.iter().filter(|(key, _)| applies(key));
        let settings = settings.flat_map(|(_, arguments)| arguments.iter().cloned());
        let (start, rest) = typed.split_at(2.min(typed.len()));
        start.iter().cloned().chain(settings).chain(rest.iter().cloned()).collect()
    }
}

/// Whether a setting means anything to a command.
fn concerns(command: &OsStr, key: &str) -> bool {
    match command.to_str() {
        Some("fill") => OF_FILL.contains(&key),
        Some("evaluate" | "explain") => key != "markdown",
        _ => true,
    }
}

impl Kind {
    fn wanted(self) -> &'static str {
        match self {
            Kind::Text | Kind::Model => "a string",
            Kind::Number => "a number",
            Kind::Switch => "true or false",
            Kind::Files => "a string or a list of strings",
        }
    }
}

/// `key = value` as it would be typed; `None` where the value is of another kind.
fn typed(key: &str, kind: Kind, value: &Value, folder: &Path) -> Option<Vec<OsString>> {
    let option = |value: &dyn AsRef<OsStr>| {
        let mut typed = OsString::from(format!("--{key}="));
        typed.push(value);
        vec![typed]
    };
    Some(match (kind, value) {
        (Kind::Text, Value::String(text)) => option(text),
        (Kind::Number, Value::Integer(number)) => option(&number.to_string()),
        (Kind::Number, Value::Float(number)) => option(&number.to_string()),
        (Kind::Switch, Value::Boolean(true)) => vec![format!("--{key}").into()],
        (Kind::Switch, Value::Boolean(false)) => Vec::new(),
        (Kind::Model, Value::String(name)) => match folder.join(name) {
            path if path.exists() => option(&path),
            _ => option(name),
        },
        (Kind::Files, Value::String(name)) => option(&folder.join(name)),
        (Kind::Files, Value::Array(names)) => {
            let each = names.iter().map(|name| Some(option(&folder.join(name.as_str()?))));
            each.collect::<Option<Vec<_>>>()?.concat()
        }
        _ => return None,
    })
}

/// Whether an argument would be taken, and if not, why: the first line of what would be said.
fn check(typed: &[OsString]) -> Result<(), String> {
    let start = ["zhengzi", "correct"].map(OsString::from);
    let parsed = Args::command().try_get_matches_from(start.iter().chain(typed));
    parsed.map(drop).map_err(|error| {
        let message = error.to_string();
        let line = message.lines().next().unwrap_or_default();
        line.trim_start_matches("error: ").to_owned()
    })
}

/// `--dump-config`: the settings that apply to `command`, as a file that would set them.
pub fn dump(matches: &ArgMatches, command: &Command, config: Option<&Config>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match config {
        Some(config) => writeln!(out, "# {} and the command line", config.path.display())?,
        None => writeln!(out, "# no {NAME}; the command line")?,
    }
    for (key, kind) in SETTINGS {
        let mut options = command.get_arguments();
        let option = options.find(|option| option.get_long() == Some(key));
        let Some(arg) = option.filter(|_| concerns(OsStr::new(command.get_name()), key)) else {
            continue;
        };
        let values: Vec<String> = match matches.get_raw(arg.get_id().as_str()) {
            Some(raw) => raw.map(|value| value.to_string_lossy().into_owned()).collect(),
            None => Vec::new(),
        };
        let value = match (kind, values.as_slice()) {
            (_, []) => None,
            (Kind::Number | Kind::Switch, [.., last]) => Some(last.clone()),
            (Kind::Text | Kind::Model, [.., last]) => Some(Value::from(last.as_str()).to_string()),
            (Kind::Files, all) => Some(Value::from(all.to_vec()).to_string()),
        };
        match value {
            Some(value) => writeln!(out, "{key} = {value}")?,
            None => writeln!(out, "# {key}: {}", arg.get_help().cloned().unwrap_or_default())?,
        }
    }
    Ok(())
}
