//! X1: text of every kind, of which nothing is lost. The hundred thousand random lines are in
//! [`crate::cli::survival`], and the spans of their tokens in [`crate::tokenizer`]; here are strings of random bytes and of every plane of Unicode, and
//! three hundred that somebody thought of, each in every place where it could do harm.

use std::fs;

use super::Random;
use crate::cli::survival::{Survived, survives};
use crate::cli::{run, zhengzi};

/// What has gone wrong in other programs.
#[rustfmt::skip]
const CURATED: [&str; 60] = [
    "", " ", "\t", "\r", "\u{b}\u{c}", "\u{85}", "\u{2028}", "\u{2029}", "\u{3000}", "\u{a0}", "\u{1680}",
    // Marks that are seen as nothing, or turn what is seen.
    "\u{feff}", "\u{200b}", "\u{200d}", "\u{2060}", "\u{ad}", "\u{202e}abc\u{202c}", "\u{2066}x\u{2069}",
    "\u{fffd}", "\u{fffe}", "\u{ffff}", "\u{10ffff}", "\u{e000}", "\u{f0000}",
    // Marks that belong to the letter before.
    "e\u{301}", "\u{301}", "葛\u{e0100}", "辻\u{fe00}", "❤\u{fe0f}", "1\u{fe0f}\u{20e3}", "が", "か\u{3099}",
    "한", "\u{1112}\u{1161}\u{11ab}", "क्षि", "นี้", "\u{1e0a}\u{323}",
    // Han that is none, or was, or is beyond the basic plane.
    "𠀀", "𪚥", "𰻞", "𱁬", "𲎯", "\u{f900}", "\u{2f800}", "⼈", "㊥", "㍿", "〇", "々", "ㄅ", "㆐",
    // Emoji of one, of several, of a flag, of a half of one.
    "😀", "👨‍👩‍👧‍👦", "🇨🇳", "🇨", "👍🏽", "🏴\u{e0067}\u{e0062}\u{e007f}",
    // Words of the program's own.
    "[MASK]", "zhengzi-disable", "##们",
];

/// A wrong sentence is corrected beside it.
const WRONG: &str = "我以经会了";

#[test]
fn x1_curated_strings_survive_in_every_place() {
    let mut input = Vec::new();
    for text in CURATED {
        let places = [
            text.to_owned(),
            text.repeat(3),
            format!("{text}{WRONG}"),
            format!("{WRONG}{text}"),
            format!("我{text}以{text}经{text}会了"),
        ];
        for (i, place) in places.iter().enumerate() {
            input.extend(place.as_bytes());
            input.extend([&b"\n"[..], b"\r\n"][i % 2]);
            // What a text turned off is turned on again.
            if text == "zhengzi-disable" {
                input.extend(b"zhengzi-enable\n");
            }
        }
    }
    let Survived { lines, corrected, refused } = survives(&input);
    assert!(lines >= 5 * CURATED.len() && refused == 0);
    assert!(corrected > CURATED.len(), "only {corrected} lines of {lines} were corrected");
    eprintln!("X1, curated: 300 strings, {corrected} lines corrected, 0 bytes lost");
}

#[test]
fn x1_ten_thousand_strings_of_random_bytes_survive() {
    let mut random = Random(4);
    let mut input = Vec::new();
    for i in 0..10_000 {
        let length = random.below(40);
        match i % 3 {
            // Any bytes, line ends among them.
            0 => input.extend((0..length).map(|_| random.next() as u8)),
            // Text with one byte of it changed.
            1 => {
                let start = input.len();
                input.extend(WRONG.as_bytes());
                let at = start + random.below(input.len() - start);
                input[at] = random.next() as u8;
            }
            // The bytes that begin and continue characters.
            _ => input.extend((0..length).map(|_| 0x80 | random.next() as u8)),
        }
        input.push(b'\n');
    }
    let Survived { lines, refused, .. } = survives(&input);
    assert!(lines >= 10_000 && refused > lines / 2, "{refused} of {lines} were not text");
    eprintln!("X1, bytes: 10000 strings in {lines} lines, {refused} passed by, 0 bytes lost");
}

#[test]
fn x1_a_million_marks_on_one_letter_survive() {
    let text = format!("我以经会了e{}\n{WRONG}\n", "\u{301}".repeat(1_000_000));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("marks.txt");
    fs::write(&path, &text).unwrap();
    let output = run(zhengzi().arg("correct").arg(&path), b"");
    let (first, second) = text.split_once('\n').unwrap();
    let found = String::from_utf8(output.stdout).unwrap();
    assert!(found.starts_with(first), "a line past the limit goes by as it is");
    assert_eq!(found.len(), text.len());
    assert_ne!(&found[first.len() + 1..], second, "the line behind it is corrected");
}
