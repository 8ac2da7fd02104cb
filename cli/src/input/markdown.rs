//! Markdown: which bytes of a document are not prose and stay as they are.
//!
//! Prose is what a reader of the rendered page reads: the parser's text, link texts and
//! descriptions of images among it. The rest is frozen: code, HTML, mathematics, front
//! matter, destinations, definitions, labels and all marks of the syntax. Where a text is
//! a key as well (`[text]` for a definition, `[[page]]`), it is frozen, since a changed key
//! leads nowhere; so are addresses (`https://…`, `www.…`, `name@host`) in the prose.

use std::borrow::Cow;
use std::ops::Range;

use pulldown_cmark::{Event, LinkType, Options, Parser, Tag};

use super::ranges::{complement, push, union};

/// The byte ranges of a document that are not prose: sorted, disjoint, within its bounds.
/// Takes any bytes; those that are not UTF-8 are neither white space nor punctuation.
pub fn frozen(document: &[u8]) -> Vec<Range<usize>> {
    let document = decoded(document);
    let body = front_matter(&document);
    // `prose` is what may be changed. `read` has the entities and escapes too: an address
    // may run through them.
    let (mut prose, mut read) = (Vec::new(), Vec::new());
    let mut sealed_depth = 0;
    let options = options();
    for (event, range) in Parser::new_ext(&document[body..], options).into_offset_iter() {
        let range = range.start + body..range.end + body;
        let source = &document[range.clone()];
        match event {
            Event::Start(tag) if sealed_depth > 0 || is_sealed(&tag) => sealed_depth += 1,
            Event::End(_) if sealed_depth > 0 => sealed_depth -= 1,
            Event::Text(text) if sealed_depth == 0 => {
                if *text == *source {
                    push(&mut prose, range.clone());
                }
                let escaped = document[..range.start].ends_with('\\');
                push(&mut read, range.start - usize::from(escaped)..range.end);
            }
            // Two prices in a sentence are no formula (as Pandoc decides).
            Event::InlineMath(_)
                if sealed_depth == 0 && next_is_digit(&document.as_bytes()[range.end..]) =>
            {
                push(&mut prose, range.clone());
                push(&mut read, range);
            }
            _ => {}
        }
    }
    let mut addresses = Vec::new();
    for range in read {
        find_addresses(&document, range, &mut addresses);
    }
    union(&complement(&prose, document.len()), &addresses)
}

fn options() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_MATH
        | Options::ENABLE_GFM
        | Options::ENABLE_WIKILINKS
}

/// The document with a control character for each byte that is not UTF-8, so that every
/// other byte keeps its place.
fn decoded(document: &[u8]) -> Cow<'_, str> {
    if let Ok(document) = std::str::from_utf8(document) {
        return Cow::Borrowed(document);
    }
    let mut text = String::with_capacity(document.len());
    for chunk in document.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '\u{1a}'));
    }
    Cow::Owned(text)
}

/// Where the body begins, after a byte order mark and YAML (`---`) or TOML (`+++`) front
/// matter. The parser would take two rules further down for front matter as well.
fn front_matter(document: &str) -> usize {
    let start = if document.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut lines = document[start..].split_inclusive('\n');
    let first = lines.next().unwrap_or("");
    let closers: &[&str] = match first.trim_end() {
        "---" => &["---", "..."],
        "+++" => &["+++"],
        _ => return start,
    };
    let mut end = start + first.len();
    for line in lines {
        end += line.len();
        if closers.contains(&line.trim_end()) {
            return end;
        }
    }
    start
}

/// Whether the text within is no prose.
fn is_sealed(tag: &Tag) -> bool {
    match tag {
        Tag::CodeBlock(_) | Tag::HtmlBlock | Tag::MetadataBlock(_) => true,
        Tag::Link { link_type, .. } | Tag::Image { link_type, .. } => matches!(
            link_type,
            LinkType::Autolink
                | LinkType::Email
                | LinkType::Shortcut
                | LinkType::Collapsed
                | LinkType::WikiLink { has_pothole: false }
        ),
        _ => false,
    }
}

fn next_is_digit(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(u8::is_ascii_digit)
}

/// Appends the addresses in `range` of the document, in order.
fn find_addresses(document: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let text = &document[range.clone()];
    let bytes = text.as_bytes();
    let mut done = 0;
    for at in memchr::memchr3_iter(b':', b'.', b'@', bytes) {
        if at < done {
            continue;
        }
        let before = &bytes[done..at];
        let address = match bytes[at] {
            b':' if bytes[at..].starts_with(b"://") => {
                let scheme =
                    length_of_last(before, |b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
                let named = bytes[at - scheme..at].iter().any(u8::is_ascii_alphabetic);
                named.then(|| at - scheme..at + 3 + url_length(&text[at + 3..]))
            }
            b'.' if before.len() >= 3
                && before[before.len() - 3..].eq_ignore_ascii_case(b"www") =>
            {
                let alone = length_of_last(before, |b| b.is_ascii_alphanumeric()) == 3;
                alone.then(|| at - 3..at + url_length(&text[at..]))
            }
            b'@' => {
                let name =
                    length_of_last(before, |b| b.is_ascii_alphanumeric() || b"._%+-".contains(&b));
                let host = host_length(&bytes[at + 1..]);
                (name > 0 && host > 0).then(|| at - name..at + 1 + host)
            }
            _ => None,
        };
        if let Some(address) = address {
            done = address.end;
            push(found, range.start + address.start..range.start + address.end);
        }
    }
}

fn length_of_last(bytes: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    bytes.iter().rev().take_while(|&&byte| belongs(byte)).count()
}

/// Bytes up to white space, a mark that no URL has, Chinese punctuation, or a bracket that
/// was opened before the URL.
fn url_length(text: &str) -> usize {
    let (mut round, mut square) = (0_usize, 0_usize);
    let ends = |c: char| {
        let open = match c {
            '(' | ')' => &mut round,
            '[' | ']' => &mut square,
            _ => {
                return c.is_whitespace()
                    || c.is_control()
                    || "<>\"`".contains(c)
                    || is_cjk_mark(c);
            }
        };
        match (c, *open) {
            (')' | ']', 0) => return true,
            (')' | ']', _) => *open -= 1,
            _ => *open += 1,
        }
        false
    };
    text.find(ends).unwrap_or(text.len())
}

/// Bytes of a host name with at least one dot in it; 0 where there is none.
fn host_length(bytes: &[u8]) -> usize {
    let run = bytes.iter().take_while(|b| b.is_ascii_alphanumeric() || b"-.".contains(b)).count();
    let last = bytes[..run].iter().rposition(u8::is_ascii_alphanumeric);
    last.filter(|&last| bytes[..last].contains(&b'.')).map_or(0, |last| last + 1)
}

/// General Punctuation, CJK Symbols and Punctuation (々〆〇 are letters), CJK Compatibility
/// Forms, and the full-width forms that are neither digits nor letters (Unicode 16, ch. 6).
fn is_cjk_mark(c: char) -> bool {
    match c {
        '々' | '〆' | '〇' => false,
        '\u{2010}'..='\u{2027}' | '\u{3000}'..='\u{303f}' | '\u{fe30}'..='\u{fe4f}' => true,
        '０'..='９' | 'Ａ'..='Ｚ' | 'ａ'..='ｚ' => false,
        '\u{ff01}'..='\u{ff65}' => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of a document, its pieces parted by `|`. White space at their ends is
    /// no matter.
    fn prose(document: &[u8]) -> String {
        let pieces: Vec<String> = complement(&frozen(document), document.len())
            .into_iter()
            .map(|range| String::from_utf8_lossy(&document[range]).trim().to_owned())
            .filter(|piece| !piece.is_empty())
            .collect();
        pieces.join("|")
    }

    #[test]
    fn prose_is_what_a_reader_of_the_page_reads() {
        for (document, left) in [
            // Prose in every place that it can have.
            ("今天新情很好", "今天新情很好"),
            ("# 标题 #\n\n正文\n续行\n", "标题|正文|续行"),
            ("标题\n===\n", "标题"),
            ("> 引文\n> - 项\n>   1. 目\n续行", "引文|项|目|续行"),
            ("- [ ] 未完\n- [x] 已完\n", "未完|已完"),
            ("| 甲 | 乙 |\n|----|:--:|\n| `码` | 丙 |\n", "甲|乙|丙"),
            ("**粗**细_斜_~~删~~", "粗|细_斜_|删"),
            ("**粗** *斜*", "粗|斜"),
            ("一  \n二\\\n三", "一|二|三"),
            ("> [!NOTE]\n> 注意", "注意"),
            // Code.
            ("前`码`后``a`码``", "前|后"),
            ("前\n\n```rust 名\n// 码\n```\n\n后", "前|后"),
            ("~~~\n码\n", ""),
            ("前\n\n    码\n\n后", "前|后"),
            ("- 项\n\n      码\n", "项"),
            // Links: the text is read, the address and the title are not.
            ("见[文](/码 \"题\")后", "见|文|后"),
            ("![图](图.png)后", "图|后"),
            ("[![徽](a.svg)](码)后", "徽|后"),
            ("[文][键]后\n\n[键]: /码 '题'\n", "文|后"),
            ("[键][]和[键]\n\n[键]: /码\n", "和"),
            ("[[页]]和[[页|文]]", "和|文"),
            ("<https://例.中国/新>后", "后"),
            ("<a@a.cn>和<新@a.cn>", "和<新@a.cn>"),
            ("注[^一]\n\n[^一]: 脚注\n", "注|脚注"),
            // HTML.
            ("前<b class=\"新\">中</b><!-- 注 -->后", "前|中|后"),
            ("前\n\n<div>\n新\n</div>\n\n后", "前|后"),
            ("前\n\n<!-- 新\n\n新 -->\n后", "前|后"),
            // Mathematics.
            ("设$x_新$和$$\n新\n$$后", "设|和|后"),
            ("由$5涨到$10了", "由$5涨到$10了"),
            ("价$ 5 和 $ 6", "价$ 5 和 $ 6"),
            // What is written otherwise than it is read.
            ("甲&nbsp;乙&copy;丙\\*丁", "甲|乙|丙|*丁"),
            ("# 标题 {#新 .类}", "标题"),
            ("---\n\n***\n", ""),
        ] {
            let left: Vec<&str> =
                left.split('|').map(str::trim).filter(|p| !p.is_empty()).collect();
            assert_eq!(prose(document.as_bytes()), left.join("|"), "{document:?}");
            let dos = document.replace('\n', "\r\n");
            assert_eq!(prose(dos.as_bytes()), left.join("|"), "{dos:?}");
        }
    }

    #[test]
    fn front_matter_is_frozen_at_the_very_beginning_only() {
        for (document, left) in [
            ("---\ntitle: 新\n---\n正文", "正文"),
            ("\u{feff}---\ntitle: 新\n...\n正文", "正文"),
            ("---\r\ntitle: 新\r\n---\r\n正文", "正文"),
            ("+++\ntitle = '新'\n+++\n正文", "正文"),
            ("---\n---\n正文", "正文"),
            ("---\n正文", "正文"),
            ("---\n正文\n+++\n", "正文|+++"),
            ("前\n\n---\n正文\n---\n", "前|正文"),
            ("\n---\n正文\n---\n", "正文"),
        ] {
            assert_eq!(prose(document.as_bytes()), left, "{document:?}");
        }
    }

    #[test]
    fn an_address_in_the_text_ends_where_chinese_punctuation_or_a_bracket_does() {
        for (document, left) in [
            ("见https://a.cn/新?q=新#新 后", "见|后"),
            ("见https://a.cn/新，后", "见|，后"),
            ("（https://a.cn/新）后", "（|）后"),
            ("(https://a.cn/新)后", "(|)后"),
            ("见https://a.cn/x_(新)后 后", "见|后"),
            ("见「ftp://a.cn/新」后", "见「|」后"),
            ("https://a.cn?x=1&amp;y=新&z=新 后", "后"),
            ("https://a.cn/新\\_新 后", "后"),
            ("http://[::1]:80/新\u{3000}后", "\u{3000}后"),
            ("看www.a.cn/新。后", "看|。后"),
            ("看awww.a.cn/新", "看awww.a.cn/新"),
            ("信a.b+c@a.cn。后", "信|。后"),
            ("信a@b和@新 @a.cn", "信a@b和@新 @a.cn"),
            ("://新 1://新 比://新", "://新 1://新 比://新"),
            ("[https://a.cn/新](b)后", "后"),
        ] {
            assert_eq!(prose(document.as_bytes()).trim(), left.trim(), "{document:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_text_move_nothing() {
        assert_eq!(prose(b"a\xff`b`\xe6\x96c\0`d`e"), "a\u{fffd}|\u{fffd}c\0|e");
        assert_eq!(prose(b""), "");
        assert_eq!(prose("\u{feff}甲".as_bytes()), "甲");
        assert_eq!(prose("\u{feff}# 甲".as_bytes()), "甲");
    }

    #[test]
    fn the_ranges_of_random_documents_are_in_order_and_in_bounds() {
        let pieces = [
            "新",
            "。",
            "\n",
            "\r\n",
            "\r",
            "\n\n",
            "    ",
            "\t",
            " ",
            "`",
            "``",
            "```\n",
            "~~~",
            "[",
            "](",
            "]",
            ")",
            "[^1]",
            "[^1]: ",
            "]: ",
            "![",
            "[[",
            "]]",
            "|",
            "|-|-|\n",
            "<",
            ">",
            "<b",
            "</b>",
            "<!--",
            "-->",
            "<div>\n",
            "<?",
            "<![CDATA[",
            "$",
            "$$",
            "{",
            "}",
            "*",
            "_",
            "**",
            "~~",
            "#",
            "# ",
            "- ",
            "1. ",
            "> ",
            "---\n",
            "+++\n",
            "===\n",
            "&nbsp;",
            "&",
            "\\",
            "https://",
            "www.",
            "a@b.c",
            "\u{feff}",
            "\0",
            "𠀀",
            "e\u{301}",
            "[!NOTE]\n",
            "[x] ",
        ];
        let mut seed = 1_u64;
        let mut random = move |below: usize| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as usize % below
        };
        for _ in 0..20_000 {
            let mut document = Vec::new();
            for _ in 0..random(40) {
                match random(60) {
                    0 => document.push(0xe6),
                    _ => document.extend(pieces[random(pieces.len())].as_bytes()),
                }
            }
            let (ranges, mut end) = (frozen(&document), 0);
            for (index, range) in ranges.iter().enumerate() {
                let apart = range.start > end || (index == 0 && range.start == 0);
                assert!(apart && range.start < range.end, "{ranges:?} of {document:?}");
                end = range.end;
            }
            assert!(end <= document.len(), "{ranges:?} of {document:?}");
            if let Ok(text) = std::str::from_utf8(&document) {
                let whole = |range: &Range<usize>| {
                    text.is_char_boundary(range.start) && text.is_char_boundary(range.end)
                };
                assert!(ranges.iter().all(whole), "{ranges:?} of {text:?}");
            }
        }
    }

    #[test]
    fn a_hostile_document_of_a_hundred_thousand_marks_is_read() {
        for unit in [
            "[",
            "]",
            "![",
            "[](",
            "[a](",
            "[a]: b\n",
            "[^1]",
            "[^1]: ",
            "[[",
            "`",
            "`a``b",
            "```\n",
            ">",
            "> ",
            "> \n",
            "- ",
            "-\n",
            "1. ",
            "* a\n ",
            "*",
            "_a_",
            "**a",
            "~",
            "$",
            "$a ",
            "${",
            "$$",
            "<",
            "<a ",
            "<!--",
            "<?",
            "<![CDATA[",
            "<b>",
            "&",
            "&#",
            "\\",
            "|",
            "|-|\n",
            "a|b\n-|-\n",
            "#",
            "# {",
            "{#",
            "---\n",
            "+++\n\n",
            "\n",
            "\r",
            "\t",
            "www.",
            "a://",
            "a@a.a",
            "@",
            "://",
            ".",
            "a.",
            "\0",
            "\u{feff}",
            "(",
            "[a][",
            "<a@b",
        ] {
            let document = unit.repeat(100_000);
            let ranges = frozen(document.as_bytes());
            assert!(ranges.iter().all(|range| range.end <= document.len()), "{unit:?}");
        }
    }
}
