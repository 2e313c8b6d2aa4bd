//! Changes to the machine itself: announced, confirmed on a terminal, and only if needed.

use std::env;
use std::io::{BufRead, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::place;
use crate::step::Step;
use crate::wait;

/// How long to wait for another apt: one may be running on a machine that has just started.
const OTHER_APT: Duration = Duration::from_secs(300);
const APT_LISTS: &str = "/var/lib/apt/lists/lock";
const OTHERWISE: &str = "use an existing cluster instead: --context NAME";

/// A required program, and the Debian package that has it.
#[derive(Debug, Clone, Copy)]
pub struct Needed {
    /// A program's name, or the absolute path of a file.
    pub program: &'static str,
    /// The package's name.
    pub package: &'static str,
}

/// Fails on machines that cannot run a local node.
pub fn supports_a_node() -> Result<()> {
    if !cfg!(target_os = "linux") {
        bail!("local node not supported: it needs Linux; {OTHERWISE}");
    }
    if !place::is_root() {
        bail!("local node not supported: it needs root (mounts, network namespaces, cgroups); {OTHERWISE}");
    }
    Ok(())
}

/// The path of a program: in `PATH`, or in the directories where Debian and Go's installer put programs for administrators.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/local/go/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"];
    env::split_paths(&path)
        .chain(usual.iter().map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

/// The packages that are missing, each once.
pub fn missing(needed: &[Needed]) -> Vec<&'static str> {
    let mut packages: Vec<_> =
        needed.iter().filter(|need| find(need.program).is_none()).map(|need| need.package).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// Prints what is about to change on `target`, and asks for confirmation unless `yes`. Without a terminal it is refused.
pub fn agree(target: &str, changes: &[String], yes: bool) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    eprintln!("about to change {target}:");
    for change in changes {
        eprintln!("  - {change}");
    }
    if yes {
        return Ok(());
    }
    let stdin = std::io::stdin();
    let is_terminal = stdin.is_terminal();
    if is_terminal {
        eprint!("continue? [y/N] ");
    }
    answered(is_terminal, &mut stdin.lock())
}

fn answered(is_terminal: bool, input: &mut impl BufRead) -> Result<()> {
    if !is_terminal {
        bail!("not confirmed: no terminal to ask on; run the command with --yes");
    }
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    if !matches!(answer.trim(), "y" | "Y" | "yes") {
        bail!("not confirmed: nothing was changed");
    }
    Ok(())
}

/// Installs Debian packages, after fetching the package lists once.
pub fn install(step: &mut Step, packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        step.nothing_to_do();
        return Ok(());
    }
    if find("apt-get").is_none() {
        bail!(
            "packages missing: {}, and this machine has no apt-get; install them, or {OTHERWISE}",
            packages.join(", ")
        );
    }
    if !place::is_root() {
        bail!("packages missing: {}; run `sudo apt-get install {}`", packages.join(", "), packages.join(" "));
    }
    wait::until(step, "another apt has read its lists", &[], OTHER_APT, || Ok(!is_locked(Path::new(APT_LISTS))))?;
    step.note("apt-get update");
    apt(step).arg("update").run()?;
    step.note(format!("apt-get install {}", packages.join(" ")));
    apt(step).args(["install", "--yes", "--no-install-recommends"]).args(packages).run()
}

/// The path of a program that [`missing`] has found.
pub fn path_of(program: &str) -> Result<PathBuf> {
    match find(program) {
        Some(path) => Ok(path),
        None => bail!("{program} not found in PATH; install it"),
    }
}

/// Where Debian, or upstream's own archive, keeps the CNI plugins.
pub fn cni_plugins() -> Option<&'static Path> {
    ["/usr/lib/cni", "/opt/cni/bin"].map(Path::new).into_iter().find(|dir| dir.join("bridge").is_file())
}

fn apt(step: &Step) -> crate::step::LoggedCommand {
    let timeout = format!("DPkg::Lock::Timeout={}", OTHER_APT.as_secs());
    step.command("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(["-o", &timeout])
}

/// Whether another process has the lock. `apt-get` waits for dpkg's lock by itself, but fails at once on the one of its lists.
fn is_locked(file: &Path) -> bool {
    let Ok(file) = std::fs::File::options().write(true).open(file) else { return false };
    rustix::fs::fcntl_lock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_on_a_terminal_confirms() {
        assert!(answered(true, &mut "y\n".as_bytes()).is_ok());
        for (is_terminal, input) in [(true, ""), (true, "n\n"), (false, ""), (false, "y\n")] {
            assert!(answered(is_terminal, &mut input.as_bytes()).is_err(), "{is_terminal} {input:?}");
        }
        let error = answered(false, &mut "".as_bytes()).unwrap_err().to_string();
        assert!(error.contains("--yes"), "{error}");
    }

    #[test]
    fn no_changes_need_no_confirmation() {
        assert!(agree("it", &[], false).is_ok());
        assert!(agree("it", &["delete it".to_owned()], true).is_ok());
    }
}
