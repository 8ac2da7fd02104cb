//! `"zhengzi_fill"`: a generator that reads what stands at a place is shown it, and no mask.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use zhengzi_kernels::Isa;
use zhengzi_model::ModelPaths;
use zhengzi_model::corrector::{Corrector, Filler, Network, Passage, Policy, Settings, apply};
use zhengzi_runtime::Cpu;

use super::forged;
use crate::cli::{run, zhengzi};
use crate::electra::weights::{self, Head, Tensor};

const WORDS: &str = "载 再 在 我 们 ，";
const TEXT: &str = "我们，在，我们，在";

/// A generator that answers each token with one token: 在, which no answer is, with 再, a mask with 载,
/// and any other with itself. `more` are further keys of its config.
fn model(more: &str) -> (TempDir, ModelPaths) {
    let folder = weights::folder();
    let words = forged::vocabulary(WORDS);
    // As wide as the vocabulary, and a multiple of the two heads.
    let width = words.len() + words.len() % 2;
    forged::discriminator(folder.path(), &forged::config(words.len(), width, ""), &words);
    let config = forged::config(words.len(), width, more);
    let place = |word: &str| words.iter().position(|other| *other == word).unwrap();
    let answer = |id: usize| match id {
        id if id == place("在") => place("再"),
        id if id == place("[MASK]") => place("载"),
        id => id,
    };
    let table = |rows: usize, one: &dyn Fn(usize) -> usize| {
        let mut values = vec![0.0; rows * width];
        (0..words.len()).for_each(|id| values[one(id) * width + id] = 8.0);
        values
    };
    // Each token is a dimension of its own, which the layer passes on and the head moves to that of the
    // answer.
    let values = |tensor: &Tensor| {
        let ends = |end: &str| tensor.name.ends_with(end);
        Some(if ends("LayerNorm.weight") {
            vec![1.0; width]
        } else if ends("word_embeddings.weight") {
            table(words.len(), &|id| id)
        } else if ends("generator_predictions.dense.weight") {
            table(width, &answer)
        } else if ends("generator_lm_head.bias") {
            let never = |id| if id == place("在") { -100.0 } else { 0.0 };
            (0..words.len()).map(never).collect()
        } else {
            vec![0.0; tensor.shape.iter().product()]
        })
    };
    forged::write(&folder.path().join("generator"), &config, &words, Head::Generator, values);
    let paths = ModelPaths { model: Some(folder.path().to_owned()), ..ModelPaths::default() };
    (folder, paths)
}

fn cpu() -> Cpu {
    Cpu::new(Isa::best(), 2).unwrap()
}

/// [`TEXT`] as it comes out, whatever the discriminator says of it the second time.
fn corrected(paths: &ModelPaths, policy: Policy) -> String {
    let settings = Settings { policy, margin: Some(-1e6), ..Settings::default() };
    let mut corrector = Corrector::open(paths, settings, &cpu()).unwrap();
    // All but 在 stays, for the discriminator flags whatever it reads.
    let frozen = [0..9, 12..24];
    let passage = Passage { text: TEXT, frozen: &frozen };
    let found = corrector.correct(&[passage]).unwrap().remove(0);
    apply(TEXT, &found)
}

const MASK: &str = "我们，载，我们，载";
const SEEN: &str = "我们，再，我们，再";

#[test]
fn the_config_says_whether_a_character_is_masked_or_seen() {
    let asked =
        [("", MASK), (r#", "zhengzi_fill": "mask""#, MASK), (r#", "zhengzi_fill": "seen""#, SEEN)];
    for (more, expected) in asked {
        let (_folder, paths) = model(more);
        for policy in [Policy::Default, Policy::Compat] {
            assert_eq!(corrected(&paths, policy), expected, "{more}, {policy:?}");
        }
    }
}

#[test]
fn what_a_dump_and_a_map_show_is_what_the_generator_read() {
    let at = TEXT.find('在').unwrap();
    for (more, answer, is_masked) in
        [("", "载", true), (r#", "zhengzi_fill": "seen""#, "再", false)]
    {
        let (_folder, paths) = model(more);
        let mut filler = Filler::open(&paths, &cpu()).unwrap();
        let blank = filler.instead(TEXT, &(at..at + 3), 2).unwrap().unwrap();
        assert_eq!((blank.span.start, &*blank.alternatives[0].text), (at, answer), "{more}");
        // A mask in the text is asked for in any case.
        let blanks = filler.fill("在[MASK]", 1).unwrap();
        assert_eq!((blanks.len(), &*blanks[0].alternatives[0].text), (1, "载"), "{more}");
        let mut corrector = Corrector::open(&paths, Settings::default(), &cpu()).unwrap();
        let told = corrector.explain(&[TEXT.into()]).unwrap().remove(0);
        let maps = corrector.attention(&told, Network::Generator, &[(1, 1)]).unwrap();
        let has_mask = maps[0].tokens.iter().any(|token| token == "[MASK]");
        assert_eq!(has_mask, is_masked, "{more}");
    }
}

#[test]
fn suspects_side_by_side_share_a_reading_where_none_is_masked() {
    let tokens = |more: &str| {
        let (_folder, paths) = model(more);
        let mut corrector = Corrector::open(&paths, Settings::default(), &cpu()).unwrap();
        corrector.correct(&["在在在在".into()]).unwrap();
        corrector.stages().tokens
    };
    let (masked, seen) = (tokens(""), tokens(r#", "zhengzi_fill": "seen""#));
    assert!(masked.generator >= 16 && seen.generator < masked.generator, "{masked:?}, {seen:?}");
}

#[test]
fn a_converted_model_is_asked_in_the_same_way() {
    let (folder, _) = model(r#", "zhengzi_fill": "seen""#);
    for layout in ["panels", "hf"] {
        let to = folder.path().join(layout);
        let mut command = zhengzi();
        command.args(["convert", "--precision", "f32", "--layout", layout, "-o"]).arg(&to);
        let output = run(command.arg(folder.path()), b"");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let paths = ModelPaths { model: Some(to), ..ModelPaths::default() };
        assert_eq!(corrected(&paths, Policy::Default), SEEN, "{layout}");
    }
}

#[test]
fn any_other_word_is_refused_in_one_line() {
    let (folder, _) = model("");
    let config = folder.path().join("generator/config.json");
    let refused = |value: &str, part: &str| {
        let text = forged::config(11, 12, &format!(r#", "zhengzi_fill": {value}"#));
        fs::write(&config, text).unwrap();
        let output =
            run(zhengzi().args(["correct", "-t", TEXT, "--model"]).arg(folder.path()), b"");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(2), &b""[..]), "{stderr}");
        assert!(stderr.starts_with(&told(&config)) && stderr.lines().count() == 1, "{stderr}");
        assert!(stderr.contains(part), "{stderr}");
    };
    refused(r#""masks""#, r#"zhengzi_fill is "masks": it must be "mask" or "seen""#);
    refused("true", "invalid type: boolean `true`, expected a string");
}

fn told(config: &Path) -> String {
    format!("zhengzi: {}: ", config.display())
}
