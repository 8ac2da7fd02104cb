//! Reads `similarity.bin`. The bytes are laid out as the head of `similarity.rs` says; whatever
//! they hold, the answer is a sound [`Table`] or a [`SimilarityError`].

use super::sound::Syllable;

/// Why bytes are not a table of sound and shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimilarityError {
    /// Where in the bytes.
    pub offset: usize,
    /// What was wrong there.
    pub what: String,
}

impl std::fmt::Display for SimilarityError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "table of sound and shape, byte {}: {}", self.offset, self.what)
    }
}

impl std::error::Error for SimilarityError {}

/// The five sections of the file, decoded. Characters are indices into `chars`.
pub(super) struct Table {
    pub(super) syllables: Vec<Syllable>,
    /// Ascending.
    pub(super) chars: Vec<char>,
    /// Parallel to `chars`.
    pub(super) facts: Vec<Facts>,
    /// Syllable and tone (1 to 5), commonest first.
    pub(super) readings: Lists<(u16, u8)>,
    /// Both directions, ascending.
    pub(super) variants: Lists<u16>,
    /// Both directions, ascending: character and level.
    pub(super) shapes: Lists<(u16, u8)>,
}

/// What the table says of one character besides its readings and neighbours.
#[derive(Clone, Copy)]
pub(super) struct Facts {
    pub(super) common: bool,
    pub(super) mainland: bool,
    pub(super) taiwan: bool,
    pub(super) frequency: u8,
}

/// One list per key, all in one allocation.
pub(super) struct Lists<T> {
    /// List `i` is `items[starts[i]..starts[i + 1]]`.
    starts: Vec<u32>,
    items: Vec<T>,
}

impl<T: Copy + Default> Lists<T> {
    pub(super) fn get(&self, key: usize) -> &[T] {
        &self.items[self.starts[key] as usize..self.starts[key + 1] as usize]
    }

    /// Groups `entries` by key, keeping their order within a key (a counting sort).
    /// Every key must be below `keys`.
    pub(super) fn grouped(keys: usize, entries: &[(u16, T)]) -> Self {
        let mut starts = vec![0u32; keys + 1];
        for &(key, _) in entries {
            starts[usize::from(key) + 1] += 1;
        }
        for i in 0..keys {
            starts[i + 1] += starts[i];
        }
        let mut next = starts.clone();
        let mut items = vec![T::default(); entries.len()];
        for &(key, item) in entries {
            let slot = &mut next[usize::from(key)];
            items[*slot as usize] = item;
            *slot += 1;
        }
        Self { starts, items }
    }
}

impl Table {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, SimilarityError> {
        let mut reader = Reader { bytes, at: 0 };
        if reader.take(MAGIC.len())? != MAGIC {
            return Err(wrong(0, "not a table of sound and shape, or one of another version"));
        }
        let checksum = reader.take(8)?;
        if checksum != fnv1a(&bytes[reader.at..]).to_le_bytes() {
            return Err(wrong(MAGIC.len(), "the checksum is not that of the bytes after it"));
        }
        let counts_at = reader.at;
        let [syllables, chars, readings, variants, shape_bytes] = reader.counts()?;
        // Indices of characters are u16, and those of syllables 12 bits.
        if chars > 1 << 16 || syllables > 1 << 12 {
            return Err(wrong(counts_at, "more characters or syllables than an index can name"));
        }

        let syllables = read_syllables(&mut reader, syllables)?;
        let (chars, facts) = read_characters(&mut reader, chars)?;
        let readings = read_readings(&mut reader, readings, chars.len(), syllables.len())?;
        let variants = read_variants(&mut reader, variants, chars.len())?;
        let shapes = read_shapes(&mut reader, shape_bytes, chars.len())?;
        if reader.at != bytes.len() {
            return Err(wrong(reader.at, "bytes left over after the last section"));
        }
        Ok(Self { syllables, chars, facts, readings, variants, shapes })
    }
}

const MAGIC: &[u8; 8] = b"ZZSIM\0\0\x01";
const SYLLABLE_BYTES: usize = 6; // zhuang, chuang, shuang

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], SimilarityError> {
        let rest = &self.bytes[self.at..];
        let taken = rest
            .get(..len)
            .ok_or_else(|| wrong(self.at, format!("{len} bytes wanted, {} left", rest.len())))?;
        self.at += len;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, SimilarityError> {
        Ok(u32_of(self.take(4)?))
    }

    fn counts(&mut self) -> Result<[usize; 5], SimilarityError> {
        let mut counts = [0; 5];
        for count in &mut counts {
            *count = self.u32()? as usize;
        }
        Ok(counts)
    }

    /// `count` records of `size` bytes each; the product cannot overflow unnoticed.
    fn records(&mut self, count: usize, size: usize) -> Result<&'a [u8], SimilarityError> {
        self.take(count.saturating_mul(size))
    }
}

fn read_syllables(reader: &mut Reader, count: usize) -> Result<Vec<Syllable>, SimilarityError> {
    let start = reader.at;
    let records = reader.records(count, SYLLABLE_BYTES)?.chunks_exact(SYLLABLE_BYTES);
    let mut syllables: Vec<Syllable> = Vec::with_capacity(count);
    for (i, record) in records.enumerate() {
        let at = start + i * SYLLABLE_BYTES;
        let len = record.iter().position(|&b| b == 0).unwrap_or(SYLLABLE_BYTES);
        let (letters, padding) = record.split_at(len);
        let plain = !letters.is_empty()
            && letters.iter().all(u8::is_ascii_lowercase)
            && padding.iter().all(|&b| b == 0);
        let spelling = std::str::from_utf8(letters).ok().filter(|_| plain);
        let spelling = spelling.ok_or_else(|| wrong(at, "a syllable that is not a-z"))?;
        if syllables.last().is_some_and(|last| last.spelling.as_str() >= spelling) {
            return Err(wrong(at, "syllables out of order"));
        }
        syllables.push(Syllable::new(spelling));
    }
    Ok(syllables)
}

fn read_characters(
    reader: &mut Reader,
    count: usize,
) -> Result<(Vec<char>, Vec<Facts>), SimilarityError> {
    let start = reader.at;
    let words = reader.records(count, 4)?.chunks_exact(4).map(u32_of);
    let (mut chars, mut facts) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for (i, word) in words.enumerate() {
        let at = start + i * 4;
        let ch = char::from_u32(word & 0x1f_ffff)
            .ok_or_else(|| wrong(at, "a code point that is no character"))?;
        if chars.last().is_some_and(|&last| last >= ch) {
            return Err(wrong(at, "characters out of order"));
        }
        chars.push(ch);
        facts.push(Facts {
            common: word >> 21 & 1 == 1,
            mainland: word >> 22 & 1 == 1,
            taiwan: word >> 23 & 1 == 1,
            frequency: word.to_le_bytes()[3],
        });
    }
    Ok((chars, facts))
}

fn read_readings(
    reader: &mut Reader,
    count: usize,
    chars: usize,
    syllables: usize,
) -> Result<Lists<(u16, u8)>, SimilarityError> {
    let start = reader.at;
    let words = reader.records(count, 2)?.chunks_exact(2).map(u16_of);
    let mut entries = Vec::with_capacity(count);
    let mut owner = 0;
    for (i, word) in words.enumerate() {
        let at = start + i * 2;
        let (syllable, tone) = (word >> 3 & 0xfff, (word & 7) as u8);
        if owner == chars || usize::from(syllable) >= syllables || !(1..=5).contains(&tone) {
            return Err(wrong(at, "a reading of no character, syllable or tone"));
        }
        entries.push((owner as u16, (syllable, tone)));
        owner += usize::from(word >> 15);
    }
    if owner != chars {
        return Err(wrong(reader.at, format!("readings for {owner} characters of {chars}")));
    }
    Ok(Lists::grouped(chars, &entries))
}

fn read_variants(
    reader: &mut Reader,
    count: usize,
    chars: usize,
) -> Result<Lists<u16>, SimilarityError> {
    let start = reader.at;
    let records = reader.records(count, 4)?.chunks_exact(4);
    let pairs: Vec<_> = records.map(|r| (u16_of(&r[..2]), u16_of(&r[2..]))).collect();
    for (i, &(a, b)) in pairs.iter().enumerate() {
        if a >= b || usize::from(b) >= chars || (i > 0 && pairs[i - 1] >= (a, b)) {
            return Err(wrong(start + i * 4, "a pair of variants out of order or out of range"));
        }
    }
    // Ascending within each key: first the smaller partners, then the larger.
    let backward = pairs.iter().map(|&(a, b)| (b, a));
    let entries: Vec<_> = backward.chain(pairs.iter().copied()).collect();
    Ok(Lists::grouped(chars, &entries))
}

fn read_shapes(
    reader: &mut Reader,
    len: usize,
    chars: usize,
) -> Result<Lists<(u16, u8)>, SimilarityError> {
    let lengths = reader.records(chars, 2)?.chunks_exact(2).map(u16_of);
    let mut starts = vec![0u32];
    starts.extend(lengths.scan(0, |sum, length| {
        *sum += u32::from(length);
        Some(*sum)
    }));
    let start = reader.at;
    let mut rest = reader.take(len)?.iter();
    // Each pair takes two items and at least a byte; more would be memory for nothing.
    if starts[chars] as usize > 2 * len {
        return Err(wrong(start, "fewer shapes than the lengths of their lists promise"));
    }

    let mut next = starts[..chars].to_vec();
    let mut items = vec![(0, 0); starts[chars] as usize];
    for a in 0..chars {
        // By now list a holds its neighbours before a; the rest of it comes after.
        let mut b = a;
        while next[a] < starts[a + 1] {
            let at = start + len - rest.len();
            let value = leb128(&mut rest).ok_or_else(|| wrong(at, "a broken number"))?;
            b += (value >> 4) as usize;
            if value < 16 || b >= chars || next[b] == starts[b + 1] {
                return Err(wrong(at, "a neighbour in shape that has no place"));
            }
            for (from, to) in [(a, b), (b, a)] {
                items[next[from] as usize] = (to as u16, (value & 15) as u8);
                next[from] += 1;
            }
        }
    }
    if rest.len() != 0 {
        return Err(wrong(start + len - rest.len(), "shapes beyond the last list"));
    }
    Ok(Lists { starts, items })
}

/// At most three bytes: a gap of 16 bits and a level of 4 fit in 21.
fn leb128(bytes: &mut std::slice::Iter<u8>) -> Option<u32> {
    let mut value = 0;
    for shift in [0, 7, 14] {
        let &byte = bytes.next()?;
        value |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// FNV-1a of 64 bits, by words instead of bytes for speed; the last word is filled with zeros.
/// Each step can be undone, so no change within one word goes unseen.
fn fnv1a(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

/// Of exactly four bytes.
fn u32_of(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// Of exactly two bytes.
fn u16_of(bytes: &[u8]) -> u16 {
    u16::from_le_bytes([bytes[0], bytes[1]])
}

fn wrong(offset: usize, what: impl Into<String>) -> SimilarityError {
    SimilarityError { offset, what: what.into() }
}
