//! `verify`: what is right, what is wrong and what cannot be told of model files, a line each.

use std::error::Error;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::process::ExitCode;

use serde::Serialize;
use zhengzi_runtime::CheckpointError;
use zhengzi_runtime::verify::{Check, Verdict};

use crate::args::{Answer, VerifyArgs, able_terminal};
use crate::locale::translate;
use crate::message::{printable, say};
use crate::progress::Progress;
use crate::report::{JSON_VERSION, write_json};

/// Runs the command.
pub fn run(args: &VerifyArgs) -> Result<ExitCode, Box<dyn Error>> {
    let shown = io::stderr().is_terminal() && able_terminal();
    let mut out = BufWriter::new(io::stdout().lock());
    let mut sound = true;
    for (name, paths) in args.models() {
        let mut progress = Progress::new(None, shown);
        let checks = zhengzi_model::verify(&paths, &mut |bytes| progress.advance(bytes, 0));
        drop(progress);
        let checks = match checks {
            Ok(checks) => checks,
            Err(error) => {
                out.flush()?;
                say(error);
                sound = false;
                continue;
            }
        };
        match args.format {
            Answer::Plain => checks.iter().try_for_each(|check| plain(&mut out, check))?,
            Answer::Json => write_json(&mut out, &json(&name, &checks))?,
        }
        let failed = checks.iter().filter(|check| is_failed(check)).count();
        if failed > 0 {
            out.flush()?;
            say(format_args!("{name}: {failed} of {} checks failed", checks.len()));
            sound = false;
        }
    }
    out.flush()?;
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

fn is_failed(check: &Check) -> bool {
    matches!(check.verdict, Verdict::Failed(_))
}

/// `ok: file: subject: what was seen`; a fault tells its file itself.
fn plain(out: &mut impl Write, check: &Check) -> io::Result<()> {
    let (file, subject) = (check.file.display(), check.subject.name());
    let mut line = |text: String| writeln!(out, "{}", printable(&translate(&text)));
    match &check.verdict {
        Verdict::Passed(what) => line(format!("ok: {file}: {subject}: {what}")),
        Verdict::Unchecked(why) => line(format!("not checked: {file}: {subject}: {why}")),
        Verdict::Failed(faults) => {
            faults.iter().try_for_each(|fault| line(format!("failed: {subject}: {fault}")))
        }
    }
}

#[derive(Serialize)]
struct JsonModel<'a> {
    version: u32,
    /// What it was called.
    model: &'a str,
    /// Whether nothing is wrong.
    ok: bool,
    checks: Vec<JsonCheck<'a>>,
}

#[derive(Serialize)]
struct JsonCheck<'a> {
    file: String,
    check: &'static str,
    /// `ok`, `failed` or `not checked`.
    verdict: &'static str,
    /// What was seen, or why it was not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<JsonFault<'a>>,
}

#[derive(Serialize)]
struct JsonFault<'a> {
    what: &'a str,
    /// Where in the file.
    byte: Option<u64>,
    tensor: Option<&'a str>,
    /// What to do.
    hint: Option<&'a str>,
}

fn json<'a>(model: &'a str, checks: &'a [Check]) -> JsonModel<'a> {
    let fault = |fault: &'a CheckpointError| JsonFault {
        what: &fault.what,
        byte: fault.offset,
        tensor: fault.tensor.as_deref(),
        hint: fault.hint.as_deref(),
    };
    let check = |check: &'a Check| {
        let (verdict, note, faults) = match &check.verdict {
            Verdict::Passed(what) => ("ok", Some(what.as_str()), &[][..]),
            Verdict::Unchecked(why) => ("not checked", Some(why.as_str()), &[][..]),
            Verdict::Failed(faults) => ("failed", None, &faults[..]),
        };
        let file = check.file.to_string_lossy().into_owned();
        let faults = faults.iter().map(fault).collect();
        JsonCheck { file, check: check.subject.name(), verdict, note, faults }
    };
    JsonModel {
        version: JSON_VERSION,
        model,
        ok: !checks.iter().any(is_failed),
        checks: checks.iter().map(check).collect(),
    }
}
