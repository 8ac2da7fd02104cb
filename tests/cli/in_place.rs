//! `-w`: whatever happens, a file holds its old bytes or its new ones, and what belongs to it
//! besides its bytes stays.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use super::{run, spawn, zhengzi};

/// A file that takes a while to write: its first line is corrected, so that everything after
/// it goes through the temporary file.
struct Draft {
    folder: tempfile::TempDir,
    old: Vec<u8>,
    new: Vec<u8>,
}

/// Lines of a draft that takes a while: four documents, and a temporary file from the end of the first on.
const LONG: usize = 200_000;

impl Draft {
    fn of(lines: usize) -> Draft {
        let rest = "nothing to correct in here, 12345\r\n".repeat(lines);
        let text = |first: &str| format!("\u{feff}{first}\n{rest}last").into_bytes();
        let (old, new) = (text("今天新情很好"), text("今天心情很好"));
        let draft = Draft { folder: tempfile::tempdir().unwrap(), old, new };
        draft.restore();
        draft
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("draft.txt")
    }

    fn restore(&self) {
        fs::write(self.path(), &self.old).unwrap();
    }

    fn command(&self) -> Command {
        let mut command = zhengzi();
        command.args(["correct", "-w", "-q"]).arg(self.path());
        command
    }

    /// Whether the file is the new one; it must be one of the two.
    fn is_new(&self) -> bool {
        let now = fs::read(self.path()).unwrap();
        assert!(now == self.old || now == self.new, "{} bytes, neither old nor new", now.len());
        now == self.new
    }

    /// What stands beside the file.
    fn others(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().path()).filter(|path| *path != self.path()).collect()
    }
}

/// How long the command takes when nobody disturbs it.
fn undisturbed(draft: &Draft) -> Duration {
    let started = Instant::now();
    assert_eq!(run(&mut draft.command(), b"").status.code(), Some(0));
    assert!(draft.is_new() && draft.others().is_empty());
    draft.restore();
    started.elapsed()
}

#[test]
fn killed_at_any_moment_it_leaves_old_or_new_bytes() {
    killed(30);
}

#[test]
#[ignore = "just torture"]
fn killed_a_thousand_times_it_leaves_old_or_new_bytes() {
    let (replaced, unfinished) = killed(1000);
    println!("W1: 1000 kills: {replaced} new files, {unfinished} temporary files left");
}

/// How many of so many kills found the new file, and how many left a temporary one.
fn killed(kills: u32) -> (u32, u32) {
    let draft = Draft::of(LONG);
    let whole = undisturbed(&draft);
    let (mut replaced, mut unfinished) = (0, 0);
    for kill in 0..kills {
        let mut child = spawn(draft.command().args((kill % 4 == 3).then_some("--backup")));
        // From the start to a little after the end, however fast this machine is today.
        thread::sleep(whole * kill * 5 / (4 * kills));
        let _ = child.kill();
        child.wait().unwrap();
        replaced += u32::from(draft.is_new());
        let (kept, others): (Vec<PathBuf>, _) =
            draft.others().into_iter().partition(|path| path.extension().unwrap() == "bak");
        assert!(kept.iter().all(|path| fs::read(path).unwrap() == draft.old), "{kept:?}");
        let temporary = |path: &Path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.starts_with(".zhengzi-") && name.ends_with(".tmp")
        };
        assert!(others.len() <= 1 && others.iter().all(|path| temporary(path)), "{others:?}");
        unfinished += others.len() as u32;
        others.iter().chain(&kept).for_each(|path| fs::remove_file(path).unwrap());
        draft.restore();
    }
    // Otherwise the kills came too early or too late to prove anything.
    assert!(unfinished > 0, "no kill of {kills} came while the file was written");
    assert!(replaced < kills, "no kill of {kills} came before the file was replaced");
    (replaced, unfinished)
}

#[cfg(unix)]
#[test]
fn an_interrupt_cleans_up_and_says_130() {
    interrupted(20);
}

#[cfg(unix)]
#[test]
#[ignore = "just torture"]
fn a_thousand_interrupts_clean_up_and_say_130() {
    println!("W1: {} of 1000 interrupts came before the end", interrupted(1000));
}

/// How many of so many interrupts came before the end.
#[cfg(unix)]
fn interrupted(times: u32) -> u32 {
    let draft = Draft::of(LONG);
    let whole = undisturbed(&draft);
    let mut interrupted = 0;
    for signal in 0..times {
        let mut child = spawn(heeding(&mut draft.command()));
        // It listens before it does anything else, but a process must first begin.
        thread::sleep(Duration::from_millis(20) + whole * signal / times);
        send(&child, "-INT");
        let status = child.wait().unwrap();
        assert!(matches!(status.code(), Some(0 | 130)), "{status}");
        interrupted += u32::from(status.code() == Some(130));
        assert_eq!(draft.others(), [] as [PathBuf; 0]);
        // (An interrupt may also come between the new file and the end.)
        assert!(draft.is_new() || !status.success());
        draft.restore();
    }
    assert!(interrupted > 0, "every interrupt came too late");
    interrupted
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_a_command_that_waits_for_input() {
    for (signal, status) in [("-INT", 130), ("-TERM", 143)] {
        let mut child = spawn(heeding(zhengzi().arg("correct")));
        // The first answer shows that the command is running.
        use std::io::{Read, Write};
        // Kept open: to wait for a child closes the input that it still has.
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"ready\n").unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
        send(&child, signal);
        assert_eq!(child.wait().unwrap().code(), Some(status));
    }
}

/// Started so that an interrupt is no longer ignored, as it is by what a shell left in the background.
#[cfg(unix)]
fn heeding(command: &mut Command) -> &mut Command {
    use std::os::unix::process::CommandExt;
    // SAFETY: between fork and exec, nothing but a call that is safe there (signal-safety(7)).
    unsafe {
        command.pre_exec(|| match libc::signal(libc::SIGINT, libc::SIG_DFL) {
            libc::SIG_ERR => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        })
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupt_that_is_to_be_ignored_is_ignored() {
    use std::io::{Read, Write};
    let line = format!("trap '' INT HUP; exec {} correct", quoted());
    let mut child = spawn(Command::new("sh").args(["-c", &line]));
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    for signal in ["-INT", "-HUP", "-INT"] {
        stdin.write_all(b"still here\n").unwrap();
        stdout.read_exact(&mut [0; 11]).unwrap();
        send(&child, signal);
    }
    stdin.write_all(b"still here\n").unwrap();
    stdout.read_exact(&mut [0; 11]).unwrap();
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// How the binary is started, for a shell.
#[cfg(unix)]
pub fn quoted() -> String {
    let words: Vec<String> = super::words().iter().map(|word| format!("{word:?}")).collect();
    words.join(" ")
}

#[cfg(unix)]
fn send(child: &Child, signal: &str) {
    // It may have ended meanwhile; then nobody gets the signal.
    let _ = Command::new("kill").args([signal, &child.id().to_string()]).output().unwrap();
}

/// The shell's limit on the size of files stands in for a full disk.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_old_file() {
    let draft = Draft::of(LONG);
    let line =
        format!("trap '' XFSZ; ulimit -f 100; exec {} correct -w {:?}", quoted(), draft.path());
    let output = Command::new("sh").args(["-c", &line]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(2), 1), "{stderr}");
    assert!(stderr.contains("draft.txt: "), "{stderr}");
    assert!(!draft.is_new() && draft.others().is_empty());
}

/// A file system of 3 MB, in which the old file is and the new one has no room; then one that may not
/// be written to at all. (What the mode of a folder forbids, root may do.)
#[cfg(target_os = "linux")]
#[test]
fn a_file_system_that_is_full_or_read_only_leaves_the_old_file() {
    let draft = Draft::of(LONG);
    let place = tempfile::tempdir().unwrap();
    for (mount, words) in [
        ("size=3m", "No space left on device"),
        ("size=9m,remount,ro", "cannot write beside it: Read-only file system"),
    ] {
        let (first, then) = mount.split_once(',').unwrap_or((mount, ""));
        let remount = if then.is_empty() { "true" } else { "mount -o remount,ro $place" };
        let script = format!(
            "place={:?}; old={:?}; mount -t tmpfs -o {first} none $place || exit 99
            cp $old $place/draft.txt && {remount} || exit 99
            {} correct -w $place/draft.txt; status=$?
            cmp $old $place/draft.txt && ls -A $place && exit $status",
            place.path(),
            draft.path(),
            quoted(),
        );
        let mut unshared = Command::new("unshare");
        let output = unshared.args(["-rm", "sh", "-c", &script]).env("LC_ALL", "C").output();
        let output = match output {
            Ok(output) if !matches!(output.status.code(), Some(1 | 99)) => output,
            refused => return eprintln!("not shown: no file system of our own: {refused:?}"),
        };
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            (output.status.code(), &*output.stdout),
            (Some(2), &b"draft.txt\n"[..]),
            "{stderr}"
        );
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains("draft.txt: ") && stderr.contains(words), "{stderr}");
    }
}

#[cfg(unix)]
#[test]
fn a_folder_that_may_not_be_written_to_leaves_the_old_file() {
    use std::os::unix::fs::PermissionsExt;
    let draft = Draft::of(10);
    let mode = |mode| fs::set_permissions(draft.folder.path(), fs::Permissions::from_mode(mode));
    mode(0o555).unwrap();
    if File::create(draft.folder.path().join("probe")).is_ok() {
        return eprintln!("not shown: this user may write to any folder");
    }
    let output = run(&mut draft.command(), b"");
    mode(0o755).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(2), 1), "{stderr}");
    assert!(stderr.contains("cannot write beside it"), "{stderr}");
    assert!(!draft.is_new() && draft.others().is_empty());
}

#[cfg(unix)]
#[test]
fn another_name_of_the_file_keeps_the_old_text() {
    let draft = Draft::of(10);
    let elsewhere = tempfile::tempdir_in(draft.folder.path().parent().unwrap()).unwrap();
    let other = elsewhere.path().join("other.txt");
    fs::hard_link(draft.path(), &other).unwrap();
    assert_eq!(run(&mut draft.command(), b"").status.code(), Some(0));
    assert!(draft.is_new() && draft.others().is_empty());
    assert!(fs::read(&other).unwrap() == draft.old);
}

#[cfg(unix)]
#[test]
fn the_owner_stays() {
    use std::os::unix::fs::{MetadataExt, chown};
    let draft = Draft::of(10);
    if chown(draft.path(), Some(1234), Some(5678)).is_err() {
        return eprintln!("not shown: this user may give nothing away");
    }
    assert_eq!(run(&mut draft.command(), b"").status.code(), Some(0));
    let after = fs::metadata(draft.path()).unwrap();
    assert!(draft.is_new());
    assert_eq!((after.uid(), after.gid()), (1234, 5678));
}

#[test]
fn what_another_program_writes_while_we_do_stays() {
    let draft = Draft::of(LONG);
    let child = spawn(&mut draft.command());
    while draft.others().is_empty() {
        thread::sleep(Duration::from_millis(1));
    }
    fs::write(draft.path(), b"theirs").unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(2), 1), "{stderr}");
    assert!(stderr.contains("was changed by another program meanwhile"), "{stderr}");
    assert!(fs::read(draft.path()).unwrap() == b"theirs" && draft.others().is_empty());
}

#[test]
fn a_file_without_corrections_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fine.txt");
    fs::write(&path, "今天天气很好\r\nno newline at the end").unwrap();
    let before = fs::metadata(&path).unwrap();
    let output = run(zhengzi().args(["correct", "-w", "--backup"]).arg(&path), b"");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b""[..], &b""[..]));
    let after = fs::metadata(&path).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        assert_eq!(before.ino(), after.ino());
    }
}

#[test]
fn a_backup_holds_the_old_bytes_and_is_never_overwritten() {
    let draft = Draft::of(10);
    let backup = draft.folder.path().join("draft.txt~");
    let again = |suffix: &str| {
        let mut command = draft.command();
        run(command.arg(format!("--backup{suffix}")), b"")
    };
    assert_eq!(again("=~").status.code(), Some(0));
    assert!(draft.is_new());
    assert_eq!(fs::read(&backup).unwrap(), draft.old);

    fs::write(&backup, b"precious").unwrap();
    draft.restore();
    let output = again("=~");
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("draft.txt~"), "{stderr}");
    assert!(!draft.is_new());
    assert_eq!(fs::read(&backup).unwrap(), b"precious");

    assert_eq!(again("").status.code(), Some(0));
    assert_eq!(fs::read(draft.folder.path().join("draft.txt.bak")).unwrap(), draft.old);
    assert_eq!(draft.others().len(), 2);
}

#[cfg(unix)]
#[test]
fn the_mode_stays_and_a_link_stays_a_link() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let draft = Draft::of(10);
    fs::set_permissions(draft.path(), fs::Permissions::from_mode(0o751)).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link.txt");
    symlink(draft.path(), &link).unwrap();
    // Named twice, it is corrected once.
    let output = run(zhengzi().args(["correct", "-w"]).arg(&link).arg(draft.path()), b"");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(0), 1), "{stderr}");
    assert!(stderr.ends_with("link.txt: 1 correction\n"), "{stderr}");
    assert!(draft.is_new() && draft.others().is_empty());
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1);
    assert_eq!(fs::metadata(draft.path()).unwrap().permissions().mode() & 0o7777, 0o751);
}

#[test]
fn a_read_only_file_is_left_alone_and_the_next_one_is_done() {
    let (locked, draft) = (Draft::of(10), Draft::of(10));
    let mut permissions = fs::metadata(locked.path()).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(locked.path(), permissions).unwrap();
    let output = run(zhengzi().args(["correct", "-w"]).args([locked.path(), draft.path()]), b"");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("draft.txt: is read-only"), "{stderr}");
    assert!(!locked.is_new() && draft.is_new());
}

#[test]
fn what_was_written_can_be_shown_as_a_diff() {
    let draft = Draft::of(10);
    let output = run(draft.command().arg("--diff"), b"");
    let diff = String::from_utf8_lossy(&output.stdout);
    assert!(diff.contains("-\u{feff}今天新情很好\n+\u{feff}今天心情很好\n"), "{diff}");
    assert!(draft.is_new());
}

#[test]
fn files_are_written_even_if_nobody_reads_the_report() {
    let (one, two) = (Draft::of(10), Draft::of(10));
    let mut command = zhengzi();
    command.args(["correct", "-w", "-q", "--format", "line"]).args([one.path(), two.path()]);
    let mut child = spawn(&mut command);
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(one.is_new() && two.is_new());
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_no_file_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let child = spawn(zhengzi().args(["correct", "-w"]).arg(&pipe));
    let mut writer = File::options().write(true).open(&pipe).unwrap();
    std::io::Write::write_all(&mut writer, "今天新情很好\n".as_bytes()).unwrap();
    drop(writer);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("is not a regular file"), "{stderr}");
}
