//! Values that end where readable memory ends, so that an op which reads or writes past them dies.

use std::ops::{Deref, DerefMut};

/// A slice with its end at the end of a page, and behind that a page which nobody may touch.
/// Where there is no `mprotect`, a plain copy.
pub struct Guarded<T: Copy> {
    #[cfg(unix)]
    pages: pages::Pages<T>,
    #[cfg(not(unix))]
    pages: Vec<T>,
}

impl<T: Copy> Guarded<T> {
    pub fn new(values: &[T]) -> Guarded<T> {
        #[cfg(unix)]
        let pages = pages::Pages::holding(values);
        #[cfg(not(unix))]
        let pages = values.to_vec();
        Guarded { pages }
    }
}

impl<T: Copy> Clone for Guarded<T> {
    fn clone(&self) -> Guarded<T> {
        Guarded::new(self)
    }
}

impl<T: Copy> Deref for Guarded<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.pages
    }
}

impl<T: Copy> DerefMut for Guarded<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.pages
    }
}

#[cfg(unix)]
mod pages {
    use std::ops::{Deref, DerefMut};
    use std::{io, ptr, slice};

    /// Pages of our own, the last of them closed.
    pub struct Pages<T> {
        start: *mut libc::c_void,
        bytes: usize,
        values: *mut T,
        len: usize,
    }

    // SAFETY: these are the only pointers to the pages, as in a `Vec<T>`.
    unsafe impl<T: Send> Send for Pages<T> {}
    // SAFETY: as above.
    unsafe impl<T: Sync> Sync for Pages<T> {}

    impl<T: Copy> Pages<T> {
        pub fn holding(from: &[T]) -> Pages<T> {
            // SAFETY: asks for a number.
            let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
            let open = size_of_val(from).next_multiple_of(page);
            let (protection, flags) =
                (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANON);
            // SAFETY: new memory, wherever the system likes.
            let start =
                unsafe { libc::mmap(ptr::null_mut(), open + page, protection, flags, -1, 0) };
            assert!(start != libc::MAP_FAILED, "{}", io::Error::last_os_error());
            // SAFETY: the page behind the open ones is the last of the mapping. The values end where
            // it begins: at a multiple of their alignment, which divides their size and the page's.
            let values = unsafe {
                let closed = start.byte_add(open);
                let status = libc::mprotect(closed, page, libc::PROT_NONE);
                assert!(status == 0, "{}", io::Error::last_os_error());
                let values = closed.cast::<T>().sub(from.len());
                ptr::copy_nonoverlapping(from.as_ptr(), values, from.len());
                values
            };
            Pages { start, bytes: open + page, values, len: from.len() }
        }
    }

    impl<T> Deref for Pages<T> {
        type Target = [T];
        fn deref(&self) -> &[T] {
            // SAFETY: `len` values were copied there.
            unsafe { slice::from_raw_parts(self.values, self.len) }
        }
    }

    impl<T> DerefMut for Pages<T> {
        fn deref_mut(&mut self) -> &mut [T] {
            // SAFETY: as above, and borrowed alone.
            unsafe { slice::from_raw_parts_mut(self.values, self.len) }
        }
    }

    impl<T> Drop for Pages<T> {
        fn drop(&mut self) {
            // SAFETY: nobody borrows the values any more.
            unsafe { libc::munmap(self.start, self.bytes) };
        }
    }
}

/// Whether a process that runs `f` is killed for touching what it may not.
#[cfg(unix)]
fn dies(f: impl FnOnce()) -> bool {
    // SAFETY: the child runs `f`, which allocates nothing and takes no lock, and leaves at once.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "{}", std::io::Error::last_os_error());
    if child == 0 {
        let nothing = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: reads one struct; no core file shall be left.
        unsafe { libc::setrlimit(libc::RLIMIT_CORE, &nothing) };
        f();
        // SAFETY: ends this process without running anything that belongs to its parent.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: waits for our own child; `status` outlives the call.
    let waited = unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!(waited, child);
    libc::WIFSIGNALED(status) && [libc::SIGSEGV, libc::SIGBUS].contains(&libc::WTERMSIG(status))
}

#[cfg(unix)]
#[test]
fn whoever_reads_or_writes_past_the_end_dies() {
    for len in [0, 1, 5, 1024, 1500] {
        let mut values = Guarded::new(&vec![7.0f32; len]);
        assert!(values.iter().all(|&x| x == 7.0));
        let end = values.as_mut_ptr_range().end;
        // SAFETY: not sound, which is the point: the page there is ours and closed.
        assert!(dies(|| _ = unsafe { end.read_volatile() }), "read behind {len}");
        // SAFETY: as above.
        assert!(dies(|| unsafe { end.write_volatile(1.0) }), "written behind {len}");
        let last = values.last().copied();
        assert!(!dies(|| _ = std::hint::black_box(last)));
    }
}
