//! Directories that one process has to itself.

use std::fs::{self, File};

/// Locks a directory as Badger does: nobody else may use it.
pub(crate) fn lock(path: &str) -> Result<File, String> {
    if !fs::exists(path).unwrap_or_default() {
        // Its parent must be there.
        fs::create_dir(path).map_err(|error| format!("Error Creating Dir: {path:?}: {error}"))?;
    }
    let file = File::create(format!("{path}/LOCK")).map_err(|error| format!("cannot open {path}/LOCK: {error}"))?;
    file.try_lock().map_err(|_| {
        format!("Cannot acquire directory lock on {path:?}.  Another process is using this Badger database.")
    })?;
    Ok(file)
}
