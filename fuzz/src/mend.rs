//! Repairs of what a mutation broke by the way: lengths and offsets that any insertion shifts.
//!
//! libFuzzer's mutations come first and any of them may survive: a target mends most inputs, not all.

/// torch's magic number and protocol, which tell the legacy container.
const LEGACY: &[u8] =
    b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.";

/// The first pickles of a legacy file.
pub fn legacy(file: &mut [u8]) {
    if let Some(start) = file.get_mut(..LEGACY.len()) {
        start.copy_from_slice(LEGACY);
    }
}

/// The length of the header, which ends at its last brace, and that of the data, to which
/// `data_offsets` reach; `size` of `file` are used. Returns how many are then.
pub fn safetensors(file: &mut [u8], size: usize) -> usize {
    let header = |file: &[u8]| file.get(8..size)?.iter().rposition(|byte| *byte == b'}');
    let Some(end) = header(file).map(|at| 8 + at + 1) else { return size };
    file[8] = b'{';
    file[..8].copy_from_slice(&(end as u64 - 8).to_le_bytes());
    match end.checked_add(data_end(&file[8..end])) {
        Some(wanted) if wanted <= file.len() => {
            file[size.min(wanted)..wanted].fill(0);
            wanted
        }
        _ => size,
    }
}

/// The largest number that closes a pair `[start,end]` behind `data_offsets`.
fn data_end(header: &[u8]) -> usize {
    const KEY: &[u8] = b"data_offsets";
    let places = (0..header.len()).filter(|&at| header[at..].starts_with(KEY));
    places
        .filter_map(|at| {
            let pair = &header[at..];
            let pair = &pair[..pair.iter().position(|byte| *byte == b']')?];
            let number = &pair[pair.iter().rposition(|byte| *byte == b',')? + 1..];
            str::from_utf8(number).ok()?.trim().parse::<usize>().ok()
        })
        .max()
        .unwrap_or(0)
}

/// Offsets and sizes: entry i of the directory is the i-th local header, its data reach to the next, and
/// the directory ends where the records at the end of the file begin.
pub fn zip(file: &mut [u8]) {
    let places = |signature: &[u8]| -> Vec<usize> {
        (0..file.len()).filter(|&at| file[at..].starts_with(signature)).collect()
    };
    let (locals, central) = (places(b"PK\x03\x04"), places(b"PK\x01\x02"));
    let (zip64, locator) = (places(b"PK\x06\x06").pop(), places(b"PK\x06\x07").pop());
    let (Some(end), Some(&directory)) = (places(b"PK\x05\x06").pop(), central.first()) else {
        return;
    };
    let stop = zip64.unwrap_or(end);
    for (i, (&entry, &local)) in central.iter().zip(&locals).enumerate() {
        let limit = locals.get(i + 1).copied().unwrap_or(directory);
        let length = |at: usize| {
            file.get(at..at + 2).map_or(0, |b| usize::from(u16::from_le_bytes([b[0], b[1]])))
        };
        let data = local + 30 + length(local + 26) + length(local + 28);
        // Behind the data stand 16 or 24 bytes of sizes, if any: what is there of them tells.
        let room = limit.saturating_sub(data);
        let descriptor = file[local..limit.max(local)]
            .windows(4)
            .rposition(|bytes| bytes == b"PK\x07\x08")
            .map_or(room, |at| (local + at).saturating_sub(data));
        let size = descriptor.min(room) as u32;
        put(file, entry + 20, &size.to_le_bytes());
        put(file, entry + 24, &size.to_le_bytes());
        put(file, entry + 42, &(local as u32).to_le_bytes());
        let sizes = data + size as usize + 8;
        match room - size as usize {
            16 => put(file, sizes, &[size.to_le_bytes(); 2].concat()),
            24 => put(file, sizes, &[u64::from(size).to_le_bytes(); 2].concat()),
            _ => {}
        }
    }
    let (count, size) = (central.len() as u64, stop.saturating_sub(directory) as u64);
    put(file, end + 8, &(count as u16).to_le_bytes());
    put(file, end + 10, &(count as u16).to_le_bytes());
    put(file, end + 12, &(size as u32).to_le_bytes());
    put(file, end + 16, &(directory as u32).to_le_bytes());
    put(file, end + 20, &[0, 0]);
    if let (Some(zip64), Some(locator)) = (zip64, locator) {
        put(file, zip64 + 24, &count.to_le_bytes());
        put(file, zip64 + 32, &count.to_le_bytes());
        put(file, zip64 + 40, &size.to_le_bytes());
        put(file, zip64 + 48, &(directory as u64).to_le_bytes());
        put(file, locator + 8, &(zip64 as u64).to_le_bytes());
    }
}

fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = file.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}
