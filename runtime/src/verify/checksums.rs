//! CRC-32 of the entries of a zip archive (APPNOTE 4.4.7), which torch writes and does not read.

use std::sync::Arc;

use super::{AGAIN, Verdict, Watch, in_steps};
use crate::TensorView;
use crate::checkpoint::zip;
use crate::mapped::MappedFile;

pub(super) use crate::checkpoint::zip::Entry;

/// The entries, if it is a zip archive. It has been read before: they are in order.
pub(super) fn entries(file: &Arc<MappedFile>) -> Option<Vec<Entry>> {
    file.bytes().starts_with(b"PK").then(|| zip::entries(file).ok()).flatten()
}

pub(super) fn check(
    file: &Arc<MappedFile>,
    entries: &[Entry],
    tensors: &[TensorView],
    watch: Watch,
) -> Verdict {
    // What is empty has the checksum 0 in any archive.
    if entries.iter().all(|entry| entry.crc == 0) {
        let why = "the archive was written without checksums (torch's set_crc32_options(False))";
        return Verdict::Unchecked(format!("{why}: put SHA256SUMS beside it"));
    }
    let mut faults = Vec::new();
    for Entry { name, range, crc } in entries {
        let mut hasher = crc32fast::Hasher::new();
        in_steps(&file.bytes()[range.clone()], watch, |piece| hasher.update(piece));
        let found = hasher.finalize();
        if found != *crc {
            let what = format!(
                "zip entry {name}: its CRC-32 is {found:08x} where the directory says {crc:08x}"
            );
            let error = file.error(what).at(range.start).hint(AGAIN);
            let within = |tensor: &&TensorView| {
                usize::try_from(tensor.byte_offset()).is_ok_and(|at| range.contains(&at))
            };
            faults.push(match tensors.iter().find(within) {
                Some(tensor) => error.tensor(tensor.stored_name()),
                None => error,
            });
        }
    }
    let bytes: usize = entries.iter().map(|entry| entry.range.len()).sum();
    Verdict::of(faults, || format!("{} entries of {bytes} bytes are as written", entries.len()))
}
