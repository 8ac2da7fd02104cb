//! Documents for other programs hold what their specifications ask, and nothing else: read
//! into structures written after those specifications, which refuse every unknown key. (The
//! schemas themselves: `golden/schemas/validate.py`.) And a diff applies.

mod rdjson;
mod sarif;

use std::fs;
use std::process::Command;

use serde::de::DeserializeOwned;

use super::{run, zhengzi};

const FILES: [(&str, &[u8]); 4] = [
    ("a.txt", "\u{feff}𠀀。e\u{301}。这个问提很难\r\n好\r\n\n我以经会了".as_bytes()),
    ("two 好.txt", "今天新情很好\n一\n二\n三\n四\n五\n六\n七\n八\n我因该去\n".as_bytes()),
    ("broken.txt", b"\xff\n\0 ends here"),
    ("clean.txt", "今天天气很好\n".as_bytes()),
];

#[test]
fn rdjson_is_what_reviewdog_defines() {
    for verb in ["correct", "detect"] {
        let documents = documents::<rdjson::DiagnosticResult>(verb, "rdjson");
        assert!(documents.iter().any(|document| !document.diagnostics.is_empty()));
        for document in documents {
            assert_eq!((&*document.source.name, &*document.severity), ("zhengzi", "WARNING"));
            for diagnostic in document.diagnostics {
                let rdjson::Location { path, range } = &diagnostic.location;
                assert!(!diagnostic.message.is_empty() && !path.is_empty());
                assert_eq!(
                    (&*diagnostic.severity, &*diagnostic.code.value),
                    ("WARNING", "wrong-character")
                );
                assert!(range.start.line >= 1 && range.start.line == range.end.line);
                assert!(range.start.column >= 1 && range.start.column < range.end.column);
                assert_eq!(diagnostic.suggestions.len(), usize::from(verb == "correct"));
                for suggestion in &diagnostic.suggestions {
                    assert!(suggestion.range == *range && !suggestion.text.is_empty());
                }
            }
        }
    }
}

#[test]
fn sarif_is_what_its_standard_defines() {
    for verb in ["correct", "detect"] {
        let documents = documents::<sarif::Log>(verb, "sarif");
        assert!(documents.iter().any(|document| !document.runs[0].results.is_empty()));
        for document in documents {
            assert!(document.schema.ends_with("/sarif-schema-2.1.0.json"), "{}", document.schema);
            assert_eq!((&*document.version, document.runs.len()), ("2.1.0", 1));
            let run = &document.runs[0];
            assert_eq!((&*run.column_kind, &*run.default_encoding), ("unicodeCodePoints", "utf-8"));
            let driver = &run.tool.driver;
            assert_eq!((&*driver.name, driver.version.is_empty()), ("zhengzi", false));
            let [rule] = &driver.rules[..] else { panic!("there is one rule") };
            assert!(!rule.short_description.text.is_empty() && !rule.help.text.is_empty());
            for result in &run.results {
                assert_eq!((&result.rule_id, result.rule_index), (&rule.id, 0));
                assert!(result.level == "warning" && !result.message.text.is_empty());
                assert!((0.0..=1.0).contains(&result.properties["confidence"]));
                assert!(result.partial_fingerprints.values().all(|print| print.len() == 8));
                let place = &result.locations[0].physical_location;
                check_uri(&place.artifact_location);
                let region = place.region.as_ref().unwrap();
                assert!(region.start_line >= 1 && region.start_line == region.end_line);
                assert!(region.start_column >= Some(1) && region.start_column < region.end_column);
                assert_eq!(result.fixes.len(), usize::from(verb == "correct"));
                for change in result.fixes.iter().flat_map(|fix| &fix.artifact_changes) {
                    assert_eq!(change.artifact_location, place.artifact_location);
                    assert_eq!(change.replacements[0].deleted_region, *region);
                    assert!(!change.replacements[0].inserted_content.text.is_empty());
                }
            }
            // An error among the notifications means that the run failed, and the reverse.
            let [invocation] = &run.invocations[..] else { panic!("one run, one invocation") };
            let notifications = &invocation.tool_execution_notifications;
            let failed = notifications.iter().any(|notification| notification.level == "error");
            assert_eq!(invocation.execution_successful, !failed);
            for notification in notifications {
                assert!(!notification.message.text.is_empty());
                check_uri(&notification.locations[0].physical_location.artifact_location);
            }
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn sarif_says_so_when_a_file_could_not_be_read() {
    let output = run(zhengzi().args(["correct", "--format", "sarif", "/proc/self/mem", "-"]), b"");
    assert_eq!(output.status.code(), Some(2));
    let document: sarif::Log = serde_json::from_slice(&output.stdout).unwrap();
    let invocation = &document.runs[0].invocations[0];
    assert!(!invocation.execution_successful);
    let place = &invocation.tool_execution_notifications[0].locations[0].physical_location;
    assert_eq!(place.artifact_location.uri, "file:///proc/self/mem");
    assert_eq!(place.region, None);
}

#[test]
fn a_diff_of_several_files_is_applied_by_git_to_what_correct_writes() {
    let folder = folder();
    let names = FILES.map(|(name, _)| name);
    let diff = zhengzi_in(&folder, &["correct", "-q", "--format", "diff"], &names);
    fs::write(folder.path().join("diff"), diff).unwrap();
    let expected = names.map(|name| zhengzi_in(&folder, &["correct", "-q"], &[name]));
    let mut git = Command::new("git");
    git.args(["apply", "--whitespace=nowarn", "diff"]).current_dir(&folder);
    git.env("GIT_CEILING_DIRECTORIES", folder.path().parent().unwrap());
    match git.output() {
        Err(error) => eprintln!("not tried: git: {error}"),
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            for (name, expected) in names.iter().zip(expected) {
                assert!(fs::read(folder.path().join(name)).unwrap() == expected, "{name}");
            }
        }
    }
}

/// What the command writes of nothing, of standard input, of texts and of the files.
fn documents<T: DeserializeOwned>(verb: &str, format: &str) -> Vec<T> {
    let folder = folder();
    let texts = ["-t", "今天新情很好", "-t", "这个问提很难"];
    [&[][..], &["-"], &texts, &FILES.map(|(name, _)| name)]
        .iter()
        .map(|inputs| {
            let document = zhengzi_in(&folder, &[verb, "-q", "--format", format], inputs);
            serde_json::from_slice(&document)
                .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&document)))
        })
        .collect()
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    FILES.iter().for_each(|(name, bytes)| fs::write(folder.path().join(name), bytes).unwrap());
    folder
}

fn zhengzi_in(folder: &tempfile::TempDir, args: &[&str], inputs: &[&str]) -> Vec<u8> {
    run(zhengzi().args(args).args(inputs).current_dir(folder), "这个问提很难".as_bytes()).stdout
}

/// RFC 3986: only these characters, and `%` with two digits. Without a file, a description.
fn check_uri(location: &sarif::ArtifactLocation) {
    let mut parts = location.uri.split('%');
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/:".contains(c);
    assert!(parts.next().unwrap().chars().all(plain), "{}", location.uri);
    for part in parts {
        let (hexadecimal, rest) = part.split_at(2);
        assert!(u8::from_str_radix(hexadecimal, 16).is_ok() && rest.chars().all(plain));
    }
    let is_file = location.uri.contains(".txt");
    assert_eq!(location.description.is_none(), is_file, "{}", location.uri);
}
