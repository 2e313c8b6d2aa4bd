//! Changes to the machine itself: announced, agreed to on a terminal, and only what is missing.

use std::env;
use std::io::{BufRead, IsTerminal as _};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::place;
use crate::step::Step;

const OTHERWISE: &str = "any cluster works instead: name it with --context";

/// A program that is needed, and the Debian package that has it.
#[derive(Debug, Clone, Copy)]
pub struct Needed {
    /// A program's name, or the absolute path of a file.
    pub program: &'static str,
    /// The package's name.
    pub package: &'static str,
}

/// Fails, saying what works instead, where a local node cannot be.
pub fn supports_a_node() -> Result<()> {
    if !cfg!(target_os = "linux") {
        bail!("a local node needs Linux; {OTHERWISE}");
    }
    if !place::is_root() {
        bail!("a local node needs root (mounts, network namespaces, cgroups); {OTHERWISE}");
    }
    Ok(())
}

/// Where a program is: in `PATH`, or where Debian and Go's own installer put programs of administrators.
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

/// Says what is about to be changed, and asks whether it may be. `yes` is an answer; no terminal is none.
pub fn agree(changes: &[String], yes: bool) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    eprintln!("this is about to be done:");
    for change in changes {
        eprintln!("  - {change}");
    }
    if yes {
        return Ok(());
    }
    let stdin = std::io::stdin();
    let is_terminal = stdin.is_terminal();
    if is_terminal {
        eprint!("go on? [y/N] ");
    }
    answered(is_terminal, &mut stdin.lock())
}

fn answered(is_terminal: bool, input: &mut impl BufRead) -> Result<()> {
    if !is_terminal {
        bail!("not agreed to: there is no terminal to ask on; run it with --yes");
    }
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    if !matches!(answer.trim(), "y" | "Y" | "yes") {
        bail!("not agreed to; {OTHERWISE}");
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
        bail!("{} missing and there is no apt-get to install it with; {OTHERWISE}", packages.join(", "));
    }
    if !place::is_root() {
        bail!("missing: {}; install with `sudo apt-get install {}`", packages.join(", "), packages.join(" "));
    }
    step.note("apt-get update");
    apt(step).arg("update").run()?;
    step.note(format!("apt-get install {}", packages.join(" ")));
    apt(step).args(["install", "--yes", "--no-install-recommends"]).args(packages).run()
}

/// A path of a program that `missing` did not complain about.
pub fn path_of(program: &str) -> Result<PathBuf> {
    match find(program) {
        Some(path) => Ok(path),
        None => bail!("{program} is not installed"),
    }
}

/// Where Debian, or upstream's own archive, keeps the CNI plugins.
pub fn cni_plugins() -> Option<&'static Path> {
    ["/usr/lib/cni", "/opt/cni/bin"].map(Path::new).into_iter().find(|dir| dir.join("bridge").is_file())
}

fn apt(step: &Step) -> crate::step::LoggedCommand {
    // Debian's patience with a lock: another apt may be at work on a machine that has just started.
    step.command("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(["-o", "DPkg::Lock::Timeout=300"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_on_a_terminal_is_consent() {
        assert!(answered(true, &mut "y\n".as_bytes()).is_ok());
        for (is_terminal, input) in [(true, ""), (true, "n\n"), (false, ""), (false, "y\n")] {
            assert!(answered(is_terminal, &mut input.as_bytes()).is_err(), "{is_terminal} {input:?}");
        }
        let error = answered(false, &mut "".as_bytes()).unwrap_err().to_string();
        assert!(error.contains("--yes"), "{error}");
    }

    #[test]
    fn nothing_to_do_needs_no_consent() {
        assert!(agree(&[], false).is_ok());
        assert!(agree(&["delete it".to_owned()], true).is_ok());
    }
}
