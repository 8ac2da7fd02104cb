//! The Unihan database (Unicode Standard Annex 38): a table of properties of Han characters.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// The properties that the table needs, by character.
pub struct Unihan {
    properties: BTreeMap<char, BTreeMap<&'static str, String>>,
}

impl Unihan {
    /// Reads the database from a folder of `Unihan_*.txt` files, or of the same packed by bzip2.
    ///
    /// # Errors
    /// If a file is missing, cannot be unpacked or holds none of the properties wanted of it.
    pub fn open(folder: &Path) -> Result<Self, String> {
        let mut properties: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for (file, wanted) in WANTED {
            let mut found = 0;
            for line in text(folder, file)?.lines() {
                // U+4E00<tab>kMandarin<tab>yī
                let mut fields = line.splitn(3, '\t');
                let ch = fields.next().and_then(code_point);
                let name = fields.next().and_then(|f| wanted.iter().find(|&&w| w == f));
                let (Some(ch), Some(name), Some(value)) = (ch, name, fields.next()) else {
                    continue;
                };
                properties.entry(ch).or_default().insert(*name, value.to_owned());
                found += 1;
            }
            if found == 0 {
                return Err(format!("{file} holds none of {}", wanted.join(", ")));
            }
        }
        Ok(Self { properties })
    }

    /// Every character with any of the properties, ascending.
    pub fn chars(&self) -> impl Iterator<Item = char> {
        self.properties.keys().copied()
    }

    /// The space-separated values of a property; none if the character has it not.
    pub fn values(&self, ch: char, name: &str) -> impl Iterator<Item = &str> {
        let value = self.properties.get(&ch).and_then(|properties| properties.get(name));
        value.map_or("", String::as_str).split_whitespace()
    }

    /// Whether the table holds the character: in the standards of the mainland, in the first,
    /// frequent level of Big5 (codes up to C67E), or among the 9,810 that the Unicode
    /// Consortium found necessary everywhere in East Asia (IICore, hence Japan's own forms).
    pub fn is_listed(&self, ch: char) -> bool {
        let big5 = self.values(ch, "kBigFive").next();
        self.is_mainland(ch) || self.has(ch, "kIICore") || big5.is_some_and(|code| code <= "C67E")
    }

    /// Whether GB 2312 or the General Standard table (TGH 2013) holds the character.
    pub fn is_mainland(&self, ch: char) -> bool {
        self.has(ch, "kGB0") || self.has(ch, "kTGH")
    }

    /// Whether Big5 holds the character.
    pub fn is_taiwan(&self, ch: char) -> bool {
        self.has(ch, "kBigFive")
    }

    /// Whether the character may be proposed: it or a simplified form of it stands in levels one
    /// and two of the General Standard table, its first 6,500 entries (level three is for names
    /// and terms), or Hong Kong teaches it in primary school.
    pub fn is_common(&self, ch: char) -> bool {
        self.rank(ch) <= 6500 || self.has(ch, "kGradeLevel")
    }

    /// Whether the character or a simplified form of it stands in level one of that table, the
    /// 3,500 in everyday use.
    pub fn is_everyday(&self, ch: char) -> bool {
        self.rank(ch) <= 3500
    }

    /// The simplified forms of a traditional character, itself excepted.
    pub fn simplified(&self, ch: char) -> impl Iterator<Item = char> {
        self.forms(ch, "kSimplifiedVariant")
    }

    /// The traditional, simplified and other forms of a character that mean the same.
    pub fn variants(&self, ch: char) -> impl Iterator<Item = char> {
        let script = self.forms(ch, "kTraditionalVariant").chain(self.simplified(ch));
        // The General Standard table holds one form of each character: two of its entries are
        // different characters today, whatever older dictionaries say (他 and 她).
        let meaning = self.forms(ch, "kSemanticVariant").chain(self.forms(ch, "kZVariant"));
        let distinct = move |other: &char| self.has(ch, "kTGH") && self.has(*other, "kTGH");
        script.chain(meaning.filter(move |other| !distinct(other)))
    }

    /// The place in the General Standard table of a character or its simplified forms.
    fn rank(&self, ch: char) -> u32 {
        let forms = std::iter::once(ch).chain(self.simplified(ch));
        // 2013:287
        let ranks = forms.flat_map(|form| self.values(form, "kTGH"));
        let ranks = ranks.filter_map(|value| value.strip_prefix("2013:")?.parse().ok());
        ranks.min().unwrap_or(u32::MAX)
    }

    fn has(&self, ch: char, name: &str) -> bool {
        self.values(ch, name).next().is_some()
    }

    fn forms(&self, ch: char, name: &str) -> impl Iterator<Item = char> {
        // U+5CEF<kMatthews,kLau: the form, and who says so.
        let form = |value: &str| value.split('<').next().and_then(code_point);
        self.values(ch, name).filter_map(form).filter(move |&form| form != ch)
    }
}

/// Each file with the properties it holds.
const WANTED: [(&str, &[&str]); 5] = [
    ("Unihan_Readings.txt", &["kMandarin", "kHanyuPinlu", "kHanyuPinyin", "kTGHZ2013", "kXHC1983"]),
    ("Unihan_OtherMappings.txt", &["kBigFive", "kGB0", "kTGH"]),
    ("Unihan_IRGSources.txt", &["kIICore"]),
    ("Unihan_DictionaryLikeData.txt", &["kCangjie", "kGradeLevel"]),
    (
        "Unihan_Variants.txt",
        &["kSimplifiedVariant", "kTraditionalVariant", "kSemanticVariant", "kZVariant"],
    ),
];

fn text(folder: &Path, file: &str) -> Result<String, String> {
    let plain = folder.join(file);
    if plain.exists() {
        return std::fs::read_to_string(&plain).map_err(|e| format!("{}: {e}", plain.display()));
    }
    let packed = folder.join(format!("{file}.bz2"));
    let output = Command::new("bzip2").arg("-dc").arg(&packed).output();
    let output = output.map_err(|error| format!("the command bzip2: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    String::from_utf8(output.stdout).map_err(|error| format!("{}: {error}", packed.display()))
}

/// `U+4E00`.
fn code_point(text: &str) -> Option<char> {
    char::from_u32(u32::from_str_radix(text.strip_prefix("U+")?, 16).ok()?)
}
