//! Memory that is stated before it is taken, and what becomes of a program that gets none.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{CheckpointError, last_words};

/// What running a network takes at most, in bytes, by what it is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// Pages of model files that stay in memory, those of the program among them.
    pub files: u64,
    /// Weights that are packed for the kernels, or copied.
    pub weights: u64,
    /// While they are loaded, besides.
    pub loading: u64,
    /// Activations, logits, scratch of the threads.
    pub passes: u64,
    /// Vocabulary, tables, and text on its way.
    pub text: u64,
}

impl Need {
    /// All of it. What loading takes is free again when the first pass begins.
    pub fn total(&self) -> u64 {
        self.files + self.weights + self.text + self.loading.max(self.passes)
    }

    /// The part that no file stands behind: it must be found in memory.
    pub fn anonymous(&self) -> u64 {
        self.total() - self.files
    }
}

/// `about 34 MiB: 11 of files, …`.
impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Need { files, weights, loading, passes, text } = self;
        let [total, files, weights, passes, text] =
            [self.total(), *files, *weights, *loading.max(passes), *text].map(mebibytes);
        write!(
            f,
            "about {total} MiB ({files} of mapped files, {weights} of packed weights, \
             {passes} to compute with, {text} for the text)"
        )
    }
}

/// Refuses what needs more than may be had: more than `most`, where that is given, or than the
/// system lets this process have. `path` is the model, `hint` what takes less.
///
/// With `most`, from now on the system itself refuses more (Linux: RLIMIT_DATA).
pub fn check(
    path: &Path,
    need: &Need,
    most: Option<u64>,
    threads: usize,
    hint: &str,
) -> Result<(), CheckpointError> {
    let refuse = |whose: &str, most: u64| {
        let what = format!("needs {need}, where {whose} {} MiB", most >> 20);
        Err(CheckpointError::new(path, what).hint(hint))
    };
    if let Some(most) = most.filter(|&most| need.total() > most) {
        return refuse("--max-memory allows", most);
    }
    if let Some(most) = control_group().filter(|&most| need.anonymous() > most) {
        return refuse("the control group allows", most);
    }
    if let Some(left) = address_space_left().filter(|&left| need.anonymous() > left) {
        return refuse("ulimit -v leaves", left);
    }
    last_words::needed(need);
    if let Some(most) = most {
        keep_to(most.saturating_sub(need.files), threads);
    }
    Ok(())
}

/// Has the system refuse this process more than so many bytes of its own, besides mapped files.
pub fn keep_to(bytes: u64, threads: usize) {
    // Stacks count as they are reserved (2 MiB, and 8 for glibc's first), not as they are used.
    const STACK: u64 = 2 << 20;
    const OTHERS: u64 = 4;
    #[cfg(target_os = "linux")]
    {
        let Some([_, now]) = limits() else { return };
        let most = bytes.saturating_add((threads as u64 + OTHERS) * STACK);
        if most < now.rlim_cur {
            let limit = libc::rlimit { rlim_cur: most, ..now };
            // SAFETY: a resource that there is, and a limit that lives as long as the call.
            unsafe { libc::setrlimit(libc::RLIMIT_DATA, &limit) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (bytes, threads, STACK, OTHERS);
}

/// The system's allocator, except that where it has no memory the program ends with a line and
/// status 2 ([`last_words`]): whoever allocates has no other answer than to abort.
pub struct Allocator;

// SAFETY: all calls are the system allocator's, which keeps the contract.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are passed on.
        given(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        given(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        given(unsafe { System.realloc(old, layout, size) }, size)
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(old, layout) }
    }
}

#[inline]
fn given(memory: *mut u8, size: usize) -> *mut u8 {
    match memory.is_null() {
        true => last_words::out_of_memory(size),
        false => memory,
    }
}

/// Where address space is limited, glibc is not to reserve 64 MiB of it for each thread that
/// allocates. To be called before there are threads.
pub(crate) fn spare_address_space() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if limits().is_some_and(|[space, _]| space.rlim_cur != libc::RLIM_INFINITY) {
        // SAFETY: a parameter that there is; at worst it is refused.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    }
}

fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// What `ulimit -v` lets this process map, less what it has mapped.
fn address_space_left() -> Option<u64> {
    #[cfg(target_os = "linux")]
    {
        let [libc::rlimit { rlim_cur: limit, .. }, _] = limits()?;
        let pages = fs::read_to_string("/proc/self/statm").ok()?;
        let pages: u64 = pages.split(' ').next()?.parse().ok()?;
        // SAFETY: a question without preconditions.
        let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
        (limit != libc::RLIM_INFINITY).then(|| limit.saturating_sub(pages * page))
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// Of the address space, and of data.
#[cfg(target_os = "linux")]
fn limits() -> Option<[libc::rlimit; 2]> {
    // (A closure: what a resource is to the C library has several names.)
    let limit = |resource| {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: room for the answer.
        (unsafe { libc::getrlimit(resource, &mut limit) } == 0).then_some(limit)
    };
    Some([limit(libc::RLIMIT_AS)?, limit(libc::RLIMIT_DATA)?])
}

/// The least `memory.max` of the control groups that this process is in (version 2).
fn control_group() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let root = PathBuf::from("/sys/fs/cgroup");
    let whole = root.join(own);
    let groups = whole.ancestors().take_while(|group| group.starts_with(&root));
    let most = |group: &Path| fs::read_to_string(group.join("memory.max")).ok();
    groups.filter_map(|group| most(group)?.trim().parse().ok()).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn need() -> Need {
        let [files, weights, loading, passes, text] = [30, 20, 5, 7, 3].map(|n| n * MIB);
        Need { files, weights, loading, passes, text }
    }

    #[test]
    fn what_loading_took_is_there_for_the_passes() {
        assert_eq!((need().total(), need().anonymous()), (60 * MIB, 30 * MIB));
        assert_eq!(need().to_string().split(" (").next(), Some("about 60 MiB"));
    }

    #[test]
    fn more_than_is_allowed_is_refused_with_both_numbers() {
        let refused = |most| check(Path::new("m"), &need(), Some(most), 1, "take less");
        let line = refused(60 * MIB - 1).unwrap_err().to_string();
        assert!(line.starts_with("m: needs about 60 MiB ("), "{line}");
        assert!(line.ends_with(", where --max-memory allows 59 MiB: take less"), "{line}");
    }
}
