//! A small vocabulary with a bit of everything: special tokens, Latin pieces, Han characters of all
//! planes, marks, punctuation, digits, kana.

/// Its `vocab.txt`.
pub fn sample() -> String {
    let mut lines: Vec<String> =
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned).into();
    let pieces = [
        "th", "the", "ing", "re", "ab", "abc", "ß", "ss", "é", "σ", "ς", "가", "ᄀ", "か", "が",
        "ﬁ", "ǆ",
    ];
    let single = ('a'..='z').chain('A'..='Z').chain('0'..='9').map(String::from);
    for piece in pieces.map(str::to_owned).into_iter().chain(single) {
        lines.push(format!("##{piece}"));
        lines.push(piece);
    }
    let ranges = [
        '!'..='/',
        ':'..='@',
        '['..='`',
        '{'..='~',
        '一'..='丰',
        '㐀'..='㐏',
        '𠀀'..='𠀏',
        '豈'..='金',
        '。'..='〕',
        '！'..='＆',
        '\u{300}'..='\u{30f}',
        '\u{1d165}'..='\u{1d16d}',
    ];
    lines.extend(ranges.into_iter().flatten().map(String::from));
    lines.join("\n")
}
