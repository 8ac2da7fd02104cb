//! `verify` finds what it promises to find: every bit of a zip's data and of whatever a digest is told
//! of, every name and shape, every number that is none; and says what it could not look at.

mod digests;
mod flips;
mod network;

use std::fs;
use std::path::{Path, PathBuf};

use zhengzi_model::ModelPaths;
use zhengzi_runtime::verify::{Check, Subject, Verdict};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)
}

/// All that is said of the file or folder.
fn verify(path: &Path) -> Vec<Check> {
    let paths = ModelPaths { model: Some(path.to_owned()), ..ModelPaths::default() };
    zhengzi_model::verify(&paths, &mut |_| ()).unwrap()
}

/// The lines of what is wrong.
fn faults(checks: &[Check]) -> Vec<String> {
    let faults = checks.iter().filter_map(|check| match &check.verdict {
        Verdict::Failed(faults) => Some(faults),
        _ => None,
    });
    faults.flatten().map(ToString::to_string).collect()
}

/// What was found of one subject: `ok: …`, `not checked: …`, or the first fault.
fn said(checks: &[Check], subject: Subject) -> String {
    let check = checks.iter().find(|check| check.subject == subject);
    match &check.unwrap_or_else(|| panic!("nothing of {subject:?} in {checks:?}")).verdict {
        Verdict::Passed(what) => format!("ok: {what}"),
        Verdict::Unchecked(why) => format!("not checked: {why}"),
        Verdict::Failed(faults) => faults[0].to_string(),
    }
}

/// SHA-256 in hexadecimal digits.
fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn what_torch_wrote_is_right_and_has_been_looked_at() {
    // Those of older versions lie in folders of their own, which are no models.
    let folders = ["checkpoint", "checkpoint/torch-1.13", "checkpoint/torch-2.0"].map(golden);
    for entry in folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap()) {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let ends = [".bin", ".safetensors", "shards-bin", "shards-safetensors"];
        let is_model = ends.iter().any(|end| name.ends_with(end));
        if !is_model || name == "whole_model.bin" {
            continue;
        }
        let checks = verify(&path);
        assert_eq!(faults(&checks), Vec::<String>::new(), "{name}");
        let is_zip = name.ends_with("bin") && !name.contains("legacy");
        let crc = checks.iter().filter(|check| check.subject == Subject::Crc32).count();
        assert_eq!(crc, if name == "shards-bin" { 2 } else { usize::from(is_zip) }, "{name}");
        let data = said(&checks, Subject::Sha256);
        assert!(data.starts_with("not checked: ") && data.ends_with("put SHA256SUMS beside it"));
        assert_eq!(data.contains("data bytes cannot be checked"), !is_zip, "{name}: {data}");
        assert!(said(&checks, Subject::Network).contains("no config.json is beside it"));
    }
}

#[test]
fn the_model_inside_is_right() {
    let checks = zhengzi_model::verify(&ModelPaths::default(), &mut |_| ()).unwrap();
    assert_eq!(faults(&checks), Vec::<String>::new());
    for subject in [Subject::Panels, Subject::Numbers, Subject::Network, Subject::Vocabulary] {
        assert!(said(&checks, subject).starts_with("ok: "), "{subject:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_one_fault_not_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.bin");
    let whole = fs::read(golden("checkpoint/zip.bin")).unwrap();
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let checks = verify(&path);
    assert_eq!((checks.len(), checks[0].subject), (1, Subject::Structure));
    assert!(said(&checks, Subject::Structure).contains("cut.bin: the zip directory"));
    let nothing = ModelPaths { model: Some(folder.path().join("none")), ..Default::default() };
    assert!(zhengzi_model::verify(&nothing, &mut |_| ()).is_err());
}

#[test]
fn every_byte_that_is_read_is_told_to_the_watch() {
    let path = golden("checkpoint/zip.bin");
    let (mut bytes, paths) = (0, ModelPaths { model: Some(path), ..ModelPaths::default() });
    zhengzi_model::verify(&paths, &mut |more| bytes += more).unwrap();
    // 1000 bytes of entries, and 55 numbers of f32 once more.
    assert_eq!(bytes, 1000 + 4 * 55);
}
