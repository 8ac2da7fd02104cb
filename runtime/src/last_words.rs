//! The last line of a program that cannot go on, said without memory and without locks.
//!
//! Two things end a program wherever it stands: a page of a mapped file that is gone, because somebody
//! shortened the file (SIGBUS), and memory that the system refuses. In a signal handler nothing may
//! be allocated, and without memory nothing can be: so the lines are made beforehand, here only
//! their numbers are filled in, and what the program would have left half-written is unlinked.
//!
//! What a signal does is the program's to decide: nothing of this happens before [`prepare`].

use std::ffi::CString;
use std::path::Path;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::SeqCst};

use crate::memory::{self, Need};

/// Turns a message into the line that is written, its line break included.
pub type Say = fn(&str) -> String;

/// From now on this program ends with one line and status 2 where a mapped model file is shortened
/// under it, or where [`Allocator`](crate::memory::Allocator) gets no memory. `say` puts a message as
/// the program puts its others; it is called while there is time.
pub fn prepare(say: Say) {
    if SAY.set(say).is_ok() {
        memory::spare_address_space();
        #[cfg(unix)]
        crate::lost_pages::listen();
        out_of_memory_line(say, String::new());
    }
}

/// What is known of it when memory is refused later.
pub(crate) fn needed(need: &Need) {
    if let Some(say) = say() {
        out_of_memory_line(say, format!(" where it needs {need}"));
    }
}

fn out_of_memory_line(say: Say, of: String) {
    let message = format!(
        "not enough memory: the system refused {NUMBER} bytes more{of}: \
         raise ulimit -v or --max-memory, take fewer --threads or a smaller model"
    );
    // Never freed: it is read when there is no telling who else does. It is made once for each model.
    let line = Box::leak(Box::new(Line::of(say, &message)));
    OUT_OF_MEMORY.store(line, SeqCst);
}

/// Where a request for so many bytes was refused.
#[cold]
pub(crate) fn out_of_memory(size: usize) -> ! {
    // SAFETY: null, or a line that was leaked.
    match unsafe { OUT_OF_MEMORY.load(SeqCst).as_ref() } {
        Some(line) => exit(line, size as u64),
        // Before anybody could say how.
        None => std::process::abort(),
    }
}

/// The file that is to go with the program; `None` where it is finished.
pub fn unfinished(file: Option<&Path>) {
    let new = file.and_then(c_string).map_or(ptr::null_mut(), CString::into_raw);
    let old = UNFINISHED.swap(new, SeqCst);
    // Who speaks set this before it looked for the file: either it has seen the new one, or it is
    // heard here, and keeps the old one.
    if SPEAKER.load(SeqCst) != NOBODY || old.is_null() {
        return;
    }
    // SAFETY: it came from `into_raw` below, nobody else swapped it out, and nobody is looking at it.
    drop(unsafe { CString::from_raw(old) });
}

/// Lets this thread alone say why the program ends: no other one ends it with a line of its own. To be
/// called by who is about to say that.
pub fn take_the_word() {
    thread_local!(static HERE: u8 = const { 0 });
    let me = HERE.with(|here| ptr::from_ref(here) as usize);
    match SPEAKER.compare_exchange(NOBODY, me, SeqCst, SeqCst) {
        Ok(_) => {}
        // Memory was refused to who has it: nothing else will be said.
        Err(speaker) if speaker == me => {}
        Err(_) => loop {
            std::hint::spin_loop();
        },
    }
}

/// Whether [`prepare`] was called, and with what.
pub(crate) fn say() -> Option<Say> {
    SAY.get().copied()
}

/// A line in which one number is missing.
pub(crate) struct Line {
    before: Box<str>,
    after: Box<str>,
}

impl Line {
    /// As the program says `message`, which holds [`NUMBER`].
    pub(crate) fn of(say: Say, message: &str) -> Line {
        let line = say(message);
        // A name comes before the number: the last one is the number.
        let (before, after) = line.rsplit_once(&NUMBER.to_string()).unwrap_or((&line, ""));
        Line { before: before.into(), after: after.into() }
    }
}

/// Stands for the number, in the message and in its translation.
pub(crate) const NUMBER: u64 = 9_876_543_210_123_456_789;

/// Says the line and ends the program, with what it left unfinished.
pub(crate) fn exit(line: &Line, number: u64) -> ! {
    take_the_word();
    let mut text = Text { bytes: [0; LONGEST], length: 0 };
    text.push(line.before.as_bytes());
    text.push_number(number);
    text.push(line.after.as_bytes());
    write_and_exit(&text)
}

static SAY: OnceLock<Say> = OnceLock::new();

/// A path, of `CString::into_raw`.
static UNFINISHED: AtomicPtr<std::ffi::c_char> = AtomicPtr::new(ptr::null_mut());

/// What is said where memory is refused.
static OUT_OF_MEMORY: AtomicPtr<Line> = AtomicPtr::new(ptr::null_mut());

/// The thread that ends the program: an address of its own.
static SPEAKER: AtomicUsize = AtomicUsize::new(NOBODY);

const NOBODY: usize = 0;

/// Bytes of a line; the rest is cut. Small, because a signal's stack is.
const LONGEST: usize = 2048;

struct Text {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Text {
    fn push(&mut self, bytes: &[u8]) {
        let room = LONGEST - self.length;
        let taken = bytes.len().min(room);
        self.bytes[self.length..][..taken].copy_from_slice(&bytes[..taken]);
        self.length += taken;
    }

    fn push_number(&mut self, number: u64) {
        let mut digits = [0; 20];
        let (mut rest, mut at) = (number, digits.len());
        while at == digits.len() || rest > 0 {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.push(&digits[at..]);
    }
}

#[cfg(unix)]
fn c_string(path: &Path) -> Option<CString> {
    use std::os::unix::ffi::OsStrExt;
    CString::new(path.as_os_str().as_bytes()).ok()
}

#[cfg(not(unix))]
fn c_string(_: &Path) -> Option<CString> {
    None
}

#[cfg(unix)]
fn write_and_exit(text: &Text) -> ! {
    let file = UNFINISHED.load(SeqCst);
    // SAFETY: write, unlink and _exit may be called in a signal handler (POSIX, 2.4.3). The bytes
    // are ours, and the path ends with a NUL; who swaps it out does not free it now.
    unsafe {
        if !file.is_null() {
            libc::unlink(file);
        }
        libc::write(libc::STDERR_FILENO, text.bytes.as_ptr().cast(), text.length);
        libc::_exit(2)
    }
}

#[cfg(not(unix))]
fn write_and_exit(text: &Text) -> ! {
    use std::io::Write;
    _ = std::io::stderr().write_all(&text.bytes[..text.length]);
    std::process::exit(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_where_its_number_goes_and_not_in_a_name() {
        let message = format!("{NUMBER}.bin: is gone at byte {NUMBER}: put it back");
        let line = Line::of(|message| format!("zhengzi: {message}\n"), &message);
        assert_eq!(*line.before, *format!("zhengzi: {NUMBER}.bin: is gone at byte "));
        assert_eq!(&*line.after, ": put it back\n");
    }

    #[test]
    fn numbers_are_written_without_memory() {
        for (number, digits) in
            [(0, "0"), (7, "7"), (1234, "1234"), (u64::MAX, "18446744073709551615")]
        {
            let mut text = Text { bytes: [0; LONGEST], length: 0 };
            text.push_number(number);
            assert_eq!(&text.bytes[..text.length], digits.as_bytes());
        }
    }

    #[test]
    fn what_does_not_fit_is_cut() {
        let mut text = Text { bytes: [0; LONGEST], length: 0 };
        (0..3).for_each(|_| text.push(&[b'x'; 1000]));
        text.push_number(1);
        assert_eq!(text.length, LONGEST);
    }
}
