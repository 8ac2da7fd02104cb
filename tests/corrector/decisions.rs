//! What the user decided: frozen bytes and protected words stay, confusions are always made, and
//! the model's corrections land on the right bytes beside them.

use std::collections::HashMap;
use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::slice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zhengzi_kernels::Isa;
use zhengzi_model::ModelPaths;
use zhengzi_model::corrector::{
    Correction, Corrector, Decisions, Detector, Passage, Policy, Settings, Stages, apply,
};
use zhengzi_runtime::Cpu;

use super::forged;

/// The model makes this change, in both policies, and no other.
const WRONG: &str = "昨天晚上我说公司的经既发展很快";
const RIGHT: &str = "昨天晚上我说公司的经济发展很快";

const POLICIES: [Policy; 2] = [Policy::Default, Policy::Compat];

/// A folder with the two files.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new(protect: &[u8], confusion: &[u8]) -> Files {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("protect"), protect).unwrap();
        fs::write(folder.path().join("confusion"), confusion).unwrap();
        Files { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self) -> Result<Decisions, String> {
        let read = Decisions::read(&[self.path("protect")], &[self.path("confusion")]);
        read.map_err(|error| error.to_string())
    }
}

fn settings(policy: Policy, protect: &str, confusion: &str) -> Settings {
    let decisions = Files::new(protect.as_bytes(), confusion.as_bytes()).read().unwrap();
    Settings { policy, decisions: Arc::new(decisions), ..Settings::default() }
}

fn cpu() -> Cpu {
    Cpu::new(Isa::best(), 2).unwrap()
}

fn corrector(policy: Policy, protect: &str, confusion: &str) -> Corrector {
    let settings = settings(policy, protect, confusion);
    Corrector::open(&ModelPaths::default(), settings, &cpu()).unwrap()
}

/// The corrections of one text, which must be sound.
fn correct(corrector: &mut Corrector, passage: Passage) -> Vec<Correction> {
    let found = corrector.correct(&[passage]).unwrap().remove(0);
    check(passage.text, &found);
    found
}

/// Spans ascend, do not overlap, and hold `wrong`.
fn check(text: &str, found: &[Correction]) {
    let mut end = 0;
    for correction in found {
        assert!(end <= correction.span.start && correction.span.start < correction.span.end);
        assert_eq!(text[correction.span.clone()], correction.wrong, "in {text}");
        end = correction.span.end;
    }
}

fn corrected(corrector: &mut Corrector, text: &str) -> String {
    let found = correct(corrector, text.into());
    apply(text, &found)
}

#[test]
fn without_decisions_the_model_decides() {
    for policy in POLICIES {
        assert_eq!(corrected(&mut corrector(policy, "", ""), WRONG), RIGHT, "{policy:?}");
    }
}

#[test]
fn protect_beats_confusion_beats_model() {
    for policy in POLICIES {
        let confusion = "经既 经纪\n";
        let text = corrected(&mut corrector(policy, "", confusion), WRONG);
        assert_eq!(text, "昨天晚上我说公司的经纪发展很快", "{policy:?}");
        // A protected word that only shares a character with the confusion is enough.
        for (protect, expected) in
            [("经既", WRONG), ("既", WRONG), ("既发", WRONG), (WRONG, WRONG), ("的经", RIGHT)]
        {
            let text = corrected(&mut corrector(policy, protect, confusion), WRONG);
            assert_eq!(text, expected, "{protect}, {policy:?}");
        }
    }
}

#[test]
fn overlapping_protected_words_all_stay() {
    let mut corrector = corrector(Policy::Default, "甲乙丙\n丙丁\n乙\n", "丁戊 一\n丙 一\n戊 二\n");
    assert_eq!(corrected(&mut corrector, "甲乙丙丁戊"), "甲乙丙丁二");
    assert_eq!(corrected(&mut corrector, "丙甲乙丁戊"), "一甲乙一");
}

#[test]
fn the_leftmost_match_goes_first_and_of_several_there_the_longest() {
    let mut corrector = corrector(Policy::Default, "壬", "甲乙 一\n甲乙丙 二\n乙丙丁 三\n丁 四\n");
    assert_eq!(corrected(&mut corrector, "甲乙丙丁"), "二四");
    assert_eq!(corrected(&mut corrector, "甲乙丁"), "一四");
    assert_eq!(corrected(&mut corrector, "乙丙丁甲乙"), "三一");
    // What was written is not read for confusions again.
    let mut corrector = self::corrector(Policy::Default, "", "甲 乙\n乙 丙\n");
    assert_eq!(corrected(&mut corrector, "甲乙"), "乙丙");
}

#[test]
fn a_word_that_a_change_completes_is_protected() {
    for policy in POLICIES {
        let text = WRONG.replace('经', "径");
        let mut decided = corrector(policy, "", "径 经");
        assert_eq!(corrected(&mut decided, &text), RIGHT, "{policy:?}");
        let mut decided = corrector(policy, "经既", "径 经");
        assert_eq!(corrected(&mut decided, &text), WRONG, "{policy:?}");
    }
}

#[test]
fn spans_are_exact_beside_changes_of_other_lengths() {
    let changes = "e\u{301}t\u{e9} 夏天的一日\n𠀀𠀁 甲\n某某 𪚥\n";
    for policy in POLICIES {
        let mut corrector = corrector(policy, "", changes);
        for (before, after) in [
            ("e\u{301}t\u{e9}", "夏天的一日"),
            ("𠀀𠀁", "甲"),
            ("某某", "𪚥"),
            ("𠀀𠀁。e\u{301}t\u{e9}某某", "甲。夏天的一日𪚥"),
        ] {
            let text = format!("{before}。{WRONG}。{before}");
            let found = correct(&mut corrector, text[..].into());
            assert_eq!(apply(&text, &found), format!("{after}。{RIGHT}。{after}"), "{policy:?}");
            let at = text.find('既').unwrap();
            let (model, own): (Vec<_>, Vec<_>) = found.iter().partition(|c| c.wrong == "既");
            assert_eq!((model.len(), &model[0].span), (1, &(at..at + 3)));
            assert!(own.len() >= 2);
            for own in own {
                assert_eq!((own.detection, own.confidence), (1.0, 1.0));
                assert!(own.alternatives.is_empty());
            }
        }
    }
}

#[test]
fn the_model_reads_the_text_with_the_changes_in_place() {
    let text = WRONG.replace("昨天晚上", "qqqq").replace("很快", "z");
    for policy in POLICIES {
        // Sure of the change in the original, in what it becomes, and in the original decided on.
        let sure = |confusion: &str, text: &str| {
            let found = correct(&mut corrector(policy, "", confusion), text.into());
            found.iter().find(|correction| correction.wrong == "既").unwrap().confidence
        };
        let (plain, whole) = (sure("", &text), sure("", WRONG));
        assert!((plain - whole).abs() > 1e-3, "{policy:?}: {plain}, {whole}");
        assert_eq!(sure("qqqq 昨天晚上\nz 很快\n", &text), whole, "{policy:?}");
    }
}

#[test]
fn frozen_bytes_stay_and_are_still_context() {
    let at = WRONG.find('既').unwrap();
    for policy in POLICIES {
        let mut corrector = corrector(policy, "", "经既 坏\n");
        let mut plain = self::corrector(policy, "", "");
        // A byte of the character is enough; so is a range past the end or a backward one.
        for frozen in [at..at + 3, at..at + 1, at + 1..at + 2, at + 2..at + 3, at + 2..usize::MAX] {
            let passage = Passage { text: WRONG, frozen: slice::from_ref(&frozen) };
            assert_eq!(correct(&mut corrector, passage), [], "{frozen:?}");
            assert_eq!(correct(&mut plain, passage), [], "{frozen:?}");
        }
        #[allow(clippy::reversed_empty_ranges)]
        let elsewhere: [&[Range<usize>]; 4] = [
            &[0..at, at + 3..WRONG.len()],
            &[at..at, at + 3..at + 3],
            &[7..7, 9..2],
            &[40..50, 1..2],
        ];
        for frozen in elsewhere {
            let found = correct(&mut plain, Passage { text: WRONG, frozen });
            assert_eq!(apply(WRONG, &found), RIGHT, "{frozen:?}");
        }
        let all = 0..WRONG.len();
        let passage = Passage { text: WRONG, frozen: slice::from_ref(&all) };
        assert_eq!(correct(&mut corrector, passage), []);
    }
}

#[test]
fn detect_reports_decided_changes_as_suspicions_and_nothing_that_stays() {
    for policy in POLICIES {
        let settings = settings(policy, "既", "很快 非常迅速\n");
        let mut detector = Detector::open(&ModelPaths::default(), settings, &cpu()).unwrap();
        let found = detector.detect(&[WRONG.into(), "无事".into()]).unwrap();
        check(WRONG, &found[0]);
        assert!(found[0].iter().all(|suspicion| suspicion.right.is_none()));
        let decided = found[0].last().unwrap();
        assert_eq!((decided.wrong.as_str(), decided.confidence), ("很快", 1.0));
        assert!(found[0].iter().all(|suspicion| suspicion.wrong != "既"));
    }
}

#[test]
fn a_word_that_becomes_itself_is_protected_and_the_last_word_counts() {
    let mut corrector = corrector(Policy::Default, "", "经既 经既\n甲 乙\n甲 丙\n");
    assert_eq!(corrected(&mut corrector, WRONG), WRONG);
    assert_eq!(corrected(&mut corrector, "甲"), "丙");
    let (first, second) = (Files::new(b"", "甲 甲\n乙 丙\n".as_bytes()), Files::new(b"", b""));
    fs::write(second.path("confusion"), "甲 丁\n乙 乙\n").unwrap();
    let files = [first.path("confusion"), second.path("confusion")];
    let decisions = Arc::new(Decisions::read(&[], &files).unwrap());
    let settings = Settings { decisions, ..Settings::default() };
    let mut corrector = Corrector::open(&ModelPaths::default(), settings, &cpu()).unwrap();
    assert_eq!(corrected(&mut corrector, "甲乙"), "丁乙");
}

#[test]
fn a_file_may_have_a_bom_windows_line_ends_comments_and_frequencies() {
    let confusion = "\u{feff}# 错误 正确\r\n\r\n甲\u{3000}一\r\n乙\t二 100\r\n  # 丁 四\r\n\
                     \u{feff}丙  三 0.5\t# 注\r\nC# C语言# # 注\r\n戊 五 #注";
    let protect = "\u{feff}己 # 姓\r\n\r\n# 庚\r\n  New York  \r\n";
    let mut corrector =
        corrector(Policy::Default, protect, &format!("{confusion}\r\n己 一\r\nYork 约"));
    assert_eq!(corrected(&mut corrector, "甲乙丙丁戊"), "一二三丁五");
    assert_eq!(corrected(&mut corrector, "C#,己,New York,York"), "C语言#,己,New York,约");
}

#[test]
fn a_bad_file_is_refused_in_one_line_that_names_file_and_line() {
    let refused = |protect: &[u8], confusion: &[u8], words: &[&str]| {
        let files = Files::new(protect, confusion);
        let error = files.read().expect_err("a bad file");
        assert!(!error.contains('\n'), "{error:?}");
        let folder = files.folder.path().to_str().unwrap();
        assert!(error.starts_with(folder), "{error}");
        for word in words {
            assert!(error.contains(word), "{error}: without {word}");
        }
    };
    refused(b"", "甲 乙\n丙\n".as_bytes(), &["confusion: line 2: ", "丙 stands alone"]);
    refused(b"", "甲 乙 丙\n".as_bytes(), &["confusion: line 1: ", "more than two words"]);
    refused(b"", "甲 乙 inf\n".as_bytes(), &["confusion: line 1: "]);
    refused(b"", b"a b\rc d\r", &["confusion: line 1: ", "U+000D"]);
    refused(b"", "甲 乙 3 4\n".as_bytes(), &["confusion: line 1: "]);
    refused(b"", b"a b\n\nc \xff\n", &["confusion: line 3: not UTF-8", "save it as UTF-8"]);
    refused(b"", b"\xff\xfea\0 \0b\0\n\0", &["confusion: line 1: not UTF-8"]);
    refused(b"", b"a b\na\0 b\n", &["confusion: line 2: ", "U+0000"]);
    refused(b"a\n\x1b[31mb\n", b"", &["protect: line 2: ", "U+001B"]);
    refused(b"a\n\n\xe6\x96", b"", &["protect: line 3: not UTF-8"]);
    let files = Files::new(b"", b"");
    for path in [files.path("missing"), files.folder.path().to_owned()] {
        let error = Decisions::read(&[], slice::from_ref(&path)).unwrap_err().to_string();
        assert!(error.starts_with(path.to_str().unwrap()) && !error.contains('\n'), "{error}");
    }
}

/// Against a plain description of the rules, with a model that changes every 堪 to 看.
#[test]
fn random_texts_become_what_the_rules_say() {
    let wrongs = ["a", "ab", "堪a", "e\u{301}", "𠀀", "𠀀堪", "c𠀀", "abc", "\u{301}", "堪堪"];
    let rights = ["x", "a堪b", "𪚥", "e\u{301}", "堪"];
    let pieces = ["a", "b", "c", "e\u{301}", "𠀀", "堪", "堪", "。", "ab"];
    let (_folder, paths) = forged::model("看 堪 a b c", "看");
    let mut seed = 1u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as usize % below
    };
    let mut made = 0;
    for round in 0..200 {
        let mut protect: Vec<&str> = (0..random(3)).map(|_| wrongs[random(10)]).collect();
        let confusion: Vec<(&str, &str)> =
            (0..random(6)).map(|_| (wrongs[random(10)], rights[random(5)])).collect();
        let list: String = confusion.iter().map(|(w, r)| format!("{w} {r}\n")).collect();
        let settings = Settings {
            margin: Some(f32::NEG_INFINITY),
            rounds: 100, // of neighbours one a round
            ..settings(POLICIES[round % 2], &protect.join("\n"), &list)
        };
        let mut corrector = Corrector::open(&paths, settings, &cpu()).unwrap();
        let confusion: HashMap<&str, &str> = confusion.into_iter().collect();
        protect.extend(confusion.iter().filter(|(wrong, right)| wrong == right).map(|(w, _)| *w));
        for _ in 0..25 {
            let text: String = (0..random(30)).map(|_| pieces[random(9)]).collect();
            let start = random(text.len() + 1);
            let frozen = start..start + random(4);
            let passage = Passage { text: &text, frozen: slice::from_ref(&frozen) };
            let found = correct(&mut corrector, passage);
            let expected = by_the_rules(&text, &frozen, &protect, &confusion);
            assert_eq!(apply(&text, &found), expected, "{text:?} {protect:?} {confusion:?}");
            made += found.len();
        }
    }
    assert!(made > 10_000, "{made} corrections");
}

/// Marks the bytes that must stay, makes the changes, and marks again before the model's.
fn by_the_rules(
    text: &str,
    frozen: &Range<usize>,
    protect: &[&str],
    confusion: &HashMap<&str, &str>,
) -> String {
    let mark = |text: &str, stays: &mut [bool]| {
        for (at, _) in text.char_indices() {
            for word in protect.iter().filter(|word| text[at..].starts_with(**word)) {
                stays[at..at + word.len()].fill(true);
            }
        }
    };
    let mut stays: Vec<bool> = (0..text.len()).map(|at| frozen.contains(&at)).collect();
    mark(text, &mut stays);
    let (mut read, mut read_stays, mut at) = (String::new(), Vec::new(), 0);
    while let Some(next) = text[at..].chars().next() {
        let fits = |wrong: &&&str| {
            text[at..].starts_with(**wrong) && !stays[at..at + wrong.len()].contains(&true)
        };
        if let Some(wrong) = confusion.keys().filter(fits).max_by_key(|wrong| wrong.len()) {
            read.push_str(confusion[wrong]);
            read_stays.resize(read.len(), true);
            at += wrong.len();
        } else {
            read.push(next);
            read_stays.extend(&stays[at..at + next.len_utf8()]);
            at += next.len_utf8();
        }
    }
    mark(&read, &mut read_stays);
    let open = |at: usize| !read_stays[at..at + '堪'.len_utf8()].contains(&true);
    read.char_indices().map(|(at, c)| if c == '堪' && open(at) { '看' } else { c }).collect()
}

#[test]
fn the_time_of_each_stage_adds_up_over_calls() {
    for policy in POLICIES {
        let begin = Instant::now();
        let mut corrector = corrector(policy, "", "");
        assert_eq!(corrector.stages(), Stages::default());
        corrected(&mut corrector, WRONG);
        let first = corrector.stages();
        corrected(&mut corrector, WRONG);
        let both = corrector.stages();
        let parts = |stages: Stages| {
            [stages.tokenizer, stages.discriminator, stages.generator, stages.scoring]
        };
        for (first, both) in parts(first).into_iter().zip(parts(both)) {
            assert!(!first.is_zero() && first < both, "{policy:?}: {first:?}, {both:?}");
        }
        assert!(parts(both).into_iter().sum::<Duration>() <= begin.elapsed());
    }
}
