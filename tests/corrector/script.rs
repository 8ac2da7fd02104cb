//! Simplified and traditional text: neither is a mistake.

use zhengzi_kernels::Isa;
use zhengzi_model::ModelPaths;
use zhengzi_model::corrector::{Corrector, Passage, Policy, Script, Settings, apply};
use zhengzi_runtime::Cpu;

use super::forged;

/// Whether `proposed`, the only wish of a model that suspects everything, takes the place of the
/// character in brackets. The others are frozen: context that says which script the line is in.
fn changes(script: Script, line: &str, proposed: &str) -> bool {
    let words = "学 學 里 裡 裏 着 著 后 後 再 在 说 說 他 们 們 台 臺 檯";
    let (_folder, paths) = forged::model(words, proposed);
    let margin = Some(f32::NEG_INFINITY);
    let settings = Settings { script, margin, ..Settings::default() };
    let mut corrector = corrector(&paths, settings);
    let (before, rest) = line.split_once('[').unwrap();
    let (original, after) = rest.split_once(']').unwrap();
    let text = format!("{before}{original}{after}");
    let end = before.len() + original.len();
    let passage = Passage { text: &text, frozen: &[0..before.len(), end..text.len()] };
    let found = corrector.correct(&[passage]).unwrap().remove(0);
    let corrected = apply(&text, &found);
    assert!(corrected == text || corrected == format!("{before}{proposed}{after}"), "{corrected}");
    corrected != text
}

fn corrector(paths: &ModelPaths, settings: Settings) -> Corrector {
    Corrector::open(paths, settings, &Cpu::new(Isa::best(), 1).unwrap()).unwrap()
}

#[test]
fn another_form_of_a_character_is_never_proposed_for_it() {
    for line in ["他[學]", "他們[學]", "他们[學]"] {
        assert!(!changes(Script::Auto, line, "学"), "{line}");
    }
    assert!(!changes(Script::Auto, "他们[学]", "學"));
    assert!(!changes(Script::Auto, "他們[裡]", "里"));
    assert!(!changes(Script::Auto, "他們[裏]", "裡"));
    assert!(!changes(Script::Auto, "他們[裏]", "里"));
    assert!(!changes(Script::Auto, "他[着]", "著"));
    assert!(!changes(Script::Auto, "他[著]", "着"));
    assert!(!changes(Script::Auto, "他們[後]", "后"));
    assert!(changes(Script::Auto, "他們[臺]", "檯"), "two words that 台 stands for");
}

#[test]
fn a_character_of_the_other_script_is_never_proposed() {
    assert!(changes(Script::Auto, "他们[再]", "说"));
    assert!(!changes(Script::Auto, "他们[再]", "說"));
    assert!(changes(Script::Auto, "他們[再]", "說"));
    assert!(!changes(Script::Auto, "他們[再]", "说"));
    assert!(changes(Script::Auto, "他[再]", "说"), "a line of either script");
    assert!(changes(Script::Auto, "他們说[再]", "说"), "a line of both");
    assert!(changes(Script::Auto, "他們[再]", "在"), "a character of both");
    assert!(!changes(Script::Traditional, "他们[再]", "说"));
    assert!(!changes(Script::Simplified, "他們[再]", "說"));
}

#[test]
fn a_form_is_corrected_towards_the_script_that_the_user_names() {
    for [simplified, traditional] in [["学", "學"], ["里", "裡"], ["里", "裏"], ["着", "著"]]
    {
        let (to_simplified, to_traditional) =
            (format!("他[{traditional}]"), format!("他[{simplified}]"));
        assert!(changes(Script::Simplified, &to_simplified, simplified), "{simplified}");
        assert!(changes(Script::Traditional, &to_traditional, traditional), "{traditional}");
        assert!(!changes(Script::Simplified, &to_traditional, traditional), "{traditional}");
        assert!(!changes(Script::Traditional, &to_simplified, simplified), "{simplified}");
    }
}

/// pycorrector knows nothing of scripts.
#[test]
fn compat_ignores_the_script() {
    let (_folder, paths) = forged::model("他 著 着", "着");
    for script in [Script::Auto, Script::Simplified, Script::Traditional] {
        let settings = Settings { policy: Policy::Compat, script, ..Settings::default() };
        let found = corrector(&paths, settings).correct(&["他著".into()]).unwrap();
        assert_eq!(apply("他著", &found[0]), "他着", "{script:?}");
    }
}

#[test]
fn the_embedded_model_may_correct_towards_the_named_script() {
    let text = "我很喜欢吃蘋果。";
    for (script, expected) in [
        (Script::Simplified, "我很喜欢吃苹果。"),
        (Script::Auto, text),
        (Script::Traditional, text),
    ] {
        let settings = Settings { script, ..Settings::default() };
        let found = corrector(&ModelPaths::default(), settings).correct(&[text.into()]).unwrap();
        assert_eq!(apply(text, &found[0]), expected, "{script:?}");
    }
}
