//! Ctrl-C and its kin: nothing half-written stays behind.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;

/// The temporary file to remove when the program is told to stop. Whoever holds the lock
/// is not interrupted.
static UNFINISHED: Mutex<Option<PathBuf>> = Mutex::new(None);

/// From now on an interrupt removes `file`.
pub fn unfinished(file: &Path) {
    *lock() = Some(file.to_owned());
}

/// Does what brings the unfinished file to its end, in one piece: an interrupt waits for it.
pub fn finish<T>(end: impl FnOnce() -> T) -> T {
    let mut unfinished = lock();
    let ended = end();
    *unfinished = None;
    ended
}

/// Makes an interrupt (SIGINT, SIGTERM, SIGHUP) end the program cleanly with the status
/// that a shell expects, 128 and the number of the signal: 130 for Ctrl-C. A signal that
/// whoever started us wanted ignored (nohup) stays ignored by the shell's own means only.
#[cfg(unix)]
pub fn listen() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    // Without it the signals do what they always did.
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) else { return };
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            let unfinished = lock();
            if let Some(file) = unfinished.as_deref() {
                let _ = fs::remove_file(file);
            }
            std::process::exit(128 + signal);
        }
    });
}

/// Elsewhere an interrupt ends the program at once; a temporary file may stay.
#[cfg(not(unix))]
pub fn listen() {}

fn lock() -> std::sync::MutexGuard<'static, Option<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
