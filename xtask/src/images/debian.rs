//! Debian for an image: from the mirror of this machine's apt, in the suite of the image.

use std::collections::BTreeSet;
use std::env;
use std::path::Path;

use anyhow::{Result, bail};

use super::contained;
use crate::step::Step;

/// The archives of a suite that every machine with that suite has: itself, its updates, its security updates.
const ARCHIVES: [&str; 3] = ["", "-updates", "-security"];

/// The options for creating a root file system; part of the base image's key.
pub(super) const OPTIONS: &[&str] = &[
    "--mode=root",
    "--variant=minbase",
    "--include=ca-certificates",
    "--format=tar",
    "--skip=output/dev",
    // The mirror concerns this machine, not the image.
    "--customize-hook=rm -f \"$1\"/etc/apt/sources.list \"$1\"/etc/hostname \"$1\"/etc/resolv.conf",
];

/// The lines of a `sources.list` for `suite`, or for the mirror in `DEBIAN_MIRROR`.
pub(super) fn sources(step: &Step, suite: &str) -> Result<String> {
    if let Some(mirror) = env::var("DEBIAN_MIRROR").ok().filter(|mirror| !mirror.is_empty()) {
        return Ok(format!("deb {mirror} {suite} main\n"));
    }
    let format = "$(ORIGIN) $(COMPONENT) $(RELEASE) $(REPO_URI)";
    let targets = step.command("apt-get").args(["indextargets", "--format", format, "Created-By: Packages"]).read()?;
    let sources = rewrite(&targets, suite);
    if sources.is_empty() {
        bail!("Debian archives unknown: apt lists none; run `apt-get update`, or set DEBIAN_MIRROR to a mirror");
    }
    Ok(sources)
}

/// Writes `root.tar` into the build's context.
pub(super) fn root(step: &Step, work: &Path, context: &Path, suite: &str) -> Result<()> {
    step.note(format!("installing Debian {suite}"));
    contained(step, work, "mmdebstrap")
        .args(OPTIONS)
        .arg(format!("--aptopt={}", context.join("apt.conf").display()))
        .arg(format!("--dpkgopt={}", context.join("dpkg.conf").display()))
        .arg(suite)
        .arg(context.join("root.tar"))
        .arg("-")
        .input(sources(step, suite)?)
        .run()
}

fn rewrite(targets: &str, suite: &str) -> String {
    let source = |line: &str| {
        let mut words = line.split_whitespace();
        let (Some("Debian"), Some("main"), Some(release), Some(uri)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return None;
        };
        let archive = release.find('-').map_or("", |dash| &release[dash..]);
        ARCHIVES.contains(&archive).then(|| format!("deb {uri} {suite}{archive} main\n"))
    };
    targets.lines().filter_map(source).collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_of_another_suite_gives_the_same_mirrors_for_ours() {
        let targets = "Debian main bookworm http://mirror.test/debian/\n\
            Debian main bookworm-security http://mirror.test/security/\n\
            Debian main bookworm-backports http://mirror.test/debian/\n\
            Debian contrib bookworm http://mirror.test/debian/\n\
            Debian main stable http://mirror.test/debian/\n\
            Somebody main nodistro https://other.test/\n";
        assert_eq!(
            rewrite(targets, "trixie"),
            "deb http://mirror.test/debian/ trixie main\ndeb http://mirror.test/security/ trixie-security main\n"
        );
    }
}
