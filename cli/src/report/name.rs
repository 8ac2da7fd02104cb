//! Names of sources as other programs want them: plain, quoted by git, as URIs.

use std::fmt::Write as _;
use std::path::{Component, Path};

use crate::input::Source;

/// The path with `/` between its parts and without the `./` that says nothing. Standard
/// input is `stdin`, texts of the command line are `text`. Text has no bytes, only
/// characters: what is not UTF-8 in a name becomes U+FFFD.
pub fn plain(source: &Source) -> String {
    String::from_utf8_lossy(&bytes(source)).into_owned()
}

/// `a/path`, as the heading of a diff has it: quoted where git quotes (control characters,
/// quotes, backslashes and what is not UTF-8 would not survive otherwise), ended by a tab
/// where a space could be mistaken for the end.
pub fn in_diff(side: char, source: &Source) -> String {
    let bytes = bytes(source);
    // `git diff --no-index` too makes absolute names relative.
    let name = bytes.strip_prefix(b"/").unwrap_or(&bytes);
    let mut quoted = format!("{side}/");
    for chunk in name.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push_quoted(&mut quoted, c));
        chunk.invalid().iter().for_each(|byte| _ = write!(quoted, "\\{byte:03o}"));
    }
    if quoted.len() > name.len() + 2 {
        quoted = format!("\"{quoted}\"");
    }
    if quoted.contains(' ') {
        quoted.push('\t');
    }
    quoted
}

/// A relative reference, or `file:///…` of an absolute path (RFC 3986, RFC 8089).
pub fn uri(source: &Source) -> String {
    let absolute = source.path().is_some_and(Path::is_absolute);
    let mut uri = String::new();
    let bytes = bytes(source);
    if absolute {
        uri.push_str(if bytes.starts_with(b"/") { "file://" } else { "file:///" });
    }
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(byte.into());
            }
            // A drive's; in a relative reference it would end a scheme.
            b':' if absolute => uri.push(':'),
            _ => _ = write!(uri, "%{byte:02X}"),
        }
    }
    uri
}

fn bytes(source: &Source) -> Vec<u8> {
    let path = match source {
        Source::File(path) => path,
        Source::Stdin => return b"stdin".to_vec(),
        Source::Texts(_) => return b"text".to_vec(),
    };
    let mut bytes = Vec::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::RootDir => bytes.push(b'/'),
            Component::Prefix(_) | Component::ParentDir | Component::Normal(_) => {
                if !matches!(bytes.last(), None | Some(b'/')) {
                    bytes.push(b'/');
                }
                bytes.extend(component.as_os_str().as_encoded_bytes());
            }
        }
    }
    bytes
}

/// As a string of C has it.
fn push_quoted(quoted: &mut String, c: char) {
    let letter = match c {
        '\x07' => 'a',
        '\x08' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\x0b' => 'v',
        '\x0c' => 'f',
        '\r' => 'r',
        '"' | '\\' => c,
        '\0'..' ' | '\x7f' => {
            _ = write!(quoted, "\\{:03o}", u32::from(c));
            return;
        }
        _ => {
            quoted.push(c);
            return;
        }
    };
    quoted.extend(['\\', letter]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Source {
        Source::File(name.into())
    }

    #[test]
    fn names_lose_what_says_nothing() {
        assert_eq!(plain(&file("./目录//./a.txt")), "目录/a.txt");
        assert_eq!(plain(&file("../a.txt")), "../a.txt");
        assert_eq!(plain(&file("/a/b")), "/a/b");
        assert_eq!(plain(&Source::Stdin), "stdin");
        assert_eq!(plain(&Source::Texts(Vec::new())), "text");
    }

    #[test]
    fn git_quotes_what_would_not_survive() {
        assert_eq!(in_diff('a', &file("./目录/a.txt")), "a/目录/a.txt");
        assert_eq!(in_diff('b', &file("/tmp/a.txt")), "b/tmp/a.txt");
        assert_eq!(in_diff('a', &file("two words")), "a/two words\t");
        assert_eq!(in_diff('a', &file("a\"\\\n\t\u{1b} 好")), "\"a/a\\\"\\\\\\n\\t\\033 好\"\t");
        assert_eq!(in_diff('a', &Source::Stdin), "a/stdin");
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_not_utf8_are_named_in_octal_and_in_percent() {
        use std::os::unix::ffi::OsStringExt;
        let name = std::ffi::OsString::from_vec(b"\xe5\xa5\xbd\xff.txt".to_vec());
        let source = Source::File(name.into());
        assert_eq!(in_diff('a', &source), "\"a/好\\377.txt\"");
        assert_eq!(uri(&source), "%E5%A5%BD%FF.txt");
        assert_eq!(plain(&source), "好\u{fffd}.txt");
    }

    #[test]
    fn uris_keep_only_what_may_stand_in_them() {
        assert_eq!(uri(&file("./a b/c:d%?#.txt")), "a%20b/c%3Ad%25%3F%23.txt");
        assert_eq!(uri(&file("../好")), "../%E5%A5%BD");
        #[cfg(unix)]
        assert_eq!(uri(&file("/tmp/好 .txt")), "file:///tmp/%E5%A5%BD%20.txt");
        #[cfg(windows)]
        assert_eq!(uri(&file("C:\\a b.txt")), "file:///C:/a%20b.txt");
    }
}
