//! Tests that reasons, conditions and kinds in the documentation and in these tests exist in the controllers.

use std::collections::BTreeSet;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{ItemMod, Lit, LitStr, Macro};

use super::ALL_DATA;
use super::component::NORMALLY_FALSE;
use crate::{place, source};

/// Conditions whose normal status is `True`.
const NORMALLY_TRUE: [&str; 25] = [
    "AdminsReady",
    "BucketsReady",
    "CertificatesValid",
    "ConfigHonoured",
    "ContinuousArchiving",
    "CredentialsPrivate",
    "Delegated",
    "DependenciesReady",
    "DrivesHealthy",
    "EngineMaintained",
    "FailoverReady",
    "IdentityValid",
    "Injected",
    "MeshInstalled",
    "Migrated",
    "PeersConnected",
    "PinsHealthy",
    "PolicyEnforced",
    "QueuesReplicated",
    "QueuesServed",
    "QuorumSafe",
    "Ready",
    "StorageAvailable",
    "TrafficHealthy",
    "VolumesKept",
];

/// Constants in the sources that look like conditions: kinds of Kubernetes, a code of MinIO.
const NO_CONDITIONS: [&str; 3] = ["Pod", "ReplicaSet", "XMinioAdminNoSuchUser"];

/// Foreign words in the documentation that no source has.
const OF_OTHERS: [&str; 1] = ["ObjectStore"];

/// States of `xtask status` itself, without a controller's report.
const OF_XTASK: [&str; 4] = ["NotAvailable", "NotInstalled", "NotReconciled", "ScaledToZero"];

/// Every file below a folder whose name ends so.
fn files(folder: &Path, extensions: &[&str], into: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // Decisions also describe earlier states.
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

/// All constants of all controllers that could be the type of a condition.
fn conditions() -> BTreeSet<String> {
    let sources = texts(&["crates"], &["rs"]);
    let declared = sources.iter().flat_map(|source| source.split(": &str = \"").skip(1));
    let declared = declared.filter_map(|rest| rest.split_once("\";")).map(|(name, _)| name);
    let declared = declared.filter(|name| {
        let is_word = name.chars().all(|c| c.is_ascii_alphabetic());
        is_word && name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase)
    });
    declared.filter(|name| !NO_CONDITIONS.contains(name)).map(str::to_owned).collect()
}

#[test]
fn every_condition_has_a_normal_status() {
    let known: BTreeSet<String> =
        NORMALLY_TRUE.iter().chain(NORMALLY_FALSE).map(|condition| (*condition).to_owned()).collect();
    assert_eq!(conditions(), known, "add new conditions to NORMALLY_FALSE or NORMALLY_TRUE");
    assert!(NORMALLY_TRUE.iter().all(|condition| !NORMALLY_FALSE.contains(condition)));
}

#[test]
fn every_reason_in_fixtures_is_declared() {
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
fn every_shown_state_has_a_declared_reason() {
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

#[test]
fn commands_that_list_data_name_all_kinds() {
    let mut seen = 0;
    for text in texts(&["docs", "xtask/src"], &["md", "rs"]) {
        // A command that continues on the next line, on a page and in a source.
        let text = text.replace("\\\n", " ").replace("\\\\\\n", " ");
        for line in text.lines() {
            let line = line.replace('}', "");
            let Some((_, command)) = line.split_once("kubectl get ") else { continue };
            let is_of_data =
                ["temporal-stack.dev/data=true", "{DATA"].iter().any(|selector| command.contains(selector));
            if is_of_data {
                seen += 1;
                let kinds = command.split(' ').next().unwrap_or_default();
                assert!([ALL_DATA, "{kinds"].contains(&kinds), "{line}");
            }
        }
    }
    assert!(seen > 1, "{seen}");
}

/// The cells of the tables in a section of a page; the last of each row is prose.
fn cells<'a>(page: &'a str, section: &str) -> impl Iterator<Item = Vec<&'a str>> {
    let lines =
        page.lines().skip_while(move |line| *line != section).skip(1).take_while(|line| !line.starts_with("## "));
    lines.filter(|line| line.starts_with('|')).map(|line| line.trim_matches('|').split(" | ").collect())
}

#[test]
fn every_reason_in_the_tables_of_kinds_is_declared() {
    let reasons = reasons();
    let mut seen = BTreeSet::new();
    for page in texts(&["docs/kinds"], &["md"]) {
        for row in cells(&page, "## Conditions and reasons") {
            for word in row.iter().take(row.len() - 1).flat_map(|cell| cell.split('`').skip(1).step_by(2)) {
                assert!(reasons.contains(word), "{word} is no reason of a controller: {row:?}");
                seen.insert(word.to_owned());
            }
        }
    }
    assert!(seen.len() > 30, "{seen:?}");
}

/// The texts of a source's production code.
#[derive(Default)]
struct Texts(Vec<String>);

impl Texts {
    fn take(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Literal(literal) => {
                    if let Lit::Str(text) = Lit::new(literal) {
                        self.0.push(text.value());
                    }
                }
                TokenTree::Group(group) => self.take(group.stream()),
                TokenTree::Ident(_) | TokenTree::Punct(_) => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Texts {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !source::is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_lit_str(&mut self, text: &'ast LitStr) {
        self.0.push(text.value());
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        self.take(called.tokens.clone());
    }
}

#[test]
fn every_reason_that_xtask_compares_with_exists() {
    let sources = texts(&["crates", "deploy"], &["rs", "yaml", "toml"]);
    let known: BTreeSet<&str> = sources.iter().flat_map(|source| camels(source)).chain(OF_XTASK).collect();
    let files = source::read(place::workspace(), &["xtask/src/stack"], &["rs"]).unwrap();
    let mut seen = 0;
    for (file, text) in &files {
        let is_of_tests = ["words.rs", "fixture.rs"].iter().any(|name| file.ends_with(name));
        if is_of_tests {
            continue;
        }
        let mut texts = Texts::default();
        texts.visit_file(&syn::parse_file(text).unwrap());
        for text in texts.0 {
            // Whole literals only: words in a sentence are not compared with anything.
            if camels(&text).next() == Some(&*text) {
                seen += 1;
                assert!(known.contains(&*text), "{text} in {}", file.display());
            }
        }
    }
    assert!(seen > 3, "{seen}");
}
