//! P1 once more, with the kernel as witness: a thread that reads all hostile files may open files
//! for reading, map and read them, and ask for memory. Any other system call is caught and counted,
//! and not carried out: no program is started, nothing is sent, written, renamed or removed.
//!
//! The filter is seccomp's (Linux), for the one thread; it is a program of the classic packet
//! filter over (number of the call, its arguments).

use std::fs;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::thread;

use zhengzi_runtime::Checkpoint;

use super::payloads::{carriers, payloads};

/// Calls that were caught, and the number of the last of them.
static CAUGHT: AtomicUsize = AtomicUsize::new(0);
static LAST: AtomicI64 = AtomicI64::new(0);

#[test]
fn p1_while_hostile_files_are_read_nothing_is_started_sent_or_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for payload in payloads() {
        for (carrier, bytes) in carriers(&payload.pickle) {
            let path = folder.path().join(format!("{}.bin", files.len()));
            fs::write(&path, bytes).unwrap();
            files.push((path, format!("{} ({carrier})", payload.what)));
        }
    }
    let target = folder.path().join("written");
    let quarantined = thread::spawn(move || {
        if !enter_quarantine() {
            return None;
        }
        for (path, what) in &files {
            assert!(Checkpoint::open(path).is_err(), "{what}");
            assert_eq!(CAUGHT.load(Ordering::SeqCst), 0, "{what}: call {LAST:?}");
        }
        // That the witness has eyes: the same thread cannot write, nor start anything.
        assert!(fs::write(&target, "x").is_err() && !target.exists());
        let written = CAUGHT.load(Ordering::SeqCst);
        assert!(std::net::TcpStream::connect("127.0.0.1:9").is_err());
        let sent = CAUGHT.load(Ordering::SeqCst);
        assert!(0 < written && written < sent);
        Some(files.len())
    });
    match quarantined.join().unwrap() {
        Some(files) => eprintln!("P1 in quarantine: {files} files read, 0 forbidden system calls"),
        None => eprintln!("skipped: this system has no filter for system calls"),
    }
}

/// Puts the calling thread under the filter, for good; whether that could be done.
fn enter_quarantine() -> bool {
    let catch = libc::sigaction {
        sa_sigaction: caught as *const () as usize,
        // SAFETY: an empty set of signals is all zeros.
        sa_mask: unsafe { std::mem::zeroed() },
        sa_flags: libc::SA_SIGINFO,
        sa_restorer: None,
    };
    let mut program = filter();
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: `caught` only stores two numbers, and the filter lives until it is copied. The thread
    // gives up privileges that it does not need.
    unsafe {
        libc::sigaction(libc::SIGSYS, &catch, std::ptr::null_mut()) == 0
            && libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) == 0
    }
}

/// The call was not carried out, and is made to fail: its result is what stands in a register.
extern "C" fn caught(_: i32, info: *const libc::siginfo_t, context: *mut libc::ucontext_t) {
    // SAFETY: the kernel hands a whole record and the registers of the thread, which nobody else
    // sees until this returns. `si_syscall` stands behind three ints, padded to eight bytes, and a
    // pointer.
    let number = unsafe {
        let registers = &mut (*context).uc_mcontext;
        #[cfg(target_arch = "x86_64")]
        (registers.gregs[libc::REG_RAX as usize] = -i64::from(libc::EPERM));
        #[cfg(target_arch = "aarch64")]
        (registers.regs[0] = -i64::from(libc::EPERM) as u64);
        *info.cast::<u8>().add(24).cast::<i32>()
    };
    LAST.store(number.into(), Ordering::SeqCst);
    CAUGHT.fetch_add(1, Ordering::SeqCst);
}

/// Allows the calls that reading takes, opens only for reading, and catches all else.
fn filter() -> Vec<libc::sock_filter> {
    use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W};
    let plain = [
        libc::SYS_read,
        libc::SYS_pread64,
        libc::SYS_readlinkat,
        libc::SYS_close,
        libc::SYS_fstat,
        libc::SYS_newfstatat,
        libc::SYS_statx,
        libc::SYS_lseek,
        libc::SYS_getdents64,
        libc::SYS_fcntl,
        libc::SYS_brk,
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_mprotect,
        libc::SYS_madvise,
        libc::SYS_futex,
        libc::SYS_sched_yield,
        libc::SYS_getrandom,
        libc::SYS_gettid,
        libc::SYS_getpid,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_clock_gettime,
        // A file that was written to a moment ago is waited for.
        libc::SYS_clock_nanosleep,
        libc::SYS_exit,
    ];
    let step =
        |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k };
    let load = |at: u32| step(BPF_LD | BPF_W | BPF_ABS, at, 0, 0);
    let end = |action: u32| step(BPF_RET | BPF_K, action, 0, 0);
    // An answer for each call: skipped unless it is that one.
    let mut program = vec![load(0)];
    for number in plain {
        program.push(step(BPF_JMP | BPF_JEQ | BPF_K, number as u32, 0, 1));
        program.push(end(libc::SECCOMP_RET_ALLOW));
    }
    let writes = libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND;
    // The third argument of `openat` stands at byte 16 + 2 · 8.
    program.push(step(BPF_JMP | BPF_JEQ | BPF_K, libc::SYS_openat as u32, 0, 4));
    program.push(load(32));
    program.push(step(BPF_JMP | BPF_JSET | BPF_K, writes as u32, 1, 0));
    program.push(end(libc::SECCOMP_RET_ALLOW));
    program.push(end(libc::SECCOMP_RET_TRAP));
    program.push(end(libc::SECCOMP_RET_TRAP));
    program
}
