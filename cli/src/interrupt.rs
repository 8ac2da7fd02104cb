//! Ctrl-C and its kin: nothing half-written stays behind. What ends the program from within
//! (`zhengzi_runtime::last_words`) is told of the same file.

#[cfg(unix)]
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use zhengzi_runtime::last_words;

/// The temporary file, or folder, to remove when the program is told to stop. Whoever holds the lock
/// is not interrupted.
static UNFINISHED: Mutex<Option<PathBuf>> = Mutex::new(None);

/// From now on an interrupt removes `file`.
pub fn unfinished(file: &Path) {
    *lock() = Some(file.to_owned());
    last_words::unfinished(Some(file));
}

/// Does what brings the unfinished file to its end, in one piece: an interrupt waits for it.
pub fn finish<T>(end: impl FnOnce() -> T) -> T {
    let mut unfinished = lock();
    let ended = end();
    *unfinished = None;
    last_words::unfinished(None);
    ended
}

/// Makes an interrupt (SIGINT, SIGTERM, SIGHUP) end the program cleanly with the status
/// that a shell expects, 128 and the number of the signal: 130 for Ctrl-C. What whoever
/// started us has set to be ignored (nohup; a job in the background of a script) stays so.
#[cfg(unix)]
pub fn listen() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let heeded = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&s| !is_ignored(s, &status));
    // Without it the signals do what they always did.
    let Ok(mut signals) = Signals::new(heeded) else { return };
    _ = std::thread::Builder::new().spawn(move || {
        if let Some(signal) = signals.forever().next() {
            let unfinished = lock();
            if let Some(file) = unfinished.as_deref() {
                let _ = fs::remove_file(file).or_else(|_| fs::remove_dir_all(file));
            }
            std::process::exit(128 + signal);
        }
    });
}

/// As Linux tells in a process's `status`: a mask in hexadecimal, signal 1 its lowest bit.
/// Where nothing is told, nothing is ignored.
#[cfg(unix)]
fn is_ignored(signal: i32, status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Elsewhere an interrupt ends the program at once; a temporary file may stay.
#[cfg(not(unix))]
pub fn listen() {}

fn lock() -> MutexGuard<'static, Option<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read_from_its_lowest_bit() {
        let ignored = |mask: &str| {
            let status = format!("Name:\tx\nSigBlk:\tffff\nSigIgn:\t{mask}\nSigCgt:\tffff\n");
            [1, 2, 15].map(|signal| is_ignored(signal, &status))
        };
        assert_eq!(ignored("0000000000000000"), [false; 3]);
        assert_eq!(ignored("0000000000001002"), [false, true, false]);
        assert_eq!(ignored("0000000000004001"), [true, false, true]);
        assert!(!is_ignored(2, ""));
    }
}
