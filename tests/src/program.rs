//! xtask as its user runs it.

use std::{path::PathBuf, process::Command, time::Instant};

use anyhow::{Context as _, Result, bail};

/// Names the xtask executable.
pub const XTASK: &str = "TEMPORAL_STACK_XTASK";

/// Runs `xtask` with these arguments, says how long it took, and returns what it printed.
pub async fn xtask(arguments: &[&str]) -> Result<String> {
    xtask_with(arguments, &[]).await
}

/// The same, with these variables.
pub async fn xtask_with(arguments: &[&str], environment: &[(&str, &str)]) -> Result<String> {
    let program = std::env::var_os(XTASK).map(PathBuf::from);
    let program = program.with_context(|| format!("{XTASK} is not set: `cargo xtask test` sets it"))?;
    run(program, arguments, environment).await
}

/// Runs a program to its end; anything but success is an error with what it said.
pub async fn run(program: PathBuf, arguments: &[&str], environment: &[(&str, &str)]) -> Result<String> {
    let line = format!("{} {}", program.file_name().unwrap_or_default().display(), arguments.join(" "));
    let mut command = Command::new(program);
    command.args(arguments).envs(environment.iter().copied());
    let started = Instant::now();
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let said = String::from_utf8_lossy(&output.stderr);
    println!("{line}: {:.1} s\n{}", started.elapsed().as_secs_f64(), indented(&said));
    if !output.status.success() {
        bail!("`{line}` ended with {}: {said}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
