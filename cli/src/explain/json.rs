//! Every number of an explanation, as an object for each line of the text.

use std::io;

use serde::Serialize;
use zhengzi_model::corrector::{
    AttentionMap, Considered, Network, Standing, Suspicion, Token, Verdict, apply, scorer::Part,
};

use super::{Account, Story};
use crate::offset::{Ruler, Span};
use crate::report::{JSON_VERSION, JsonCorrection, json_corrections, write_json};

/// The objects, a line each.
pub fn written(account: &Account) -> io::Result<String> {
    let mut out = Vec::new();
    for story in &account.stories {
        write_json(&mut out, &object(account, story))?;
    }
    Ok(String::from_utf8(out).expect("JSON is UTF-8"))
}

fn object<'a>(account: &'a Account, story: &'a Story) -> JsonStory<'a> {
    let told = &story.told;
    JsonStory {
        version: JSON_VERSION,
        source: story.source,
        read: &told.text,
        target: apply(story.source, &told.corrections),
        policy: account.policy,
        models: &account.models,
        threshold: told.threshold,
        margin: told.margin,
        tokens: tokens(story),
        suspects: told.suspects.iter().map(|suspect| JsonSuspect::of(story, suspect)).collect(),
        corrections: json_corrections(story.source, &told.corrections),
        attention: story.maps.iter().map(JsonMap::of).collect(),
    }
}

fn tokens(story: &Story) -> Vec<JsonToken> {
    let mut tokens: Vec<&Token> = story.told.tokens.iter().collect();
    tokens.sort_by_key(|token| (token.span.start, token.span.end));
    let (mut ruler, mut end) = (Ruler::new(&story.told.text), 0);
    let measured = tokens.into_iter().map(|token| {
        // Tokens of one character lie at one place, and a ruler goes forward only.
        if token.span.start < end {
            ruler = Ruler::new(&story.told.text);
        }
        end = token.span.end;
        JsonToken {
            span: ruler.span(&token.span),
            probability: token.probability,
            standing: match token.standing {
                Standing::Open => "open",
                Standing::Frozen => "frozen",
                Standing::Exempt => "exempt",
            },
        }
    });
    measured.collect()
}

/// The verdict as programs read it.
pub fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Changed => "changed",
        Verdict::TakenBack => "taken-back",
        Verdict::Hopeless => "hopeless",
        Verdict::Outranked => "outranked",
        Verdict::Frozen => "frozen",
        Verdict::Expected => "expected",
        Verdict::Unmatched => "unmatched",
    }
}

/// `source` as it came, `read` as the networks read it: after the user's own decisions. Tokens and
/// suspects are places of `read`, corrections of `source`.
#[derive(Serialize)]
struct JsonStory<'a> {
    version: u32,
    source: &'a str,
    read: &'a str,
    target: String,
    policy: &'static str,
    /// Of the discriminator and of the generator.
    models: &'a [String; 2],
    threshold: f32,
    margin: Option<f32>,
    tokens: Vec<JsonToken>,
    suspects: Vec<JsonSuspect<'a>>,
    corrections: Vec<JsonCorrection<'a>>,
    attention: Vec<JsonMap<'a>>,
}

#[derive(Serialize)]
struct JsonToken {
    #[serde(flatten)]
    span: Span,
    probability: f32,
    standing: &'static str,
}

#[derive(Serialize)]
struct JsonSuspect<'a> {
    round: usize,
    text: &'a str,
    #[serde(flatten)]
    span: Span,
    probability: f32,
    /// The generator's probability for what stands there.
    own: Option<f32>,
    verdict: &'static str,
    candidates: Vec<JsonCandidate<'a>>,
    verification: Option<JsonVerification>,
}

impl<'a> JsonSuspect<'a> {
    fn of(story: &'a Story, suspect: &'a Suspicion) -> JsonSuspect<'a> {
        JsonSuspect {
            round: suspect.round,
            text: story.own(suspect),
            span: Ruler::new(&story.told.text).span(&suspect.span),
            probability: suspect.probability,
            own: suspect.own,
            verdict: name(suspect.verdict),
            candidates: suspect.options.iter().map(JsonCandidate::of).collect(),
            verification: suspect.verification.as_ref().map(|second| JsonVerification {
                probability: second.probability,
                score: second.score,
                parts: parts(&second.parts),
            }),
        }
    }
}

#[derive(Serialize)]
struct JsonCandidate<'a> {
    text: &'a str,
    probability: f32,
    eligible: bool,
    score: Option<f32>,
    parts: Vec<JsonPart>,
}

impl<'a> JsonCandidate<'a> {
    fn of(option: &'a Considered) -> JsonCandidate<'a> {
        JsonCandidate {
            text: &option.text,
            probability: option.probability,
            eligible: option.is_eligible,
            score: option.score,
            parts: parts(&option.parts),
        }
    }
}

#[derive(Serialize)]
struct JsonVerification {
    probability: f32,
    score: f32,
    parts: Vec<JsonPart>,
}

/// `product` is weight × value; products add up to the score.
#[derive(Serialize)]
struct JsonPart {
    name: &'static str,
    value: f32,
    weight: f32,
    product: f32,
}

fn parts(parts: &[Part]) -> Vec<JsonPart> {
    let part = |part: &Part| JsonPart {
        name: part.name,
        value: part.value,
        weight: part.weight,
        product: part.product(),
    };
    parts.iter().map(part).collect()
}

/// A row of `weights` for each token that looks.
#[derive(Serialize)]
struct JsonMap<'a> {
    network: &'static str,
    layer: usize,
    head: usize,
    tokens: &'a [String],
    weights: Vec<&'a [f32]>,
}

impl<'a> JsonMap<'a> {
    fn of(map: &'a AttentionMap) -> JsonMap<'a> {
        JsonMap {
            network: match map.network {
                Network::Discriminator => "discriminator",
                Network::Generator => "generator",
            },
            layer: map.layer,
            head: map.head,
            tokens: &map.tokens,
            weights: map.weights.chunks_exact(map.tokens.len()).collect(),
        }
    }
}
