//! Sets of bytes as ranges: sorted, disjoint, none empty, no two that touch.

use std::ops::Range;

/// The bytes that are in `a`, in `b` or in both.
pub fn union(a: &[Range<usize>], b: &[Range<usize>]) -> Vec<Range<usize>> {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    let mut all = Vec::with_capacity(a.len() + b.len());
    loop {
        let next = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) if x.start <= y.start => a.next(),
            (_, Some(_)) => b.next(),
            (_, None) => a.next(),
        };
        match next {
            Some(next) => push(&mut all, next.clone()),
            None => return all,
        }
    }
}

/// The bytes below `length` that are not in `ranges`.
pub fn complement(ranges: &[Range<usize>], length: usize) -> Vec<Range<usize>> {
    let mut rest = Vec::with_capacity(ranges.len() + 1);
    let mut from = 0;
    for range in ranges {
        push(&mut rest, from..range.start);
        from = range.end;
    }
    push(&mut rest, from..length);
    rest
}

/// What `ranges` has in `window`, counted from the start of `window`. Takes a binary search
/// and the ranges found.
pub fn within(ranges: &[Range<usize>], window: Range<usize>) -> Vec<Range<usize>> {
    let first = ranges.partition_point(|range| range.end <= window.start);
    ranges[first..]
        .iter()
        .take_while(|range| range.start < window.end)
        .map(|range| range.start.max(window.start)..range.end.min(window.end))
        .map(|range| range.start - window.start..range.end - window.start)
        .collect()
}

/// Appends a range that starts no earlier than those already there.
pub fn push(ranges: &mut Vec<Range<usize>>, next: Range<usize>) {
    match ranges.last_mut() {
        _ if next.is_empty() => {}
        Some(last) if next.start <= last.end => last.end = last.end.max(next.end),
        _ => ranges.push(next),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: usize = 9;

    /// The set whose members are the bits of `mask`.
    fn of(mask: u32) -> Vec<Range<usize>> {
        let mut ranges = Vec::new();
        for at in (0..LENGTH).filter(|at| mask >> at & 1 == 1) {
            push(&mut ranges, at..at + 1);
        }
        ranges
    }

    fn mask(ranges: &[Range<usize>]) -> u32 {
        ranges.iter().cloned().flatten().fold(0, |mask, at| mask | 1 << at)
    }

    #[test]
    fn every_union_of_small_sets_holds_the_members_of_both() {
        for a in 0..1 << LENGTH {
            for b in 0..1 << LENGTH {
                assert_eq!(union(&of(a), &of(b)), of(a | b), "{a:b} {b:b}");
            }
        }
    }

    #[test]
    fn every_complement_and_every_window_of_small_sets_is_right() {
        let all = (1 << LENGTH) - 1;
        for set in 0..1 << LENGTH {
            assert_eq!(complement(&of(set), LENGTH), of(all & !set), "{set:b}");
            for start in 0..=LENGTH {
                for end in start..=LENGTH {
                    let cut = within(&of(set), start..end);
                    assert_eq!(mask(&cut), (set >> start) & ((1 << (end - start)) - 1), "{set:b}");
                }
            }
        }
    }
}
