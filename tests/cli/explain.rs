//! `explain`: every form tells the same, what `correct` does; pages and pictures stand alone.

use std::fs;

use serde_json::Value;

use super::{run, zhengzi};

const TEXT: &str = "少先队员因该为老人让坐，<b>公司的经理刚才知道公司的利闰增加了</b>";

fn explained(args: &[&str]) -> String {
    let output = run(zhengzi().arg("explain").args(args), b"");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""), "{args:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn json_says_what_correct_does_and_adds_up() {
    for policy in ["default", "compat"] {
        let args = ["--policy", policy, "--margin=-99", "--format", "json"];
        let told: Value = serde_json::from_str(&explained(&[&args[..], &[TEXT]].concat())).unwrap();
        let output = run(zhengzi().arg("correct").args(args).args(["-t", TEXT]), b"");
        let corrected: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told["corrections"], corrected["corrections"]);
        assert_eq!((&told["target"], &told["read"]), (&corrected["target"], &TEXT.into()));
        assert_eq!(told["policy"], policy);

        let changed = list(&told["suspects"]).iter().filter(|s| s["verdict"] == "changed");
        let mut changed: Vec<&Value> = changed.map(|suspect| &suspect["byte"]).collect();
        changed.sort_by_key(|byte| byte[0].as_u64());
        let corrections = list(&corrected["corrections"]).iter();
        assert_eq!(changed, corrections.map(|correction| &correction["byte"]).collect::<Vec<_>>());
        assert!(!changed.is_empty());

        for suspect in list(&told["suspects"]) {
            let own = suspect["text"].as_str().unwrap();
            let [start, end] = [0, 1].map(|i| suspect["byte"][i].as_u64().unwrap() as usize);
            assert_eq!(&TEXT[start..end], own);
            let weighed = list(&suspect["candidates"]).iter().chain([&suspect["verification"]]);
            for option in weighed.filter(|option| option["score"].is_number()) {
                let products = list(&option["parts"]).iter().map(|part| {
                    let [weight, value, product] =
                        ["weight", "value", "product"].map(|key| part[key].as_f64().unwrap());
                    assert!((weight * value - product).abs() < 1e-3, "{part}");
                    product
                });
                let score = option["score"].as_f64().unwrap();
                assert!((products.sum::<f64>() - score).abs() < 1e-3, "{option}");
            }
        }
    }
}

#[test]
fn json_has_the_map_of_each_head_that_was_asked_for() {
    let places = ["--attention", "1:1", "--attention", "2:1"];
    for network in ["discriminator", "generator"] {
        let args = [&places[..], &["--network", network, "--format", "json", TEXT]].concat();
        let told: Value = serde_json::from_str(&explained(&args)).unwrap();
        let maps = list(&told["attention"]);
        assert_eq!(maps.len(), 2);
        for (map, layer) in maps.iter().zip(1..) {
            assert_eq!((&map["network"], &map["layer"]), (&network.into(), &layer.into()));
            let tokens = list(&map["tokens"]);
            let (first, last) = (&tokens[0], &tokens[tokens.len() - 1]);
            assert_eq!((first, last), (&"[CLS]".into(), &"[SEP]".into()));
            let masks = tokens.iter().filter(|token| **token == "[MASK]").count();
            assert_eq!(masks, usize::from(network == "generator"));
            let rows = list(&map["weights"]);
            assert_eq!(rows.len(), tokens.len());
            for row in rows {
                let sum: f64 = list(row).iter().map(|weight| weight.as_f64().unwrap()).sum();
                assert!((sum - 1.0).abs() < 1e-3 && list(row).len() == tokens.len());
            }
        }
        assert_ne!(maps[0]["weights"], maps[1]["weights"]);
    }
}

#[test]
fn a_page_and_a_picture_are_well_formed_and_need_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    for (name, policy) in [("why.html", "default"), ("why.svg", "default"), ("c.svg", "compat")] {
        let path = folder.path().join(name);
        let path = path.to_str().unwrap();
        let args = ["-o", path, "--policy", policy, "--attention", "1:1", TEXT];
        assert_eq!(explained(&args), "");
        let written = fs::read_to_string(path).unwrap();
        for needs in ["<script", "<link", "@import", "url(", "src=", "href=", "javascript:"] {
            assert!(!written.contains(needs), "{name} holds {needs}");
        }
        // The only addresses are names of namespaces.
        assert_eq!(written.matches("http").count(), written.matches("http://www.w3.org/").count());
        assert!(!written.contains("<b>公"), "{name} takes the text for its own");
        assert!(written.contains("&lt;"), "{name}");
        assert!(written.contains("prefers-color-scheme: dark"), "{name}");
        assert!(written.contains("[CLS]") && written.contains("润"), "{name}");
        well_formed(&written, name);
    }
}

/// That every element that opens closes in turn; `<meta …>` and the like have no end.
fn well_formed(markup: &str, name: &str) {
    const VOID: [&str; 3] = ["meta", "br", "!doctype"];
    let mut open = Vec::new();
    for tag in markup.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').unwrap_or_else(|| panic!("{name}: <{tag}"));
        let word = tag.split([' ', '/']).find(|word| !word.is_empty()).unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(word), "{name}: <{tag}>");
        } else if !tag.ends_with('/') && !VOID.contains(&word) {
            open.push(word);
        }
    }
    assert!(open.is_empty(), "{name}: {open:?} never close");
}

#[test]
fn a_line_too_long_for_a_map_is_refused_and_a_text_too_long_at_all() {
    let long = "字".repeat(127);
    let output = run(zhengzi().args(["explain", "--attention=1:1", "--format=svg", &long]), b"");
    let expected = "zhengzi: --attention: a line has 129 tokens, and a map at most 128: \
                    explain a shorter one\n";
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&output.stderr), expected);

    for line in ["x\n".repeat(10_000), "x".repeat(3 << 20)] {
        let output = run(zhengzi().arg("explain"), line.as_bytes());
        let expected =
            "zhengzi: <stdin>: is longer than 16 KiB: explain a sentence or a paragraph\n";
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}
