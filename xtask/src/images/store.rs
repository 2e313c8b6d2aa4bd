//! The store of archives, with a lock for the one build that may add to them.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};

use crate::place;

/// How many archives of one name are kept: the current one, and a few for downgrades and upgrade tests.
const KEPT: usize = 4;

/// The archives, locked against other builds.
#[derive(Debug)]
pub(super) struct Store {
    dir: PathBuf,
    _lock: File,
}

impl Store {
    /// Locks the archives, and waits for another build if necessary.
    pub(super) fn lock() -> Result<Self> {
        let dir = dir()?;
        let path = dir.join("lock");
        let lock = File::options().create(true).append(true).open(&path);
        let lock = lock.with_context(|| format!("cannot open {}", path.display()))?;
        if lock.try_lock().is_err() {
            eprintln!("waiting for another build of images");
            lock.lock().with_context(|| format!("cannot lock {}", path.display()))?;
        }
        Ok(Self { dir, _lock: lock })
    }

    /// The path of the archive with that key.
    pub(super) fn archive(&self, name: &str, tag: &str, key: &str) -> PathBuf {
        self.dir.join(name).join(format!("{tag}-{key}.tar"))
    }

    /// An empty directory for a build, without the remains of a killed build.
    pub(super) fn work(&self) -> Result<PathBuf> {
        let work = self.dir.join("work");
        self.clean()?;
        fs::create_dir_all(&work).with_context(|| format!("cannot create {}", work.display()))?;
        Ok(work)
    }

    /// Removes the build's directory.
    pub(super) fn clean(&self) -> Result<()> {
        let work = self.dir.join("work");
        match fs::remove_dir_all(&work) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", work.display()))
            }
            _ => Ok(()),
        }
    }

    /// Moves a finished archive to its place and removes the oldest of its name.
    pub(super) fn keep(&self, finished: &Path, archive: &Path) -> Result<()> {
        let dir = archive.parent().unwrap_or(&self.dir);
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        // Written out first: after a power cut the name must not refer to half a file.
        File::open(finished)?.sync_all()?;
        fs::rename(finished, archive).with_context(|| format!("cannot move the image to {}", archive.display()))?;
        let mut all = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            all.push((entry.metadata()?.modified()?, entry.path()));
        }
        all.sort();
        for (_, old) in all.iter().rev().skip(KEPT) {
            fs::remove_file(old).with_context(|| format!("cannot remove {}", old.display()))?;
        }
        Ok(())
    }
}

/// The name of an image in pods.
pub(super) fn reference(name: &str, tag: &str) -> String {
    format!("localhost/temporal-stack/{name}:{tag}")
}

/// Makes an archive the newest of its name, if it exists.
pub(super) fn touch(archive: &Path) -> bool {
    File::options().append(true).open(archive).and_then(|file| file.set_modified(SystemTime::now())).is_ok()
}

/// The last value of [`forget`], or empty: part of every key.
pub(super) fn generation() -> Result<String> {
    Ok(fs::read_to_string(dir()?.join("generation")).unwrap_or_default())
}

/// Changes every key, so that everything is rebuilt.
pub(super) fn forget() -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let file = dir()?.join("generation");
    fs::write(&file, now.to_string()).with_context(|| format!("cannot write {}", file.display()))
}

fn dir() -> Result<PathBuf> {
    let dir = place::cache()?.join("images");
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}
