//! `torch.save` since 1.6: a zip archive of `<top>/data.pkl` and one `<top>/data/<key>` per storage.
//!
//! The `zip` crate reads the directory; entries are used in place. Other readers of zip differ in
//! what they make of a crooked archive, so anything crooked is refused: every entry must be
//! stored as it is, named once, the same in its local header as in the directory, and together they
//! must fill the archive: no two share a byte, and no byte is left over. Sizes are those of the
//! directory: torch leaves them 0 in the local headers.

use std::collections::HashMap;
use std::io::Cursor;
use std::ops::Range;
use std::sync::Arc;

use ::zip::read::{ArchiveOffset, Config};
use ::zip::{CompressionMethod, ZipArchive};

use super::state_dict::StateDict;
use super::{Container, Contents, DESCRIPTION_LIMIT, pickle, recognise};
use crate::CheckpointError;
use crate::mapped::MappedFile;

const AGAIN: &str = "the file is damaged or cut short: download it again";
const RESAVE: &str = "load it and save it again with torch.save";

pub(super) fn read(file: &Arc<MappedFile>) -> Result<Contents, CheckpointError> {
    let entries = Entries::read(file)?;
    let data = |name: &str| entries.get(name).map(|range| &file.bytes()[range]);
    if entries.get("constants.pkl").is_some() {
        let error = file.error("is TorchScript: a program, not only weights");
        return Err(error.hint("save the weights alone: torch.save(model.state_dict(), path)"));
    }
    if data("byteorder").is_some_and(|order| order != b"little") {
        return Err(file.error("was written by a big-endian machine").hint(RESAVE));
    }
    let Some(range) = entries.get("data.pkl") else {
        return Err(recognise::foreign_zip(file, &[]));
    };
    if range.len() > DESCRIPTION_LIMIT {
        let what = format!("data.pkl is longer than {DESCRIPTION_LIMIT} bytes");
        return Err(file.error(what).at(range.start));
    }
    let plain = pickle::transcode(file, range.clone())?;
    if plain.end != range.end {
        return Err(file.error("data.pkl goes on behind its end").at(plain.end));
    }
    let state_dict = StateDict::new(file, range.start, &plain)?;

    let mut places = HashMap::new();
    for storage in &state_dict.storages {
        let refuse = |what: String| file.error(format!("storage {}: {what}", storage.key));
        let place = entries
            .get(&format!("data/{}", storage.key))
            .ok_or_else(|| refuse("has no entry in the archive".into()).at(storage.at))?;
        if place.len() != storage.length {
            let what =
                format!("has {} bytes where the pickle says {}", place.len(), storage.length);
            return Err(refuse(what).at(place.start).hint(AGAIN));
        }
        places.insert(storage.key.as_str(), place);
    }
    let tensors = state_dict.place(file, &places)?;
    if !tensors.is_empty()
        && let Some((key, place)) = entries.unused(&places)
    {
        let what = format!("lists storage {key}, which no tensor uses");
        return Err(file.error(what).at(place.start).hint(AGAIN));
    }
    Ok(Contents { container: Container::Zip, tensors, metadata: Default::default() })
}

/// Bytes of the signature and the fixed fields of each record.
const LOCAL_HEADER: usize = 30;
const CENTRAL_HEADER: usize = 46;
const ZIP64_END: usize = 56;
const ZIP64_LOCATOR: usize = 20;
const END: usize = 22;

/// An ELECTRA has a few hundred storages.
const MAX_ENTRIES: u64 = 1 << 16;

/// Flags that say nothing about how the data is stored: sizes follow the data (torch), UTF-8
/// names (torch), and two of the compressor. Encryption and patches are not among them.
const HARMLESS_FLAGS: u16 = 0x0800 | 0x0008 | 0x0006;

/// The flag that a descriptor follows the data.
const SIZES_FOLLOW: u16 = 0x0008;

/// An entry as the directory tells it: for whoever checks it.
pub(crate) struct Entry {
    pub(crate) name: String,
    /// Where its data lies.
    pub(crate) range: Range<usize>,
    /// Of its data.
    pub(crate) crc: u32,
}

/// All of them, in the order of the directory.
pub(crate) fn entries(file: &MappedFile) -> Result<Vec<Entry>, CheckpointError> {
    Ok(Entries::read(file)?.all)
}

/// The entries; where their data lies by their names without the top folder.
struct Entries {
    all: Vec<Entry>,
    ranges: HashMap<String, Range<usize>>,
}

impl Entries {
    fn get(&self, name: &str) -> Option<Range<usize>> {
        self.ranges.get(name).cloned()
    }

    /// The first storage beside those at `places`. torch writes none that its pickle does not speak
    /// of: one left over means that some tensor looks at another's.
    fn unused(&self, places: &HashMap<&str, Range<usize>>) -> Option<(&str, &Range<usize>)> {
        let storages =
            self.ranges.iter().filter_map(|(name, at)| Some((name.strip_prefix("data/")?, at)));
        storages.filter(|(key, _)| !places.contains_key(key)).min_by_key(|(_, at)| at.start)
    }

    fn read(file: &MappedFile) -> Result<Entries, CheckpointError> {
        let bytes = file.bytes();
        let directory = Directory::find(file)?;
        // With the numbers checked the crate cannot be led to ask for much memory.
        let config = Config { archive_offset: ArchiveOffset::Known(0) };
        let archive = ZipArchive::with_config(config, Cursor::new(bytes)).map_err(|error| {
            let what = format!("the zip directory is not valid: {error}");
            file.error(what).at(directory.start).hint(AGAIN)
        })?;
        let agrees = archive.central_directory_start() == directory.start as u64
            && archive.offset() == 0
            && archive.len() as u64 == directory.entries;
        if !agrees {
            let what = "the zip directory names an entry twice or is not where it says";
            return Err(file.error(what).at(directory.start).hint(AGAIN));
        }

        // Before anything else is held against it: other archives compress.
        let names: Vec<_> = archive.file_names().flatten().collect();
        if !names.iter().any(|name| name.ends_with("data.pkl")) {
            return Err(recognise::foreign_zip(file, &names));
        }

        let mut all = Vec::with_capacity(archive.len());
        let mut ranges = HashMap::with_capacity(archive.len());
        let mut spans = Vec::with_capacity(archive.len());
        let mut top: Option<Vec<u8>> = None;
        let mut at = directory.start;
        for i in 0..archive.len() {
            let at_directory = |what: String| file.error(what).at(directory.start);
            let entry =
                archive.by_index_data(i).map_err(|error| at_directory(error.to_string()))?;
            let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
            let header = usize::try_from(entry.header_start()).unwrap_or(usize::MAX);
            // Where the directory names a place past the end, it is the directory that lies.
            let lie = if header < bytes.len() { header } else { at };
            let refuse = |what: &str| file.error(format!("zip entry {name}: {what}")).at(lie);
            if entry.compression() != CompressionMethod::Stored {
                let error = refuse("is compressed, so it cannot be used in place");
                return Err(error.hint(
                    "torch.save does not compress: unpack the archive and \
                    pack it with `zip -0`, or load and save it again with torch.save",
                ));
            }
            let central = bytes.get(at..at + CENTRAL_HEADER).unwrap_or(&[0; CENTRAL_HEADER]);
            let field = |at: usize| u16_at(central, at).unwrap_or(u16::MAX);
            if entry.central_header_start() != at as u64 {
                return Err(refuse("does not follow the one before it in the directory"));
            }
            at += CENTRAL_HEADER
                + [28, 30, 32].map(|at| usize::from(field(at))).iter().sum::<usize>();
            let flags = field(8);
            if flags & !HARMLESS_FLAGS != 0 {
                return Err(refuse("is encrypted or stored in an unusual way").hint(RESAVE));
            }
            if entry.size() != entry.compressed_size() {
                return Err(refuse("is stored with two different sizes").hint(AGAIN));
            }
            let data = local_data(bytes, header, entry.name_raw(), entry.size(), directory.start)
                .map_err(|what| refuse(what).hint(AGAIN))?;
            let followed = flags & SIZES_FOLLOW != 0;
            spans.push(Span { header, data: data.clone(), followed });

            // The top folder has any name, but all entries are in it.
            let folder = entry.name_raw().iter().position(|b| *b == b'/').map_or(0, |i| i + 1);
            let (folder, rest) = entry.name_raw().split_at(folder);
            let rest = str::from_utf8(rest).map_err(|_| refuse("has a name that is not UTF-8"))?;
            if *top.get_or_insert_with(|| folder.to_vec()) != folder {
                return Err(refuse("is not in the folder of the others").hint(RESAVE));
            }
            ranges.insert(rest.to_owned(), data.clone());
            all.push(Entry { name, range: data, crc: entry.crc32() });
        }
        if at != directory.stop {
            let what = "the zip directory holds more entries than it counts";
            return Err(file.error(what).at(at).hint(AGAIN));
        }
        tile(file, spans, directory.start)?;
        Ok(Entries { all, ranges })
    }
}

/// Checks that the entries are the whole archive up to its directory, without overlap or gap: were a
/// length in a header only a little wrong, other bytes would be taken for the data.
fn tile(file: &MappedFile, mut spans: Vec<Span>, stop: usize) -> Result<(), CheckpointError> {
    let stray = |at| file.error("bytes of the zip archive belong to no entry").at(at).hint(AGAIN);
    spans.sort_unstable_by_key(|span| (span.header, span.data.end));
    let mut end = 0;
    for span in &spans {
        if span.header < end {
            return Err(file.error("two zip entries share bytes").at(span.header).hint(AGAIN));
        }
        if span.header > end {
            return Err(stray(end));
        }
        end = span.end(file.bytes()).ok_or_else(|| stray(span.data.end))?;
    }
    if end == stop { Ok(()) } else { Err(stray(end)) }
}

/// An entry with everything that belongs to it.
struct Span {
    header: usize,
    data: Range<usize>,
    /// Whether a descriptor follows.
    followed: bool,
}

impl Span {
    /// Where it ends: behind its data, or the descriptor that repeats their size there, in 4 bytes or
    /// in 8, with or without a signature. `None` if there is no such descriptor.
    fn end(&self, bytes: &[u8]) -> Option<usize> {
        let at = self.data.end;
        if !self.followed {
            return Some(at);
        }
        let signature = if bytes.get(at..)?.starts_with(b"PK\x07\x08") { 4 } else { 0 };
        let sizes = at + signature + 4; // behind the check sum
        let size = self.data.len() as u64;
        let narrow = [0, 4].map(|i| u32_at(bytes, sizes + i).map(u64::from));
        let wide = [0, 8].map(|i| u64_at(bytes, sizes + i));
        match () {
            () if narrow == [Some(size); 2] => Some(sizes + 8),
            () if wide == [Some(size); 2] => Some(sizes + 16),
            () => None,
        }
    }
}

/// Where the data of an entry lies, told by its local header, which must agree with the
/// directory. The name and the extra field differ in length from those of the directory: torch
/// pads the extra field so that the data begins at a multiple of 64.
fn local_data(
    bytes: &[u8],
    header: usize,
    name: &[u8],
    size: u64,
    end: usize,
) -> Result<Range<usize>, &'static str> {
    let local = bytes[..end].get(header..).ok_or("lies outside the archive")?;
    let fixed = local.get(..LOCAL_HEADER).ok_or("has a header that is cut off")?;
    let field = |at: usize| u16_at(fixed, at).map_or(0, usize::from);
    if !fixed.starts_with(b"PK\x03\x04") {
        return Err("has no header where the directory says");
    }
    if field(6) & !usize::from(HARMLESS_FLAGS) != 0 || field(8) != 0 {
        return Err("is compressed or encrypted by its own header, not by the directory");
    }
    for at in [18, 22] {
        // 0: the size follows the data. All ones: it is in the zip64 field.
        let local_size = u32_at(fixed, at).unwrap_or(0);
        if ![0, u32::MAX].contains(&local_size) && u64::from(local_size) != size {
            return Err("has another size in its own header than in the directory");
        }
    }
    if local.get(LOCAL_HEADER..LOCAL_HEADER + field(26)) != Some(name) {
        return Err("has another name in its own header than in the directory");
    }
    let start = header + LOCAL_HEADER + field(26) + field(28);
    let size = usize::try_from(size).map_err(|_| "is larger than the address space")?;
    match start.checked_add(size) {
        Some(data_end) if data_end <= end => Ok(start..data_end),
        _ => Err("reaches past the end of the data"),
    }
}

/// The directory as the records at the end of the file describe it.
struct Directory {
    start: usize,
    /// Where it ends: at the record behind it.
    stop: usize,
    entries: u64,
}

impl Directory {
    /// Checks the records at the end. Nothing may follow them, not even a comment: a reader that
    /// searches backwards could find another end there.
    fn find(file: &MappedFile) -> Result<Directory, CheckpointError> {
        let bytes = file.bytes();
        let lacking = || file.error("the zip directory at its end is missing").hint(AGAIN);
        let at = bytes.len().checked_sub(END).ok_or_else(lacking)?;
        let end = &bytes[at..];
        if !end.starts_with(b"PK\x05\x06") || end[20..] != [0, 0] {
            return Err(lacking().at(bytes.len()));
        }
        let refuse = |what: &str| file.error(what).at(at).hint(AGAIN);
        let small = |at| u16_at(end, at).unwrap_or(0);
        let wide = |at| u32_at(end, at).unwrap_or(0);
        if small(4) != 0 || small(6) != 0 || small(8) != small(10) {
            return Err(refuse("is one part of a zip archive in several"));
        }
        let mut found = (u64::from(small(10)), u64::from(wide(12)), u64::from(wide(16)));
        let mut stop = at;
        if let Some(zip64) = at.checked_sub(ZIP64_LOCATOR + ZIP64_END)
            && bytes[at - ZIP64_LOCATOR..].starts_with(b"PK\x06\x07")
        {
            let record = &bytes[zip64..];
            let located = u64_at(&bytes[at - ZIP64_LOCATOR..], 8);
            if !record.starts_with(b"PK\x06\x06") || located != Some(zip64 as u64) {
                return Err(refuse("the zip64 records at its end do not agree"));
            }
            let large = |at| u64_at(record, at).unwrap_or(0);
            let exact = (large(32), large(40), large(48));
            // A field of the small record is either the same or all ones: "see zip64".
            let agrees = |small: u64, large: u64, ones: u64| small == large || small == ones;
            if !agrees(found.0, exact.0, u16::MAX.into())
                || !agrees(found.1, exact.1, u32::MAX.into())
                || !agrees(found.2, exact.2, u32::MAX.into())
                || large(24) != exact.0
            {
                return Err(refuse("the zip64 records at its end do not agree"));
            }
            (found, stop) = (exact, zip64);
        }
        let (entries, size, start) = found;
        if start.checked_add(size) != Some(stop as u64) {
            return Err(refuse("the zip directory is not where the end of the file says"));
        }
        if entries > MAX_ENTRIES || entries * CENTRAL_HEADER as u64 > size {
            return Err(refuse(&format!("the zip directory cannot hold {entries} entries")));
        }
        Ok(Directory { start: start as usize, stop, entries })
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
