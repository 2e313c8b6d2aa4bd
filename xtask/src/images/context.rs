//! The files that an image is built from, read once, so that the hashed files are those that are built.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

/// A build context in memory.
#[derive(Debug, Default)]
pub(super) struct Context {
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Context {
    /// All files below a folder.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let mut context = Self::default();
        let mut folders = vec![folder.to_owned()];
        while let Some(dir) = folders.pop() {
            for entry in fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    context.add(path.strip_prefix(folder)?, &path)?;
                }
            }
        }
        Ok(context)
    }

    /// Adds one file under a name.
    pub(super) fn add(&mut self, name: impl AsRef<Path>, file: &Path) -> Result<()> {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        self.files.insert(name.as_ref().to_owned(), bytes);
        Ok(())
    }

    /// A key that changes with any file's name or content, and with any of the `parts`.
    pub(super) fn key(&self, parts: &[&str]) -> String {
        let mut hash = Sha256::new();
        let mut add = |bytes: &[u8]| {
            hash.update(bytes.len().to_be_bytes());
            hash.update(bytes);
        };
        for text in parts {
            add(text.as_bytes());
        }
        for (name, bytes) in &self.files {
            add(name.as_os_str().as_encoded_bytes());
            add(bytes);
        }
        let start = hash.finalize().iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        format!("{start:016x}")
    }

    /// Writes the files into a directory; the Containerfile sets their modes.
    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        for (name, bytes) in &self.files {
            let path = dir.join(name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(files: &[(&str, &str)]) -> Context {
        Context { files: files.iter().map(|(name, text)| (PathBuf::from(name), text.as_bytes().to_vec())).collect() }
    }

    #[test]
    fn same_files_have_the_same_key() {
        assert_eq!(context(&[("a", "1"), ("b", "2")]).key(&["x"]), context(&[("b", "2"), ("a", "1")]).key(&["x"]));
    }

    #[test]
    fn byte_moved_between_files_changes_the_key() {
        let keys = [
            context(&[("a", "12")]).key(&["x"]),
            context(&[("a1", "2")]).key(&["x"]),
            context(&[("a", "1"), ("b", "2")]).key(&["x"]),
            context(&[("a", "12")]).key(&["x", ""]),
            context(&[("a", "12")]).key(&["xa"]),
        ];
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }
}
