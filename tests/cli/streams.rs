//! Text of any length, and what holds for it in every format.

use std::io::{Read, Write};
use std::thread;

use super::{peak_memory_kib, run, spawn, zhengzi};

/// Runs with input that is made while it is read; the status, the number of bytes that came
/// out, standard error, and the peak of memory after each eighth.
#[cfg(target_os = "linux")]
fn stream(args: &[&str], chunk: &[u8], chunks: usize) -> (Option<i32>, usize, String, Vec<i64>) {
    let mut child = spawn(zhengzi().args(args));
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let drain = thread::spawn(move || {
        let (mut total, mut buffer) = (0, vec![0; 1 << 16]);
        loop {
            match stdout.read(&mut buffer).unwrap() {
                0 => return total,
                length => total += length,
            }
        }
    });
    let mut peaks = Vec::new();
    for written in 1..=chunks {
        // Whoever refuses the input closes the pipe.
        if stdin.write_all(chunk).is_err() {
            break;
        }
        if written % (chunks / 8) == 0 {
            peaks.push(peak_memory_kib(&child));
        }
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), drain.join().unwrap(), stderr, peaks)
}

/// 80 MB of lines, one in some thousand with a correction.
#[cfg(target_os = "linux")]
#[test]
fn eighty_megabytes_stream_in_constant_memory() {
    let rest = "no line of this has anything to correct, 12345\n".repeat(20_000);
    let chunk = format!("今天新情很好\n{rest}");
    let chunks = 80_000_000_usize.div_ceil(chunk.len()).next_multiple_of(8);
    let (status, length, stderr, peaks) = stream(&["correct"], chunk.as_bytes(), chunks);
    assert_eq!((status, length, stderr.as_str()), (Some(0), chunk.len() * chunks, ""));
    let growth = peaks[7] - peaks[0];
    assert!(growth < 8 << 10, "{growth} KiB more after the first eighth");
}

/// Plain text lets a line of any length by; what has to be held has an end.
#[cfg(target_os = "linux")]
#[test]
fn a_line_of_more_than_64_megabytes_is_refused_by_all_but_plain_text() {
    let chunk = [b'x'; 1 << 20];
    let (status, length, stderr, _) = stream(&["correct"], &chunk, 72);
    assert_eq!((status, length), (Some(0), 72 << 20));
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    for format in ["diff", "json", "pycorrector", "rdjson", "sarif"] {
        let args = ["correct", "--format", format];
        let (status, _, stderr, _) = stream(&args, &chunk, 72);
        let expected = "zhengzi: <stdin>:1: a line of more than 64 MiB: \
                        only --format plain lets it through\n";
        assert_eq!((status, stderr.as_str()), (Some(2), expected), "{format}");
    }
}

/// 2⁰ to 2³⁰ bytes of one line, ASCII, NULs, and Han text cut anywhere: what goes in comes out.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "just torture"]
fn a_line_of_any_length_to_a_gibibyte_streams_in_constant_memory() {
    let mut most = 0;
    for (name, pattern) in [("x", "x"), ("NUL", "\0"), ("Han", "今天天气很好，")] {
        for power in 0..=30 {
            let peak = one_line(pattern.as_bytes(), 1 << power);
            most = most.max(peak);
            assert!(peak < 64 << 10, "{name}, 2^{power} bytes: {peak} KiB");
        }
    }
    println!("X2: 93 lines of 1 B to 1 GiB: at most {} MB held", most * 1024 / 1_000_000);
}

/// Sends one line of so many bytes through `correct` and compares; the peak of memory in KiB, 0
/// where it was over too soon to ask.
#[cfg(target_os = "linux")]
fn one_line(pattern: &[u8], length: usize) -> i64 {
    // A line that is examined takes its time: those are of one kind, and short.
    let pattern = if (1 << 13..=1 << 20).contains(&length) { b"x" } else { pattern };
    let block = pattern.repeat((1 << 20) / pattern.len() + 2);
    let from = |at: usize, length: usize| &block[at % pattern.len()..][..length];
    let mut child = spawn(zhengzi().args(["correct", "-q"]));
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    thread::scope(|scope| {
        let writer = scope.spawn(move || {
            for at in (0..length).step_by(1 << 20) {
                stdin.write_all(from(at, (1 << 20).min(length - at))).unwrap();
            }
        });
        let (mut total, mut peak, mut buffer) = (0, 0, vec![0; 1 << 16]);
        loop {
            match stdout.read(&mut buffer).unwrap() {
                0 => break,
                read => {
                    assert!(
                        buffer[..read] == *from(total, read),
                        "after {total} of {length} bytes"
                    );
                    total += read;
                    if total % (1 << 24) < read {
                        peak = peak_memory_kib(&child);
                    }
                }
            }
        }
        writer.join().unwrap();
        assert_eq!((total, child.wait().unwrap().code()), (length, Some(0)));
        peak
    })
}

#[test]
fn the_status_is_the_same_in_every_format() {
    for format in ["plain", "diff", "line", "json", "pycorrector", "rdjson", "sarif", "github"] {
        let status = |command: &str, check: bool, text: &str| {
            let mut zhengzi = zhengzi();
            zhengzi.args([command, "--format", format, "-t", text]);
            zhengzi.args(check.then_some("--check"));
            run(&mut zhengzi, b"").status.code()
        };
        let (right, wrong) = ("今天天气很好", "今天新情很好");
        assert_eq!(status("correct", false, wrong), Some(0), "{format}");
        assert_eq!(status("correct", true, right), Some(0), "{format}");
        assert_eq!(status("correct", true, wrong), Some(1), "{format}");
        // There is nothing that a diff could show of a suspicion.
        let (clean, found) = if format == "diff" { (2, 2) } else { (0, 1) };
        assert_eq!(status("detect", false, right), Some(clean), "{format}");
        let suspicious = "老师给我们步置了作业";
        assert_eq!(status("detect", false, suspicious), Some(found), "{format}");
    }
}

#[test]
fn a_service_answers_each_request_before_the_next_one() {
    let mut child = spawn(zhengzi().args(["correct", "--input", "jsonl"]));
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    for id in ["1", "\"two\"", "[3,{\"x\":1.50}]", "null", "123456789012345678901234567890"] {
        writeln!(stdin, "{{\"text\":\"今天新情很好\\n我门\",\"id\":{id}}}").unwrap();
        let mut answer = String::new();
        std::io::BufRead::read_line(&mut stdout, &mut answer).unwrap();
        let start = format!("{{\"version\":1,\"id\":{id},\"source\":");
        assert!(answer.starts_with(&start), "{answer}");
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["target"], "今天心情很好\n我们");
        assert_eq!(answer["corrections"][1]["char"], serde_json::json!([8, 9]));
        assert_eq!(answer["corrections"][1]["byte"], serde_json::json!([22, 25]));
    }
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_request_that_is_none_is_answered_with_its_error_and_the_next_one_is_served() {
    let requests = concat!(
        "\u{feff}{\"id\":0,\"text\":\"好\"}\n",
        "no json\n",
        "[7,\"好\"]\n",
        "{\"id\":1}\n",
        "\n",
        "{\"id\":2,\"text\":7}\n",
        "{\"id\":3,\"text\":\"\\ud800\"}\n",
        "{\"id\":4,\"text\":\"a\\u0000b\"}\n",
        "{\"id\":5,\"text\":\"好\",\"other\":[]}",
    );
    let output = run(zhengzi().args(["detect", "--input", "jsonl"]), requests.as_bytes());
    let stdout = String::from_utf8_lossy(&output.stdout);
    let answers: Vec<serde_json::Value> =
        stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: Vec<_> = answers.iter().map(|answer| answer["id"].as_u64()).collect();
    assert_eq!(ids, [Some(0), None, None, Some(1), Some(2), Some(3), Some(4), Some(5)]);
    assert!(answers[1..7].iter().all(|answer| answer["error"].is_string()), "{stdout}");
    assert_eq!((&answers[0]["source"], &answers[7]["source"]), (&"好".into(), &"好".into()));
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(2), &b""[..]));
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_listed_is_told_of_and_the_rest_is_read() {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let folder = tempfile::tempdir().unwrap();
    let shut = folder.path().join("b");
    for name in ["a.txt", "b/in.txt", "c.txt"] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{name}\n")).unwrap();
    }
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&shut, Permissions::from_mode(0o000)).unwrap();
    let mut command = zhengzi();
    command.args(["correct", "-r", "."]).current_dir(&folder);
    if fs::read_dir(&shut).is_ok() {
        command.uid(65_534); // whoever may list anything has to become somebody who may not
    }
    let output = command.output();
    fs::set_permissions(&shut, Permissions::from_mode(0o755)).unwrap();
    let Ok(output) = output else {
        eprintln!("skipped: the binary lies where only its owner may start it");
        return;
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "a.txt\nc.txt\n", "{stderr}");
    assert!(stderr.starts_with("zhengzi: b: "), "{stderr}");
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(2), 1), "{stderr}");
}
