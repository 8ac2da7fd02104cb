//! How corrections are decided, for every command that decides.

use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;
use serde::{Serialize, Serializer};
use zhengzi_model::corrector::{self, Decisions, Settings, calibration};

use super::count;

/// As JSON: what was asked for, and null where it is left to the policy.
#[derive(clap::Args, Serialize)]
#[command(next_help_heading = "Decision")]
pub struct DecisionArgs {
    /// How to decide: `compat` takes pycorrector's steps one by one
    #[arg(long, value_enum, default_value_t)]
    pub policy: Policy,

    /// How readily to change: rarely without need, as is best, or whatever may be wrong
    #[arg(long, value_enum, default_value_t)]
    mode: Mode,

    /// The file of `calibrate` to decide by [default: the model's own]
    #[arg(long, value_name = "FILE")]
    calibration: Option<PathBuf>,

    /// Probability from which a character counts as suspicious, 0 to 1 [default: the policy's]
    #[arg(long, value_name = "P", value_parser = probability)]
    threshold: Option<f32>,

    /// How far a change must be ahead of the original [default: the mode's]
    #[arg(long, value_name = "M", value_parser = finite, allow_negative_numbers = true)]
    margin: Option<f32>,

    /// Candidates to ask the generator for at each place [default: the policy's]
    #[arg(long, value_name = "K", value_parser = count())]
    top_k: Option<usize>,

    /// How many times a sentence is read at most, each time with the last corrections made
    /// [default: the policy's]
    #[arg(long, value_name = "N", value_parser = count())]
    rounds: Option<usize>,

    /// Which characters the text is meant to be in; auto leaves each line its own script
    #[arg(long, value_enum, default_value_t)]
    script: Script,

    /// A file of words that are right as they are, one a line; may be repeated
    #[arg(long, value_name = "FILE")]
    #[serde(serialize_with = "names")]
    protect: Vec<PathBuf>,

    /// A file of corrections to make wherever they fit, `wrong right` a line; may be repeated
    #[arg(long, value_name = "FILE")]
    #[serde(serialize_with = "names")]
    confusion: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    #[default]
    Default,
    Compat,
}

#[derive(Clone, Copy, Debug, Default, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    Careful,
    #[default]
    Balanced,
    Eager,
}

#[derive(Clone, Copy, Debug, Default, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Script {
    #[default]
    Auto,
    Simplified,
    Traditional,
}

impl DecisionArgs {
    /// How to decide: what was asked for over the defaults.
    pub fn settings(&self) -> Result<Settings, zhengzi_model::Error> {
        let default = Settings::default();
        Ok(Settings {
            policy: match self.policy {
                Policy::Default => corrector::Policy::Default,
                Policy::Compat => corrector::Policy::Compat,
            },
            mode: match self.mode {
                Mode::Careful => calibration::Mode::Careful,
                Mode::Balanced => calibration::Mode::Balanced,
                Mode::Eager => calibration::Mode::Eager,
            },
            calibration: self.calibration.clone(),
            threshold: self.threshold.or(default.threshold),
            margin: self.margin.or(default.margin),
            top_k: self.top_k.unwrap_or(default.top_k),
            rounds: self.rounds.unwrap_or(default.rounds),
            script: match self.script {
                Script::Auto => corrector::Script::Auto,
                Script::Simplified => corrector::Script::Simplified,
                Script::Traditional => corrector::Script::Traditional,
            },
            decisions: Arc::new(Decisions::read(&self.protect, &self.confusion)?),
        })
    }
}

impl Policy {
    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Policy::Default => "default",
            Policy::Compat => "compat",
        }
    }
}

/// A name that is no Unicode is no reason to fail.
fn names<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}

pub(super) fn probability(typed: &str) -> Result<f32, String> {
    match typed.parse() {
        Ok(p) if (0.0..=1.0).contains(&p) => Ok(p),
        _ => Err("a probability is a number from 0 to 1".to_owned()),
    }
}

fn finite(typed: &str) -> Result<f32, String> {
    match typed.parse::<f32>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err("not a number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_a_probability() {
        for typed in ["0", "1", "0.5", "5e-1"] {
            assert!(probability(typed).is_ok(), "{typed}");
        }
        for typed in ["-0.1", "1.1", "NaN", "inf", "", "half", "０.5"] {
            assert!(probability(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn a_margin_is_any_finite_number() {
        assert_eq!(finite("-1.5"), Ok(-1.5));
        for typed in ["NaN", "inf", "1e99", ""] {
            assert!(finite(typed).is_err(), "{typed}");
        }
    }
}
