//! Models by their names on the Hugging Face hub, out of caches as `huggingface_hub` lays them
//! out: found wherever that library looks, and never outside; what lacks is told in one line.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::{run, zhengzi};

/// Two commits and two files of every model.
const FIRST: &str = "0123456789abcdef0123456789abcdef01234567";
const SECOND: &str = "fedcba9876543210fedcba9876543210fedcba98";

/// A cache at `…/hub`, below which nothing else is.
struct Cache {
    home: TempDir,
}

impl Cache {
    fn new() -> Cache {
        Cache { home: tempfile::tempdir().unwrap() }
    }

    /// With the model that is compiled in, as `test/tiny-discriminator` and `test/tiny-generator`.
    fn tiny() -> Cache {
        let cache = Cache::new();
        for half in ["discriminator", "generator"] {
            cache.add_half(&format!("test/tiny-{half}"), half, FIRST);
        }
        cache
    }

    fn hub(&self) -> PathBuf {
        self.home.path().join("hub")
    }

    fn repository(&self, id: &str) -> PathBuf {
        self.hub().join(format!("models--{}", id.replace('/', "--")))
    }

    fn snapshot(&self, id: &str) -> PathBuf {
        self.repository(id).join("snapshots").join(FIRST)
    }

    /// A half of the model inside under another name, `main` being this commit.
    fn add_half(&self, id: &str, half: &str, commit: &str) {
        let temporary = tempfile::tempdir().unwrap();
        let model = temporary.path().join("model");
        let output = run(zhengzi().args(["convert", "--layout", "hf", "-o"]).arg(&model), b"");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        for name in ["config.json", "model.safetensors", "vocab.txt"] {
            self.add_file(id, commit, name, &fs::read(model.join(half).join(name)).unwrap());
        }
        self.add_ref(id, "main", commit);
    }

    /// The blob and, in the snapshot, a relative link to it.
    fn add_file(&self, id: &str, commit: &str, name: &str, bytes: &[u8]) {
        let repository = self.repository(id);
        let snapshot = repository.join("snapshots").join(commit);
        fs::create_dir_all(repository.join("blobs")).unwrap();
        fs::create_dir_all(&snapshot).unwrap();
        fs::write(repository.join("blobs").join(format!("{commit}-{name}")), bytes).unwrap();
        #[cfg(unix)]
        let made =
            std::os::unix::fs::symlink(format!("../../blobs/{commit}-{name}"), snapshot.join(name));
        #[cfg(not(unix))]
        let made = fs::write(snapshot.join(name), bytes);
        made.unwrap();
    }

    fn add_ref(&self, id: &str, name: &str, content: &str) {
        let path = self.repository(id).join("refs").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// As another library notes that the repository has no such file.
    fn add_no_exist(&self, id: &str, name: &str) {
        let folder = self.repository(id).join(".no_exist").join(FIRST);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), "").unwrap();
    }

    /// Runs the command with this cache alone, in its own folder.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        answer(zhengzi().args(arguments).env("HF_HUB_CACHE", self.hub()).current_dir(&self.home))
    }

    #[track_caller]
    fn answers(&self, arguments: &[&str], stdout: &str) {
        let (status, out, err) = self.run(arguments);
        assert_eq!((status, &out[..], &err[..]), (Some(0), stdout, ""));
    }

    /// One line, which is this.
    #[track_caller]
    fn refuses(&self, arguments: &[&str], line: &str) {
        let (status, out, err) = self.run(arguments);
        assert_eq!((status, &out[..], &err[..]), (Some(2), "", &format!("zhengzi: {line}\n")[..]));
    }
}

fn answer(command: &mut std::process::Command) -> (Option<i32>, String, String) {
    let output = run(command, b"");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

const CORRECT: [&str; 4] = ["correct", "-t", "今天新情很好", "--model"];
const DETECT: [&str; 4] = ["detect", "-t", "这个问提很难", "--detector"];
const RIGHT: &str = "今天心情很好\n";

fn with<'a>(arguments: [&'a str; 4], name: &'a str) -> Vec<&'a str> {
    [&arguments[..], &[name]].concat()
}

#[test]
fn a_pair_is_found_by_the_name_that_its_halves_share() {
    let cache = Cache::tiny();
    cache.answers(&with(CORRECT, "test/tiny"), RIGHT);
    let (status, _, loaded) = cache.run(&[&CORRECT[..], &["test/tiny", "-v"]].concat());
    assert_eq!(status, Some(0), "{loaded}");
    for half in ["discriminator", "generator"] {
        let snapshot = cache.snapshot(&format!("test/tiny-{half}"));
        assert!(loaded.contains(&*snapshot.to_string_lossy()), "{loaded}");
    }
    // Each half by its whole name.
    let halves = ["--detector", "test/tiny-discriminator", "--generator", "test/tiny-generator"];
    cache.answers(&[&["correct", "-t", "今天新情很好"], &halves[..]].concat(), RIGHT);
}

/// As on Windows, and as a cache that was copied with its links followed.
#[test]
fn copies_serve_as_links_do() {
    let cache = Cache::tiny();
    for half in ["discriminator", "generator"] {
        let id = format!("test/tiny-{half}");
        for name in ["config.json", "model.safetensors", "vocab.txt"] {
            let path = cache.snapshot(&id).join(name);
            let bytes = fs::read(&path).unwrap();
            fs::remove_file(&path).unwrap();
            fs::write(path, bytes).unwrap();
        }
        fs::remove_dir_all(cache.repository(&id).join("blobs")).unwrap();
    }
    cache.answers(&with(CORRECT, "test/tiny"), RIGHT);
}

#[test]
fn a_model_without_an_owner_is_found() {
    let cache = Cache::new();
    cache.add_half("tiny", "discriminator", FIRST);
    let (status, found, _) = cache.run(&with(DETECT, "tiny"));
    assert_eq!((status, found.lines().count()), (Some(1), 1));
    let (status, _, error) = cache.run(&with(CORRECT, "tiny"));
    assert_eq!(status, Some(2));
    assert!(error.ends_with(": has no generator: name one with --generator\n"), "{error}");
}

#[test]
fn a_revision_is_a_branch_a_tag_or_a_commit() {
    let cache = Cache::new();
    let id = "test/tiny-discriminator";
    cache.add_half(id, "discriminator", FIRST);
    cache.add_ref(id, "v1.0", FIRST);
    cache.add_ref(id, "refs/pr/1", &format!("{FIRST}\n"));
    // `main` is at a commit that was not downloaded in full.
    cache.add_file(id, SECOND, "config.json", b"{}");
    cache.add_ref(id, "main", SECOND);
    for revision in ["v1.0", "refs/pr/1", FIRST] {
        let (status, _, error) = cache.run(&with(DETECT, &format!("{id}@{revision}")));
        assert_eq!((status, &error[..]), (Some(1), ""));
    }
    let (status, _, error) = cache.run(&with(DETECT, id));
    assert_eq!(status, Some(2));
    assert!(error.contains(SECOND) && error.contains("was not downloaded"), "{error}");
    cache.refuses(
        &with(DETECT, &format!("{id}@v2")),
        &format!(
            "{id}@v2: no such file or folder, nor is it in the Hugging Face cache {}: run \
             `hf download {id} --revision v2`; similar names there: {id}@{FIRST}, {id}@{SECOND}",
            cache.hub().display()
        ),
    );
}

#[cfg(unix)]
#[test]
fn the_cache_is_where_the_python_library_has_it() {
    let expected: [(&[(&str, &str)], &str); 10] = [
        (&[("HF_HUB_CACHE", "/a"), ("HUGGINGFACE_HUB_CACHE", "/b"), ("HF_HOME", "/c")], "/a"),
        (&[("HUGGINGFACE_HUB_CACHE", "/b"), ("HF_HOME", "/c"), ("XDG_CACHE_HOME", "/d")], "/b"),
        (&[("HF_HOME", "/c"), ("XDG_CACHE_HOME", "/d"), ("HOME", "/e")], "/c/hub"),
        (&[("XDG_CACHE_HOME", "/d"), ("HOME", "/e")], "/d/huggingface/hub"),
        (&[("HOME", "/e")], "/e/.cache/huggingface/hub"),
        (&[("HF_HUB_CACHE", ""), ("HF_HOME", ""), ("HOME", "/e")], "/e/.cache/huggingface/hub"),
        (&[("HF_HUB_CACHE", "~/x"), ("HOME", "/e")], "/e/x"),
        (&[("HF_HOME", "~"), ("HOME", "/e")], "/e/hub"),
        (&[("XDG_CACHE_HOME", "~/y"), ("HOME", "/e")], "/e/y/huggingface/hub"),
        (&[("TRANSFORMERS_CACHE", "/t"), ("HF_HOME", "/c")], "/c/hub or /t"),
    ];
    for (variables, place) in expected {
        let mut command = zhengzi();
        command.env_remove("HF_HOME").envs(variables.iter().copied());
        let (_, _, error) = answer(command.args(with(DETECT, "org/none")));
        let part = format!("in the Hugging Face cache {place}: run ");
        assert!(error.contains(&part), "{variables:?} should give {place}: {error}");
    }
}

#[test]
fn the_folder_of_an_older_transformers_comes_second() {
    let (old, new) = (Cache::tiny(), Cache::new());
    let both = |name| {
        let mut command = zhengzi();
        command.env("TRANSFORMERS_CACHE", old.hub()).env("HF_HOME", new.home.path());
        answer(command.args(with(CORRECT, name)).arg("-v"))
    };
    let (status, out, _) = both("test/tiny");
    assert_eq!((status, &out[..]), (Some(0), RIGHT));
    // One half in each: what `hf download` gets is preferred.
    new.add_half("test/tiny-generator", "generator", FIRST);
    let (_, _, loaded) = both("test/tiny");
    for snapshot in [old.snapshot("test/tiny-discriminator"), new.snapshot("test/tiny-generator")] {
        assert!(loaded.contains(&*snapshot.to_string_lossy()), "{loaded}");
    }
    // Names are similar wherever they are.
    let (_, _, error) = both("test/tinny");
    assert!(error.ends_with("; similar names there: test/tiny\n"), "{error}");
}

#[test]
fn a_half_is_missed_only_by_who_needs_it() {
    let cache = Cache::new();
    cache.add_half("test/tiny-discriminator", "discriminator", FIRST);
    let detect = ["detect", "-t", "这个问提很难", "--model", "test/tiny"];
    assert_eq!(cache.run(&detect).0, Some(1));
    cache.refuses(
        &with(CORRECT, "test/tiny"),
        &format!(
            "test/tiny: no such file or folder, nor is test/tiny-generator in the Hugging Face \
             cache {}: run `hf download test/tiny-generator`",
            cache.hub().display()
        ),
    );
}

#[test]
fn one_half_names_the_other_where_it_is_there() {
    let cache = Cache::tiny();
    for (half, missing, option) in [
        ("discriminator", "generator", "--generator"),
        ("generator", "discriminator", "--detector"),
    ] {
        let id = format!("test/tiny-{half}");
        cache.refuses(
            &with(CORRECT, &id),
            &format!(
                "{}: has no {missing}: name one with {option}, perhaps {option} test/tiny-{missing}",
                cache.snapshot(&id).display()
            ),
        );
    }
}

#[test]
fn a_path_that_exists_wins() {
    let cache = Cache::tiny();
    fs::create_dir_all(cache.home.path().join("test/tiny")).unwrap();
    let (status, _, error) = cache.run(&with(CORRECT, "test/tiny"));
    assert_eq!(status, Some(2));
    assert!(error.starts_with("zhengzi: test/tiny: no discriminator/ here: "), "{error}");
}

#[test]
fn similar_names_are_told_nearest_first() {
    let cache = Cache::new();
    for id in [
        "hfl/chinese-electra-180g-small-discriminator",
        "hfl/chinese-electra-180g-small-generator",
        "hfl/chinese-electra-180g-base-discriminator",
        "org/quite-another-thing",
        "bert-base-chinese",
    ] {
        cache.add_file(id, FIRST, "config.json", b"{}");
    }
    // Neither are these: not downloaded, another kind, no name.
    for folder in ["models--hfl--chinese-electra-180g-smell", "datasets--x", "models--..--x"] {
        fs::create_dir_all(cache.hub().join(folder)).unwrap();
    }
    let similar = |arguments: [&str; 4], name: &str| {
        let (status, _, error) = cache.run(&with(arguments, name));
        assert_eq!((status, error.lines().count()), (Some(2), 1), "{error}");
        error.trim_end().split_once("; similar names there: ").map(|(_, names)| names.to_owned())
    };
    let pairs = "hfl/chinese-electra-180g-small, hfl/chinese-electra-180g-base";
    assert_eq!(similar(CORRECT, "hfl/chinese-electra-180g-smal").as_deref(), Some(pairs));
    assert_eq!(similar(CORRECT, "google/Chinese-Electra-180g-small").as_deref(), Some(pairs));
    assert_eq!(similar(DETECT, "bert-base-chinse").as_deref(), Some("bert-base-chinese"));
    let halves = "hfl/chinese-electra-180g-small-discriminator, \
                  hfl/chinese-electra-180g-small-generator";
    assert_eq!(similar(DETECT, "hfl/chinese-electra-180g-small").as_deref(), Some(halves));
    assert_eq!(similar(DETECT, "someone/else"), None);
}

#[test]
fn a_file_that_was_not_downloaded_is_named_with_the_command() {
    let id = "test/tiny-discriminator";
    for (name, shown) in [
        ("config.json", "config.json"),
        ("vocab.txt", "vocab.txt"),
        ("model.safetensors", "model.safetensors or pytorch_model.bin"),
    ] {
        let cache = Cache::tiny();
        let snapshot = cache.snapshot(id);
        let line = format!(
            "{}: {shown} of {id} was not downloaded: run `hf download {id}`",
            snapshot.display()
        );
        // A link whose blob is gone, then no link.
        if cfg!(unix) {
            fs::remove_file(cache.repository(id).join("blobs").join(format!("{FIRST}-{name}")))
                .unwrap();
            cache.refuses(&with(CORRECT, "test/tiny"), &line);
        }
        fs::remove_file(snapshot.join(name)).unwrap();
        cache.refuses(&with(CORRECT, "test/tiny"), &line);
        cache.refuses(&with(DETECT, id), &line);
    }
}

#[test]
fn a_file_that_the_repository_does_not_have_is_told_from_one_not_downloaded() {
    let cache = Cache::tiny();
    let id = "test/tiny-generator";
    let snapshot = cache.snapshot(id);
    // Looked for first, found nowhere, not needed.
    cache.add_no_exist(id, "pytorch_model.bin");
    cache.add_no_exist(id, "model.safetensors.index.json");
    cache.answers(&with(CORRECT, "test/tiny"), RIGHT);

    fs::remove_file(snapshot.join("vocab.txt")).unwrap();
    cache.add_no_exist(id, "vocab.txt");
    let line = format!(
        "{}: {id} has no vocab.txt: take another model, or a folder with that file beside the \
         weights",
        snapshot.display()
    );
    cache.refuses(&with(CORRECT, "test/tiny"), &line);

    fs::remove_file(snapshot.join("model.safetensors")).unwrap();
    cache.add_file(id, FIRST, "tf_model.h5", b"x");
    let line = |rest: &str| format!("{}: {rest}", snapshot.display());
    let weights = "model.safetensors or pytorch_model.bin (only tf_model.h5, which is not PyTorch)";
    cache.refuses(
        &with(CORRECT, "test/tiny"),
        &line(&format!("{weights} of {id} was not downloaded: run `hf download {id}`")),
    );
    cache.add_no_exist(id, "model.safetensors");
    cache.refuses(
        &with(CORRECT, "test/tiny"),
        &line(&format!(
            "{id} has no {weights}: convert it to PyTorch with transformers, or take another model"
        )),
    );
}

#[test]
fn no_name_leads_out_of_the_cache() {
    let cache = Cache::tiny();
    // What a name with dots would reach.
    fs::rename(cache.repository("test/tiny-discriminator"), cache.home.path().join("models--x"))
        .unwrap();
    for name in [
        "../x",
        "..",
        "org/../x",
        "org/..",
        "/x",
        "./x",
        "org/x/",
        "org//x",
        "org/a/b",
        "org/.x",
        "org/x.",
        "org/a--b",
        "a--b",
        "org/x.git",
        "org\\x",
        "org/x y",
        "org/正字",
        "org/x\u{7}",
        "C:x",
        "org/x@",
        "org/x@..",
        "org/x@a/../../b",
        "org/x@/etc",
        "org/x@a//b",
        "org/x@a\\b",
        "org/x@.git",
        "org/x@v1@v2",
    ] {
        let (status, out, error) = cache.run(&with(DETECT, name));
        assert_eq!(
            (status, &out[..], error.lines().count()),
            (Some(2), "", 1),
            "{name:?}: {error}"
        );
        assert!(!error.contains("Hugging Face"), "{name:?} is a path: {error}");
    }
    // Nor does what a reference holds.
    let id = "test/tiny-generator";
    for content in ["../../../models--x", "main", "", "/", FIRST.get(1..).unwrap()] {
        cache.add_ref(id, "main", content);
        let (status, _, error) = cache.run(&with(DETECT, id));
        assert_eq!(status, Some(2));
        assert!(error.contains("nor is it in the Hugging Face cache"), "{content:?}: {error}");
    }
}
