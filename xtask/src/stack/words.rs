//! That what the documentation and the tests here call a reason, a condition or a kind is called so by the controllers.

use std::collections::BTreeSet;
use std::path::Path;

use crate::place;

/// Words of the documentation that are others' and that no source has.
const OF_OTHERS: [&str; 1] = ["ObjectStore"];

/// Every file below a folder whose name ends so.
fn files(folder: &Path, extensions: &[&str], into: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // Decisions tell of what was, too.
            if !path.ends_with("decisions") && !path.ends_with("target") {
                files(&path, extensions, into);
            }
        } else if path.extension().is_some_and(|extension| extensions.iter().any(|one| extension == *one)) {
            into.push(std::fs::read_to_string(&path).unwrap());
        }
    }
}

fn texts(folders: &[&str], extensions: &[&str]) -> Vec<String> {
    let mut texts = Vec::new();
    for folder in folders {
        files(&place::workspace().join(folder), extensions, &mut texts);
    }
    texts
}

/// Words of at least two parts that begin with a capital.
fn camels(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter(|word| {
        let parts = word.chars().filter(char::is_ascii_uppercase).count();
        let is_camel = word.starts_with(|c: char| c.is_ascii_uppercase()) && parts > 1;
        is_camel && !word.contains(|c: char| c.is_ascii_digit()) && !word.as_bytes()[1].is_ascii_uppercase()
    })
}

/// All reasons of all controllers.
fn reasons() -> BTreeSet<String> {
    let sources = texts(&["crates"], &["rs"]);
    let declared = sources.iter().flat_map(|source| source.split("Reason::new(\"").skip(1));
    declared.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
}

#[test]
fn every_reason_in_fixtures_is_one_of_the_controllers() {
    let reasons = reasons();
    let fixture = include_str!("fixture.rs");
    let named: Vec<&str> =
        fixture.split("condition(\"").skip(1).filter_map(|rest| rest.split_once(')')?.0.split('"').nth(4)).collect();
    assert!(named.len() > 5, "{named:?}");
    for reason in named {
        assert!(reasons.contains(reason), "{reason}");
    }
}

#[test]
fn every_state_that_is_shown_has_a_reason_of_the_controllers() {
    let reasons = reasons();
    let shown = texts(&["docs", "xtask/src/stack"], &["md", "rs"]);
    let lines = shown.iter().flat_map(|text| text.lines()).filter(|line| line.contains("  for "));
    let mut seen = 0;
    for line in lines {
        let before: Vec<&str> = line.split("  for ").next().unwrap_or_default().split_whitespace().collect();
        let [.., state, reason] = before[..] else { continue };
        if ["Ready", "Stalled"].contains(&state) && camels(reason).next() == Some(reason) {
            seen += 1;
            assert!(reasons.contains(reason), "{line}");
        }
    }
    assert!(seen > 4, "{seen}");
}

#[test]
fn every_name_in_the_documentation_exists_in_the_sources() {
    let sources =
        texts(&["crates", "deploy", "tests/src", "xtask/src/node", "xtask/src/images"], &["rs", "yaml", "toml"]);
    let known: BTreeSet<&str> = sources.iter().flat_map(|source| camels(source)).chain(OF_OTHERS).collect();
    for text in texts(&["docs"], &["md"]) {
        let is_code = |line: &&str| line.starts_with("    ");
        let spans = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
        for code in spans.chain(text.lines().filter(is_code)) {
            for name in camels(code) {
                assert!(known.contains(name), "{name}: {code}");
            }
        }
    }
}
