//! Makes `model/data/similarity.bin`, the table of sound and shape.
//!
//! The inputs are two Debian packages, `unicode-data` (the Unihan database, version 15.0) and
//! `fonts-droid-fallback` (one glyph for each character); the command `bzip2` must be there to
//! unpack the former's files. Once the packages are installed, from the root of the repository:
//!
//! ```text
//! cargo run --release -p zhengzi-model --example make_similarity -- \
//!     /usr/share/unicode \
//!     /usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf \
//!     model/data/similarity.bin
//! ```
//!
//! The same inputs give the same bytes. The layout of the file, and what its numbers mean, stand
//! at the head of `model/src/corrector/similarity.rs`; how they are found stands here:
//! [`unihan`] says which characters there are, [`readings`] how they are read, [`shape`] which
//! look alike, [`file`] writes it all down.

mod file;
mod readings;
mod shape;
mod unihan;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use file::Character;
use shape::Shapes;
use unihan::Unihan;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [unihan, font, output] = arguments.as_slice() else {
        eprintln!("usage: make_similarity UNIHAN_FOLDER FONT_FILE OUTPUT_FILE");
        return ExitCode::from(2);
    };
    match make(Path::new(unihan), Path::new(font), Path::new(output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("make_similarity: {error}");
            ExitCode::from(2)
        }
    }
}

fn make(unihan: &Path, font: &Path, output: &Path) -> Result<(), Box<dyn Error>> {
    let unihan = Unihan::open(unihan)?;
    let characters = characters(&unihan);
    let variants = variants(&unihan, &characters);
    let shapes = Shapes::new(&unihan, &characters, &std::fs::read(font)?)?;
    let neighbours = shapes.neighbours(0..characters.len());
    let bytes = file::encode(&characters, &variants, &neighbours);
    std::fs::write(output, &bytes).map_err(|error| format!("{}: {error}", output.display()))?;
    println!(
        "{} characters ({} common), {} readings, {} pairs of variants, {} of shapes: {} bytes",
        characters.len(),
        characters.iter().filter(|c| c.common).count(),
        characters.iter().map(|c| c.readings.len()).sum::<usize>(),
        variants.len(),
        neighbours.len(),
        bytes.len(),
    );
    Ok(())
}

/// Everything the table says of each character but its neighbours, ascending.
fn characters(unihan: &Unihan) -> Vec<Character> {
    let listed = unihan.chars().filter(|&ch| unihan.is_listed(ch));
    listed
        .map(|ch| Character {
            ch,
            common: unihan.is_common(ch),
            everyday: unihan.is_everyday(ch),
            mainland: unihan.is_mainland(ch),
            taiwan: unihan.is_taiwan(ch),
            frequency: readings::frequency(unihan, ch),
            readings: readings::readings(unihan, ch),
        })
        .filter(|character| !character.readings.is_empty())
        .collect()
}

/// Pairs of indices (a, b), a < b, ascending.
fn variants(unihan: &Unihan, characters: &[Character]) -> Vec<(u16, u16)> {
    let mut pairs = Vec::new();
    for (a, character) in characters.iter().enumerate() {
        for other in unihan.variants(character.ch) {
            if let Ok(b) = characters.binary_search_by_key(&other, |c| c.ch) {
                pairs.push((a.min(b) as u16, a.max(b) as u16));
            }
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole table but for the shapes, and the shapes of every 97th character: comparing
    /// all glyphs with all would take minutes without optimisation.
    #[test]
    fn the_table_in_the_repository_is_what_this_program_makes() {
        let folder = Path::new("/usr/share/unicode");
        let font = Path::new("/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf");
        let packages = "Debian's unicode-data and fonts-droid-fallback";
        if !folder.join("Unihan_Readings.txt.bz2").exists() || !font.exists() {
            println!("skipped: {packages} are not installed");
            return;
        }
        let unihan = Unihan::open(folder).unwrap();
        let characters = characters(&unihan);
        let variants = variants(&unihan, &characters);
        let committed = include_bytes!("../../data/similarity.bin");
        let fresh = file::encode(&characters, &variants, &[]);
        // Behind magic, checksum and counts; before the lengths of the lists of shapes.
        let section = 36..fresh.len() - 2 * characters.len();
        assert!(
            committed[section.clone()] == fresh[section],
            "run make_similarity again, if {packages} are of the versions named there"
        );

        let table = zhengzi_model::corrector::similarity::Similarity::builtin();
        let shapes = Shapes::new(&unihan, &characters, &std::fs::read(font).unwrap()).unwrap();
        for at in (0..characters.len()).step_by(97) {
            for (a, b, level) in shapes.neighbours(at..at + 1) {
                let [a, b] = [a, b].map(|i| characters[usize::from(i)].ch);
                assert_eq!(table.shape(a, b), 0.4 + 0.04 * f32::from(level), "{a} {b}");
            }
        }
    }
}
