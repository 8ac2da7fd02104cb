//! SHA-256 of a file, where somebody tells what it should be:
//!
//! * `SHA256SUMS` beside it, a digest and a name a line, as `sha256sum` writes it;
//! * the cache of `huggingface_hub`, where a file is a link to `blobs/<digest>`. Large files are named so;
//!   small ones by the SHA-1 of git, which is not computed here.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{AGAIN, Check, STEP, Subject, Verdict, Watch, folder_of, in_steps};
use crate::CheckpointError;

/// `sha256sum * > SHA256SUMS`.
const SUMS: &str = "SHA256SUMS";

/// A list longer than this is of no model.
const SUMS_LIMIT: u64 = 1 << 20;

/// The check of a file of any kind, if somebody tells its digest, or could.
pub fn digest_of(path: &Path, watch: Watch) -> Option<Check> {
    if !path.is_file() {
        return None;
    }
    let verdict = match Told::of(path) {
        Told { digests, unknown } if digests.is_empty() => Verdict::Unchecked(unknown?),
        told => match of_file(path, watch) {
            Ok(found) => told.compare(path, &found),
            Err(error) => {
                let what = format!("cannot be read: {error}");
                Verdict::Failed(vec![CheckpointError::new(path, what)])
            }
        },
    };
    Some(Check { file: path.to_owned(), subject: Subject::Sha256, verdict })
}

/// The check of a mapped file; `own` is whether it has checksums of its own.
pub(super) fn check(path: &Path, bytes: &[u8], own: bool, watch: Watch) -> Verdict {
    if !path.exists() {
        return Verdict::Unchecked("it is a part of this program".to_owned());
    }
    match Told::of(path) {
        Told { digests, unknown } if digests.is_empty() => {
            Verdict::Unchecked(unknown.unwrap_or_else(|| match own {
                true => format!("nobody tells it: put {SUMS} beside it"),
                false => format!(
                    "data bytes cannot be checked, the file has no checksum: put {SUMS} beside it"
                ),
            }))
        }
        told => {
            let mut hasher = Sha256::new();
            in_steps(bytes, watch, |piece| hasher.update(piece));
            told.compare(path, &digits(hasher))
        }
    }
}

/// The digest of a file that is not mapped.
fn of_file(path: &Path, watch: Watch) -> io::Result<String> {
    let (mut file, mut hasher, mut piece) = (File::open(path)?, Sha256::new(), vec![0; STEP]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(digits(hasher)),
            length => {
                hasher.update(&piece[..length]);
                watch(length as u64);
            }
        }
    }
}

fn digits(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is told of a file.
#[derive(Default)]
struct Told {
    /// In hexadecimal digits, with who tells it.
    digests: Vec<(String, PathBuf)>,
    /// Why nothing is, where that is worth a word.
    unknown: Option<String>,
}

impl Told {
    fn of(path: &Path) -> Told {
        let mut told = Told::default();
        if let Some((name, blob)) = blob(path) {
            match name.len() {
                64 => told.digests.push((name, blob)),
                _ => {
                    told.unknown =
                        Some("the hub names it by its git SHA-1, which is not computed".into())
                }
            }
        }
        let sums = folder_of(path).join(SUMS);
        if let (Some(text), Some(name)) = (read(&sums), path.file_name().and_then(|n| n.to_str())) {
            let before = told.digests.len();
            let lines = text.lines().filter_map(line).filter(|(_, listed)| *listed == name);
            told.digests.extend(lines.map(|(digest, _)| (digest.to_owned(), sums.clone())));
            if told.digests.len() == before {
                let listed = format!("{SUMS} beside it does not list it");
                told.unknown = told.unknown.or(Some(listed));
            }
        }
        told
    }

    fn compare(&self, path: &Path, found: &str) -> Verdict {
        let wrong = self.digests.iter().filter(|(digest, _)| !digest.eq_ignore_ascii_case(found));
        let faults = wrong.map(|(digest, by)| {
            let what = format!("its SHA-256 is {found} where {} says {digest}", by.display());
            CheckpointError::new(path, what).hint(AGAIN)
        });
        let by: Vec<_> = self.digests.iter().map(|(_, by)| by.display().to_string()).collect();
        Verdict::of(faults.collect(), || format!("{found}, as {} says", by.join(" and ")))
    }
}

/// The file of the hub's cache that a path leads to, and its name, a digest.
fn blob(path: &Path) -> Option<(String, PathBuf)> {
    let real = fs::canonicalize(path).ok()?;
    let name = real.file_name()?.to_str()?;
    let is_digest = [40, 64].contains(&name.len()) && name.bytes().all(|b| b.is_ascii_hexdigit());
    let is_blob = is_digest && folder_of(&real).file_name()? == "blobs";
    is_blob.then(|| (name.to_owned(), real.clone()))
}

/// A small text, if there is one.
fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    // Asked before opening: to open a pipe is to wait for its writer.
    let is_small = fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() <= SUMS_LIMIT);
    is_small.then_some(())?;
    File::open(path).ok()?.take(SUMS_LIMIT).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Digest and name: `<64 digits>`, a space, a space or `*`, and the name.
fn line(line: &str) -> Option<(&str, &str)> {
    let (digest, name) = line.trim_end().split_at_checked(64)?;
    let name = name.strip_prefix("  ").or_else(|| name.strip_prefix(" *"))?;
    let name = name.strip_prefix("./").unwrap_or(name);
    digest.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some((digest, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_sha256sum() {
        let digest = "0123456789abcdefABCDEF6789abcdef0123456789abcdef0123456789abcdef";
        for (name, text) in [
            ("a b.bin", format!("{digest}  a b.bin")),
            ("a.bin", format!("{digest} *a.bin\r")),
            ("a.bin", format!("{digest}  ./a.bin")),
        ] {
            assert_eq!(line(&text), Some((digest, name)), "{text}");
        }
        let others = [digest.to_owned(), format!("{digest} a"), format!("{}  a", "中".repeat(30))];
        for text in others.iter().map(String::as_str).chain(["", "# sums", "SHA256 (a) = 00"]) {
            assert_eq!(line(text), None, "{text}");
        }
        assert_eq!(line(&format!("{}  a", digest.replace('0', "g"))), None);
    }
}
