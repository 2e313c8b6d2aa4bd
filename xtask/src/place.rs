//! Where things are kept: the only file that knows directories.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::{Context as _, Result};

/// What can be made again: built programs, image archives, logs of runs.
pub fn cache() -> Result<PathBuf> {
    xdg("XDG_CACHE_HOME", ".cache").map(|dir| dir.join("temporal-stack"))
}

/// What a local cluster keeps: etcd's data, keys, volumes, imported images. `TEMPORAL_STACK_NODE_DIR` names another.
pub fn node() -> Result<PathBuf> {
    if let Some(dir) = env::var_os("TEMPORAL_STACK_NODE_DIR").filter(|dir| !dir.is_empty()) {
        return std::path::absolute(dir).context("TEMPORAL_STACK_NODE_DIR is not a path");
    }
    if is_root() {
        return Ok(PathBuf::from("/var/lib/temporal-stack"));
    }
    xdg("XDG_STATE_HOME", ".local/state").map(|dir| dir.join("temporal-stack"))
}

/// What does not outlive the machine's next start: sockets, process ids, locks.
pub fn run() -> PathBuf {
    if is_root() {
        return PathBuf::from("/run/temporal-stack");
    }
    let base = env::var_os("XDG_RUNTIME_DIR").map_or_else(env::temp_dir, PathBuf::from);
    base.join("temporal-stack")
}

/// The checkout's root.
///
/// Cargo says where the package is that it runs, which is not where it was built when checkouts share a target directory.
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
    let home = env::home_dir().with_context(|| format!("neither {variable} nor HOME is set"))?;
    Ok(home.join(below_home))
}
