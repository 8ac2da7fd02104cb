//! Pages of a mapped file that are not there any more.
//!
//! If another process shortens a file that is mapped, the pages behind its new end are gone, and to
//! touch one raises SIGBUS, which ends a program without a word. Here it ends with one: which file,
//! at which byte, what to do. A SIGBUS of any other place goes where it went before.

use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::SeqCst};

use libc::{SA_ONSTACK, SA_SIGINFO, SIG_DFL, SIG_IGN, SIGBUS, c_int, c_void, siginfo_t};

use crate::CheckpointError;
use crate::last_words::{self, Line, NUMBER};
use crate::mapped::CHANGED;

/// A map whose loss would be told. Dropped, it is not any more: that comes before it is unmapped.
pub(crate) struct Listed(&'static Map);

impl Listed {
    /// Nothing where nobody listens.
    pub(crate) fn new(path: &Path, file: &File, bytes: &[u8]) -> Option<Listed> {
        let say = last_words::say()?;
        let line = |what: &str, hint: &str| {
            let number = usize::try_from(NUMBER).unwrap_or(usize::MAX);
            let error = CheckpointError::new(path, what).at(number).hint(hint);
            Line::of(say, &error.to_string())
        };
        // Never freed: a handler may be reading the list at any moment. A program opens few files.
        let map = Box::leak(Box::new(Map {
            start: bytes.as_ptr() as usize,
            len: AtomicUsize::new(bytes.len()),
            file: file.as_raw_fd(),
            shortened: line("was shortened while it was in use", CHANGED),
            unreadable: line("could not be read from its disk", "look at the system's log"),
            next: AtomicPtr::new(ptr::null_mut()),
        }));
        let this = ptr::from_mut(map);
        let mut first = MAPS.load(SeqCst);
        loop {
            map.next.store(first, SeqCst);
            match MAPS.compare_exchange(first, this, SeqCst, SeqCst) {
                Ok(_) => return Some(Listed(map)),
                Err(other) => first = other,
            }
        }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.0.len.store(0, SeqCst);
    }
}

/// Has lost pages told from now on.
pub(crate) fn listen() {
    let mut before = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: a valid signal, nothing to set, and room for the answer.
    if unsafe { libc::sigaction(SIGBUS, ptr::null(), before.as_mut_ptr()) } != 0 {
        return;
    }
    // SAFETY: the call has filled it in.
    if BEFORE.set(unsafe { before.assume_init() }).is_err() {
        return;
    }
    // SAFETY: all zeros are an action with an empty mask.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = on_bus_error as *const () as usize;
    // On the thread's own stack, where there is room: std's for signals is no larger than the registers
    // that are saved there, 11 KB of AMX among them. Elsewhere a stack that overflowed is a SIGBUS.
    action.sa_flags = SA_SIGINFO | if cfg!(target_os = "linux") { 0 } else { SA_ONSTACK };
    // SAFETY: the handler has the signature that SA_SIGINFO asks for, and calls nothing that a
    // handler may not: atomics, fstat, write, unlink, _exit, sigaction (POSIX, 2.4.3).
    unsafe { libc::sigaction(SIGBUS, &action, ptr::null_mut()) };
}

/// One file in use.
struct Map {
    start: usize,
    /// 0 when it is unmapped.
    len: AtomicUsize,
    file: RawFd,
    shortened: Line,
    unreadable: Line,
    next: AtomicPtr<Map>,
}

/// The last one listed; each knows the one before it.
static MAPS: AtomicPtr<Map> = AtomicPtr::new(ptr::null_mut());

/// What SIGBUS did before: std's own handler, which knows stacks that overflowed.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

extern "C" fn on_bus_error(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: with SA_SIGINFO the kernel gives what is known of the signal.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr() as usize) };
    let mut map = MAPS.load(SeqCst);
    // A signal that a process sent has no address, and a code of 0 or less.
    // SAFETY: the list holds leaked boxes, each complete before it was put there.
    while let (true, Some(this)) = (code > 0, unsafe { map.as_ref() }) {
        let at = address.wrapping_sub(this.start);
        if at < this.len.load(SeqCst) {
            let line = match size(this.file) {
                Some(size) if at as u64 >= size => &this.shortened,
                _ => &this.unreadable,
            };
            last_words::exit(line, at as u64);
        }
        map = this.next.load(SeqCst);
    }
    pass_on(signal, info, context);
}

/// Bytes of an open file.
fn size(file: RawFd) -> Option<u64> {
    let mut status = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: room for the answer, which is read only if there is one.
    unsafe {
        match libc::fstat(file, status.as_mut_ptr()) {
            0 => u64::try_from(status.assume_init().st_size).ok(),
            _ => None,
        }
    }
}

/// Does what would have been done without us.
fn pass_on(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    match BEFORE.get() {
        Some(before) if ![SIG_DFL, SIG_IGN].contains(&before.sa_sigaction) => {
            let handler = before.sa_sigaction as *const c_void;
            if before.sa_flags & SA_SIGINFO != 0 {
                type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);
                // SAFETY: a handler that was installed with SA_SIGINFO has this signature.
                let handler = unsafe { std::mem::transmute::<*const c_void, Handler>(handler) };
                handler(signal, info, context);
            } else {
                type Handler = extern "C" fn(c_int);
                // SAFETY: one without it has this one.
                let handler = unsafe { std::mem::transmute::<*const c_void, Handler>(handler) };
                handler(signal);
            }
        }
        _ => {
            // SAFETY: as in `listen`. On return the access is tried again and ends the program.
            unsafe {
                let action: libc::sigaction = MaybeUninit::zeroed().assume_init();
                libc::sigaction(signal, &action, ptr::null_mut());
            }
        }
    }
}
