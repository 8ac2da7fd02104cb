//! Files that are something else: the line says what, and what to do.

use std::fs;
use std::path::Path;

use super::files::{LEGACY_HEAD, Tensor, keys, state_dict, system};
use super::{read, read_bytes, refused};

#[test]
fn other_formats_are_named_with_the_remedy() {
    let tar = {
        let mut tar = vec![0u8; 1024];
        tar[..8].copy_from_slice(b"sys_info");
        tar[257..262].copy_from_slice(b"ustar");
        tar
    };
    let tensorflow = [&[0u8; 100][..], b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"].concat();
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 409\n";
    let cases: [(&[u8], &str, &str); 19] = [
        (lfs, "Git LFS pointer", "git lfs pull"),
        (b"<!DOCTYPE html>\n<html>", "web page", "download the file itself"),
        (b"\n  <HTML lang=zh>", "web page", "download"),
        (b"<?xml version=\"1.0\"?><Error>", "web page", "download"),
        (b"\x89HDF\r\n\x1a\n1234", "HDF5", "PyTorch"),
        (b"GGUF\x03\0\0\0", "GGUF", "safetensors"),
        (b"\x08\x07\x12\x07pytorch", "ONNX", "PyTorch"),
        (b"\x1f\x8b\x08\0", "gzip", "gunzip"),
        (b"\xfd7zXZ\0", "xz", "unxz"),
        (b"7z\xbc\xaf\x27\x1c\0\x04", "7z", "unpack"),
        (b"Rar!\x1a\x07", "RAR", "unpack"),
        (&tar, "tar archive", "torch before 0.1.10"),
        (&tensorflow, "TensorFlow", "PyTorch"),
        (b"model_checkpoint_path: \"x\"", "TensorFlow", "PyTorch"),
        (b"\x93NUMPY\x01\0", "NumPy", "state dict"),
        (b"\x89PNG\r\n\x1a\n", "picture", "download"),
        (b"PYTORCH1", "2018", "torch.save"),
        (b"\x80\x02}q\0.", "bare pickle", "nothing of it was executed"),
        (b"cmod\n\xf8", "too few", "download"),
    ];
    for (bytes, what, hint) in cases {
        refused(bytes, &[what, hint]);
    }
    refused(&[7; 4096], &["none of the formats we know"]);
}

#[test]
fn formats_without_a_signature_are_told_by_name() {
    for name in ["electra_base.data-00000-of-00001", "model.ckpt", "electra_base.meta"] {
        let line = read_bytes(name, &[7; 100]).unwrap_err();
        assert!(line.contains("part of a TensorFlow checkpoint"), "{line}");
    }
    assert!(read_bytes("flax_model.msgpack", &[0x82; 100]).unwrap_err().contains("Flax"));
}

#[test]
fn legacy_files_of_other_machines_and_protocols_are_refused() {
    let pickle = state_dict(&[Tensor { legacy: true, ..Tensor::default() }]);
    let big = [LEGACY_HEAD, &system(false), &pickle, &keys(&["0"])].concat();
    refused(&big, &["big-endian"]);
    let mut other = [LEGACY_HEAD, &system(true), &pickle, &keys(&["0"])].concat();
    other[18] ^= 1;
    refused(&other, &["protocol 1000, not 1001"]);
}

#[test]
fn an_empty_file_is_refused() {
    refused(b"", &["is empty", "again"]);
    assert!(zhengzi_runtime::Checkpoint::from_static("nothing", b"").is_err());
}

#[test]
fn a_missing_file_is_named_with_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pytorch_model.bin"), "x").unwrap();
    let line = read(&folder.path().join("pytorch_modle.bin")).unwrap_err();
    assert!(line.contains("does not exist: did you mean pytorch_model.bin?"), "{line}");
    let line = read(&folder.path().join("no/such/file")).unwrap_err();
    assert!(line.contains("does not exist: check the path"), "{line}");
}

#[test]
fn a_folder_without_a_model_is_refused_with_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let line = || read(folder.path()).unwrap_err();
    assert!(line().contains("holds no model: expected model.safetensors"), "{}", line());
    fs::write(folder.path().join("tf_model.h5"), "x").unwrap();
    assert!(line().contains("tf_model.h5, which is not PyTorch"), "{}", line());
    fs::write(folder.path().join("weights.pt"), "x").unwrap();
    assert!(line().contains("it holds weights.pt: name that file"), "{}", line());
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_are_refused_without_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    if made.is_ok_and(|status| status.success()) {
        assert!(read(&pipe).unwrap_err().contains("not a regular file"));
    } else {
        eprintln!("skipped: no mkfifo");
    }
    assert!(read(Path::new("/dev/zero")).unwrap_err().contains("not a regular file"));
}

#[cfg(unix)]
#[test]
fn a_file_without_permission_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.bin");
    fs::write(&path, "x").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    match fs::File::open(&path) {
        Err(_) => assert!(read(&path).unwrap_err().contains("may not be read")),
        Ok(_) => eprintln!("skipped: this user may read anything"),
    }
}
