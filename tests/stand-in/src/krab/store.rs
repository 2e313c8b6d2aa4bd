//! krab's directory: one process at a time, a file for each key, encrypted.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::lock::lock;

/// The keys.
pub(super) struct Store {
    directory: PathBuf,
    key: LessSafeKey,
    /// Locked for as long as it is open.
    _lock: File,
}

impl Store {
    /// Opens a directory, which nobody else may have open.
    pub(super) fn open(path: &str, password: &str) -> Result<Self, String> {
        let lock = lock(path)?;
        let key = UnboundKey::new(&AES_256_GCM, digest(&SHA256, password.as_bytes()).as_ref());
        let key = LessSafeKey::new(key.map_err(|error| error.to_string())?);
        Ok(Self { directory: PathBuf::from(path), key, _lock: lock })
    }

    /// Stores a key; one of that name must not be there.
    pub(super) fn put(&self, name: &str, private: &[u8]) -> Result<(), String> {
        let path = self.path(name)?;
        if path.exists() {
            return Err("key by that name already exists, refusing to overwrite".to_owned());
        }
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|error| error.to_string())?;
        let mut sealed = private.to_vec();
        let sealing = self.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed);
        sealing.map_err(|error| error.to_string())?;
        fs::write(path, [nonce.as_slice(), &sealed].concat()).map_err(|error| error.to_string())
    }

    /// Reads a key; under another password than its own it cannot be read.
    pub(super) fn get(&self, name: &str) -> Result<Vec<u8>, String> {
        let stored = fs::read(self.path(name)?).map_err(|_| "no key by the given name was found".to_owned())?;
        let (nonce, sealed) = stored.split_at_checked(NONCE_LEN).ok_or("the key is damaged")?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|error| error.to_string())?;
        let mut sealed = sealed.to_vec();
        let opened = self.key.open_in_place(nonce, Aad::empty(), &mut sealed);
        opened.map(|private| private.to_vec()).map_err(|_| "cipher: message authentication failed".to_owned())
    }

    /// Forgets a key, whether it is there or not.
    pub(super) fn delete(&self, name: &str) -> Result<(), String> {
        let _ = fs::remove_file(self.path(name)?);
        Ok(())
    }

    /// The names of all keys.
    pub(super) fn list(&self) -> Result<Vec<String>, String> {
        let entries = fs::read_dir(&self.directory).map_err(|error| error.to_string())?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> = names.filter_map(|name| name.strip_suffix(".key").map(str::to_owned)).collect();
        names.sort();
        Ok(names)
    }

    fn path(&self, name: &str) -> Result<PathBuf, String> {
        if name.is_empty() {
            return Err("key names must be at least one character".to_owned());
        }
        if name.contains('/') || name.starts_with('.') {
            return Err("key names may not contain slashes or begin with a period".to_owned());
        }
        Ok(Path::new(&self.directory).join(format!("{name}.key")))
    }
}

/// A directory for a test, gone afterwards.
#[cfg(test)]
pub(super) struct Directory(PathBuf);

#[cfg(test)]
impl Directory {
    pub(super) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("temporal-stand-in-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    pub(super) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

#[cfg(test)]
impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_process_is_refused() {
        let directory = Directory::new("lock");
        let first = Store::open(directory.path(), "p").unwrap();
        assert!(Store::open(directory.path(), "p").err().unwrap().contains("Cannot acquire directory lock"));
        drop(first);
        assert!(Store::open(directory.path(), "p").is_ok());
    }

    #[test]
    fn another_password_makes_keys_unreadable() {
        let directory = Directory::new("password");
        let store = Store::open(directory.path(), "old").unwrap();
        store.put("ann-key", b"private").unwrap();
        assert_eq!(store.get("ann-key"), Ok(b"private".to_vec()));
        drop(store);
        let store = Store::open(directory.path(), "new").unwrap();
        assert_eq!(store.list(), Ok(vec!["ann-key".to_owned()]));
        assert!(store.get("ann-key").is_err());
    }

    #[test]
    fn key_is_not_overwritten() {
        let directory = Directory::new("overwrite");
        let store = Store::open(directory.path(), "p").unwrap();
        store.put("k", b"1").unwrap();
        assert!(store.put("k", b"2").is_err());
        assert_eq!(store.get("k"), Ok(b"1".to_vec()));
        store.delete("k").unwrap();
        assert!(store.get("k").is_err());
    }

    #[test]
    fn directory_without_a_parent_is_refused() {
        assert!(Store::open("/nowhere/at/all", "p").is_err());
        assert!(Store::open("", "p").is_err());
    }
}
