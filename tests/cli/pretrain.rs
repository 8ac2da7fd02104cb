//! `pretrain` on a corpus of a few words: it learns, survives whatever ends it, and leaves models that open.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::{run, zhengzi};

/// A folder with a corpus, its vocabulary and a tiny `config.json`.
pub fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (who, what) =
        (["我们", "他们", "你们", "学生"], ["去爬山", "心情很好", "在下雨", "做工作"]);
    let when = ["今天", "昨天", "明天", "后来", "早上"];
    let mut corpus = String::new();
    for i in 0..400 {
        let (a, b, c) = (when[i % 5], who[(i / 5) % 4], what[(i * 7 + i / 20) % 4]);
        corpus += &format!("{a}{b}{c}，{}{c}。\n", who[(i / 3) % 4]);
    }
    fs::write(at("corpus.txt"), corpus).unwrap();
    let out =
        run(zhengzi().current_dir(&folder).args(["vocab", "corpus.txt", "-o", "vocab.txt"]), b"");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let words = fs::read_to_string(at("vocab.txt")).unwrap().lines().count();
    fs::write(at("config.json"), config(words, 64, 2)).unwrap();
    folder
}

fn config(words: usize, hidden: usize, heads: usize) -> String {
    format!(
        r#"{{"model_type":"electra","vocab_size":{words},"embedding_size":32,"hidden_size":{hidden},
            "num_hidden_layers":2,"num_attention_heads":{heads},"intermediate_size":{},
            "max_position_embeddings":32,"layer_norm_eps":1e-12,"pad_token_id":0}}"#,
        2 * hidden
    )
}

/// `pretrain`, and what many tests tell it.
fn pretrain(folder: &Path, out: &str, more: &[&str]) -> Command {
    let mut command = zhengzi();
    command.current_dir(folder).args(["pretrain", "config.json", "--corpus", "corpus.txt"]);
    let usual = ["--generator-size", "0.5", "--batch", "512", "--length", "32", "--rate", "0.003"];
    command.args(["--validate", "0.1", "--threads", "1", "-o", out]).args(usual).args(more);
    command
}

fn done(command: &mut Command) -> Output {
    let out = run(command, b"");
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
    out
}

/// The lines of a log, without what the clock says.
pub fn log(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("log.jsonl")).unwrap();
    let line = |line: &str| {
        let mut value: Value = serde_json::from_str(line).unwrap();
        value.as_object_mut().unwrap().remove("seconds");
        value
    };
    text.lines().map(line).collect()
}

/// The bytes of both halves' weights, and of weights and moments.
pub fn weights(folder: &Path) -> Vec<Vec<u8>> {
    let file = |name: &&str| fs::read(folder.join(name).join("model.safetensors")).unwrap();
    let mut all: Vec<Vec<u8>> = ["generator", "discriminator"].iter().map(file).collect();
    let state = fs::read(folder.join("state.safetensors")).unwrap();
    // Its header tells the seconds.
    let header = u64::from_le_bytes(state[..8].try_into().unwrap()) as usize;
    all.push(state[8 + header..].to_vec());
    all
}

#[test]
fn a_pair_learns_and_what_it_leaves_is_a_model() {
    let folder = folder();
    let more = ["--steps", "220", "--every", "100", "--confusions", "0.5"];
    let said = done(&mut pretrain(folder.path(), "out", &more)).stderr;
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("step 100: G ") && said.contains("done, after 220 steps"), "{said}");
    let out = folder.path().join("out");
    let log = log(&out);
    let steps: Vec<&Value> = log.iter().filter(|line| line["step"].is_u64()).collect();
    assert_eq!(steps.len(), 220);
    let loss = |i: usize| steps[i]["generator_loss"].as_f64().unwrap();
    assert!(loss(0) > 2.0 && loss(219) < 0.5 * loss(0), "{} {}", loss(0), loss(219));
    let validated: Vec<u64> = log.iter().filter_map(|line| line["validated"].as_u64()).collect();
    assert_eq!(validated, [100, 200, 220]);
    let last = log.last().unwrap();
    for key in ["generator_loss", "accuracy", "discriminator_loss", "auc"] {
        assert!(last[key].as_f64().is_some_and(f64::is_finite), "{last}");
    }
    assert_eq!(log[0]["command"], "pretrain");

    let model = ["--model", out.to_str().unwrap()];
    done(zhengzi().args(["correct", "-t", "今天我们去爬山"]).args(model));
    done(zhengzi().args(["verify", out.to_str().unwrap()]));
    let fill = done(
        zhengzi().args(["fill", "今天我[MASK]去爬山，学生去爬山。", "--top-k", "1"]).args(model),
    );
    assert!(String::from_utf8(fill.stdout).unwrap().contains("\t们\t"));
    let config = fs::read_to_string(out.join("generator/config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!((&config["hidden_size"], &config["intermediate_size"]), (&32.into(), &128.into()));
    assert_eq!(config["architectures"][0], "ElectraForMaskedLM");

    // The pair is where another run begins, and it need not learn all again.
    let mut further = pretrain(folder.path(), "further", &["--steps", "3"]);
    let args: Vec<String> = further.get_args().map(|a| a.to_str().unwrap().to_owned()).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let args = args.iter().map(|&arg| if arg == "config.json" { "out" } else { arg });
    let args: Vec<&str> = args.filter(|arg| !["--generator-size", "0.5"].contains(arg)).collect();
    further = zhengzi();
    done(further.current_dir(&folder).args(args));
    let first = &self::log(&folder.path().join("further"))[1];
    assert!(first["generator_loss"].as_f64().unwrap() < 0.8 * loss(0), "{first}");
}

#[test]
fn the_seed_decides_and_threads_do_not() {
    let folder = folder();
    let made = |name: &str, more: &[&str]| {
        done(&mut pretrain(folder.path(), name, &[&["--steps", "6"], more].concat()));
        let out = folder.path().join(name);
        (log(&out)[1..].to_vec(), weights(&out))
    };
    let first = made("one", &[]);
    assert!(first == made("again", &[]));
    let mut threads = pretrain(folder.path(), "threads", &["--steps", "6"]);
    let count = threads.get_args().map(|arg| if arg == "1" { "3".into() } else { arg.to_owned() });
    let count: Vec<_> = count.collect();
    done(zhengzi().current_dir(&folder).args(count));
    threads = zhengzi();
    drop(threads);
    assert!(first.1 == weights(&folder.path().join("threads")));
    assert!(first != made("other", &["--seed", "2"]));
}

#[test]
fn in_the_second_stage_a_frozen_generator_stays_as_it_is() {
    let folder = folder();
    let losses = |name: &str, more: &[&str]| -> Vec<f64> {
        let usual = ["--steps", "20", "--every", "7", "--two-stage"];
        done(&mut pretrain(folder.path(), name, &[&usual, more].concat()));
        let log = log(&folder.path().join(name));
        let alone = log.iter().filter(|line| line["step"].is_u64() && line.get("auc").is_none());
        assert_eq!(alone.count(), 10);
        let validated = log.iter().filter(|line| line["validated"].is_u64());
        validated.map(|line| line["generator_loss"].as_f64().unwrap()).collect()
    };
    let [first, second, third] = losses("frozen", &["--frozen"])[..] else { panic!() };
    assert!(first > second && second == third, "{first} {second} {third}");
    let [_, second, third] = losses("learning", &[])[..] else { panic!() };
    assert!(second > third, "{second} {third}");
}

/// Ends the command with SIGKILL after a while; whether that came too late.
fn killed(command: &mut Command, after: Duration) -> bool {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(after);
    let ended = child.try_wait().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    ended.is_some_and(|status| status.success())
}

#[test]
fn a_run_that_was_killed_at_any_moment_ends_in_the_bits_of_one_that_was_not() {
    for (name, more) in [("joint", &[][..]), ("staged", &["--two-stage", "--confusions", "0.3"])] {
        let folder = folder();
        let more = [&["--steps", "200", "--every", "7"], more].concat();
        let started = Instant::now();
        done(&mut pretrain(folder.path(), "whole", &more));
        let whole = started.elapsed();
        let resumed = [&more[..], &["--resume"]].concat();
        let (mut random, mut kills) = (7u32, 0);
        for _ in 0..12 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let share = f64::from(random >> 8) / f64::from(1 << 24);
            if killed(&mut pretrain(folder.path(), "broken", &resumed), whole.mul_f64(0.4 * share))
            {
                break;
            }
            kills += 1;
        }
        assert!(kills > 1, "{name} was killed {kills} times");
        done(&mut pretrain(folder.path(), "broken", &resumed));
        let [whole, broken] = ["whole", "broken"].map(|name| folder.path().join(name));
        assert!(log(&whole) == log(&broken), "{name}: logs differ");
        assert!(weights(&whole) == weights(&broken), "{name}: weights differ");
        for folder in [&broken, &broken.join("generator"), &broken.join("discriminator")] {
            let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
            let left: Vec<_> =
                names.filter(|name| name.to_str().unwrap().starts_with('.')).collect();
            assert!(left.is_empty(), "{left:?} of {kills} kills stayed behind");
        }
    }
}

#[test]
fn where_numbers_fail_the_run_stops_and_says_where() {
    let folder = folder();
    let mut command = pretrain(folder.path(), "out", &["--steps", "400", "--every", "2"]);
    let args =
        command.get_args().map(|arg| if arg == "0.003" { "1e30".into() } else { arg.to_owned() });
    let args: Vec<_> = args.collect();
    command = zhengzi();
    let out = run(command.current_dir(&folder).args(&args), b"");
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(2), "{said}");
    let last = said.lines().last().unwrap();
    assert!(last.contains("numbers fail at step ") && last.contains("first in "), "{said}");
    assert!(last.contains("electra.") || last.contains("predictions"), "{said}");
    assert!(last.contains("checkpoint"), "{said}");
}

/// A run that was broken off behind its first checkpoint.
fn broken_off(folder: &Path) -> PathBuf {
    let state = folder.join("out/state.safetensors");
    let mut command = pretrain(folder, "out", &["--steps", "1000000", "--every", "3"]);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    while !state.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    state
}

/// A limit on the size of files stands for a disk that is full.
#[cfg(unix)]
#[test]
fn a_disk_that_is_full_is_told_in_a_line_and_the_checkpoint_stays() {
    let folder = folder();
    let state = broken_off(folder.path());
    let before = fs::read(&state).unwrap();
    let resumed =
        pretrain(folder.path(), "out", &["--steps", "1000000", "--every", "3", "--resume"]);
    let mut shell = Command::new("sh");
    shell.current_dir(&folder).args(["-c", "trap '' XFSZ; ulimit -f 20; exec \"$@\"", "sh"]);
    shell.arg(resumed.get_program()).args(resumed.get_args());
    shell.env("LC_ALL", "C");
    let out = run(&mut shell, b"");
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(said.lines().last().unwrap().contains("File too large"), "{said}");
    assert!(fs::read(&state).unwrap() == before);
}

#[test]
fn what_contradicts_a_run_or_cannot_be_trained_is_refused() {
    let folder = folder();
    let refused = |command: &mut Command| {
        let out = run(command, b"");
        let said = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(2), "{said}");
        said.lines().last().unwrap().to_owned()
    };
    broken_off(folder.path());
    let again = |more: &[&str]| {
        let usual = ["--steps", "1000000", "--every", "3"];
        refused(&mut pretrain(folder.path(), "out", &[&usual, more].concat()))
    };
    assert!(
        again(&[]).ends_with("out: is there already: name a new folder, or go on with --resume")
    );
    let said = again(&["--resume", "--mask-rate", "0.2"]);
    assert!(said.contains("its run was begun with mask-rate 0.15, and not 0.2"), "{said}");
    fs::copy(folder.path().join("config.json"), folder.path().join("old.json")).unwrap();
    let words = fs::read_to_string(folder.path().join("vocab.txt")).unwrap().lines().count();
    fs::write(folder.path().join("config.json"), config(words, 32, 2)).unwrap();
    let said = again(&["--resume"]);
    assert!(said.contains("its run was begun with discriminator another"), "{said}");
    fs::copy(folder.path().join("old.json"), folder.path().join("config.json")).unwrap();
    let corpus = fs::read_to_string(folder.path().join("corpus.txt")).unwrap();
    fs::write(folder.path().join("corpus.txt"), corpus + "我们做工作。\n").unwrap();
    let said = again(&["--resume"]);
    assert!(said.contains("its run was begun with corpus "), "{said}");

    let out = folder.path().join("out");
    done(zhengzi().args(["convert", "-o"]).arg(folder.path().join("p.safetensors")).arg(&out));
    for (config, hint) in [
        ("p.safetensors", "is a panel file"),
        ("out/generator/model.safetensors", "is a file of weights"),
        ("out/generator", "is only one half"),
        ("nowhere", "no such file or folder"),
    ] {
        let args = ["pretrain", config, "--corpus", "corpus.txt", "-o", "new", "--steps", "1"];
        let said = refused(zhengzi().current_dir(&folder).args(args));
        assert!(said.contains(hint), "{said}");
        assert!(!folder.path().join("new").exists());
    }
}
