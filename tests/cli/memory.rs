//! Memory is stated before it is taken, and where there is too little the program says so: one line,
//! status 2, never a signal.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::in_place::quoted;
use super::{peak_memory_kib, run, spawn, words, zhengzi};
use crate::electra::weights;

const TEXT: &str = "今天新情很好，我们在图书馆看书。老师给我们步置了作业\n";

const MIB: u64 = 1 << 20;

/// What the models of these tests are called by `--model`; nothing is the model inside.
struct Models {
    _folder: tempfile::TempDir,
    all: Vec<(&'static str, Vec<String>)>,
}

impl Models {
    /// The model inside as it is, as rows of f32, as panels of f32.
    fn converted() -> Models {
        let folder = weights::folder();
        let [rows, panels] = ["rows", "panels"].map(|name| folder.path().join(name));
        let convert = |path: &Path, layout: &str| {
            let options = ["convert", "--precision", "f32", "--layout", layout, "-o"];
            assert_eq!(run(zhengzi().args(options).arg(path), b"").status.code(), Some(0));
        };
        convert(&rows, "hf");
        convert(&panels, "panels");
        let all = vec![("inside", vec![]), ("rows", model(&rows)), ("panels", model(&panels))];
        Models { _folder: folder, all }
    }

    /// The model inside; the same as rows of f32; a pair of ELECTRA-small's shape, 70 MB of f32.
    fn large() -> Models {
        let mut models = Models::converted();
        let small = models._folder.path().join("small");
        weights::write_pair("small", &small);
        models.all.pop();
        models.all.push(("small", model(&small)));
        models
    }
}

fn model(path: &Path) -> Vec<String> {
    vec!["--model".to_owned(), path.to_str().unwrap().to_owned()]
}

/// An emulator is limited and counted with the program that it runs.
fn is_emulated() -> bool {
    words().len() > 1
}

#[test]
fn what_is_stated_is_enough_and_not_far_off() {
    if is_emulated() {
        return eprintln!("not shown: an emulator's memory counts, too");
    }
    for (name, options) in Models::converted().all {
        for precision in ["f32", "bf16", "int8"] {
            for access in [&[][..], &["--no-mmap"]] {
                if name != "rows" && !access.is_empty() {
                    continue;
                }
                let mut command = zhengzi();
                command.args(["correct", "-v", "--threads", "2", "--precision", precision]);
                let mut child = spawn(command.args(access).args(&options));
                let mut stdin = child.stdin.take().unwrap();
                let mut stdout = BufReader::new(child.stdout.take().unwrap());
                stdin.write_all(TEXT.repeat(24).as_bytes()).unwrap();
                let mut answer = String::new();
                (0..24).for_each(|_| _ = stdout.read_line(&mut answer).unwrap());
                let peak = peak_memory_kib(&child) as u64 * 1024;
                drop(stdin);
                let output = child.wait_with_output().unwrap();
                let stated = stated(&String::from_utf8_lossy(&output.stderr)) * MIB;
                let what = format!("{name} {precision} {access:?}: {peak} of {stated}");
                assert!(peak <= stated, "{what}");
                assert!(stated < 2 * peak + 16 * MIB, "{what}");
            }
        }
    }
}

/// The MiB of `about 34 MiB`.
fn stated(text: &str) -> u64 {
    let number = text.split("about ").nth(1).and_then(|rest| rest.split(' ').next());
    number.unwrap_or_else(|| panic!("no need is stated: {text}")).parse().unwrap()
}

#[test]
fn more_than_is_allowed_is_refused_before_it_is_taken() {
    for (name, options) in Models::converted().all {
        let with = |size: &str| {
            let mut command = zhengzi();
            command.args(["correct", "--threads", "2", "--max-memory", size]).args(&options);
            let output = run(&mut command, TEXT.as_bytes());
            (output.status.code(), String::from_utf8(output.stderr).unwrap())
        };
        let (status, stderr) = with("12M");
        assert_eq!((status, stderr.lines().count()), (Some(2), 1), "{name}: {stderr}");
        assert!(stderr.contains(": needs about "), "{name}: {stderr}");
        assert!(stderr.contains(", where --max-memory allows 12 MiB: take "), "{name}: {stderr}");
        // What is said to be enough is enough.
        let need = stated(&stderr);
        assert_eq!(with(&format!("{need}M")), (Some(0), String::new()), "{name}");
        assert_eq!(with(&format!("{}m", need - 1)).0, Some(2), "{name}");
        assert_eq!(with("2G"), (Some(0), String::new()), "{name}");
    }
}

#[test]
fn a_size_that_is_none_is_refused() {
    for size in ["", "M", "-1", "1.5G", "12T", "99999999999G"] {
        let output = run(zhengzi().args(["correct", "-t", "x", "--max-memory", size]), b"");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{size}: {stderr}");
    }
}

#[test]
fn inspect_tells_what_a_model_would_take() {
    let models = Models::converted();
    for (name, options) in &models.all[1..] {
        let path = PathBuf::from(&options[1]);
        let path = if *name == "rows" { path.join("discriminator") } else { path };
        let output = run(zhengzi().args(["inspect", "--format", "json"]).arg(path), b"");
        let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let memory = object["memory"].as_u64().unwrap();
        assert!((20 * MIB..200 * MIB).contains(&memory), "{name}: {memory}");
    }
}

/// What a shell's `ulimit -v` of so many MiB leaves of a correction.
fn limited(mebibytes: u64, options: &[String]) -> Output {
    let line =
        format!("ulimit -v {}; exec {} correct --threads 2 \"$@\"", mebibytes << 10, quoted());
    let mut command = Command::new("sh");
    command.args(["-c", &line, "sh"]).args(options).env("LC_ALL", "C").env("HF_HOME", "nobody");
    run(&mut command, TEXT.as_bytes())
}

/// One line and status 2, or the whole output. Below what it takes to load the program at all nobody
/// asks us: then the system or its loader has ended it.
fn check_limit(mebibytes: u64, name: &str, options: &[String], whole: &[u8]) -> Outcome {
    let output = limited(mebibytes, options);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let what = format!("{name}, {mebibytes} MiB: {}: {stderr}", output.status);
    match output.status.code() {
        Some(0) => {
            assert_eq!((&*output.stdout, &*stderr), (whole, ""), "{what}");
            Outcome::Whole
        }
        Some(2) if stderr.starts_with("zhengzi: ") => {
            assert_eq!((output.stdout.len(), stderr.lines().count()), (0, 1), "{what}");
            let names =
                ["needs about ", "bytes more", "cannot be mapped", "cannot start", "allocate"];
            assert!(names.iter().any(|name| stderr.contains(name)), "{what}");
            Outcome::Refused
        }
        Some(126 | 127) if mebibytes < loadable() => Outcome::NotLoaded,
        None if output.status.signal().is_some() && mebibytes < loadable() => Outcome::NotLoaded,
        _ => panic!("{what}"),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Whole,
    Refused,
    NotLoaded,
}

/// MiB of address space from which the program's own pages and those of its libraries fit.
fn loadable() -> u64 {
    fs::metadata(super::binary()).unwrap().len() / MIB + 8
}

#[cfg(target_os = "linux")]
#[test]
fn an_address_space_of_any_size_gives_a_line_or_the_whole_output() {
    if is_emulated() {
        return eprintln!("not shown: an emulator needs address space of its own");
    }
    let models = Models::converted();
    let (mut whole, mut refused) = (0, 0);
    for (name, options) in &models.all {
        let expected =
            run(zhengzi().args(["correct", "--threads", "2"]).args(options), TEXT.as_bytes());
        for mebibytes in [24, 40, 56, 72, 96, 128, 192, 256, 1024] {
            match check_limit(mebibytes, name, options, &expected.stdout) {
                Outcome::Whole => whole += 1,
                Outcome::Refused => refused += 1,
                Outcome::NotLoaded => {}
            }
        }
    }
    assert!(whole >= 3 && refused >= 3, "{whole} ran, {refused} were refused");
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "just torture"]
fn fifty_address_spaces_from_16_mib_to_1_gib_give_a_line_or_the_whole_output() {
    let models = Models::large();
    let mut counts = [0; 3];
    for (name, options) in &models.all {
        let expected =
            run(zhengzi().args(["correct", "--threads", "2"]).args(options), TEXT.as_bytes());
        assert_eq!(expected.status.code(), Some(0), "{name}");
        for step in 0..50 {
            // From 16 to 1024 in equal ratios.
            let mebibytes = (16.0 * 64f64.powf(f64::from(step) / 49.0)).round() as u64;
            counts[check_limit(mebibytes, name, options, &expected.stdout) as usize] += 1;
        }
    }
    let [whole, refused, not_loaded] = counts;
    println!(
        "M2: 150 limits: {whole} ran, {refused} refused in a line, {not_loaded} not loaded by the system"
    );
    assert!(whole >= 30 && refused >= 10, "{counts:?}");
}
