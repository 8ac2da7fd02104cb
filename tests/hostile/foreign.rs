//! C5: files that are something else. The line says what, and what to do.

use std::fs;
use std::path::Path;

use super::Row;
use super::row::everything;
use crate::checkpoint::files::{entries, entry, safetensors, state_dict, zip};

#[test]
fn c5_another_format_is_named_with_the_remedy() {
    let tar = {
        let mut tar = vec![0u8; 1024];
        tar[..8].copy_from_slice(b"sys_info");
        tar[257..262].copy_from_slice(b"ustar");
        tar
    };
    let tensorflow = [&[0u8; 100][..], b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"].concat();
    let script = [entry("a/constants.pkl", b"\x80\x02).")];
    let script = zip(&[&entries(&state_dict(&[]))[..], &script].concat());
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 409\n";
    let mut row = Row::new("C5");
    let cases: [(&str, &[u8], &str, &str); 30] = [
        ("a Git LFS pointer", lfs, "Git LFS pointer", "git lfs pull"),
        ("a page", b"<!DOCTYPE html>\n<html>", "web page", "download the file itself"),
        ("a page in capitals", b"\n  <HTML lang=zh>", "web page", "download"),
        ("an error in XML", b"<?xml version=\"1.0\"?><Error>", "web page", "download"),
        ("Keras", b"\x89HDF\r\n\x1a\n1234", "HDF5", "PyTorch"),
        ("an index of TensorFlow", &tensorflow, "TensorFlow", "PyTorch"),
        ("a list of TensorFlow", b"model_checkpoint_path: \"x\"", "TensorFlow", "PyTorch"),
        ("TensorFlow Lite", b"\x1c\0\0\0TFL3", "TensorFlow Lite", "PyTorch"),
        ("llama.cpp", b"GGUF\x03\0\0\0", "GGUF", "safetensors"),
        ("its forerunner", b"lmgg\x01\0\0\0", "GGML", "safetensors"),
        ("ONNX", b"\x08\x07\x12\x07pytorch", "ONNX", "PyTorch"),
        ("gzip", b"\x1f\x8b\x08\0", "gzip", "gunzip"),
        ("xz", b"\xfd7zXZ\0", "xz", "unxz"),
        ("bzip2", b"BZh91AY", "bzip2", "bunzip2"),
        ("zstd", b"\x28\xb5\x2f\xfd\0", "zstd", "unzstd"),
        ("7z", b"7z\xbc\xaf\x27\x1c\0\x04", "7z", "unpack"),
        ("RAR", b"Rar!\x1a\x07", "RAR", "unpack"),
        ("tar", &tar, "tar archive", "torch before 0.1.10"),
        ("an empty zip", &zip(&[]), "empty zip archive", "download it again"),
        ("TorchScript", &script, "TorchScript", "state_dict()"),
        ("NumPy", b"\x93NUMPY\x01\0", "NumPy", "state dict"),
        ("a picture", b"\x89PNG\r\n\x1a\n", "picture", "download"),
        ("a document", b"%PDF-1.7", "PDF", "download"),
        ("a program", b"\x7fELF\x02\x01", "program", "download"),
        ("torch of 2018", b"PYTORCH1", "2018", "torch.save"),
        ("a pickle", b"\x80\x02}q\0.", "bare pickle", "nothing of it was executed"),
        ("six bytes", b"cmod\n\xf8", "too few", "download"),
        ("noise", &[7; 4096], "none of the formats we know", "download"),
        ("an index of nothing", b"{}", "not an index of shards", "name the model file"),
        ("a byte-order mark", b"\xef\xbb\xbf{\"a\":1}", "byte-order mark", "UTF-8"),
    ];
    for (what, bytes, is, remedy) in cases {
        let read = row.read(bytes);
        row.expect(what, read.clone(), &[is]);
        row.expect(what, read, &[remedy]);
    }
    row.refuse("no bytes", b"", &["is empty: download or copy it again"]);
    row.refuse("no tensors", &safetensors("{}", b""), &["holds no tensors"]);

    // What is told by its name alone.
    for (name, is) in [
        ("electra_base.data-00000-of-00001", "part of a TensorFlow checkpoint"),
        ("flax_model.msgpack", "a Flax model"),
    ] {
        let path = row.path().with_file_name(name);
        fs::write(&path, [7; 100]).unwrap();
        let read = row.read_file(&path);
        row.expect(name, read, &[is]);
    }

    // What is no file at all.
    let folder = row.path().with_file_name("folder");
    fs::create_dir(&folder).unwrap();
    let read = row.read_file(&folder);
    row.expect("a folder", read, &["the folder holds no model"]);
    let read = row.read_file(&row.path().with_file_name("nobody.bin"));
    row.expect("nothing", read, &["does not exist"]);
    row.end(36);
}

#[cfg(unix)]
#[test]
fn c5_pipes_devices_and_forbidden_files_are_refused_without_waiting() {
    use std::os::unix::fs::PermissionsExt;
    let mut row = Row::new("C5, no files");
    let mut devices = 1;
    let read = everything(Path::new("/dev/zero"));
    row.count(&read);
    row.expect("a device", read, &["/dev/zero: is not a regular file"]);
    let pipe = row.path().with_file_name("pipe");
    match std::process::Command::new("mkfifo").arg(&pipe).status() {
        Ok(status) if status.success() => {
            let read = row.read_file(&pipe);
            row.expect("a pipe", read, &["is not a regular file"]);
            devices += 1;
        }
        _ => eprintln!("skipped: no mkfifo"),
    }
    let secret = row.path();
    fs::write(&secret, "x").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    match fs::File::open(&secret) {
        Err(_) => {
            let read = row.read_file(&secret);
            row.expect("no permission", read, &["may not be read"]);
            devices += 1;
        }
        Ok(_) => eprintln!("skipped: this user may read anything"),
    }
    row.end(devices);
}
