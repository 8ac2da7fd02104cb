//! SHA-256 from the hub's cache and from `SHA256SUMS`.

use std::fs;

use zhengzi_runtime::verify::Subject;

use super::{faults, golden, said, sha256, verify};

#[cfg(unix)]
#[test]
fn a_blob_of_the_hubs_cache_is_held_against_its_name() {
    let cache = tempfile::tempdir().unwrap();
    let repository = cache.path().join("models--some--model");
    let (blobs, snapshot) = (repository.join("blobs"), repository.join("snapshots/0123abcd"));
    fs::create_dir_all(&blobs).unwrap();
    fs::create_dir_all(&snapshot).unwrap();
    let bytes = fs::read(golden("checkpoint/plain.safetensors")).unwrap();
    let (digest, git) = (sha256(&bytes), "0123456789abcdef0123456789abcdef01234567");
    fs::write(blobs.join(&digest), &bytes).unwrap();
    fs::write(blobs.join(git), "{}").unwrap();
    let weights = snapshot.join("model.safetensors");
    std::os::unix::fs::symlink(format!("../../blobs/{digest}"), &weights).unwrap();
    std::os::unix::fs::symlink(format!("../../blobs/{git}"), snapshot.join("config.json")).unwrap();

    let checks = verify(&weights);
    let told = said(&checks, Subject::Sha256);
    assert!(told.starts_with(&format!("ok: {digest}, as ")) && told.contains("blobs"), "{told}");
    let beside = checks.iter().find(|check| check.file.ends_with("config.json"));
    assert!(format!("{beside:?}").contains("git SHA-1, which is not computed"), "{beside:?}");

    let mut damaged = bytes.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(blobs.join(&digest), &damaged).unwrap();
    let told = said(&verify(&weights), Subject::Sha256);
    assert!(told.contains(&format!("its SHA-256 is {} where ", sha256(&damaged))), "{told}");
    assert!(told.contains("says ") && told.ends_with("download it again"), "{told}");
}

#[test]
fn sha256sums_tells_of_all_files_of_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let weights = fs::read(golden("checkpoint/legacy.bin")).unwrap();
    fs::write(at("pytorch_model.bin"), &weights).unwrap();
    fs::write(at("vocab.txt"), "[PAD]\n").unwrap();
    let sums = |vocabulary: &str| {
        let lines = format!(
            "{}  pytorch_model.bin\n{}  vocab.txt\n",
            sha256(&weights).to_uppercase(),
            sha256(vocabulary.as_bytes()),
        );
        fs::write(at("SHA256SUMS"), lines).unwrap();
        verify(folder.path())
    };
    assert_eq!(faults(&sums("[PAD]\n")), Vec::<String>::new());
    let lines = faults(&sums("[UNK]\n"));
    assert!(
        matches!(&lines[..], [line] if line.contains("vocab.txt: its SHA-256 is ")),
        "{lines:?}"
    );

    fs::write(at("SHA256SUMS"), format!("{}  other.bin\n", "0".repeat(64))).unwrap();
    let told = said(&verify(folder.path()), Subject::Sha256);
    assert_eq!(told, "not checked: SHA256SUMS beside it does not list it");
}

#[test]
fn a_file_that_cannot_be_read_is_held_against_its_digest_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    fs::write(&path, b"PK\x03\x04 but nothing more, though sixty-four bytes are here at the least")
        .unwrap();
    fs::write(folder.path().join("SHA256SUMS"), format!("{}  model.safetensors", "a".repeat(64)))
        .unwrap();
    let checks = verify(&path);
    let subjects: Vec<Subject> = checks.iter().map(|check| check.subject).collect();
    assert_eq!(subjects, [Subject::Structure, Subject::Sha256]);
    assert_eq!(faults(&checks).len(), 2);
}
