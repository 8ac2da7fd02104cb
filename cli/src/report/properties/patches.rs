//! Diffs of random documents, applied again: by a small reader of patches written for this
//! alone, and by `git apply` and `patch` where they are installed.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::super::Diff;
use super::{Dice, Document, Row, written};
use crate::input::Source;

#[test]
fn a_diff_turns_the_old_bytes_into_the_new_ones() {
    let mut dice = Dice(4);
    let mut hunks = 0;
    for number in 0..400 {
        let document = dice.document(25, format!("{number}.txt").into());
        let patch = written(&mut Diff::new(false), std::slice::from_ref(&document));
        let (old, new) = (document.bytes(false), document.bytes(true));
        assert_eq!(patch.is_empty(), old == new, "file {number}");
        assert!(patched(&old, &patch, &mut hunks) == new, "file {number}");
    }
    assert!(hunks > 400, "{hunks} hunks");
}

#[test]
fn git_and_patch_apply_a_diff_of_files_with_difficult_names() {
    let mut names = vec!["plain.txt", "目录/two words.txt", "./a/./b.txt"];
    if cfg!(unix) {
        names.extend(["quote\"back\\slash", "tab\tbell\x07\x1b", " a\nb "]);
    }
    let mut names: Vec<_> = names.into_iter().map(std::path::PathBuf::from).collect();
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::ffi::OsStringExt;
        names.push(std::ffi::OsString::from_vec(b"\xe5\xa5\xbd\xff.txt".to_vec()).into());
    }
    let mut dice = Dice(5);
    let documents: Vec<Document> =
        names.iter().map(|name| dice.document(200, name.clone().into_os_string())).collect();
    let patch = written(&mut Diff::new(false), &documents);
    let git = ["git", "apply", "--whitespace=nowarn", "diff.patch"];
    let gnu = ["patch", "-p1", "--binary", "--fuzz=0", "--input=diff.patch"];
    for command in [&git[..], &gnu[..]] {
        let folder = tempfile::tempdir().unwrap();
        let path = |document: &Document| folder.path().join(document.source.path().unwrap());
        for document in &documents {
            fs::create_dir_all(path(document).parent().unwrap()).unwrap();
            fs::write(path(document), document.bytes(false)).unwrap();
        }
        fs::write(folder.path().join("diff.patch"), &patch).unwrap();
        let Some(said) = run(command, folder.path()) else {
            eprintln!("{} is not installed: not tried", command[0]);
            continue;
        };
        for document in &documents {
            let applied = fs::read(path(document)).unwrap() == document.bytes(true);
            assert!(applied, "{} {:?}: {said}", command[0], document.source);
        }
    }
}

/// What the command said; nothing where it is not installed.
fn run(command: &[&str], folder: &Path) -> Option<String> {
    // With nobody's settings, and in no repository above.
    let output = Command::new(command[0])
        .args(&command[1..])
        .current_dir(folder)
        .envs([("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null")])
        .env("GIT_CEILING_DIRECTORIES", folder.parent().unwrap())
        .stdin(Stdio::null())
        .output()
        .ok()?;
    Some(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

impl Dice {
    /// A file in which changes are here close together and there far apart, some lines are
    /// not text, and the last line may lack its end.
    fn document(&mut self, lines: usize, name: std::ffi::OsString) -> Document {
        let mut rows = Vec::new();
        let mut rarity = 1;
        for _ in 0..lines {
            if self.below(10) == 0 {
                rarity = 1 + self.below(12);
            }
            rows.push(match (self.row(), self.below(rarity), self.below(12)) {
                (_, _, 0) => Row::Unread {
                    parts: vec![b"\xff--- \0".to_vec(), b"\r".to_vec(), b"\n".to_vec()],
                },
                (Row::Examined { text, terminator, .. }, 1.., _) => {
                    Row::Examined { text, terminator, corrections: Vec::new() }
                }
                (row, ..) => row,
            });
        }
        if let (Some(Row::Examined { text, terminator, .. }), 0) = (rows.last_mut(), self.below(2))
        {
            // (An empty line without an end is no line.)
            *terminator = if text.is_empty() { "\n" } else { "" };
        }
        Document { source: Source::File(name.into()), rows }
    }
}

/// Applies a diff of one file. Context must agree to the byte.
fn patched(old: &[u8], patch: &[u8], hunks: &mut usize) -> Vec<u8> {
    let lines = |bytes: &[u8]| -> Vec<Vec<u8>> {
        bytes.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect()
    };
    let (old, mut patch) = (lines(old), lines(patch));
    // A line without its end was given one, and a remark.
    while let Some(at) = patch.iter().position(|line| line.starts_with(b"\\ No newline")) {
        patch.remove(at);
        assert_eq!(patch[at - 1].pop(), Some(b'\n'));
    }
    let mut patch = patch.into_iter().skip(2);
    let (mut new, mut reached) = (Vec::new(), 0);
    while let Some(heading) = patch.next() {
        *hunks += 1;
        let heading = String::from_utf8(heading).unwrap();
        let range = heading.strip_prefix("@@ -").unwrap().split(' ').next().unwrap();
        assert_eq!(heading, format!("@@ -{range} +{range} @@\n"));
        let (start, length) = range.split_once(',').unwrap_or((range, "1"));
        let [start, length] = [start, length].map(|number| number.parse::<usize>().unwrap());
        assert!(start > reached, "hunks are in order");
        new.extend_from_slice(&old[reached..start - 1]);
        reached = start - 1;
        let end = new.len() + length;
        while reached < start - 1 + length || new.len() < end {
            let line = patch.next().unwrap();
            if matches!(line[0], b' ' | b'-') {
                assert_eq!(line[1..], old[reached]);
                reached += 1;
            }
            if matches!(line[0], b' ' | b'+') {
                new.push(line[1..].to_vec());
            }
            assert!(matches!(line[0], b' ' | b'-' | b'+'));
        }
        assert_eq!((reached, new.len()), (start - 1 + length, end));
    }
    new.extend_from_slice(&old[reached..]);
    new.concat()
}
