//! What decides, fitted for one pair of networks: thresholds, weights and margins.
//!
//! Networks differ in how sure they are of themselves, so that a probability of 0.2 says another thing
//! from each pair. `zhengzi calibrate` fits all of this ([`fitting`](super::fitting)) and writes it
//! down as a small JSON file, which is looked for, in this order: where the user says; in the
//! metadata of a panel file; beside the discriminator's weights; in the folder above, which holds both
//! halves. A pair that has none is judged as `tiny-zh`, the pair inside the program.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zhengzi_runtime::Checkpoint;

use super::scorer::{NAMES, TERMS, VERIFICATION_NAMES, VERIFICATION_TERMS};
use super::scorer::{VerificationWeights, Weights};
use crate::Error;

/// The name under which it is looked for.
pub const FILE_NAME: &str = "zhengzi-calibration.json";

/// The key under which a panel file holds it.
pub(crate) const METADATA_KEY: &str = "calibration";

/// How readily a text is changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Hardly ever without need: for text that is mostly right, and for machines.
    Careful,
    /// The best of both.
    #[default]
    Balanced,
    /// Whatever may be wrong: for somebody who looks at each change.
    Eager,
}

impl Mode {
    /// All, in order.
    pub const ALL: [Mode; 3] = [Mode::Careful, Mode::Balanced, Mode::Eager];

    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Careful => "careful",
            Mode::Balanced => "balanced",
            Mode::Eager => "eager",
        }
    }
}

/// All numbers by which the default policy decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// The probability from which a character is a suspect.
    pub threshold: f32,
    /// Weights of the first score.
    pub score: Weights,
    /// The first score below which a candidate is not worth a second reading.
    pub hopeless: f32,
    /// Weights of the verified score.
    pub verification: VerificationWeights,
    /// By how much the verified score must win.
    pub margins: Margins,
    /// What it was fitted on, for people.
    pub fitted_on: String,
}

/// A margin for each mode, in natural log-odds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Margins {
    /// Of [`Mode::Careful`].
    pub careful: f32,
    /// Of [`Mode::Balanced`].
    pub balanced: f32,
    /// Of [`Mode::Eager`].
    pub eager: f32,
}

impl Margins {
    /// That of one mode.
    pub fn of(&self, mode: Mode) -> f32 {
        match mode {
            Mode::Careful => self.careful,
            Mode::Balanced => self.balanced,
            Mode::Eager => self.eager,
        }
    }
}

/// Where the numbers in use came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The user named it, or it lay beside the model.
    File(PathBuf),
    /// A panel file brought it along.
    Metadata,
    /// The embedded model's own.
    Embedded,
    /// The embedded model's, for want of one.
    Borrowed,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File(path) => write!(f, "{}", path.display()),
            Origin::Metadata => f.write_str("that in the model file"),
            Origin::Embedded => f.write_str("that of the embedded model"),
            Origin::Borrowed => f.write_str(
                "that of the embedded model, as this one has none: zhengzi calibrate makes one",
            ),
        }
    }
}

impl Calibration {
    /// That of the embedded model.
    pub fn embedded() -> Calibration {
        Calibration::parse(include_str!("../../data/tiny-zh/zhengzi-calibration.json"))
            .expect("the calibration in the repository is sound, as a test proves")
    }

    /// The one that applies to `discriminator`, unless the user named another.
    pub(crate) fn find(
        named: Option<&Path>,
        discriminator: &Checkpoint,
    ) -> Result<(Calibration, Origin), Error> {
        if let Some(path) = named {
            return Ok((Calibration::read(path)?, Origin::File(path.to_owned())));
        }
        if discriminator.panels().is_some() {
            let Some(text) = discriminator.metadata().get(METADATA_KEY) else {
                let own = discriminator.path() == Path::new(crate::embedded::NAME);
                let origin = if own { Origin::Embedded } else { Origin::Borrowed };
                return Ok((Calibration::embedded(), origin));
            };
            let parsed = Calibration::parse(text).map_err(|what| {
                let what = format!("the calibration in its metadata: {what}");
                Error::new(discriminator.path(), what, "convert the model again")
            });
            return Ok((parsed?, Origin::Metadata));
        }
        match Calibration::beside(discriminator.path()) {
            Some(path) => Ok((Calibration::read(&path)?, Origin::File(path))),
            None => Ok((Calibration::embedded(), Origin::Borrowed)),
        }
    }

    /// The file that lies beside the weights, or beside the folder that they are in.
    pub(crate) fn beside(weights: &Path) -> Option<PathBuf> {
        let folders = weights.ancestors().skip(1).take(2);
        folders.map(|folder| folder.join(FILE_NAME)).find(|path| path.is_file())
    }

    fn read(path: &Path) -> Result<Calibration, Error> {
        let fail =
            |what: String| Error::new(path, what, "name a file that zhengzi calibrate has written");
        let text = fs::read_to_string(path)
            .map_err(|error| fail(format!("cannot read the calibration: {error}")))?;
        Calibration::parse(&text).map_err(fail)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// What is wrong with it, without its name.
    pub fn parse(text: &str) -> Result<Calibration, String> {
        let file: File =
            serde_json::from_str(text).map_err(|error| format!("not a calibration: {error}"))?;
        if file.version != VERSION {
            return Err(format!(
                "a calibration of version {}; this zhengzi reads version {VERSION}",
                file.version
            ));
        }
        let calibration = Calibration {
            threshold: file.threshold,
            score: weights("score", file.score, &NAMES)?,
            hopeless: file.hopeless,
            verification: weights("verification", file.verification, &VERIFICATION_NAMES)?,
            margins: file.margins,
            fitted_on: file.fitted_on,
        };
        if !(calibration.threshold > 0.0 && calibration.threshold < 1.0) {
            return Err(format!("a threshold of {} is no probability", calibration.threshold));
        }
        Ok(calibration)
    }

    /// The text of a file.
    pub fn to_json(&self) -> String {
        let file = File {
            version: VERSION,
            threshold: self.threshold,
            score: named(&self.score, &NAMES),
            hopeless: self.hopeless,
            verification: named(&self.verification, &VERIFICATION_NAMES),
            margins: self.margins,
            fitted_on: self.fitted_on.clone(),
        };
        let text = serde_json::to_string_pretty(&file);
        text.expect("numbers and names are JSON") + "\n"
    }
}

const VERSION: u32 = 1;

/// A calibration as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "zhengzi.calibration")]
    version: u32,
    fitted_on: String,
    threshold: f32,
    score: BTreeMap<String, f32>,
    hopeless: f32,
    verification: BTreeMap<String, f32>,
    margins: Margins,
}

/// A number for each name, no more and no less.
fn weights<const N: usize>(
    of: &str,
    mut read: BTreeMap<String, f32>,
    names: &[&str; N],
) -> Result<[f32; N], String> {
    let mut weights = [0.0; N];
    for (weight, &name) in weights.iter_mut().zip(names) {
        *weight = read.remove(name).ok_or_else(|| format!("{of} has no weight {name:?}"))?;
    }
    match read.into_keys().next() {
        Some(stranger) => Err(format!("{of} has a weight {stranger:?}, which means nothing")),
        None => Ok(weights),
    }
}

fn named<const N: usize>(weights: &[f32; N], names: &[&str; N]) -> BTreeMap<String, f32> {
    names.iter().zip(weights).map(|(&name, &weight)| (name.to_owned(), weight)).collect()
}

const _: () = assert!(TERMS == NAMES.len() && VERIFICATION_TERMS == VERIFICATION_NAMES.len());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_calibration_is_sound_and_survives_writing() {
        let embedded = Calibration::embedded();
        assert_eq!(Calibration::parse(&embedded.to_json()), Ok(embedded.clone()));
        let Margins { careful, balanced, eager } = embedded.margins;
        assert!(careful > balanced && balanced > eager);
    }

    #[test]
    fn what_is_missing_strange_or_of_tomorrow_is_named() {
        let text = Calibration::embedded().to_json();
        let refusal = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            Calibration::parse(&text.replace(from, to)).unwrap_err()
        };
        assert!(refusal("\"sound\"", "\"smell\"").contains("no weight \"sound\""));
        assert!(refusal("\"sound\":", "\"smell\": 1, \"sound\":").contains("\"smell\", which"));
        assert!(refusal("calibration\": 1", "calibration\": 2").contains("version 2"));
        assert!(refusal("\"threshold\": 0", "\"threshold\": 7").contains("no probability"));
        assert!(refusal("\"careful\"", "\"timid\"").contains("timid"));
    }
}
