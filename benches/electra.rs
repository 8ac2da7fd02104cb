//! What a user waits for, and what it holds in memory.
//!
//! ```sh
//! cargo bench -p zhengzi-benches --bench electra            # the table
//! cargo bench -p zhengzi-benches --bench electra -- base    # one row of it
//! cargo bench -p zhengzi-benches --bench electra -- soak    # memory and files over 100,000 sentences
//! ```
//!
//! Each row is a process of its own, so that its peak memory is its own, run five times:
//! the median, with the least and the most. `small` and `base` are the published shapes with
//! random weights in f32 safetensors; with such weights every other character is a suspect,
//! so throughput is `detect`'s there and `correct`'s for the embedded model alone. It is taken
//! over 1,000 sentences of 5 to 64 characters; over 100 of them for base.

#[path = "../tests/electra/weights.rs"]
#[allow(dead_code)] // the tests use more of it
mod weights;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use zhengzi_kernels::Isa;
use zhengzi_model::ModelPaths;
use zhengzi_model::corrector::{Corrector, Detector, Passage, Settings};
use zhengzi_runtime::Cpu;

const RUNS: usize = 5;

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    match &arguments[..] {
        [] => table(&["embedded", "small", "base"]),
        [word] if word == "soak" => soak(),
        [model] => table(&[model]),
        [model, folder] => case(model, Path::new(folder)),
        _ => eprintln!("no argument, a model, or: soak"),
    }
}

/// One row's figures, in the order of the table's columns.
struct Row([f64; 5]);

fn table(models: &[&str]) {
    println!("{} threads, {}", threads(), Isa::best().level());
    println!(
        "| model | load, ms | one sentence of 30, ms | throughput, sentences/s | VmHWM, MB | files, MB |"
    );
    println!("|---|---|---|---|---|---|");
    for &model in models {
        let folder = weights::folder();
        if model != "embedded" {
            weights::write_pair(model, folder.path());
        }
        let mut runs: Vec<Row> = (0..RUNS).map(|_| child(model, folder.path())).collect();
        let column = |runs: &mut Vec<Row>, i: usize| {
            runs.sort_by(|a, b| a.0[i].total_cmp(&b.0[i]));
            let [least, median, most] = [0, RUNS / 2, RUNS - 1].map(|run| runs[run].0[i]);
            format!("{median:.1} ({least:.1}–{most:.1})")
        };
        let cells: Vec<String> = (0..5).map(|i| column(&mut runs, i)).collect();
        println!("| {model} | {} |", cells.join(" | "));
    }
}

fn child(model: &str, folder: &Path) -> Row {
    let this = std::env::current_exe().expect("a running program has a path");
    let output = Command::new(this).arg(model).arg(folder).output().expect("the row's process");
    let text = String::from_utf8_lossy(&output.stdout);
    let figures: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let figures = figures.try_into();
    Row(figures.unwrap_or_else(|_| panic!("{model}: {}", String::from_utf8_lossy(&output.stderr))))
}

/// Measures one row and prints its figures.
fn case(model: &str, folder: &Path) {
    let cpu = Cpu::new(Isa::best(), threads()).unwrap();
    let paths = match model {
        "embedded" => ModelPaths::default(),
        _ => ModelPaths { model: Some(folder.to_owned()), ..ModelPaths::default() },
    };
    let begin = Instant::now();
    let mut corrector = Corrector::open(&paths, Settings::default(), &cpu).unwrap();
    let load = begin.elapsed();
    let one = sentence(0, 30);
    corrector.correct(&[one.as_str().into()]).unwrap();
    let begin = Instant::now();
    corrector.correct(&[one.as_str().into()]).unwrap();
    let latency = begin.elapsed();
    // What correcting one sentence holds; the batches below hold more.
    let peak = status("VmHWM:");

    let count = if model == "base" { 100 } else { 1000 };
    let text: Vec<String> = (0..count).map(|i| sentence(i, 5 + i * 7919 % 60)).collect();
    let lines: Vec<Passage> = text.iter().map(|line| line[..].into()).collect();
    let begin = if model == "embedded" {
        let begin = Instant::now();
        lines.chunks(64).for_each(|lines| drop(corrector.correct(lines).unwrap()));
        begin
    } else {
        let mut detector = Detector::open(&paths, Settings::default(), &cpu).unwrap();
        let begin = Instant::now();
        lines.chunks(64).for_each(|lines| drop(detector.detect(lines).unwrap()));
        begin
    };
    let rate = lines.len() as f64 / begin.elapsed().as_secs_f64();
    // A file that holds both halves counts once.
    let checkpoints = corrector.checkpoints();
    let files: std::collections::BTreeMap<_, u64> =
        checkpoints.iter().map(|file| (file.path(), file.mapped_bytes())).collect();
    let files: u64 = files.values().sum();
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    println!("{} {} {rate} {peak} {}", ms(load), ms(latency), files as f64 / 1e6);
}

/// Memory while 100,000 sentences go through one corrector.
fn soak() {
    let cpu = Cpu::new(Isa::best(), threads()).unwrap();
    let mut corrector = Corrector::open(&ModelPaths::default(), Settings::default(), &cpu).unwrap();
    println!("| sentences | VmRSS, MB | VmHWM, MB | open files |\n|---|---|---|---|");
    for block in 0..10 {
        for i in (0..10_000).step_by(50) {
            let text: Vec<String> =
                (i..i + 50).map(|i| sentence(block * 10_000 + i, 5 + i % 26)).collect();
            let lines: Vec<Passage> = text.iter().map(|line| line[..].into()).collect();
            corrector.correct(&lines).unwrap();
        }
        println!(
            "| {} | {:.1} | {:.1} | {} |",
            (block + 1) * 10_000,
            status("VmRSS:"),
            status("VmHWM:"),
            std::fs::read_dir("/proc/self/fd").map_or(0, |files| files.count()),
        );
    }
}

/// Made-up sentences: phrases in an order that depends on `seed`, cut to `length` characters.
fn sentence(seed: usize, length: usize) -> String {
    const PHRASES: [&str; 12] = [
        "今天的会议",
        "我们在图书馆",
        "他昨天晚上",
        "孩子们很高兴",
        "因为下雨",
        "讨论了新的计划",
        "看见一只猫",
        "买了三本书",
        "准备去北京",
        "老师告诉大家",
        "已经完成工作",
        "希望明天天气好",
    ];
    let mut text = String::new();
    let mut state = seed;
    while text.chars().count() < length {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(PHRASES[(state >> 33) % PHRASES.len()]);
        text.push('，');
    }
    text.chars().take(length.saturating_sub(1)).chain(['。']).collect()
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |threads| threads.get())
}

/// A line of `/proc/self/status`, in MB; 0 where there is none.
fn status(key: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("0 kB");
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().unwrap_or(0.0);
    kib * 1024.0 / 1e6
}
