//! The chart, as Helm renders and installs it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::program::run;

/// Names the program of Helm.
pub const HELM: &str = "TEMPORAL_STACK_HELM";
/// The namespace of the plain manifests.
pub const HOME: &str = "temporal-stack-system";

/// The folder of the chart.
pub fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/chart")
}

/// Runs Helm; anything but success is an error with what it said. It keeps nothing of the user's.
pub async fn helm(arguments: &[&str]) -> Result<String> {
    let program = std::env::var_os(HELM).with_context(|| format!("{HELM} is not set: `cargo xtask test` sets it"))?;
    let own = std::env::temp_dir().join("temporal-stack-e2e").join("helm");
    let own = own.to_str().context("the temporary folder is not text")?;
    let environment = [("HELM_CACHE_HOME", own), ("HELM_CONFIG_HOME", own), ("HELM_DATA_HOME", own)];
    run(program.into(), arguments, &environment).await
}

/// A file with values, in the folder of this test.
pub fn values_file(name: &str, values: &Value) -> Result<PathBuf> {
    let folder = std::env::temp_dir().join("temporal-stack-e2e").join(format!("values-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let file = folder.join(format!("{name}.json"));
    std::fs::write(&file, values.to_string())?;
    Ok(file)
}

/// The objects that the chart renders with these values.
pub async fn rendered(name: &str, values: &Value) -> Result<Vec<Value>> {
    let (chart, file) = (chart(), values_file(name, values)?);
    let chart = chart.to_str().context("the path of the chart is not text")?;
    let file = file.to_str().context("the path of the values is not text")?;
    let text = helm(&["template", "stack", chart, "--namespace", HOME, "--values", file]).await?;
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).context("Helm's output is not YAML")?;
    Ok(objects.into_iter().filter(|object| !object.is_null()).collect())
}
