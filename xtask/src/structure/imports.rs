//! The imports between files of a crate; no two files may import each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, Macro, UseTree};

use super::Violation;
use crate::source::{Module, is_test};

/// A module in a file of its own, by its path.
type Node = Vec<String>;
type Graph = BTreeMap<Node, BTreeSet<Node>>;

/// One violation for a crate whose files import each other, with all circles that were found.
pub(super) fn cycles(package: &Path, modules: &[Module]) -> Option<Violation> {
    let graph = graph(modules);
    let circles: Vec<String> = circles(&graph).iter().map(|circle| shown(circle, modules, package)).collect();
    let message = "move what both need into a file that imports neither";
    (!circles.is_empty())
        .then(|| Violation::new(package, "import cycle", format!("{}: {message}", circles.join(", and "))))
}

/// A circle by the files of its modules, the first of them at the end again.
fn shown(circle: &[Node], modules: &[Module], package: &Path) -> String {
    let file = |node: &Node| {
        let module = modules.iter().find(|module| module.path == *node)?;
        Some(module.file.strip_prefix(package).unwrap_or(&module.file).display().to_string())
    };
    circle.iter().chain(circle.first()).filter_map(file).collect::<Vec<_>>().join(" → ")
}

/// The imports of each file; parents and children are one concern.
fn graph(modules: &[Module]) -> Graph {
    let nodes: BTreeSet<&Node> = modules.iter().map(|module| &module.path).collect();
    let mut graph = Graph::new();
    for module in modules {
        let mut imports = Imports { module: module.path.clone(), paths: Vec::new() };
        imports.visit_file(&module.syntax);
        let imported = imports.paths.iter().filter_map(|path| file_of(path, &nodes));
        let others = imported.filter(|other| !other.starts_with(&module.path) && !module.path.starts_with(other));
        graph.insert(module.path.clone(), others.collect());
    }
    graph
}

/// The module with a file of its own that is the longest part of a path.
fn file_of(path: &[String], nodes: &BTreeSet<&Node>) -> Option<Node> {
    (0..=path.len()).rev().map(|length| path[..length].to_vec()).find(|prefix| nodes.contains(prefix))
}

/// The shortest circle through each file that is part of one, each circle once.
fn circles(graph: &Graph) -> Vec<Vec<Node>> {
    let mut covered = BTreeSet::new();
    let mut all = Vec::new();
    for node in graph.keys() {
        if covered.contains(node) {
            continue;
        }
        if let Some(circle) = circle_through(node, graph) {
            covered.extend(circle.iter().cloned());
            all.push(circle);
        }
    }
    all
}

fn circle_through(start: &Node, graph: &Graph) -> Option<Vec<Node>> {
    let mut paths = std::collections::VecDeque::from([vec![start.clone()]]);
    let mut seen = BTreeSet::new();
    while let Some(path) = paths.pop_front() {
        for next in path.last().and_then(|last| graph.get(last)).into_iter().flatten() {
            if next == start {
                return Some(path);
            }
            if seen.insert(next.clone()) {
                paths.push_back([&path[..], std::slice::from_ref(next)].concat());
            }
        }
    }
    None
}

/// The paths of the own crate that a file names, in imports and in expressions.
struct Imports {
    /// The current module: the file's module, or one within it.
    module: Node,
    paths: Vec<Node>,
}

impl Imports {
    /// Takes a path that begins with `crate`, `self` or `super`; others lead out of the crate, or to imported names.
    fn take(&mut self, path: &[String]) {
        let Some((first, mut rest)) = path.split_first() else { return };
        let mut resolved = match first.as_str() {
            "crate" => Vec::new(),
            "self" => self.module.clone(),
            "super" => self.module[..self.module.len().saturating_sub(1)].to_vec(),
            _ => return,
        };
        while let Some((_, further)) = rest.split_first().filter(|(first, _)| *first == "super") {
            resolved.pop();
            rest = further;
        }
        resolved.extend(rest.iter().cloned());
        self.paths.push(resolved);
    }

    fn take_tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: String| [before, &[name]].concat();
        match tree {
            UseTree::Path(path) => self.take_tree(&with(path.ident.to_string()), &path.tree),
            UseTree::Name(name) => self.take(&with(name.ident.to_string())),
            UseTree::Rename(rename) => self.take(&with(rename.ident.to_string())),
            UseTree::Glob(_) => self.take(before),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.take_tree(before, tree)),
        }
    }

    /// Paths in the arguments of macros, which are tokens only.
    fn take_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) if path.is_empty() || colons == 2 => path.push(ident.to_string()),
                TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() && colons < 2 => {
                    colons += 1;
                    continue;
                }
                other => {
                    self.take(&std::mem::take(&mut path));
                    match other {
                        TokenTree::Group(group) => self.take_tokens(group.stream()),
                        TokenTree::Ident(ident) => path.push(ident.to_string()),
                        TokenTree::Punct(_) | TokenTree::Literal(_) => {}
                    }
                }
            }
            colons = 0;
        }
        self.take(&path);
    }
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        // Only inline modules: a module in its own file is visited separately.
        if item.content.is_some() {
            self.module.push(item.ident.to_string());
            visit::visit_item_mod(self, item);
            self.module.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.take_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.take(&path.segments.iter().map(|segment| segment.ident.to_string()).collect::<Vec<_>>());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        self.take_tokens(called.tokens.clone());
        visit::visit_macro(self, called);
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{modules, tests::files};

    /// The circles of a crate with these modules.
    fn found(all: &[(&str, &str)]) -> Vec<String> {
        let top: Vec<&str> = all.iter().map(|(name, _)| *name).filter(|name| !name.contains('/')).collect();
        let root = format!("mod {};", top.join("; mod "));
        let mut texts = vec![("a/src/lib.rs".to_owned(), root)];
        texts.extend(all.iter().map(|(name, text)| (format!("a/src/{name}.rs"), (*text).to_owned())));
        let files = files(&texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect::<Vec<_>>());
        let modules = modules(&files, Path::new("a")).unwrap();
        circles(&graph(&modules)).iter().map(|circle| shown(circle, &modules, Path::new("a/src"))).collect()
    }

    #[test]
    fn files_that_import_each_other_are_a_circle() {
        assert_eq!(found(&[("x", "use crate::y::{A, B};"), ("y", "use super::x::C;")]), ["x.rs → y.rs → x.rs"]);
        assert_eq!(
            found(&[("x", "use crate::y::A;"), ("y", "use crate::z;"), ("z", "use crate::x;")]),
            ["x.rs → y.rs → z.rs → x.rs"]
        );
        assert!(found(&[("x", "use crate::z;"), ("y", "use crate::{x, z};"), ("z", "")]).is_empty());
    }

    #[test]
    fn paths_in_expressions_and_macros_are_imports() {
        let calls = ("x", "fn a() { crate::y::b(1); }");
        assert_eq!(found(&[calls, ("y", "fn b() { format!(\"{}\", f(super::x::A)); }")]), ["x.rs → y.rs → x.rs"]);
        assert_eq!(found(&[calls, ("y", "type B = Vec<crate::x::A>;")]), ["x.rs → y.rs → x.rs"]);
    }

    #[test]
    fn parents_children_and_tests_are_no_circle() {
        assert!(found(&[("x", "mod y; use self::y::A;"), ("x/y", "use super::B; use crate::x::C;")]).is_empty());
        let tests = "#[cfg(test)] mod tests { use crate::x::A; } #[cfg(test)] use crate::x::B;";
        assert!(found(&[("x", "use crate::y;"), ("y", tests)]).is_empty());
    }

    #[test]
    fn circle_between_children_of_one_module_is_found() {
        let parent = ("x", "mod y; mod z;");
        assert_eq!(
            found(&[parent, ("x/y", "use super::z::A;"), ("x/z", "use crate::x::y;")]),
            ["x/y.rs → x/z.rs → x/y.rs"]
        );
    }
}
