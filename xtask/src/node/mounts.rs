//! The mounts below our directories.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use rustix::mount::{UnmountFlags, unmount};

/// The mounts at or below these directories, the latest first.
pub fn below(dirs: &[&Path]) -> Result<Vec<PathBuf>> {
    let table = fs::read_to_string("/proc/self/mountinfo").context("cannot read the mounts")?;
    let points = table.lines().filter_map(|line| line.split(' ').nth(4)).map(unescaped);
    let mut points: Vec<PathBuf> = points.filter(|point| dirs.iter().any(|dir| point.starts_with(dir))).collect();
    points.reverse();
    Ok(points)
}

/// Unmounts them.
pub fn remove(dirs: &[&Path]) -> Result<()> {
    for point in below(dirs)? {
        if unmount(&point, UnmountFlags::empty()).is_err() {
            // If busy, it is detached now, and unmounted with its last user.
            unmount(&point, UnmountFlags::DETACH).ok();
        }
    }
    Ok(())
}

/// Removes a directory with its contents, never through a mount.
pub fn remove_dir(dir: &Path) -> Result<()> {
    if let Some(point) = below(&[dir])?.first() {
        bail!("{} not removed: {} is still mounted; unmount it", dir.display(), point.display());
    }
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    Ok(())
}

/// A path of the mount table, where spaces and the like are written in octal.
fn unescaped(field: &str) -> PathBuf {
    let mut text = field.to_owned();
    for (escape, character) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        text = text.replace(escape, character);
    }
    PathBuf::from(text)
}
