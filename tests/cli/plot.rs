//! `plot` of what a run logged, and of what is no log.

use std::fs;

use super::pretrain::folder;
use super::{run, zhengzi};

#[test]
fn the_curves_of_a_run_are_drawn_beside_its_log() {
    let folder = folder();
    let args = ["pretrain", "config.json", "--corpus", "corpus.txt", "-o", "out", "--threads", "1"];
    let more =
        ["--batch", "512", "--length", "32", "--steps", "9", "--every", "4", "--validate", "0.1"];
    let out = run(zhengzi().current_dir(&folder).args(args).args(more), b"");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let drawn = |log: &str| {
        let out = run(zhengzi().current_dir(&folder).args(["plot", log]), b"");
        (out.status.code(), String::from_utf8(out.stderr).unwrap())
    };
    assert_eq!(drawn("out/log.jsonl").0, Some(0));
    let picture = fs::read_to_string(folder.path().join("out/log.svg")).unwrap();
    assert!(picture.starts_with("<svg ") && picture.contains("Discriminator: AUC"), "{picture}");
    assert!(picture.contains("prefers-color-scheme: dark") && picture.contains("step 9: "));
    // The last line of a run that goes on may be torn; any other is no log.
    let log = fs::read_to_string(folder.path().join("out/log.jsonl")).unwrap();
    fs::write(folder.path().join("torn.jsonl"), &log[..log.len() - 9]).unwrap();
    assert_eq!(drawn("torn.jsonl").0, Some(0));
    fs::write(folder.path().join("bad.jsonl"), "{}\nstep 1\n").unwrap();
    assert_eq!(
        drawn("bad.jsonl"),
        (Some(2), "zhengzi: bad.jsonl: line 2: not JSON: name a log.jsonl\n".into())
    );
    fs::write(folder.path().join("none.jsonl"), "{}\n").unwrap();
    assert!(drawn("none.jsonl").1.contains("none.jsonl: holds no steps: "));
}
