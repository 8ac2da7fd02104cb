//! Proves that the rules of the house which a program can see are kept. Each rule is a function over
//! files: it must catch a bad sample and spare a good one, and then find nothing in the repository.

use std::path::Path;

/// A file of the repository.
struct File {
    /// From the root, with `/`.
    path: String,
    /// Empty where the file is not UTF-8.
    text: String,
}

/// The places where the rule is broken, each with what to do: `path:line: …`.
type Rule = fn(&[File]) -> Vec<String>;

#[test]
fn no_source_file_is_longer_than_500_lines() {
    fn rule(files: &[File]) -> Vec<String> {
        sources(files)
            .filter(|file| file.text.lines().count() > 500)
            .map(|file| format!("{}:501: over 500 lines: split it by what it holds", file.path))
            .collect()
    }
    catches(rule, "tests/long.rs", &"\n".repeat(501), "tests/long.rs:501:");
    catches(rule, "kernels/src/long.cuh", &"\n".repeat(501), "kernels/src/long.cuh:501:");
    spares(rule, "tests/long.rs", &"\n".repeat(500));
    holds(rule);
}

#[test]
fn a_file_is_named_for_what_it_holds() {
    const SAY_NOTHING: [&str; 6] = ["utils", "helpers", "common", "misc", "core", "manager"];
    fn rule(files: &[File]) -> Vec<String> {
        // A folder is a module too: `core/mod.rs` hides behind `mod` what `core.rs` shows.
        sources(files)
            .filter(|file| file.path.split(['/', '.']).any(|part| SAY_NOTHING.contains(&part)))
            .map(|file| format!("{}:1: name it for what it holds", file.path))
            .collect()
    }
    catches(rule, "model/src/utils.rs", "", "model/src/utils.rs:1:");
    catches(rule, "runtime/src/core/mod.rs", "", "runtime/src/core/mod.rs:1:");
    spares(rule, "cli/src/cores.rs", "");
    holds(rule);
}

#[test]
fn every_simd_variant_stands_beside_its_scalar_reference() {
    fn rule(files: &[File]) -> Vec<String> {
        let mut broken = Vec::new();
        // Micro-kernels are exempt: all of them share one reference, the triple loop of gemm/scalar.rs.
        for file in sources(files).filter(|file| {
            file.path.starts_with("kernels/src/") && !file.path.starts_with("kernels/src/gemm/")
        }) {
            let names: Vec<_> = code_lines(before_tests(&file.text))
                .filter_map(|(line, code)| Some((line, identifier_after("fn ", code)?)))
                .collect();
            for &(line, name) in &names {
                let op =
                    ["_avx2", "_avx512", "_neon"].iter().find_map(|isa| name.strip_suffix(isa));
                let Some(op) = op else { continue };
                if !names.iter().any(|&(_, other)| other.strip_suffix("_scalar") == Some(op)) {
                    let path = &file.path;
                    broken.push(format!("{path}:{line}: {name} needs fn {op}_scalar in this file"));
                }
            }
        }
        broken
    }
    let avx2 = "fn exp_avx2(x: __m256) {}\n";
    catches(rule, "kernels/src/exp.rs", &format!("\n{avx2}"), "kernels/src/exp.rs:2:");
    catches(
        rule,
        "kernels/src/exp.rs",
        &format!("{avx2}// fn exp_scalar()"),
        "kernels/src/exp.rs:1:",
    );
    spares(rule, "kernels/src/exp.rs", &format!("pub fn exp_scalar(x: f32) {{}}\n{avx2}"));
    spares(rule, "kernels/src/exp.rs", &format!("#[cfg(test)]\nmod tests {{}}\n{avx2}"));
    spares(rule, "kernels/src/gemm/f32_avx2.rs", "fn tile_avx2() {}");
    holds(rule);
}

#[test]
fn every_cuda_file_has_its_rust_file_and_its_kernels_bear_its_name() {
    fn rule(files: &[File]) -> Vec<String> {
        let mut broken = Vec::new();
        for file in files.iter().filter(|file| file.path.ends_with(".cu")) {
            let path = &file.path;
            let rust = path.replace(".cu", ".rs");
            let folder = path.replace(".cu", "/mod.rs"); // an op of several files
            let has_rust = files.iter().any(|file| file.path == rust || file.path == folder);
            if !has_rust && path.starts_with("kernels/src/") {
                broken.push(format!("{path}:1: one op, two files: write {rust} beside it"));
            }
            // The name of a kernel is the word before the first parenthesis that is not an attribute's.
            let stem = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".cu");
            let text = file.text.replace("__launch_bounds__(", "(");
            for (at, marker) in text.match_indices("__global__") {
                let declaration = &text[at + marker.len()..];
                let name = declaration
                    .split('(')
                    .filter_map(|part| {
                        part.split(|c: char| !is_word(c)).rfind(|word| !word.is_empty())
                    })
                    .find(|word| *word != "void");
                let line = text[..at].lines().count().max(1);
                if !name.is_some_and(|name| name.starts_with(stem)) {
                    let name = name.unwrap_or("a kernel");
                    broken.push(format!("{path}:{line}: {name} must be named {stem} or {stem}_…"));
                }
            }
        }
        broken
    }
    let good = "\nextern \"C\" __global__ void __launch_bounds__(256)\nsoftmax_rows(float *x) {}";
    catches(rule, "kernels/src/softmax.cu", good, "kernels/src/softmax.cu:1: one op, two files");
    catches(
        rule,
        "kernels/examples/01_naive.cu",
        good,
        "01_naive.cu:2: softmax_rows must be named",
    );
    spares(rule, "kernels/examples/softmax.cu", good);
    holds(rule);
}

#[test]
fn unsafe_stands_in_kernels_and_runtime_only() {
    fn rule(files: &[File]) -> Vec<String> {
        // A test may have to: to set an environment variable, to call one variant by name.
        let may = ["kernels/", "runtime/", "tests/"];
        let mut broken = Vec::new();
        for file in sources(files).filter(|file| !may.iter().any(|may| file.path.starts_with(may)))
        {
            for (line, code) in code_lines(&file.text) {
                if has_word(code, "unsafe") {
                    broken
                        .push(format!("{}:{line}: move it down to runtime or kernels", file.path));
                }
            }
        }
        broken
    }
    let block = "let x = UNSAFE { *p };".replace("UNSAFE", "unsafe");
    catches(rule, "cli/src/main.rs", &format!("// so\n{block}"), "cli/src/main.rs:2:");
    catches(rule, "model/src/lib.rs", "#[unsafe(no_mangle)]", "model/src/lib.rs:1:");
    spares(rule, "runtime/src/map.rs", &block);
    spares(rule, "model/src/lib.rs", "#![forbid(unsafe_code)] // nothing unsafe here");
    holds(rule);
}

#[test]
fn every_unsafe_block_has_its_argument_above_it() {
    fn rule(files: &[File]) -> Vec<String> {
        let opens = |rest: &str| {
            let rest = rest.trim_start();
            rest.starts_with('{') || rest.starts_with("impl")
        };
        let mut broken = Vec::new();
        for file in sources(files).filter(|file| file.path.ends_with(".rs")) {
            let lines: Vec<_> = file.text.lines().collect();
            for (line, code) in code_lines(&file.text) {
                if !code.split("unsafe").skip(1).any(opens) {
                    continue;
                }
                // Its own line, three above it, and all of a comment that reaches into those.
                let mut top = line.saturating_sub(4);
                while top > 0 && lines[top].trim_start().starts_with("//") {
                    top -= 1;
                }
                if !lines[top..line].iter().any(|line| line.contains("SAFETY")) {
                    let path = &file.path;
                    broken
                        .push(format!("{path}:{line}: say why it is sound: // SAFETY: … above it"));
                }
            }
        }
        broken
    }
    // Not spelt out: the rule reads this file too.
    let block = "let x = UNSAFE { *p };".replace("UNSAFE", "unsafe");
    let assertion = "UNSAFE impl Send for Map {}".replace("UNSAFE", "unsafe");
    catches(rule, "runtime/src/map.rs", &block, "runtime/src/map.rs:1:");
    catches(rule, "a.rs", &format!("// SAFETY: p is aligned.\n\n\n\n{block}"), "a.rs:5:");
    catches(rule, "a.rs", &format!("// sound\n{assertion}"), "a.rs:2:");
    spares(rule, "a.rs", &format!("// SAFETY: p is aligned.\n{block}"));
    spares(rule, "a.rs", &format!("// SAFETY: p is\n//\n//\n//\n// aligned.\n{block}"));
    spares(rule, "a.rs", &format!("unsafe fn at(p: *const f32) {{}} // {block}"));
    holds(rule);
}

#[test]
fn packages_depend_downwards_only() {
    /// Each package with the packages of the workspace that it may name. `tests` and `benches` may
    /// name all of them, and nobody may name those two.
    const MAY: [(&str, &[&str]); 6] = [
        ("kernels", &[]),
        ("runtime", &["kernels"]),
        ("model", &["runtime", "kernels"]),
        ("cli", &["model", "runtime", "kernels"]),
        ("tests", &["model", "runtime", "kernels"]),
        ("benches", &["model", "runtime", "kernels"]),
    ];
    fn rule(files: &[File]) -> Vec<String> {
        let mut broken = Vec::new();
        for (package, may) in MAY {
            let manifest = format!("{package}/Cargo.toml");
            for file in files.iter().filter(|file| file.path == manifest) {
                for (line, text) in (1..).zip(file.text.lines()) {
                    // A dependency, a table of one, or one under another name (`package = "…"`).
                    let named = text.split("zhengzi-").nth(1);
                    let named =
                        named.map(|rest| rest.split(|c: char| !is_word(c)).next().unwrap_or(""));
                    let Some(named) = named.filter(|_| !text.starts_with("name")) else { continue };
                    if !may.contains(&named) {
                        let up = "imports go down only: cli, model, runtime, kernels";
                        broken.push(format!(
                            "{manifest}:{line}: {package} may not use {named}: {up}"
                        ));
                    }
                }
            }
        }
        broken
    }
    let upward =
        "[package]\nname = \"zhengzi-kernels\"\n[dependencies]\nzhengzi-runtime.workspace = true";
    catches(rule, "kernels/Cargo.toml", upward, "kernels/Cargo.toml:4:");
    catches(rule, "model/Cargo.toml", "[dependencies.zhengzi-tests]", "model/Cargo.toml:1:");
    catches(rule, "model/Cargo.toml", "m = { package = \"zhengzi-model\" }", "model/Cargo.toml:1:");
    spares(rule, "model/Cargo.toml", "name = \"zhengzi-model\"\nzhengzi-runtime.workspace = true");
    holds(rule);
}

#[test]
fn modules_look_down_only() {
    /// What the sources below a path do not see: the checkpoint reader no device, the tokenizer no
    /// network, the network no text.
    const UNSEEN: [(&str, &[&str]); 3] = [
        ("runtime/src/checkpoint", &["arena", "device", "linear", "ops", "pool"]),
        ("model/src/tokenizer", &["electra", "corrector"]),
        ("model/src/electra", &["tokenizer", "corrector"]),
    ];
    fn rule(files: &[File]) -> Vec<String> {
        let mut broken = Vec::new();
        for (below, unseen) in UNSEEN {
            for file in sources(files).filter(|file| file.path.starts_with(below)) {
                for (line, code) in code_lines(&file.text) {
                    let paths = code.split("crate::").skip(1);
                    for module in paths.filter_map(|path| path.split(|c: char| !is_word(c)).next())
                    {
                        if unseen.contains(&module) {
                            let path = &file.path;
                            broken.push(format!("{path}:{line}: {below} does not see {module}"));
                        }
                    }
                }
            }
        }
        broken
    }
    let upward = "use std::fmt;\nuse crate::tokenizer::Encoding;";
    catches(rule, "model/src/electra/mod.rs", upward, "model/src/electra/mod.rs:2:");
    spares(rule, "model/src/corrector/mod.rs", upward);
    holds(rule);
}

#[test]
fn no_path_of_one_machine_is_written_down() {
    const PLACES: [&str; 5] = ["root", "home", "work", "opt", "Users"];
    fn rule(files: &[File]) -> Vec<String> {
        let mut broken = Vec::new();
        for file in files {
            for (line, text) in (1..).zip(file.text.lines()) {
                for place in PLACES.map(|place| format!("/{place}/")) {
                    // What follows a word, a dot or a variable is relative to something.
                    let absolute = |(at, _): (usize, &str)| {
                        !text[..at]
                            .ends_with(|c: char| c.is_alphanumeric() || "_-.~$*})>/".contains(c))
                    };
                    if text.match_indices(&place).any(absolute) {
                        let path = &file.path;
                        broken.push(format!(
                            "{path}:{line}: {place} is one machine's: write it relative"
                        ));
                    }
                }
            }
        }
        broken
    }
    let own = format!("cd /{}/me/zhengzi", "home");
    catches(rule, "README.md", &format!("so\n`{own}`"), "README.md:2:");
    catches(rule, ".ci/run", &own.replace("home", "root"), ".ci/run:1:");
    spares(rule, "README.md", "https://example.org/home/page ../opt/x $HOME/work/x");
    holds(rule);
}

#[test]
fn every_link_of_a_document_leads_to_a_file() {
    fn rule(files: &[File]) -> Vec<String> {
        let mut broken = Vec::new();
        for file in files.iter().filter(|file| file.path.ends_with(".md")) {
            for (line, text) in (1..).zip(file.text.lines()) {
                for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                    let target = link.split(['#', ' ']).next().unwrap_or("");
                    if target.is_empty() || target.contains(':') {
                        continue; // within the page, or a URL
                    }
                    let target = resolve(&file.path, target);
                    let is_there = |path: &str| {
                        path.strip_prefix(&target)
                            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                    };
                    if !files.iter().any(|file| is_there(&file.path)) {
                        let path = &file.path;
                        broken.push(format!("{path}:{line}: there is no {target}: mend the link"));
                    }
                }
            }
        }
        broken
    }
    /// `target` as seen from the document `from`.
    fn resolve(from: &str, target: &str) -> String {
        let mut parts: Vec<_> = from.split('/').collect();
        parts.pop();
        for part in target.trim_end_matches('/').split('/') {
            match part {
                "." => {}
                ".." => drop(parts.pop()),
                _ => parts.push(part),
            }
        }
        parts.join("/")
    }
    catches(rule, "README.md", "\n[a](https://example.org), [b](docs/no.md)", "README.md:2:");
    catches(rule, "docs/a.md", "[b](../README.zh.md#top)", "docs/a.md:1: there is no README.zh.md");
    spares(rule, "docs/a.md", "[a](a.md#part), [b](#part), [c](../docs/)");
    holds(rule);
}

fn catches(rule: Rule, path: &str, text: &str, expected: &str) {
    let broken = rule(&[File { path: path.into(), text: text.into() }]);
    assert!(broken.iter().any(|place| place.contains(expected)), "missed {expected} in {text:?}");
}

fn spares(rule: Rule, path: &str, text: &str) {
    let broken = rule(&[File { path: path.into(), text: text.into() }]);
    assert!(broken.is_empty(), "{broken:?} in {text:?}");
}

fn holds(rule: Rule) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    collect(&root, "", &mut files);
    assert!(files.iter().any(|file| file.path == "tests/house.rs"), "not the repository: {root:?}");
    let broken = rule(&files);
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

/// All files of the repository below `folder`: neither what is built nor what hides, but `.ci`.
fn collect(root: &Path, folder: &str, files: &mut Vec<File>) {
    for entry in std::fs::read_dir(root.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with('.') && name != ".ci" || ["target", "__pycache__"].contains(&&*name) {
            continue;
        }
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            collect(root, &path, files);
        } else if kind.is_file() {
            let text = String::from_utf8(std::fs::read(entry.path()).unwrap());
            files.push(File { path, text: text.unwrap_or_default() });
        }
    }
}

fn sources(files: &[File]) -> impl Iterator<Item = &File> {
    let is_source = |path: &str| [".rs", ".cu", ".cuh"].iter().any(|end| path.ends_with(end));
    files.iter().filter(move |file| is_source(&file.path))
}

/// Numbered lines, from 1, without their comments.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines().map(|line| line.split("//").next().unwrap_or(line)))
}

fn before_tests(text: &str) -> &str {
    text.split("\nmod tests {").next().unwrap_or(text)
}

fn identifier_after<'t>(keyword: &str, code: &'t str) -> Option<&'t str> {
    code.split(keyword).nth(1)?.split(|c: char| !is_word(c)).next()
}

fn has_word(code: &str, word: &str) -> bool {
    code.split(|c: char| !is_word(c)).any(|part| part == word)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
