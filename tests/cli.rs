//! The command as a user meets it: arguments and bytes in; bytes, messages and status out.
//!
//! Cases are files: `cases/*.toml`, each a list of `[[case]]` as [`Case`] describes.
//! What a file of text cannot say (other encodings, pipes, memory, whole models) is told in
//! Rust, here and in the modules.

mod bench;
mod calibrate;
mod convert;
mod evaluate;
mod explain;
mod finetune;
mod formats;
mod hub;
mod in_place;
mod machine;
mod maps;
mod memory;
mod models;
mod plot;
pub mod pretrain;
mod streams;
pub mod survival;
mod verify;
mod vocab;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread;

use serde::Deserialize;

/// One run of the command, in a fresh folder of its own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What it shows, as a sentence.
    name: String,
    args: Vec<String>,
    #[serde(default)]
    stdin: String,
    /// Files to make first, by name.
    #[serde(default)]
    files: BTreeMap<String, String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    status: i32,
    /// All of standard output; not looked at where absent.
    stdout: Option<String>,
    /// Parts of standard output.
    #[serde(default)]
    stdout_has: Vec<String>,
    /// All of standard error; not looked at where absent.
    stderr: Option<String>,
    /// Parts of standard error.
    #[serde(default)]
    stderr_has: Vec<String>,
    /// Lines of standard error; not counted where absent.
    stderr_lines: Option<usize>,
    /// What files hold in the end.
    #[serde(default)]
    files_after: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[test]
fn every_case_file_holds() {
    let failures: Vec<String> = cases()
        .iter()
        .filter_map(|(stem, case)| {
            let difference = case.check().err()?;
            Some(format!("{stem}.toml: {}\n{difference}", case.name))
        })
        .collect();
    assert!(failures.is_empty(), "{} cases failed\n\n{}", failures.len(), failures.join("\n\n"));
}

/// Every refusal among the cases has its Chinese words.
#[test]
fn every_refusal_is_chinese_where_the_locale_is() {
    let english: Vec<String> = cases()
        .iter()
        .filter(|(_, case)| case.status == 2 && !case.env.contains_key("LC_ALL"))
        .filter_map(|(stem, case)| {
            let said = |locale| {
                let (_, output) = case.run(&[("LC_ALL", locale)]);
                String::from_utf8_lossy(&output.stderr).into_owned()
            };
            let (english, chinese) = (said("C"), said("zh_CN.UTF-8"));
            (english == chinese).then(|| format!("{stem}.toml: {}\n  {english}", case.name))
        })
        .collect();
    assert!(english.is_empty(), "no entry in zh.txt for\n{}", english.join("\n"));
}

/// All cases, each with the stem of its file.
fn cases() -> Vec<(String, Case)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "there are no case files");
    let mut all = Vec::new();
    for file in files {
        let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
        let cases: Cases = toml::from_str(&fs::read_to_string(&file).unwrap())
            .unwrap_or_else(|error| panic!("{stem}.toml: {error}"));
        all.extend(cases.case.into_iter().map(|case| (stem.clone(), case)));
    }
    all
}

impl Case {
    /// Runs it; the folder as it is afterwards, and what came out.
    fn run(&self, env: &[(&str, &str)]) -> (tempfile::TempDir, Output) {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in &self.files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let mut command = zhengzi();
        command.args(&self.args).envs(&self.env).envs(env.iter().copied()).current_dir(&folder);
        let output = run(&mut command, self.stdin.as_bytes());
        (folder, output)
    }

    fn check(&self) -> Result<(), String> {
        let (folder, output) = self.run(&[]);
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        let mut wrong = Vec::new();
        if output.status.code() != Some(self.status) {
            wrong.push(format!("  status: {}, not {}", output.status, self.status));
        }
        for (stream, text, all, parts) in [
            ("stdout", &stdout, &self.stdout, &self.stdout_has),
            ("stderr", &stderr, &self.stderr, &self.stderr_has),
        ] {
            if all.as_ref().is_some_and(|all| text != all) {
                wrong.push(format!("  {stream} should be {:?}", all.as_ref().unwrap()));
            }
            for part in parts.iter().filter(|part| !text.contains(part.as_str())) {
                wrong.push(format!("  {stream} should hold {part:?}"));
            }
        }
        if self.stderr_lines.is_some_and(|lines| stderr.lines().count() != lines) {
            wrong.push(format!("  stderr should be {} lines", self.stderr_lines.unwrap()));
        }
        for (name, content) in &self.files_after {
            let found = fs::read(folder.path().join(name)).unwrap();
            if found != content.as_bytes() {
                wrong.push(format!("  {name} holds {:?}", String::from_utf8_lossy(&found)));
            }
        }
        match wrong.is_empty() {
            true => Ok(()),
            false => {
                Err(format!("{}\n  stdout: {stdout:?}\n  stderr: {stderr:?}", wrong.join("\n")))
            }
        }
    }
}

#[test]
fn bytes_that_are_not_text_pass_through_and_are_reported() {
    let text = b"plain\r\n\xff\xfe GBK? \xd6\xd0\nnul \0 here\n\xef\xbb\xbfbom\n\tlast \xe4\xbd";
    let output = run(zhengzi().arg("correct"), text);
    assert_eq!(output.stdout, text);
    assert_eq!(output.status.code(), Some(0));
    let expected = "\
zhengzi: <stdin>:2: not UTF-8 at byte 0; passed through unchanged
zhengzi: <stdin>:3: NUL at byte 4; passed through unchanged
zhengzi: <stdin>:5: not UTF-8 at byte 6; passed through unchanged
";
    assert_eq!(String::from_utf8_lossy(&output.stderr), expected);

    let quiet = run(zhengzi().args(["correct", "-q"]), text);
    assert_eq!((quiet.stdout.as_slice(), quiet.stderr.as_slice()), (&text[..], &b""[..]));
}

#[test]
fn json_has_an_object_for_every_line_of_any_bytes() {
    let text = b"plain\r\n\xff\n\0\n\n\xef\xbb\xbf\"quoted\\\"\t";
    let output = run(zhengzi().args(["detect", "-q", "--format", "json"]), text);
    assert_eq!(output.status.code(), Some(0));
    let objects: Vec<serde_json::Value> =
        output.stdout.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    let sources: Vec<_> = objects.iter().map(|object| object["source"].as_str()).collect();
    assert_eq!(sources, [Some("plain"), None, None, Some(""), Some("\u{feff}\"quoted\\\"\t")]);
    assert_eq!(objects[1]["error"], "not UTF-8 at byte 0");
    assert_eq!(objects[2]["error"], "NUL at byte 0");
}

#[test]
fn a_line_is_answered_before_the_next_one_is_typed() {
    let mut child = spawn(zhengzi().arg("correct"));
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for line in ["first\n", "second\n"] {
        stdin.write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        stdout.read_line(&mut answer).unwrap();
        assert_eq!(answer, line);
    }
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child = spawn(zhengzi().arg("correct"));
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(b"nobody reads this\n").unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""));
}

/// (`/proc/self/mem` is there, may be opened, and gives an error when read.)
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_cannot_be_read_is_reported_and_the_others_are_done() {
    let args = ["correct", "--format", "json", "/proc/self/mem", "-"];
    let output = run(zhengzi().args(args), b"next\n");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stdout.contains(r#""path":null,"line":1,"source":"next""#), "{stdout}");
    assert!(stderr.starts_with("zhengzi: /proc/self/mem: "), "{stderr}");
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(2), 1));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_a_failure() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = zhengzi().args(["correct", "-t", "x"]).stdout(full).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.starts_with("zhengzi: standard output: "), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

/// 64 MiB on one line pass through a process whose peak grows by far less than that.
#[cfg(target_os = "linux")]
#[test]
fn a_line_without_end_streams_in_constant_memory() {
    let mut child = spawn(zhengzi().arg("correct"));
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mebibytes = 64;
    let drain = thread::spawn(move || {
        let (mut total, mut buffer) = (0, vec![0; 1 << 16]);
        loop {
            match stdout.read(&mut buffer).unwrap() {
                0 => return total,
                length => {
                    assert!(buffer[..length].iter().all(|&byte| byte == b'x'));
                    total += length;
                }
            }
        }
    });
    let mut peaks = Vec::new();
    for round in 1..=mebibytes {
        stdin.write_all(&[b'x'; 1 << 20]).unwrap();
        if round == 8 || round == mebibytes {
            peaks.push(peak_memory_kib(&child));
        }
    }
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(drain.join().unwrap(), mebibytes << 20);
    let growth = peaks[1] - peaks[0];
    assert!(growth < 16 << 10, "{growth} KiB more after {mebibytes} MiB");
}

#[cfg(target_os = "linux")]
fn peak_memory_kib(child: &Child) -> i64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The command with none of the settings that a user's environment may hold, and with a hub
/// cache that holds nothing.
pub fn zhengzi() -> Command {
    let mut words = words();
    let mut command = Command::new(words.remove(0));
    command.args(words);
    for name in ["ZHENGZI_THREADS", "NO_COLOR", "CLICOLOR_FORCE", "TERM"] {
        command.env_remove(name);
    }
    for name in ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "TRANSFORMERS_CACHE"] {
        command.env_remove(name);
    }
    command.env("HF_HOME", "nobody").env("LC_ALL", "C");
    command
}

fn spawn(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Runs to the end with these bytes on standard input.
pub fn run(command: &mut Command, stdin: &[u8]) -> Output {
    let mut child = spawn(command);
    let mut pipe = child.stdin.take().unwrap();
    let stdin = stdin.to_vec();
    // Apart, so that neither side waits for the other; a command that does not want its
    // input closes the pipe.
    let writer = thread::spawn(move || _ = pipe.write_all(&stdin));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// How the binary is started: its path, behind the runner (an emulator, say) that cargo puts before
/// programs of this target, this test among them.
fn words() -> Vec<String> {
    let path = binary().to_str().expect("folders of cargo have plain names");
    let runner = triple().and_then(|triple| {
        let triple = triple.to_uppercase().replace('-', "_");
        std::env::var(format!("CARGO_TARGET_{triple}_RUNNER")).ok()
    });
    runner
        .iter()
        .flat_map(|words| words.split_whitespace())
        .chain([path])
        .map(str::to_owned)
        .collect()
}

/// The binary as the sources are now. Cargo offers no such path to a test of another
/// package, so this asks cargo to build it, with the profile, the target and the target
/// folder that this test was built with, and to say where it is.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let profile = profile();
        let above = profile.parent().unwrap();
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo.args(["build", "--package=zhengzi", "--bin=zhengzi", "--message-format=json"]);
        cargo.args(["--quiet", "--offline", "--profile"]).arg(match name(&profile) {
            "debug" => "dev",
            other => other,
        });
        match triple() {
            None => cargo.arg("--target-dir").arg(above),
            Some(triple) => {
                cargo.args(["--target", &triple, "--target-dir"]).arg(above.parent().unwrap())
            }
        };
        let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the binary does not build: {errors}");
        output
            .stdout
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(&line.unwrap()).ok())
            .find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)))
            .expect("cargo names the executable")
    })
}

/// `…/target[/triple]/profile`, where the folder `deps` holds this test.
fn profile() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned()
}

/// The target that this test was built for, if cargo was told one.
fn triple() -> Option<String> {
    let profile = profile();
    let above = name(profile.parent().unwrap());
    above.starts_with(&format!("{}-", std::env::consts::ARCH)).then(|| above.to_owned())
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).expect("folders of cargo have plain names")
}
