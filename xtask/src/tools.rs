//! Programs that only tests run: Helm from the Go module proxy, and the checker of Prometheus' rules from its Debian package.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::go_module::{self, GoModule};
use crate::machine;
use crate::place;
use crate::step::{Step, Steps};

/// The package that has `promtool`. It would also start a server if it were installed, so it is only unpacked.
const PROMETHEUS: &str = "prometheus";

/// Builds Helm, unless it is in the cache, and returns the program.
pub fn helm(steps: &mut Steps) -> Result<PathBuf> {
    let mut module = GoModule::new("helm", place::workspace().join("tests/programs/helm"), &["helm"]);
    let version = module.version_of("helm.sh/helm/v3")?;
    module.set.push(format!("helm.sh/helm/v3/internal/version.version={version}"));
    // Without it, `helm template` renders for a version of Kubernetes that is years old.
    let kubernetes = GoModule::new("kubernetes", place::workspace().join("deploy/node/kubernetes"), &[]);
    let kubernetes = kubernetes.version_of("k8s.io/kubernetes")?;
    let mut parts = kubernetes.trim_start_matches('v').split('.');
    for part in ["Major", "Minor"] {
        let number = parts.next().unwrap_or_default();
        module.set.push(format!("helm.sh/helm/v3/pkg/chartutil.k8sVersion{part}={number}"));
    }
    let program = module.build(steps)?.join("helm");
    go_module::forget_build_cache()?;
    Ok(program)
}

/// `promtool` of this machine, or of Debian's package, unpacked into the cache.
pub fn promtool(steps: &mut Steps) -> Result<PathBuf> {
    if let Some(installed) = machine::find("promtool") {
        return Ok(installed);
    }
    steps.run("unpack promtool", |step| {
        let program = place::cache()?.join("tools").join("promtool");
        if program.is_file() {
            step.cached();
        } else {
            unpack(step, &program)?;
        }
        Ok(program)
    })
}

fn unpack(step: &Step, program: &PathBuf) -> Result<()> {
    let work = program.with_extension("unpacking");
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    fs::create_dir_all(&work).with_context(|| format!("cannot create {}", work.display()))?;
    step.note("apt-get download");
    step.command("apt-get")
        .current_dir(&work)
        .args(["download", PROMETHEUS])
        .run()
        .with_context(|| format!("package {PROMETHEUS} not downloaded; run `apt-get update`, or install promtool"))?;
    let archives = fs::read_dir(&work)?.filter_map(|entry| Some(entry.ok()?.path()));
    let archive = archives.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "deb"));
    let archive = archive.with_context(|| format!("package {PROMETHEUS} absent after its download"))?;
    step.command("dpkg-deb").arg("--extract").args([&archive, &work]).run()?;
    fs::rename(work.join("usr/bin/promtool"), program).context("the package has no promtool")?;
    fs::remove_dir_all(&work).with_context(|| format!("cannot remove {}", work.display()))
}
