//! Where a text y differs from the source s that it was made of.
//!
//! Texts of equal length in characters (code points) differ in places: every i with sᵢ ≠ yᵢ is
//! an edit, "sᵢ becomes yᵢ". Texts of unequal length have no such places; they differ in one
//! edit: what is left of s and of y without their longest common beginning and, of the rest,
//! their longest common end.
//!
//! Either way s and the edits give y back: two texts with the same edits are the same.

use std::ops::Range;

/// What of the source becomes what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    /// Characters of the source.
    pub place: Range<usize>,
    /// What stands there instead.
    pub to: String,
}

/// The edits from `source` to `text`, from left to right and disjoint, without those that
/// change one of the characters `ignored` into another.
pub(super) fn edits(source: &str, text: &str, ignored: &[char]) -> Vec<Edit> {
    let (s, y): (Vec<char>, Vec<char>) = (source.chars().collect(), text.chars().collect());
    if s.len() != y.len() {
        return vec![whole(&s, &y)];
    }
    let differs =
        |&i: &usize| s[i] != y[i] && !(ignored.contains(&s[i]) && ignored.contains(&y[i]));
    let edit = |i: usize| Edit { place: i..i + 1, to: y[i].to_string() };
    (0..s.len()).filter(differs).map(edit).collect()
}

/// The one edit between texts of unequal length.
fn whole(s: &[char], y: &[char]) -> Edit {
    let start = s.iter().zip(y).take_while(|(a, b)| a == b).count();
    let (s_rest, y_rest) = (&s[start..], &y[start..]);
    let end = s_rest.iter().rev().zip(y_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    Edit { place: start..s.len() - end, to: y_rest[..y_rest.len() - end].iter().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(source: &str, text: &str) -> Vec<(Range<usize>, String)> {
        edits(source, text, &[]).into_iter().map(|edit| (edit.place, edit.to)).collect()
    }

    #[test]
    fn places_are_counted_in_code_points() {
        assert_eq!(shown("𠀀新情", "𠀀心情"), [(1..2, "心".to_owned())]);
        assert_eq!(shown("甲乙丙", "一乙三"), [(0..1, "一".to_owned()), (2..3, "三".to_owned())]);
        assert_eq!(shown("甲", "甲"), []);
    }

    #[test]
    fn unequal_lengths_are_one_edit_between_beginning_and_end() {
        for (source, text, place, to) in [
            ("我去去学校", "我去学校", 2..3, ""),
            ("我学校", "我去学校", 1..1, "去"),
            ("甲乙丙丁", "甲一丙三丁", 1..3, "一丙三"),
            ("", "甲", 0..0, "甲"),
            ("甲", "", 0..1, ""),
            ("甲甲", "甲甲甲", 2..2, "甲"),
        ] {
            assert_eq!(shown(source, text), [(place, to.to_owned())], "{source} {text}");
        }
    }

    #[test]
    fn only_changes_within_the_ignored_characters_are_ignored() {
        let count = |source, text| edits(source, text, &['的', '地']).len();
        assert_eq!((count("的", "地"), count("的", "得"), count("得", "的")), (0, 1, 1));
        assert_eq!(count("的的", "地"), 1);
    }
}
