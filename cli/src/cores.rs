//! How many threads to run when nobody says.

use std::collections::BTreeSet;
use std::fs;
use std::thread::available_parallelism;

/// Physical cores that this process may use. Two hyper-threads of one core share its
/// vector units, so a second one would only get in the way of the first.
///
/// Where the system does not tell cores from threads, every logical CPU counts.
/// Affinity and (through the standard library) control group quotas are respected.
pub fn physical() -> usize {
    let logical = available_parallelism().map_or(1, |n| n.get());
    let allowed = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let cores = allowed
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .and_then(|list| distinct_cores(list.trim(), siblings));
    cores.map_or(logical, |cores| cores.clamp(1, logical))
}

/// The logical CPUs on the core of `cpu`, in the kernel's own words ("0,4").
fn siblings(cpu: usize) -> Option<String> {
    let topology = format!("/sys/devices/system/cpu/cpu{cpu}/topology");
    fs::read_to_string(format!("{topology}/thread_siblings_list")).ok()
}

/// Counts cores among the CPUs of a list such as "0-3,8"; `None` if any is unknown.
fn distinct_cores(list: &str, siblings: impl Fn(usize) -> Option<String>) -> Option<usize> {
    let mut cores = BTreeSet::new();
    for range in list.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        for cpu in first.parse().ok()?..=last.parse().ok()? {
            cores.insert(siblings(cpu)?);
        }
    }
    Some(cores.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four cores of two threads each: CPU n shares its core with n + 4.
    fn eight_threads(cpu: usize) -> Option<String> {
        (cpu < 8).then(|| format!("{},{}", cpu % 4, cpu % 4 + 4))
    }

    #[test]
    fn threads_of_one_core_count_once() {
        assert_eq!(distinct_cores("0-7", eight_threads), Some(4));
        assert_eq!(distinct_cores("0,4", eight_threads), Some(1));
        assert_eq!(distinct_cores("0-1,5", eight_threads), Some(2));
    }

    #[test]
    fn an_unknown_topology_is_admitted() {
        assert_eq!(distinct_cores("8", eight_threads), None);
        assert_eq!(distinct_cores("", eight_threads), None);
    }

    #[test]
    fn there_is_at_least_one_core() {
        assert!(physical() >= 1);
    }
}
