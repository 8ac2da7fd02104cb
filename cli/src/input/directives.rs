//! `zhengzi-disable` and `zhengzi-enable`: comments by which a text says what is to be left
//! alone. Any kind of comment will do, for the words alone are looked for.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::ranges::push;

const MARKER: &[u8] = b"zhengzi-";
const DISABLE: &[u8] = b"disable";
const ENABLE: &[u8] = b"enable";

static FINDER: LazyLock<Finder> = LazyLock::new(|| Finder::new(MARKER));

/// Where a text stands between its markers. Starts enabled; each text needs its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    disabled: bool,
}

impl Directives {
    /// The bytes of the next line that are to be left alone: sorted, disjoint ranges from a
    /// `zhengzi-disable` to the next `zhengzi-enable`, both markers included.
    pub fn frozen(&mut self, line: &[u8]) -> Vec<Range<usize>> {
        let mut frozen = Vec::new();
        let mut disabled_from = self.disabled.then_some(0);
        for (marker, disables) in markers(line) {
            let start = *disabled_from.get_or_insert(marker.start);
            if !disables {
                push(&mut frozen, start..marker.end);
                disabled_from = None;
            }
        }
        if let Some(start) = disabled_from {
            push(&mut frozen, start..line.len());
        }
        self.disabled = disabled_from.is_some();
        frozen
    }
}

/// The markers of a line, and whether each disables.
fn markers(line: &[u8]) -> impl Iterator<Item = (Range<usize>, bool)> {
    FINDER.find_iter(line).filter_map(|start| {
        let order = &line[start + MARKER.len()..];
        let (disables, length) = match order {
            _ if order.starts_with(DISABLE) => (true, MARKER.len() + DISABLE.len()),
            _ if order.starts_with(ENABLE) => (false, MARKER.len() + ENABLE.len()),
            _ => return None,
        };
        let goes_on = |byte: Option<&u8>| byte.is_some_and(|&byte| is_word(byte));
        let alone = !goes_on(line[..start].last()) && !goes_on(line.get(start + length));
        alone.then_some((start..start + length, disables))
    })
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines with a `·` for each frozen byte.
    fn masked(text: &[u8]) -> String {
        let mut directives = Directives::default();
        let mut shown = String::new();
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            let mut line = line.to_vec();
            for range in directives.frozen(&line) {
                line[range].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b'.');
            }
            shown.push_str(&String::from_utf8_lossy(&line));
        }
        shown
    }

    #[test]
    fn everything_from_a_disable_to_the_next_enable_is_frozen() {
        for (text, shown) in [
            ("ab\ncd", "ab\ncd"),
            ("a # zhengzi-disable\nb\nc\n", "a # ...............\n.\n.\n"),
            (
                "// zhengzi-disable\nb\n% zhengzi-enable c\nd",
                "// ...............\n.\n................ c\nd",
            ),
            (
                "a<!-- zhengzi-disable -->b<!-- zhengzi-enable -->c",
                "a<!-- ....................................... -->c",
            ),
            ("zhengzi-enable a", ".............. a"),
            (
                "a zhengzi-disable b zhengzi-disable c zhengzi-enable d zhengzi-disable e\nf",
                "a .................................................. d .................\n.",
            ),
        ] {
            assert_eq!(masked(text.as_bytes()), shown, "{text:?}");
        }
    }

    #[test]
    fn a_marker_is_a_whole_word() {
        for text in [
            "zhengzi-disabled",
            "zhengzi-disable-next",
            "zhengzi-disable_",
            "xzhengzi-disable",
            "-zhengzi-disable",
            "0zhengzi-disable",
            "zhengzi-zhengzi-disable",
            "zhengzi- disable",
            "Zhengzi-Disable",
            "zhengzi-",
        ] {
            assert_eq!(masked(text.as_bytes()), text);
        }
        assert_eq!(masked("（zhengzi-disable）新".as_bytes()), "（.....................");
        assert_eq!(masked(b"\xffzhengzi-disable\xff"), "\u{fffd}................");
    }

    #[test]
    fn many_markers_in_one_line_are_one_range_or_one_each() {
        let frozen = |unit: &str| Directives::default().frozen(unit.repeat(100_000).as_bytes());
        assert_eq!(frozen("zhengzi-disable ").len(), 1);
        assert_eq!(frozen("zhengzi-disable zhengzi-enable ").len(), 100_000);
        assert_eq!(frozen("zhengzi-").len(), 0);
    }
}
