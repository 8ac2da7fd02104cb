//! The catalogue of messages: `zh.txt`, two lines for each, English and Chinese.
//!
//! `{}` in the English line is a hole that takes any text, but not none; `{…}` is one whose
//! text is a message itself. The Chinese line has the same holes, in the same order, or by
//! number (`{2} {1}`). `\n` is a line break. Blank lines and lines with `#` are nothing.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Between the segments of a message: `file: what was wrong: what to do`.
const JOINT: &str = ": ";

/// How deep messages lie in messages. A file name could be made to look like many.
const DEPTH: usize = 4;

/// Simplified Chinese.
pub static CHINESE: LazyLock<Catalogue> =
    LazyLock::new(|| Catalogue::parse(include_str!("../zh.txt")));

/// Messages and their translations.
pub struct Catalogue {
    /// Those without holes, help texts among them.
    whole: HashMap<String, String>,
    /// Those with holes; the first that matches is taken.
    templates: Vec<Template>,
}

impl Catalogue {
    fn parse(text: &str) -> Catalogue {
        let (mut whole, mut templates) = (HashMap::new(), Vec::new());
        for (english, translation) in entries(text) {
            match Template::parse(&english, &translation) {
                Some(template) => templates.push(template),
                None => _ = whole.insert(english, translation),
            }
        }
        Catalogue { whole, templates }
    }

    /// The translation of a text without holes, if there is one.
    pub fn get(&self, text: &str) -> Option<&str> {
        self.whole.get(text).map(String::as_str)
    }

    /// The message with each of its segments translated that has an entry. What is neither a
    /// message nor a part of one (the name of a file) stays as it is, unless it reads exactly
    /// like a message.
    pub fn translated(&self, message: &str) -> String {
        self.translated_to(DEPTH, message)
    }

    /// Each line translated, apart from what it is indented by.
    pub fn translated_lines(&self, text: &str) -> String {
        let mut lines = String::with_capacity(text.len());
        for line in text.split_inclusive('\n') {
            let content = line.trim();
            let start = line.len() - line.trim_start().len();
            lines.push_str(&line[..start]);
            lines.push_str(&self.translated(content));
            lines.push_str(&line[start + content.len()..]);
        }
        lines
    }

    /// Messages within messages are translated while there is `depth` left.
    fn translated_to(&self, depth: usize, message: &str) -> String {
        self.entry(depth, message).unwrap_or_else(|| {
            let segment =
                |segment: &str| self.entry(depth, segment).unwrap_or_else(|| segment.to_owned());
            message.split(JOINT).map(segment).collect::<Vec<_>>().join(JOINT)
        })
    }

    fn entry(&self, depth: usize, message: &str) -> Option<String> {
        if let Some(translation) = self.get(message) {
            return Some(translation.to_owned());
        }
        // A template of one segment would match a message of several by taking a joint for
        // a part of a name.
        let joins = message.contains(JOINT);
        let mut templates = self.templates.iter().filter(|template| template.joins == joins);
        let (template, holes) = templates.find_map(|t| Some((t, t.holes(message)?)))?;
        let depth = depth.checked_sub(1)?;
        Some(template.fill(&holes, |message| self.translated_to(depth, message)))
    }
}

/// A message with holes.
struct Template {
    /// What stands before the first hole.
    start: String,
    /// For each hole, whether its text is a message, and what stands after it.
    holes: Vec<(bool, String)>,
    /// Whether it is of several segments.
    joins: bool,
    translation: Vec<Piece>,
}

enum Piece {
    Literal(String),
    /// What is in the hole of this index.
    Hole(usize),
}

impl Template {
    fn parse(english: &str, translation: &str) -> Option<Template> {
        let (mut start, mut holes) = (String::new(), Vec::<(bool, String)>::new());
        for piece in pieces(english) {
            match (piece, holes.last_mut()) {
                (Ok(literal), None) => start.push_str(literal),
                (Ok(literal), Some((_, after))) => after.push_str(literal),
                (Err(hole), _) => holes.push((hole == "…", String::new())),
            }
        }
        let mut next = 0;
        let translation = pieces(translation).into_iter().map(|piece| match piece {
            Ok(literal) => Piece::Literal(literal.to_owned()),
            Err(number) => {
                next = number.parse().unwrap_or(next + 1);
                Piece::Hole(next - 1)
            }
        });
        let translation = translation.collect();
        let joins = english.contains(JOINT);
        (!holes.is_empty()).then_some(Template { start, holes, joins, translation })
    }

    /// What `text` has in the holes, if it is this message.
    fn holes<'a>(&self, text: &'a str) -> Option<Vec<&'a str>> {
        let mut rest = text.strip_prefix(self.start.as_str())?;
        let mut found = Vec::with_capacity(self.holes.len());
        for (index, (_, after)) in self.holes.iter().enumerate() {
            // Holes hold something: what follows one is looked for from its second character.
            let second = rest.chars().next()?.len_utf8();
            let end = match index + 1 == self.holes.len() {
                true => rest.strip_suffix(after.as_str())?.len(),
                false => second + rest[second..].find(after.as_str())?,
            };
            if end < second {
                return None;
            }
            found.push(&rest[..end]);
            rest = &rest[end + after.len()..];
        }
        Some(found)
    }

    fn fill(&self, holes: &[&str], translated: impl Fn(&str) -> String) -> String {
        let mut message = String::new();
        for piece in &self.translation {
            match piece {
                Piece::Literal(text) => message.push_str(text),
                Piece::Hole(index) if self.holes[*index].0 => {
                    message.push_str(&translated(holes[*index]));
                }
                Piece::Hole(index) => message.push_str(holes[*index]),
            }
        }
        message
    }
}

/// English and Chinese of each entry.
fn entries(text: &str) -> Vec<(String, String)> {
    let lines: Vec<String> = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|line| line.replace("\\n", "\n"))
        .collect();
    lines.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

/// Literal text, and as `Err` what stands between the braces of a hole: nothing, `…` or a
/// number. Other braces are text.
fn pieces(text: &str) -> Vec<Result<&str, &str>> {
    let mut pieces = Vec::new();
    let (mut from, mut literal) = (0, 0);
    while let Some(open) = text[from..].find('{').map(|at| from + at) {
        let Some(close) = text[open..].find('}').map(|at| open + at) else { break };
        let name = &text[open + 1..close];
        from = open + 1;
        if name == "…" || name.bytes().all(|byte| matches!(byte, b'1'..=b'9')) {
            pieces.push(Ok(&text[literal..open]));
            pieces.push(Err(name));
            (from, literal) = (close + 1, close + 1);
        }
    }
    pieces.push(Ok(&text[literal..]));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use std::collections::HashSet;

    const SAMPLE: &str = "\
# A comment.
is empty
是空的

{} of {} is missing
{2} 缺少 {1}

two: parts\\nhere
两: 部分\\n在此

{…}; not examined
{}；未检查

not UTF-8 at byte {}
字节 {} 处不是 UTF-8

error: {…}
错误: {}

{…} at byte {}
{}（字节 {} 处）
";

    #[test]
    fn segments_and_messages_within_messages_are_translated_and_the_rest_stays() {
        let catalogue = Catalogue::parse(SAMPLE);
        for (english, chinese) in [
            ("a.bin: is empty", "a.bin: 是空的"),
            (
                "a.bin: is empty at byte 7: x of y is missing",
                "a.bin: 是空的（字节 7 处）: y 缺少 x",
            ),
            (
                "<stdin>:3: not UTF-8 at byte 2; not examined",
                "<stdin>:3: 字节 2 处不是 UTF-8；未检查",
            ),
            ("error: is empty: x", "错误: 是空的: x"),
            ("an error: is empty: x", "an error: 是空的: x"),
            ("two: parts\nhere", "两: 部分\n在此"),
            ("is empty.txt: what is empty", "is empty.txt: what is empty"),
            (" of  is missing", " of  is missing"),
            ("a of b is missing!", "a of b is missing!"),
            ("{} at byte ", "{} at byte "),
            ("", ""),
            (": ", ": "),
        ] {
            assert_eq!(catalogue.translated(english), chinese, "{english:?}");
        }
        let lines = "  is empty\n\n\tnothing\nis empty at byte 5";
        let translated = "  是空的\n\n\tnothing\n是空的（字节 5 处）";
        assert_eq!(catalogue.translated_lines(lines), translated);
    }

    #[test]
    fn what_the_program_says_is_in_the_catalogue() {
        for (english, chinese) in [
            (
                "稿.txt:3: not UTF-8 at byte 7; passed through unchanged",
                "稿.txt:3: 字节 7 处不是 UTF-8；该行原样输出",
            ),
            (
                "m.bin: is a web page, not the model at byte 0: download the file itself (its raw \
                 form), not the page that shows it",
                "m.bin: 是网页，不是模型（字节 0 处）: 请下载文件本身（原始文件），不要下载展示它的网页",
            ),
            (
                "m.bin: the pickle opcode 0x52 is not allowed in a checkpoint at byte 9 (tensor a.b): \
                 nothing of it was executed; if you trust its author, load it in Python and save \
                 only the weights: torch.save(model.state_dict(), path)",
                "m.bin: 检查点中不允许 pickle 操作码 0x52（字节 9 处）（张量 a.b）: 其中的代码没有执行；\
                 如果信任其作者，请在 Python 中载入并只保存权重: torch.save(model.state_dict(), path)",
            ),
            (
                "m.bin: the pickle names a tensor twice, first at byte 5, again at byte 9 (tensor a)",
                "m.bin: pickle 两次命名同一个张量，第一次在字节 5 处，又在字节 9 处（张量 a）",
            ),
            (
                "m.bin: storage 0: has 8 bytes where the pickle says 4 at byte 64",
                "m.bin: 存储 0: 有 8 字节，而 pickle 中写的是 4（字节 64 处）",
            ),
            (
                "m.bin: the shape is [2, 3] where the config asks for [3, 2] at byte 1 (tensor w)",
                "m.bin: 形状是 [2, 3]，而配置要求 [3, 2]（字节 1 处）（张量 w）",
            ),
            (
                "m: cannot open the model: No such file or directory (os error 2): give --model a \
                 folder that exists",
                "m: 无法打开模型: 没有这个文件或文件夹（系统错误 2）: 请给 --model 一个存在的文件夹",
            ),
            (
                "m: is generator, where a discriminator or a token classifier is needed: give the \
                 folder of the other half of the pair (--detector, --generator)",
                "m: 是 generator，而这里需要判别器或词元分类器: 请给出这一对模型中另一半的文件夹\
                 （--detector、--generator）",
            ),
            (
                "a/b: no such file or folder, nor are a/b-discriminator and a/b-generator in the \
                 Hugging Face cache /c: run `hf download a/b-discriminator` and `hf download \
                 a/b-generator`, or `hf download a/b` if it is one model; similar names there: a/c",
                "a/b: 没有这个文件或文件夹，a/b-discriminator 和 a/b-generator 也不在 Hugging Face \
                 缓存 /c 中: 请运行 `hf download a/b-discriminator` 和 `hf download a/b-generator`；\
                 若是单个模型，请运行 `hf download a/b`；缓存中相近的名字有: a/c",
            ),
            (
                "hidden_act \"x\" is not supported (gelu, relu)",
                "不支持 hidden_act \"x\"（支持 gelu, relu）",
            ),
            (
                "--isa avx512: this processor does not have it; it has scalar, avx2",
                "--isa avx512: 本机处理器不支持；支持的有 scalar, avx2",
            ),
            ("kernels: avx2; threads: 8", "内核: avx2；线程: 8"),
            ("generator: m/a b.bin (torch zip)", "生成器: m/a b.bin（torch zip）"),
            ("12 sentences/s, 3m left", "每秒 12 句，剩余 3m"),
            ("a.txt: 1 correction", "a.txt: 1 处改正"),
        ] {
            assert_eq!(CHINESE.translated(english), chinese, "{english:?}");
        }
    }

    #[test]
    fn an_error_of_the_argument_parser_is_translated_line_by_line() {
        let command = || crate::args::Args::command();
        for (typed, chinese) in [
            (
                vec!["zhengzi", "fill", "--fromat", "json"],
                "错误: 不认识的参数 '--fromat'\n\n  提示: 有一个相近的参数: '--format'\n\n用法: ",
            ),
            (
                vec!["zhengzi", "fil"],
                "错误: 没有 'fil' 这个命令\n\n  提示: 有一个相近的命令: 'fill'\n\n用法: ",
            ),
            (vec!["zhengzi", "fill"], "错误: 缺少必需的参数:\n  <TEXT>\n\n用法: "),
            (
                vec!["zhengzi", "fill", "x", "--top-k", "x"],
                "错误: '--top-k <K>' 的值 'x' 无效: 不是整数\n",
            ),
            (
                vec!["zhengzi", "fill", "x", "--top-k", "0"],
                "错误: '--top-k <K>' 的值 '0' 无效: 0 不在 1..=1024 之内\n",
            ),
            (
                vec!["zhengzi", "fill", "x", "--format"],
                "错误: '--format <FORMAT>' 需要一个值，但没有给出\n  [可选值: plain, json]\n",
            ),
            (vec!["zhengzi", "fill", "x", "y"], "错误: 不认识的参数 'y'\n"),
            (vec!["zhengzi", "correct", "x", "-t", "y"], "错误: 参数"),
            (
                vec!["zhengzi", "correct", "--threshold", "2"],
                "错误: '--threshold <P>' 的值 '2' 无效: 概率是 0 到 1 之间的数\n",
            ),
        ] {
            let error = command().try_get_matches_from(typed).unwrap_err().to_string();
            let translated = CHINESE.translated_lines(&error);
            assert!(translated.starts_with(chinese), "{translated}");
            assert!(translated.ends_with("更多说明请用 '--help'。\n"), "{translated}");
        }
    }

    #[test]
    fn a_name_made_of_messages_is_read_in_reasonable_time() {
        for unit in [": ", " at byte ", "; not examined", "a of b is missing: ", "{", "is empty: "]
        {
            let message = unit.repeat(100_000);
            assert!(!CHINESE.translated(&message).is_empty());
            assert!(!Catalogue::parse(&message).translated(&message).is_empty());
        }
    }

    #[test]
    fn the_entries_are_pairs_and_none_is_there_twice() {
        for block in include_str!("../zh.txt").split("\n\n") {
            let lines = block.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
            assert!(matches!(lines.count(), 0 | 2), "not a pair of lines:\n{block}");
        }
        let mut seen = HashSet::new();
        for (english, chinese) in entries(include_str!("../zh.txt")) {
            assert_ne!(english, chinese);
            assert!(seen.insert(english.clone()), "there twice: {english}");
        }
    }

    #[test]
    fn the_holes_of_both_lines_agree_and_no_name_is_taken_for_a_message() {
        for (english, chinese) in entries(include_str!("../zh.txt")) {
            let numbered = |text: &str| pieces(text).into_iter().filter_map(Result::err).count();
            assert_eq!(numbered(&english), numbered(&chinese), "holes of {english}");
            let Some(template) = Template::parse(&english, &chinese) else { continue };
            let used: HashSet<usize> = (template.translation.iter())
                .filter_map(|piece| match piece {
                    Piece::Hole(index) => Some(*index),
                    Piece::Literal(_) => None,
                })
                .collect();
            assert_eq!(used, (0..template.holes.len()).collect(), "holes of {english}");
            let letters = |text: &str| text.chars().filter(char::is_ascii_alphabetic).count();
            let after: usize = template.holes.iter().map(|(_, after)| letters(after)).sum();
            assert!(letters(&template.start) + after >= 3, "matches too much: {english}");
            let begins = letters(&template.start) >= 3;
            assert!(begins || !template.joins, "an entry for each segment: {english}");
        }
    }
}
