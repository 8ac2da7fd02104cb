//! The objects of SARIF that are used here, each with its section of the specification.

use std::borrow::Cow;

use serde::Serialize;

use super::super::{RULE, name};
use crate::input::Source;

/// Where the schema of a document is.
pub const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// What found the results.
pub const DRIVER: Driver = Driver {
    name: "zhengzi",
    version: env!("CARGO_PKG_VERSION"),
    information_uri: env!("CARGO_PKG_REPOSITORY"),
    rules: [Rule {
        id: RULE,
        short_description: Text::literal("A character is probably wrong."),
        help: Text::literal(
            "A model of Chinese finds that the character does not fit its sentence. Most such \
             characters are slips of typing: they sound like the right one, or look like it.",
        ),
    }],
};

/// §3.18
#[derive(Serialize)]
pub struct Tool {
    pub driver: Driver,
}

/// §3.19; the URI is empty, and left out, where the package does not say where it is from.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Driver {
    pub name: &'static str,
    pub version: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub information_uri: &'static str,
    pub rules: [Rule; 1],
}

/// §3.49
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    pub id: &'static str,
    pub short_description: Text,
    pub help: Text,
}

/// §3.27
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome<'a> {
    pub rule_id: &'static str,
    pub rule_index: usize,
    pub level: &'static str,
    pub message: Text,
    pub locations: [Location; 1],
    pub partial_fingerprints: Fingerprints,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fixes: Vec<Fix<'a>>,
    pub properties: Probabilities,
}

/// §3.11
#[derive(Clone, Serialize)]
pub struct Text {
    pub text: Cow<'static, str>,
}

#[derive(Serialize)]
pub struct Fingerprints {
    #[serde(rename = "finding/v1")]
    pub finding: String,
}

#[derive(Serialize)]
pub struct Probabilities {
    pub detection: f64,
    pub confidence: f64,
}

/// §3.28
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    pub physical_location: PhysicalLocation,
}

/// §3.29
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PhysicalLocation {
    pub artifact_location: ArtifactLocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
}

/// §3.4. There must be a URI: where there is no file, it is a name, and explained.
#[derive(Clone, Serialize)]
pub struct ArtifactLocation {
    pub uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Text>,
}

/// §3.30
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Region {
    pub start_line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_column: Option<usize>,
    pub end_line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_column: Option<usize>,
}

/// §3.55
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fix<'a> {
    pub artifact_changes: [ArtifactChange<'a>; 1],
}

/// §3.56
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactChange<'a> {
    pub artifact_location: ArtifactLocation,
    pub replacements: [Replacement<'a>; 1],
}

/// §3.57
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replacement<'a> {
    pub deleted_region: Region,
    pub inserted_content: Content<'a>,
}

/// §3.3
#[derive(Serialize)]
pub struct Content<'a> {
    pub text: &'a str,
}

/// §3.58
#[derive(Serialize)]
pub struct Notification {
    pub locations: [Location; 1],
    pub level: &'static str,
    pub message: Text,
}

impl Text {
    /// Braces would be placeholders (§3.11.5).
    pub fn new(text: String) -> Text {
        Text { text: Cow::Owned(text.replace('{', "{{").replace('}', "}}")) }
    }

    pub const fn literal(text: &'static str) -> Text {
        Text { text: Cow::Borrowed(text) }
    }
}

impl Location {
    pub fn new(artifact_location: ArtifactLocation, region: Option<Region>) -> Location {
        Location { physical_location: PhysicalLocation { artifact_location, region } }
    }
}

impl ArtifactLocation {
    pub fn of(source: &Source) -> ArtifactLocation {
        let description = match source {
            Source::File(_) => None,
            Source::Stdin => Some(Text::literal("standard input")),
            Source::Texts(_) => Some(Text::literal("texts of the command line")),
        };
        ArtifactLocation { uri: name::uri(source), description }
    }
}
