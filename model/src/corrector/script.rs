//! Simplified or traditional: which characters a line can have been meant to hold.
//!
//! * Another **form** of a character is never proposed for it: 裡 for 里, 学 for 學, 着 for 著.
//!   Where the user names the script, a form of that script may take the place of the other's.
//! * A character that **only** the other script uses is never proposed. A line is in the
//!   script of which it holds more such characters, or in the one that the user names; a line
//!   with as many of both, or none, may hold either.
//!
//! One script uses a character if its standards hold it ([`Similarity::is_mainland`],
//! [`Similarity::is_taiwan`]), and *only* that one if they alone do and the other's hold
//! another form. So 后, 里, 干, 于 and 著 belong to both.

use super::Similarity;

/// The script that a text is meant to be in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Script {
    /// Each line in the script that it is written in; no form is changed for another.
    #[default]
    Auto,
    /// Simplified; a traditional form may be corrected to its simplified one.
    Simplified,
    /// Traditional; a simplified form may be corrected to its traditional one.
    Traditional,
}

/// What a line admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Written {
    /// `Auto` where it may hold either.
    script: Script,
    /// Whether the user named it.
    wanted: bool,
}

impl Script {
    /// What `line` admits under this setting.
    pub(super) fn of(self, line: &str) -> Written {
        let script = match self {
            Script::Auto => {
                let side = |ch| match only(ch) {
                    Some(Script::Simplified) => 1,
                    Some(_) => -1,
                    None => 0,
                };
                match line.chars().map(side).sum::<i64>() {
                    0 => Script::Auto,
                    1.. => Script::Simplified,
                    _ => Script::Traditional,
                }
            }
            named => named,
        };
        Written { script, wanted: self != Script::Auto }
    }

    fn opposite(self) -> Option<Script> {
        match self {
            Script::Auto => None,
            Script::Simplified => Some(Script::Traditional),
            Script::Traditional => Some(Script::Simplified),
        }
    }
}

impl Written {
    /// Whether `candidate` may be proposed for `original`.
    pub(super) fn admits(self, original: char, candidate: char) -> bool {
        let opposite = self.script.opposite();
        if opposite.is_some() && only(candidate) == opposite {
            return false;
        }
        let towards = || only(original) == opposite || only(candidate) == Some(self.script);
        !are_forms(original, candidate) || (self.wanted && towards())
    }
}

/// The other forms of a character.
pub(super) fn forms(ch: char) -> impl Iterator<Item = char> {
    let more = MORE_FORMS.iter().filter(move |group| group.contains(ch));
    let more = more.flat_map(|group| group.chars()).filter(move |&other| other != ch);
    Similarity::builtin().variants(ch).chain(more)
}

/// The only script that uses the character; `None` if both do, or it is no Han character.
pub(super) fn only(ch: char) -> Option<Script> {
    let table = Similarity::builtin();
    if MORE_FORMS.iter().any(|group| group.chars().skip(1).any(|traditional| traditional == ch)) {
        return Some(Script::Traditional);
    }
    match (table.is_mainland(ch), table.is_taiwan(ch)) {
        (true, false) if forms(ch).any(|form| table.is_taiwan(form)) => Some(Script::Simplified),
        (false, true) if forms(ch).any(|form| table.is_mainland(form)) => Some(Script::Traditional),
        _ => None,
    }
}

fn are_forms(a: char, b: char) -> bool {
    Similarity::builtin().are_variants(a, b)
        || MORE_FORMS.iter().any(|group| group.contains(a) && group.contains(b))
}

/// What Unihan and the standards leave out: a simplified character, then forms that only
/// traditional texts use. (GB 2312 holds 後; Unihan's Big5 lacks 裏, and its variants lack 佈.)
const MORE_FORMS: [&str; 36] = [
    "后後", "里裏", "布佈", "占佔", "背揹", "念唸", "群羣", "秘祕", "鉴鑑", "暗闇", "岳嶽", "席蓆",
    "溪谿", "凄悽", "凶兇", "向嚮", "叹歎", "净淨", "湿溼", "愈癒", "铺舖", "赞讚", "碰踫", "游遊",
    "链鍊", "喂餵", "侄姪", "坠墬", "面麪", "为爲", "众衆", "线綫", "托託", "你妳", "他祂", "模糢",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_that_both_scripts_use_belongs_to_neither_alone() {
        for ch in "后里干于台著面只你它和人一".chars() {
            assert_eq!(only(ch), None, "{ch}");
        }
        for ch in "学发没说户够们这着".chars() {
            assert_eq!(only(ch), Some(Script::Simplified), "{ch}");
        }
        for ch in "學發髮沒說戶們這裡裏後佈麵".chars() {
            assert_eq!(only(ch), Some(Script::Traditional), "{ch}");
        }
        for ch in "aあ。𠀀".chars() {
            assert_eq!(only(ch), None, "{ch}");
        }
    }

    #[test]
    fn a_line_is_in_the_script_of_which_it_holds_more() {
        let script = |line| Script::Auto.of(line).script;
        assert_eq!(script("他们说今天學习"), Script::Simplified);
        assert_eq!(script("他們說今天学習"), Script::Traditional);
        assert_eq!(script("他们在裡面"), Script::Auto);
        assert_eq!(script("人在家里"), Script::Auto);
        assert_eq!(Script::Traditional.of("他们说").script, Script::Traditional);
    }

    #[test]
    fn no_form_of_a_character_is_proposed_unless_the_user_names_its_script() {
        let pairs = ["學学", "裡里", "裏里", "著着", "後后", "佈布", "乾干", "發发", "颱台"];
        for pair in pairs {
            let [traditional, simplified] = two(pair);
            for line in ["", "他们说", "他們說"] {
                assert!(!Script::Auto.of(line).admits(traditional, simplified), "{pair} in {line}");
                assert!(!Script::Auto.of(line).admits(simplified, traditional), "{pair} in {line}");
            }
            assert!(!Script::Simplified.of("").admits(simplified, traditional), "{pair}");
            assert!(!Script::Traditional.of("").admits(traditional, simplified), "{pair}");
            // Both standards hold 乾 and 干: nothing says which way is towards a script.
            if pair != "乾干" {
                assert!(Script::Simplified.of("").admits(traditional, simplified), "{pair}");
                assert!(Script::Traditional.of("").admits(simplified, traditional), "{pair}");
            }
        }
        // Both are forms of 发, and neither is one of the other.
        assert!(Script::Auto.of("他們說").admits('發', '髮'));
        assert!(Script::Auto.of("他们说").admits('他', '她'));
    }

    #[test]
    fn what_only_the_other_script_uses_is_never_proposed() {
        assert!(!Script::Auto.of("他们说").admits('再', '裡'));
        assert!(!Script::Auto.of("他們說").admits('再', '说'));
        assert!(!Script::Traditional.of("他们说").admits('再', '说'));
        assert!(!Script::Simplified.of("他們說").admits('再', '說'));
        for line in ["他们说", "他們說", "一人"] {
            assert!(Script::Auto.of(line).admits('再', '在'), "{line}");
        }
        assert!(Script::Auto.of("一人").admits('再', '说'));
    }

    #[test]
    fn the_forms_that_are_written_down_here_are_not_in_the_table() {
        for group in MORE_FORMS {
            let [ours, other] = two(group);
            let unknown = !Similarity::builtin().are_variants(ours, other);
            assert!(unknown || Similarity::builtin().is_mainland(other), "{group}");
        }
    }

    fn two(text: &str) -> [char; 2] {
        text.chars().collect::<Vec<_>>().try_into().expect("two characters")
    }
}
