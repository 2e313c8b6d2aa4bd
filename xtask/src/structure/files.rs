//! The files that every controller's crate has, so that a reader of one finds everything in the next.

use std::path::Path;

use syn::Item;

use super::Violation;
use crate::source::{Files, Module, is_test};

/// The files of a controller's crate and what each holds. A concern with several files has a folder of its name.
const FILES: &[(&str, &str)] = &[
    ("src/main.rs", "one line: run the program of this component"),
    ("src/lib.rs", "the crate's story, the component, and each method of `impl Component` in one line"),
    ("src/names.rs", "names, labels, annotations and ports"),
    ("src/observed.rs", "what a pass knows: plain data"),
    ("src/observe.rs", "how that is gathered: reads only"),
    ("src/access.rs", "where the product is and with which credentials"),
    ("src/decide.rs", "validation, view and intent"),
    ("src/decide/restart.rs", "whether a pod may be restarted now"),
    ("src/decide/rotation.rs", "the next login or shared secret"),
    (REASONS, "the closed list of the reasons of its conditions"),
    ("src/desire.rs", "the bill of materials"),
    ("src/act.rs", "one call for each action"),
    ("src/verify.rs", "uses the product through the probe"),
    ("src/status.rs", "fields and conditions"),
    ("src/fixture.rs", "what the tests of this crate start from"),
    (README, "what it is and how to deploy it alone, in about thirty lines"),
];
/// Only if the kind reads settings of the user from a ConfigMap or a Secret.
const SETTINGS: (&str, &str) = ("src/settings.rs", "the user's ConfigMap or Secret, and what becomes of each key");
/// Crates whose kind reads no settings.
const WITHOUT_SETTINGS: &[&str] = &["storage", "mesh"];
const README: &str = "README.md";
const REASONS: &str = "src/reason.rs";
/// The root of a controller's crate is a table of contents.
const LONGEST_LIB: usize = 90;
/// The shortest and the longest README of a crate.
const README_LINES: std::ops::RangeInclusive<usize> = 20..=45;

/// The files that the crate in `package` lacks, if it is a controller's; and its root or README if they have the wrong length.
pub(super) fn missing(files: &Files, package: &Path, modules: &[Module]) -> Vec<Violation> {
    if !modules.iter().any(|module| has_component(&module.syntax.items)) {
        return Vec::new();
    }
    let reads = !package.file_name().is_some_and(|name| WITHOUT_SETTINGS.iter().any(|one| name == *one));
    let expected = FILES.iter().chain(reads.then_some(&SETTINGS));
    let absent = expected.filter(|(name, _)| !files.contains_key(&package.join(name)));
    let mut all: Vec<Violation> = absent
        .map(|(name, holds)| Violation::new(package, format!("missing {name}"), format!("add it: {holds}")))
        .collect();
    all.extend(misplaced_reasons(files, package));
    let lines = |name: &str| files.get(&package.join(name)).map(|text| text.lines().count());
    if let Some(count) = lines("src/lib.rs").filter(|count| *count > LONGEST_LIB) {
        let message =
            format!("it has {count} lines, more than {LONGEST_LIB}: move what is not a line of the component");
        all.push(Violation::new(&package.join("src/lib.rs"), "long root", message));
    }
    if let Some(count) = lines(README).filter(|count| !README_LINES.contains(count)) {
        let message =
            format!("it has {count} lines instead of about thirty: what the controller is, and how to deploy it alone");
        all.push(Violation::new(&package.join(README), "length of the README", message));
    }
    all
}

/// The files that declare reasons although they are not the list of reasons.
fn misplaced_reasons(files: &Files, package: &Path) -> Vec<Violation> {
    let list = package.join(REASONS);
    let sources = files.iter().filter(|(path, _)| path.starts_with(package.join("src")) && **path != list);
    let strewn = sources.filter(|(_, text)| text.contains("Reason::new("));
    strewn
        .map(|(path, _)| Violation::new(path, "reason", format!("declare it in {REASONS}, the closed list")))
        .collect()
}

/// Whether a component is implemented here: `impl Component for …`.
fn has_component(items: &[Item]) -> bool {
    items.iter().any(|item| match item {
        Item::Impl(item) => {
            let implemented = item.trait_.as_ref().and_then(|(_, path, _)| path.segments.last());
            implemented.is_some_and(|last| last.ident == "Component") && !is_test(&item.attrs)
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{modules, tests::files};

    const COMPONENT: &str = "impl Component for Queue { const NAME: &'static str = \"queue\"; }";

    fn keys(all: &[(&str, &str)]) -> Vec<String> {
        let files = files(all);
        let package = Path::new("crates/lamp");
        missing(&files, package, &modules(&files, package).unwrap()).into_iter().map(|one| one.key).collect()
    }

    fn complete() -> Vec<(&'static str, String)> {
        let text = |name: &str| match name {
            "src/lib.rs" => COMPONENT.to_owned(),
            README => "a line\n".repeat(30),
            _ => String::new(),
        };
        FILES.iter().chain([&SETTINGS]).map(|(name, _)| (*name, text(name))).collect()
    }

    fn with(change: impl Fn(&str) -> Option<String>) -> Vec<String> {
        let all: Vec<(String, String)> = complete()
            .into_iter()
            .filter_map(|(name, text)| {
                let text = match change(name) {
                    Some(changed) if changed.is_empty() => return None,
                    Some(changed) => changed,
                    None => text,
                };
                Some((format!("crates/lamp/{name}"), text))
            })
            .collect();
        keys(&all.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect::<Vec<_>>())
    }

    #[test]
    fn complete_crate_breaks_no_rule() {
        assert!(with(|_| None).is_empty());
    }

    #[test]
    fn missing_file_is_named() {
        let without = |missing: &'static str| with(move |name| (name == missing).then(String::new));
        assert_eq!(without("src/decide.rs"), ["crates/lamp: missing src/decide.rs"]);
        assert_eq!(without(README), ["crates/lamp: missing README.md"]);
    }

    #[test]
    fn long_root_and_short_readme_are_named() {
        let long = format!("{COMPONENT}\n{}", "// more\n".repeat(LONGEST_LIB));
        let found = with(|name| (name == "src/lib.rs").then(|| long.clone()));
        assert_eq!(found, ["crates/lamp/src/lib.rs: long root"]);
        let found = with(|name| (name == README).then(|| "short\n".to_owned()));
        assert_eq!(found, ["crates/lamp/README.md: length of the README"]);
    }

    #[test]
    fn reason_beside_the_list_is_named() {
        let declared = "const SILENT: Reason = Reason::new(\"Silent\");";
        let reasons_in = |file: &'static str| with(move |name| (name == file).then(|| declared.to_owned()));
        assert_eq!(reasons_in("src/status.rs"), ["crates/lamp/src/status.rs: reason"]);
        assert!(reasons_in(REASONS).is_empty());
    }

    #[test]
    fn crate_without_a_component_may_have_any_files() {
        assert!(keys(&[("crates/lamp/src/lib.rs", "mod a;")]).is_empty());
    }
}
