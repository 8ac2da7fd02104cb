//! Messages in the language of whoever reads them: English, or Chinese where the locale is.
//!
//! English is what the program writes; `zh.txt` has each message again in Chinese. What has
//! no entry there stays English: a missing translation is no error.

mod catalogue;
mod help;

use std::borrow::Cow;
use std::env;
use std::sync::LazyLock;

use catalogue::CHINESE;
pub use help::localized;

/// Whether messages are to be Chinese, by the variables that gettext goes by.
pub fn is_chinese() -> bool {
    static ANSWER: LazyLock<bool> = LazyLock::new(|| asks_for_chinese(|name| env::var(name).ok()));
    *ANSWER
}

/// The message in the language of the locale. `message` is what [`Catalogue::translated`]
/// takes: segments with `: ` between them.
///
/// [`Catalogue::translated`]: catalogue::Catalogue::translated
pub fn translate(message: &str) -> Cow<'_, str> {
    match is_chinese() {
        true => CHINESE.translated(message).into(),
        false => Cow::Borrowed(message),
    }
}

/// The same for each line of a text of several, such as an error of the argument parser.
pub fn translate_lines(text: &str) -> Cow<'_, str> {
    match is_chinese() {
        true => CHINESE.translated_lines(text).into(),
        false => Cow::Borrowed(text),
    }
}

/// The first of LC_ALL, LC_MESSAGES and LANG that is set names the locale; unless that is C,
/// LANGUAGE is a list of languages, the dearest first.
fn asks_for_chinese(variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(set).unwrap_or_default();
    if matches!(language(&locale), "" | "C" | "POSIX") {
        return false;
    }
    let dearest = set("LANGUAGE").unwrap_or(locale);
    language(dearest.split(':').next().unwrap_or("")).eq_ignore_ascii_case("zh")
}

/// Of `language_TERRITORY.charset@modifier`, or of a tag with hyphens.
fn language(locale: &str) -> &str {
    locale.split(['_', '-', '.', '@']).next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_is_found_as_gettext_finds_it() {
        for (variables, chinese) in [
            ("", false),
            ("LANG=zh_CN.UTF-8", true),
            ("LANG=zh", true),
            ("LANG=zh-Hans", true),
            ("LANG=zh_TW.UTF-8@x", true),
            ("LANG=ZH_CN", true),
            ("LANG=zha_CN", false),
            ("LANG=en_US.UTF-8", false),
            ("LC_ALL=C LANG=zh_CN.UTF-8", false),
            ("LC_ALL= LC_MESSAGES=zh_CN LANG=en_US", true),
            ("LC_ALL=en_US LC_MESSAGES=zh_CN", false),
            ("LC_ALL=zh_CN LC_MESSAGES=en_US", true),
            ("LANGUAGE=zh_CN", false),
            ("LANGUAGE=zh_CN LANG=C.UTF-8", false),
            ("LANGUAGE=zh_CN LANG=POSIX", false),
            ("LANGUAGE=zh_CN:en LANG=en_US.UTF-8", true),
            ("LANGUAGE=en:zh_CN LANG=zh_CN.UTF-8", false),
            ("LANGUAGE= LANG=zh_CN.UTF-8", true),
        ] {
            let variable = |name: &str| {
                let mut pairs = variables.split(' ').filter_map(|pair| pair.split_once('='));
                pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
            };
            assert_eq!(asks_for_chinese(variable), chinese, "{variables:?}");
        }
    }
}
