//! Counts the bytes that a thread holds on the heap: what reading a file may cost is a number of
//! bytes here, and no guess from the outside.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// What `work` returns, and by how many bytes it held more than before, at most, on this thread.
pub fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get();
    PEAK.set(before);
    let result = work();
    (result, (PEAK.get() - before) as usize)
}

#[global_allocator]
static COUNTING: Counting = Counting;

struct Counting;

thread_local! {
    // Negative where a thread frees what another one asked for.
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    let held = HELD.get() + bytes;
    HELD.set(held);
    PEAK.set(PEAK.get().max(held));
}

// SAFETY: every call goes to the system's allocator as it came; what is counted is two numbers of
// the thread, which are there from its first moment to its last and need no heap.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { System.dealloc(old, layout) }
    }
}

#[test]
fn the_highest_number_of_bytes_held_at_once_is_told() {
    let (length, bytes) = peak(|| {
        drop(vec![1u8; 3000]);
        let mut grown = vec![2u8; 1000];
        grown.reserve_exact(4000);
        grown.len()
    });
    assert_eq!((length, bytes), (1000, 5000));
    assert_eq!(peak(|| vec![0u64; 1 << 20].len()).1, 8 << 20);
}
