//! The workspace's own sources, parsed: the modules of a crate that are compiled into its program or library.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use syn::{Attribute, Item, ItemMod, Meta};

/// Text files of the workspace, by their path below its root. Tests create their own.
pub(crate) type Files = BTreeMap<PathBuf, String>;

/// A file of a crate that is a module, without its tests.
pub(crate) struct Module {
    /// The path of the module in its crate; empty for the root.
    pub(crate) path: Vec<String>,
    /// The file, below the root of the workspace.
    pub(crate) file: PathBuf,
    /// Its content.
    pub(crate) syntax: syn::File,
}

/// Reads all files below some folders of the workspace that have one of these extensions.
pub(crate) fn read(root: &Path, folders: &[&str], extensions: &[&str]) -> Result<Files> {
    let mut files = Files::new();
    for folder in folders {
        walk(root, &root.join(folder), extensions, &mut files)?;
    }
    Ok(files)
}

fn walk(root: &Path, folder: &Path, extensions: &[&str], into: &mut Files) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("could not read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            if !path.ends_with("target") {
                walk(root, &path, extensions, into)?;
            }
        } else if path.extension().is_some_and(|extension| extensions.iter().any(|one| extension == *one)) {
            let text = std::fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
            into.insert(path.strip_prefix(root).unwrap_or(&path).to_owned(), text);
        }
    }
    Ok(())
}

/// The modules of the library in a package's folder, or of its program if it has no library.
pub(crate) fn modules(files: &Files, package: &Path) -> Result<Vec<Module>> {
    let source = package.join("src");
    let root = ["lib.rs", "main.rs"].map(|name| source.join(name)).into_iter().find(|file| files.contains_key(file));
    let mut modules = Vec::new();
    if let Some(root) = root {
        collect(files, &source, Vec::new(), root, &mut modules)?;
    }
    Ok(modules)
}

fn collect(files: &Files, source: &Path, path: Vec<String>, file: PathBuf, into: &mut Vec<Module>) -> Result<()> {
    let text = files.get(&file).map(String::as_str).unwrap_or_default();
    let syntax = syn::parse_file(text).with_context(|| format!("could not parse {}", file.display()))?;
    let mut declared = Vec::new();
    declarations(&syntax.items, &path, &mut declared);
    into.push(Module { path, file, syntax });
    for path in declared {
        let folder: PathBuf = source.join(path.iter().collect::<PathBuf>());
        let candidates = [folder.with_extension("rs"), folder.join("mod.rs")];
        // Without such a file, a build script or another rule provides the module.
        if let Some(file) = candidates.into_iter().find(|file| files.contains_key(file)) {
            collect(files, source, path, file, into)?;
        }
    }
    Ok(())
}

/// The modules with their own files, including those that are declared in inline modules.
fn declarations(items: &[Item], path: &[String], into: &mut Vec<Vec<String>>) {
    for item in items {
        let Item::Mod(ItemMod { attrs, ident, content, .. }) = item else { continue };
        if is_test(attrs) {
            continue;
        }
        let inner = [path, &[ident.to_string()]].concat();
        match content {
            Some((_, items)) => declarations(items, &inner, into),
            None => into.push(inner),
        }
    }
}

/// Whether an item with these attributes is compiled for tests only.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let path = attribute.path();
        let is_test_function = path.segments.last().is_some_and(|last| last.ident == "test");
        let Meta::List(list) = &attribute.meta else { return is_test_function };
        let condition = list.tokens.to_string();
        let words: Vec<&str> = condition.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        is_test_function || (path.is_ident("cfg") && words.contains(&"test") && !words.contains(&"not"))
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Files with these paths and texts.
    pub(crate) fn files(all: &[(&str, &str)]) -> Files {
        all.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect()
    }

    #[test]
    fn modules_of_tests_are_left_out() {
        let files = files(&[
            ("a/src/lib.rs", "mod names; #[cfg(test)] mod fixture; mod desire; mod inline { mod deep; }"),
            ("a/src/names.rs", ""),
            ("a/src/fixture.rs", ""),
            ("a/src/desire.rs", "mod service; #[cfg(not(test))] mod real;"),
            ("a/src/desire/service.rs", ""),
            ("a/src/desire/real.rs", ""),
            ("a/src/inline/deep.rs", ""),
            ("a/src/nowhere.rs", ""),
        ]);
        let modules = modules(&files, Path::new("a")).unwrap();
        let paths: Vec<String> = modules.iter().map(|module| module.path.join("::")).collect();
        assert_eq!(paths, ["", "names", "desire", "desire::service", "desire::real", "inline::deep"]);
    }
}
