//! What a user sees of all this: the command ends with status 2, one line on standard error that
//! names the file, and nothing on standard output, in the reader's language.

use std::fs;

use super::payloads::carriers;
use crate::checkpoint::files::{
    LEGACY_HEAD, Pickle, Tensor, entries, safetensors, state_dict, zip,
};
use crate::cli::{run, zhengzi};

#[test]
fn a_hostile_file_ends_the_command_with_one_line_and_status_2() {
    let hostile = Pickle::new().global("os", "system").text("true").op(b"\x85R").stop();
    let tensor = Tensor { name: "a\u{1b}[31m\nb", offset: -1, ..Tensor::default() };
    let mut files: Vec<Vec<u8>> = carriers(&hostile).map(|(_, file)| file).into();
    files.extend([
        Vec::new(),
        b"version https://git-lfs.github.com/spec/v1\n".to_vec(),
        LEGACY_HEAD.to_vec(),
        zip(&entries(&state_dict(&[tensor]))),
        zip(&entries(&state_dict(&[Tensor::default()])))[..300].to_vec(),
        safetensors("{", b""),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.bin");
    for file in &files {
        fs::write(&path, file).unwrap();
        for (command, locale) in [("inspect", "C"), ("inspect", "zh_CN.UTF-8")] {
            let output = run(zhengzi().arg(command).arg(&path).env("LC_ALL", locale), b"");
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!((output.status.code(), &output.stdout[..]), (Some(2), &b""[..]), "{stderr}");
            let is_one =
                stderr.lines().count() == 1 && !stderr.trim_end().contains(char::is_control);
            assert!(is_one && stderr.contains("model.bin"), "{stderr:?}");
            let is_chinese = stderr.contains(|c| matches!(c, '\u{4e00}'..='\u{9fff}'));
            assert_eq!(is_chinese, locale.starts_with("zh"), "{stderr}");
        }
        assert_eq!(&fs::read(&path).unwrap(), file, "the file was written to");
    }
}
