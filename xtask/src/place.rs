//! The directories: no other file knows them.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::{Context as _, Result};

/// The directory of reproducible files: built programs, image archives, logs of runs.
pub fn cache() -> Result<PathBuf> {
    xdg("XDG_CACHE_HOME", ".cache").map(|dir| dir.join("temporal-stack"))
}

/// The directory of a local cluster's state: etcd's data, keys, volumes, imported images. `TEMPORAL_STACK_NODE_DIR` overrides it.
pub fn node() -> Result<PathBuf> {
    if let Some(dir) = env::var_os("TEMPORAL_STACK_NODE_DIR").filter(|dir| !dir.is_empty()) {
        return std::path::absolute(dir).context("TEMPORAL_STACK_NODE_DIR invalid: it is not a path");
    }
    if is_root() {
        return Ok(PathBuf::from("/var/lib/temporal-stack"));
    }
    xdg("XDG_STATE_HOME", ".local/state").map(|dir| dir.join("temporal-stack"))
}

/// The directory of files that do not survive a reboot: sockets, process ids, locks.
pub fn run() -> PathBuf {
    if is_root() {
        return PathBuf::from("/run/temporal-stack");
    }
    let base = env::var_os("XDG_RUNTIME_DIR").map_or_else(env::temp_dir, PathBuf::from);
    base.join("temporal-stack")
}

/// The checkout's root.
///
/// Cargo names the package that it runs, which differs from where it was built if checkouts share a target directory.
pub fn workspace() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let run = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let built = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let roots = run.into_iter().chain([built]).filter_map(|package| package.parent().map(Path::to_path_buf));
        roots.into_iter().find(|root| root.join("xtask").is_dir()).unwrap_or_default()
    });
    &ROOT
}

/// Whether this program may change the machine.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn xdg(variable: &str, below_home: &str) -> Result<PathBuf> {
    if let Some(dir) = env::var_os(variable).map(PathBuf::from).filter(|dir| dir.is_absolute()) {
        return Ok(dir);
    }
    let home = env::home_dir()
        .with_context(|| format!("no directory for data: neither {variable} nor HOME is set; set one of them"))?;
    Ok(home.join(below_home))
}
