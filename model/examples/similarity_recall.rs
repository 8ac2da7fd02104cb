//! How many of real errors does the table of sound and shape reach, and with how long lists?
//!
//! ```text
//! cargo run --release -p zhengzi-model --example similarity_recall -- PAIRS.tsv…
//! ```
//!
//! Each line of a file is a wrong sentence, a tab, and the right one; where both have as many
//! characters, each place where they differ is one error. Printed for each file and each kind of
//! likeness: the share of errors whose right character is in the wrong one's list, and the
//! number of characters in that list, averaged over the errors.

use std::process::ExitCode;

use zhengzi_model::corrector::similarity::{Candidate, Similarity};

fn main() -> ExitCode {
    println!(
        "{:<36} {:>7}  {:>13} {:>13} {:>13} {:>13}",
        "", "errors", "same sound", "near sound", "shape", "either"
    );
    for path in std::env::args().skip(1) {
        match std::fs::read_to_string(&path) {
            Ok(text) => report(path.rsplit('/').next().unwrap_or(&path), &text),
            Err(error) => {
                eprintln!("similarity_recall: {path}: {error}");
                return ExitCode::from(2);
            }
        }
    }
    ExitCode::SUCCESS
}

fn report(name: &str, text: &str) {
    let table = Similarity::builtin();
    let mut errors = 0u32;
    let mut hits = [0u32; 4];
    let mut sizes = [0usize; 4];
    for (wrong, right) in text.lines().flat_map(differences) {
        errors += 1;
        let same = table.same_sound(wrong);
        let all = table.candidates(wrong);
        let list = |keep: fn(&Candidate) -> bool| -> Vec<char> {
            all.iter().filter(|c| keep(c)).map(|c| c.ch).collect()
        };
        let near = list(|c| c.sound >= Similarity::NEAR_SOUND);
        let lists = [same, near, list(|c| c.shape > 0.0), list(|_| true)];
        for ((hits, size), list) in hits.iter_mut().zip(&mut sizes).zip(&lists) {
            *hits += u32::from(list.contains(&right));
            *size += list.len();
        }
    }
    print!("{name:<36} {errors:>7} ");
    for (hits, size) in hits.iter().zip(sizes) {
        let (share, mean) = (f64::from(*hits), size as f64);
        let errors = f64::from(errors.max(1));
        print!(" {:>5.1} % {:>5.1}", 100.0 * share / errors, mean / errors);
    }
    println!();
}

/// (wrong, right) wherever the two columns of a line differ.
fn differences(line: &str) -> impl Iterator<Item = (char, char)> {
    let (wrong, right) = line.split_once('\t').unwrap_or_default();
    let comparable = wrong.chars().count() == right.chars().count();
    let pairs = wrong.chars().zip(right.chars());
    pairs.filter(move |(wrong, right)| comparable && wrong != right)
}
