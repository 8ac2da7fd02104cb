//! Which characters sound and look alike: the built-in table against pairs known by hand, and
//! its reader against bytes that lie.

use zhengzi_model::corrector::similarity::{Similarity, SimilarityError};

const BYTES: &[u8] = include_bytes!("../model/data/similarity.bin");

fn table() -> &'static Similarity {
    Similarity::builtin()
}

fn readings(ch: char) -> Vec<String> {
    table().readings(ch).map(|reading| reading.to_string()).collect()
}

fn assert_sound(pair: &str, expected: f32) {
    let [a, b] = two(pair);
    let sound = table().sound(a, b);
    assert!((sound - expected).abs() < 1e-6, "{pair}: {sound}, not {expected}");
}

fn two(pair: &str) -> [char; 2] {
    pair.chars().collect::<Vec<_>>().try_into().unwrap()
}

#[test]
fn readings_are_the_customary_ones_commonest_first() {
    assert_eq!(readings('新'), ["xīn"]);
    assert_eq!(readings('行'), ["xíng", "háng"]);
    assert_eq!(readings('了'), ["le", "liǎo"]);
    assert_eq!(readings('乐'), ["lè", "yuè"]);
    assert_eq!(readings('樂'), ["lè", "yuè"]);
    assert_eq!(readings('得'), ["de", "dé", "děi"]);
    assert_eq!(readings('绿'), ["lǜ"]);
    assert_eq!(readings('略'), ["lüè"]);
    assert_eq!(readings('儿'), ["ér"]);
    // Dictionaries also know hè, huó, huò, hú and huo; a corpus hardly does.
    assert_eq!(readings('和'), ["hé"]);
    // 发 is both 發 and 髮, but neither of these is the other.
    assert!(readings('发').contains(&"fà".to_owned()));
    assert!(readings('髮').contains(&"fà".to_owned()));
    assert!(!readings('髮').contains(&"fā".to_owned()));
    assert_eq!(readings('A'), [""; 0]);
}

#[test]
fn equal_syllables_sound_alike_in_any_tone() {
    assert_sound("新心", 1.0);
    assert_sound("坐座", 1.0);
    assert_sound("在再", 1.0);
    assert_sound("地的", 1.0);
    assert_sound("的得", 1.0);
    assert_sound("她他", 1.0);
    assert_sound("清情", 0.9);
    assert_sound("马妈", 0.9);
    assert_sound("女绿", 0.7 * 0.9);
}

#[test]
fn heteronyms_sound_like_the_likest_of_their_readings() {
    assert_sound("乐月", 1.0);
    assert_sound("了乐", 0.9);
    assert_sound("行航", 1.0);
    assert_sound("长常", 1.0);
    assert_sound("长掌", 1.0);
}

#[test]
fn near_sounds_are_graded() {
    assert_sound("因应", 0.7);
    assert_sound("早找", 0.7);
    assert_sound("你里", 0.7);
    assert_sound("飞灰", 0.0);
    assert_sound("飞黑", 0.6);
    assert_sound("他搭", 0.5);
    assert_sound("真增", 0.7 * 0.7);
    assert_sound("怒女", 0.6 * 0.9);
    assert_sound("我你", 0.0);
    assert_sound("A新", 0.0);
}

#[test]
fn sound_and_shape_are_symmetric_and_whole_with_oneself() {
    let chars = table().chars();
    for &a in chars.iter().step_by(53) {
        assert_eq!(table().sound(a, a), 1.0);
        assert_eq!(table().shape(a, a), 1.0);
        for &b in chars.iter().step_by(59) {
            assert_eq!(table().sound(a, b), table().sound(b, a), "{a} {b}");
            assert_eq!(table().shape(a, b), table().shape(b, a), "{a} {b}");
        }
    }
}

#[test]
fn characters_that_look_alike_are_neighbours() {
    for pair in [
        "未末", "己已", "情清", "情晴", "清晴", "大太", "日曰", "坐座", "治冶", "戊戌", "戌戍",
        "辨辩", "休体", "候侯", "拔拨", "喝渴", "兔免",
    ] {
        let [a, b] = two(pair);
        assert!(table().shape(a, b) >= 0.4, "{pair}: {}", table().shape(a, b));
        assert!(table().near_in_shape(a).iter().any(|&(ch, _)| ch == b), "{pair}");
    }
    for pair in ["我你", "一龙", "新心"] {
        let [a, b] = two(pair);
        assert_eq!(table().shape(a, b), 0.0, "{pair}");
    }
}

#[test]
fn candidates_are_the_common_characters_near_in_sound_or_shape() {
    for &ch in table().chars().iter().step_by(31) {
        let candidates = table().candidates(ch);
        assert!(candidates.is_sorted_by_key(|c| c.ch), "{ch}");
        for c in &candidates {
            assert!(c.ch != ch && table().is_common(c.ch), "{ch} {}", c.ch);
            assert!(c.sound >= Similarity::NEAR_SOUND || c.shape >= 0.4, "{ch} {}", c.ch);
            assert_eq!(c.sound, table().sound(ch, c.ch), "{ch} {}", c.ch);
            assert_eq!(c.shape, table().shape(ch, c.ch), "{ch} {}", c.ch);
        }
        let chars: Vec<char> = candidates.iter().map(|c| c.ch).collect();
        for &other in table().chars().iter().filter(|&&other| table().is_common(other)) {
            let near = table().sound(ch, other) >= Similarity::NEAR_SOUND
                || table().shape(ch, other) > 0.0;
            let expected = near && other != ch && one_script(ch, other);
            assert_eq!(chars.contains(&other), expected, "{ch} {other}");
        }
        let same = table().same_sound(ch);
        assert!(same.is_sorted() && same.iter().all(|other| chars.contains(other)), "{ch}");
    }
    assert!(table().candidates('A').is_empty());
    assert!(table().same_sound('座').contains(&'坐'));
    assert!(!table().same_sound('因').contains(&'应'));
    assert!(table().near_in_sound('因').contains(&('应', 0.7)));
    assert!(!table().near_in_sound('因').iter().any(|&(ch, _)| ch == '我'));
    // 们 is never written beside 門, nor 們 beside 门.
    assert!(table().same_sound('们').contains(&'门') && !table().same_sound('们').contains(&'門'));
    assert!(table().same_sound('們').contains(&'門') && !table().same_sound('們').contains(&'门'));
}

/// Whether no standard, or one and the same, holds both.
fn one_script(a: char, b: char) -> bool {
    let standards = [a, b].map(|ch| [table().is_mainland(ch), table().is_taiwan(ch)]);
    !matches!(standards, [[true, false], [false, true]] | [[false, true], [true, false]])
}

#[test]
fn every_character_is_han_and_every_candidate_is_known() {
    assert!(table().chars().is_sorted());
    for &ch in table().chars() {
        assert!(matches!(ch, '\u{3400}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}'), "{ch}");
        assert!(table().readings(ch).next().is_some(), "{ch}");
    }
    assert!(!table().contains('〇') && !table().contains('。') && !table().contains('a'));
}

#[test]
fn variants_are_forms_of_one_character_only() {
    for pair in ["乐樂", "發发", "髮发", "峰峯", "裡裏", "里裡", "組组"] {
        let [a, b] = two(pair);
        assert!(table().are_variants(a, b) && table().are_variants(b, a), "{pair}");
    }
    for pair in ["發髮", "他她", "坐座", "心心", "Aa"] {
        let [a, b] = two(pair);
        assert!(!table().are_variants(a, b), "{pair}");
    }
}

#[test]
fn standards_and_frequency_are_told() {
    let t = table();
    assert!(t.is_mainland('乐') && !t.is_taiwan('乐'));
    assert!(t.is_taiwan('樂') && !t.is_mainland('樂'));
    assert!(t.is_mainland('心') && t.is_taiwan('心') && t.is_common('樂'));
    assert!(t.log_frequency('的') > t.log_frequency('新'));
    assert!(t.log_frequency('新') > t.log_frequency('锌'));
    assert_eq!(t.log_frequency('樂'), t.log_frequency('乐'));
}

#[test]
fn any_changed_byte_is_refused() {
    for at in (0..BYTES.len()).step_by(1009).chain(0..40) {
        for flip in [1, 0x80, 0xff] {
            let mut bytes = BYTES.to_vec();
            bytes[at] ^= flip;
            assert!(Similarity::from_bytes(&bytes).is_err(), "byte {at} ^ {flip}");
        }
    }
}

#[test]
fn a_truncated_or_lengthened_table_is_refused() {
    for len in (0..BYTES.len()).step_by(4999).chain(0..40).chain([BYTES.len() - 1]) {
        assert!(Similarity::from_bytes(&BYTES[..len]).is_err(), "{len} bytes");
        let mut sealed = BYTES[..len].to_vec();
        seal(&mut sealed);
        assert!(Similarity::from_bytes(&sealed).is_err(), "{len} bytes, right checksum");
    }
    let mut longer = BYTES.to_vec();
    longer.push(0);
    seal(&mut longer);
    let error = Similarity::from_bytes(&longer).err().unwrap();
    assert_eq!(error.offset, BYTES.len(), "{error}");
}

/// With the checksum made right again the checks behind it are met: they may let a harmless
/// change pass, and whatever is let in must be safe to ask.
#[test]
fn lies_under_a_right_checksum_never_panic() {
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut refused = 0;
    for _ in 0..300 {
        let mut bytes = BYTES.to_vec();
        for _ in 0..1 + next() % 3 {
            // Half of the changes in the counts and the first syllables.
            let within = if next() % 2 == 0 { 64 } else { bytes.len() as u64 };
            let at = (next() % within) as usize;
            bytes[at] = next() as u8;
        }
        seal(&mut bytes);
        match Similarity::from_bytes(&bytes) {
            Err(SimilarityError { offset, .. }) => {
                assert!(offset <= bytes.len());
                refused += 1;
            }
            Ok(table) => {
                for &ch in table.chars().iter().step_by(997) {
                    table.candidates(ch);
                    table.same_sound(ch);
                    table.readings(ch).for_each(|reading| drop(reading.to_string()));
                }
            }
        }
    }
    assert!(refused > 0);
}

/// Makes the checksum that of the bytes after it, as the head of `similarity.rs` defines it.
fn seal(bytes: &mut [u8]) {
    let Some((head, body)) = bytes.split_at_mut_checked(16) else { return };
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for chunk in body.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x0100_0000_01b3);
    }
    head[8..].copy_from_slice(&hash.to_le_bytes());
}
