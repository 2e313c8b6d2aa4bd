//! Limits on the length of files and functions.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Block, ImplItemFn, ItemFn, ItemMod, Signature, TraitItemFn};

use super::Violation;
use crate::source::{Files, is_test};

/// The maximum lines of a file, including its tests.
const LONGEST_FILE: usize = 350;
/// The maximum lines of a function, from its name to its closing brace.
const LONGEST_FUNCTION: usize = 60;

/// Files that are too long.
pub(super) fn long_files(files: &Files) -> Vec<Violation> {
    let sources = files.iter().filter(|(file, _)| is_source(file));
    let long = sources.map(|(file, text)| (file, text.lines().count())).filter(|(_, count)| *count > LONGEST_FILE);
    long.map(|(file, count)| {
        let message = format!("it has {count} lines, more than {LONGEST_FILE}: split it by concern");
        Violation::new(file, "long file", message)
    })
    .collect()
}

/// Functions of programs and libraries that are too long, except those of tests.
pub(super) fn long_functions(files: &Files) -> Result<Vec<Violation>> {
    let mut all = Vec::new();
    for (file, text) in files.iter().filter(|(file, _)| is_production(file)) {
        let syntax = syn::parse_file(text).with_context(|| format!("could not parse {}", file.display()))?;
        let mut functions = Functions::default();
        functions.visit_file(&syntax);
        for (name, line, count) in functions.long {
            let message = format!(
                "it has {count} lines from line {line} on, more than {LONGEST_FUNCTION}: move a step into a function of its own"
            );
            all.push(Violation::new(file, format!("long function {name}"), message));
        }
    }
    Ok(all)
}

fn is_source(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "rs")
}

/// In the sources of a package in `crates/`, or of `xtask`, and not one of its files of tests.
fn is_production(file: &Path) -> bool {
    let below = file.strip_prefix("crates").ok().map(|file| file.iter().skip(1).collect());
    let below: Option<PathBuf> = below.or_else(|| file.strip_prefix("xtask").ok().map(Path::to_owned));
    let is_of_tests = file.file_stem().is_some_and(|stem| stem == "tests") || file.iter().any(|part| part == "tests");
    is_source(file) && below.is_some_and(|file| file.starts_with("src")) && !is_of_tests
}

#[derive(Default)]
struct Functions {
    long: Vec<(String, usize, usize)>,
}

impl Functions {
    fn measure(&mut self, attributes: &[Attribute], signature: &Signature, block: &Block) {
        let (first, last) = (signature.span().start().line, block.span().end().line);
        let count = last + 1 - first;
        if count > LONGEST_FUNCTION && !is_test(attributes) {
            self.long.push((signature.ident.to_string(), first, count));
        }
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.measure(&item.attrs, &item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.measure(&item.attrs, &item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if let Some(block) = &item.default {
            self.measure(&item.attrs, &item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::files;

    fn function(name: &str, lines: usize) -> String {
        format!("fn {name}() {{\n{}}}\n", "    step();\n".repeat(lines - 2))
    }

    fn keys(text: &str) -> Vec<String> {
        let files = files(&[("crates/a/src/b.rs", text)]);
        long_functions(&files).unwrap().into_iter().map(|one| one.key).collect()
    }

    #[test]
    fn long_function_is_named_wherever_it_stands() {
        let (long, just) = (function("long", LONGEST_FUNCTION + 1), function("just", LONGEST_FUNCTION));
        assert_eq!(keys(&format!("{just}{long}")), ["crates/a/src/b.rs: long function long"]);
        assert_eq!(keys(&format!("impl A {{ {long} }} mod inner {{ trait B {{ {long} }} }}")).len(), 2);
    }

    #[test]
    fn long_functions_of_tests_are_permitted() {
        let long = function("long", 100);
        assert!(keys(&format!("#[cfg(test)] mod tests {{ {long} }}")).is_empty());
        assert!(keys(&format!("#[test] {long}")).is_empty());
        assert!(!is_production(Path::new("crates/a/tests/b.rs")));
        assert!(!is_production(Path::new("crates/a/src/b/tests.rs")));
        assert!(!is_production(Path::new("xtask/tests/b.rs")));
    }

    #[test]
    fn sources_of_each_crate_but_the_tests_are_measured() {
        for file in ["crates/a/src/b.rs", "crates/a/src/b/c.rs", "xtask/src/b.rs"] {
            assert!(is_production(Path::new(file)), "{file}");
        }
        assert!(!is_production(Path::new("tests/src/b.rs")));
    }

    #[test]
    fn long_file_is_named_with_its_length() {
        let (long, just) = ("//\n".repeat(LONGEST_FILE + 1), "//\n".repeat(LONGEST_FILE));
        let files = files(&[("crates/a/src/b.rs", &long), ("tests/src/c.rs", &just), ("crates/a/README.md", &long)]);
        let found = long_files(&files);
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().contains("crates/a/src/b.rs: long file; it has 351 lines"), "{}", found[0]);
    }
}
