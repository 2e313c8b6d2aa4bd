//! The reasons of conditions: the constants that declare them, and the table on the page of each kind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ImplItem, Item, ItemConst, Lit, Meta};

use crate::source::{self, Files, Module, is_test};

const BEGIN: &str = "<!-- reasons: written by `cargo xtask codegen` -->";
const END: &str = "<!-- end of reasons -->";
const COMMON: &str = "common";

/// A reason, as a constant declares it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reason {
    /// The word in the condition.
    pub(super) word: String,
    /// The constant's name.
    pub(super) name: String,
    /// Its doc comment.
    meaning: String,
}

/// All crates, parsed, with the reasons that each declares.
pub(super) struct Crates {
    modules: BTreeMap<String, Vec<Module>>,
    reasons: BTreeMap<String, Vec<Reason>>,
}

impl Crates {
    /// Parses the crates among these files.
    pub(super) fn parse(files: &Files) -> Result<Self> {
        let (mut all, mut reasons) = (BTreeMap::new(), BTreeMap::new());
        for name in packages(files) {
            let modules = source::modules(files, &Path::new("crates").join(&name))?;
            let declared = modules.iter().flat_map(|module| declared(&module.syntax.items)).collect();
            reasons.insert(name.clone(), declared);
            all.insert(name, modules);
        }
        Ok(Self { modules: all, reasons })
    }

    /// The crates, each with its modules.
    pub(super) fn modules(&self) -> impl Iterator<Item = (&str, &[Module])> {
        self.modules.iter().map(|(name, modules)| (name.as_str(), modules.as_slice()))
    }

    /// The reasons that a crate may name, by the names of their constants: its own before shared ones.
    pub(super) fn words(&self, name: &str) -> BTreeMap<&str, &str> {
        let shared = self.reasons.get(COMMON).into_iter().flatten();
        let own = self.reasons.get(name).into_iter().flatten();
        shared.chain(own).map(|reason| (reason.name.as_str(), reason.word.as_str())).collect()
    }

    /// The reasons that objects of a crate's kind can have: its own, and the shared ones that it or the driver uses.
    fn of_kind(&self, name: &str) -> BTreeSet<&Reason> {
        let own: Vec<&Reason> = self.reasons.get(name).into_iter().flatten().collect();
        let of = |name: &str| self.modules.get(name).map(Vec::as_slice).unwrap_or_default();
        let is_driver = |module: &&Module| module.path.first().is_some_and(|first| first == "driver");
        let driver = of(COMMON).iter().filter(is_driver);
        // The shared names that the crate and the driver use, and those that these use in their own file.
        let mut named: BTreeSet<String> =
            of(name).iter().chain(driver).flat_map(|module| words_of(&module.syntax.items)).collect();
        let shared: Vec<&Module> = of(COMMON).iter().filter(|module| !is_driver(module)).collect();
        for module in shared {
            let is_named = module.path.first().is_some_and(|first| named.contains(first));
            if is_named {
                named.extend(reached(&module.syntax.items, &named));
            }
        }
        let shared = self.reasons.get(COMMON).into_iter().flatten();
        own.into_iter().chain(shared.filter(|reason| named.contains(&reason.name))).collect()
    }
}

fn packages(files: &Files) -> BTreeSet<String> {
    let name = |file: &PathBuf| Some(file.strip_prefix("crates").ok()?.iter().next()?.to_str()?.to_owned());
    files.keys().filter_map(name).collect()
}

/// The page with the table of reasons between its marks replaced.
pub(super) fn put(page: &str, name: &str, crates: &Crates) -> Result<String> {
    let (before, rest) = page.split_once(BEGIN).context("the page lacks the mark where its reasons begin")?;
    let (_, after) = rest.split_once(END).context("the page lacks the mark where its reasons end")?;
    let mut rows = vec!["| reason | meaning |".to_owned(), "|---|---|".to_owned()];
    for Reason { word, meaning, .. } in crates.of_kind(name) {
        rows.push(format!("| `{word}` | {} |", meaning.replace('|', "\\|")));
    }
    // Two constants of one crate may have the same word and meaning.
    rows.dedup();
    Ok(format!("{before}{BEGIN}\n{}\n{END}{after}", rows.join("\n")))
}

/// The constants `const NAME: Reason = Reason::new("Word")`, also those in modules without a file.
fn declared(items: &[Item]) -> Vec<Reason> {
    let mut all = Vec::new();
    for item in items {
        match item {
            Item::Const(item) if !is_test(&item.attrs) => all.extend(reason(item)),
            Item::Mod(item) if !is_test(&item.attrs) => {
                all.extend(item.content.iter().flat_map(|(_, items)| declared(items)));
            }
            _ => {}
        }
    }
    all
}

fn reason(item: &ItemConst) -> Option<Reason> {
    let Expr::Call(call) = &*item.expr else { return None };
    let Expr::Path(called) = &*call.func else { return None };
    let names: Vec<String> = called.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    let Some(Expr::Lit(literal)) = call.args.first() else { return None };
    let Lit::Str(word) = &literal.lit else { return None };
    let is_reason = names.ends_with(&["Reason".to_owned(), "new".to_owned()]);
    is_reason.then(|| Reason { word: word.value(), name: item.ident.to_string(), meaning: documentation(&item.attrs) })
}

/// The text of a doc comment, in one line.
fn documentation(attributes: &[Attribute]) -> String {
    let line = |attribute: &Attribute| {
        let Meta::NameValue(pair) = &attribute.meta else { return None };
        let Expr::Lit(literal) = &pair.value else { return None };
        let Lit::Str(text) = &literal.lit else { return None };
        pair.path.is_ident("doc").then(|| text.value().trim().to_owned())
    };
    attributes.iter().filter_map(line).collect::<Vec<_>>().join(" ")
}

/// The identifiers in those functions and constants of a file that are named, directly or by each other.
fn reached(items: &[Item], named: &BTreeSet<String>) -> BTreeSet<String> {
    let mut functions = Functions::default();
    for item in items {
        functions.visit_item(item);
    }
    let mut all = BTreeSet::new();
    loop {
        let is_reached = |name: &String| named.contains(name) || all.contains(name);
        let (now, later): (Vec<_>, Vec<_>) =
            functions.0.into_iter().partition(|(names, _)| names.iter().all(is_reached));
        functions.0 = later;
        if now.is_empty() {
            return all;
        }
        all.extend(now.into_iter().flat_map(|(_, words)| words));
    }
}

/// Functions, methods and constants without those of tests: the names that reach them, and the identifiers that they use.
#[derive(Default)]
struct Functions(Vec<(Vec<String>, BTreeSet<String>)>);

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        let mut words = Words::default();
        words.visit_block(&item.block);
        self.0.push((vec![item.sig.ident.to_string()], words.0));
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let mut kind = Words::default();
        kind.visit_type(&item.self_ty);
        for method in &item.items {
            let ImplItem::Fn(method) = method else { continue };
            let mut words = Words::default();
            words.visit_block(&method.block);
            // A method is reached through its type.
            let names = kind.0.iter().cloned().chain([method.sig.ident.to_string()]);
            self.0.push((names.collect(), words.0));
        }
    }

    fn visit_item_const(&mut self, item: &'ast ItemConst) {
        if reason(item).is_none() {
            let mut words = Words::default();
            words.visit_expr(&item.expr);
            self.0.push((vec![item.ident.to_string()], words.0));
        }
    }
}

/// All identifiers that are used, without those of tests and of declarations of reasons.
fn words_of(items: &[Item]) -> BTreeSet<String> {
    let mut words = Words::default();
    for item in items {
        words.visit_item(item);
    }
    words.0
}

#[derive(Default)]
struct Words(BTreeSet<String>);

impl Words {
    fn take(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => drop(self.0.insert(ident.to_string())),
                TokenTree::Group(group) => self.take(group.stream()),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Words {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_const(&mut self, item: &'ast ItemConst) {
        if reason(item).is_none() {
            visit::visit_item_const(self, item);
        }
    }

    fn visit_ident(&mut self, ident: &'ast proc_macro2::Ident) {
        self.0.insert(ident.to_string());
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.take(called.tokens.clone());
        visit::visit_macro(self, called);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::files;

    fn crates() -> Crates {
        Crates::parse(&files(&[
            ("crates/common/src/lib.rs", "pub mod condition; mod driver; pub mod login; pub mod volume;"),
            (
                "crates/common/src/condition.rs",
                "pub mod reason {
                    /// It works.
                    pub const VERIFIED: Reason = Reason::new(\"Verified\");
                    /// It is too small.
                    pub const TOO_SMALL: Reason = Reason::new(\"TooSmall\");
                    /// Nobody gives it.
                    pub const UNUSED: Reason = Reason::new(\"Unused\");
                }",
            ),
            ("crates/common/src/driver.rs", "fn end() { say(reason::VERIFIED); }"),
            (
                "crates/common/src/login.rs",
                "/// Still in use.\nconst IN_USE: Reason = Reason::new(\"InUse\"); fn a() { b(IN_USE) }",
            ),
            (
                "crates/common/src/volume.rs",
                "fn grow() { inner() } fn inner() { b(reason::TOO_SMALL) } impl Other { fn grow() { b(reason::UNUSED) } }",
            ),
            (
                "crates/lamp/src/lib.rs",
                "fn obstacle() { volume::grow() }
                /// The lamp
                /// is dark.
                pub(crate) const DARK: Reason = Reason::new(\"Dark\");
                #[cfg(test)] mod tests { fn a() { reason::UNUSED; } }",
            ),
        ]))
        .unwrap()
    }

    #[test]
    fn table_has_own_reasons_and_those_that_shared_code_gives() {
        let page = format!("above\n{BEGIN}\nold\n{END}\nbelow\n");
        let put = put(&page, "lamp", &crates()).unwrap();
        let rows = "| reason | meaning |\n|---|---|\n| `Dark` | The lamp is dark. |\n| `TooSmall` | It is too small. |\n| `Verified` | It works. |";
        assert_eq!(put, format!("above\n{BEGIN}\n{rows}\n{END}\nbelow\n"));
    }

    #[test]
    fn page_without_marks_is_refused() {
        let error = put("nothing", "lamp", &crates()).unwrap_err().to_string();
        assert!(error.contains("mark where its reasons begin"), "{error}");
    }

    #[test]
    fn own_constant_hides_a_shared_one_of_its_name() {
        let files = files(&[
            ("crates/common/src/lib.rs", "const SAME: Reason = Reason::new(\"Shared\");"),
            ("crates/lamp/src/lib.rs", "const SAME: Reason = Reason::new(\"Own\");"),
        ]);
        let crates = Crates::parse(&files).unwrap();
        assert_eq!(crates.words("lamp").get("SAME"), Some(&"Own"));
    }
}
