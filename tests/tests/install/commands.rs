//! The commands of docs/production.md, as far as they need no cluster.

use anyhow::{Context as _, Result};
use e2e::{
    helm::{helm, rendered, values_file},
    manifests::kustomized,
    prometheus::folder,
};
use serde_json::{Value, json};

/// What a line ends with whose command is not run.
const NOT_TESTED: &str = "# not tested";

/// The commands of the page: the indented lines outside of fenced blocks.
fn commands() -> Result<Vec<String>> {
    let page = std::fs::read_to_string(folder("docs/production.md"))?;
    let outside = page.split("```").step_by(2).flat_map(str::lines);
    Ok(outside.filter_map(|line| line.strip_prefix("    ")).map(str::to_owned).collect())
}

/// The values fragments of the page: the fenced blocks.
fn fragments() -> Result<Vec<Value>> {
    let page = std::fs::read_to_string(folder("docs/production.md"))?;
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.map(|block| serde_saphyr::from_str(block).with_context(|| block.to_owned())).collect()
}

#[tokio::test]
async fn every_fragment_of_the_production_page_changes_the_chart() -> Result<()> {
    let (fragments, without) = (fragments()?, rendered("without", &json!({})).await?);
    assert!(fragments.len() >= 6, "{}", fragments.len());
    for (number, fragment) in fragments.iter().enumerate() {
        assert_ne!(rendered(&format!("fragment-{number}"), fragment).await?, without, "{fragment}");
    }
    Ok(())
}

#[tokio::test]
async fn every_command_of_the_production_page_works() -> Result<()> {
    let chart = folder("deploy/chart");
    let chart = chart.to_str().context("the path is not text")?;
    let values = values_file("page", &fragments()?[0])?;
    let values = values.to_str().context("the path is not text")?;
    let mut ran = 0;
    for command in commands()?.into_iter().filter(|command| !command.ends_with(NOT_TESTED)) {
        let words: Vec<&str> = command.split(' ').filter(|word| *word != "--install").collect();
        match words[..] {
            ["helm", "install" | "upgrade" | "template", ref rest @ ..] => {
                let rest = rest.iter().map(|word| match *word {
                    "deploy/chart" => chart,
                    "values.yaml" => values,
                    other => other,
                });
                let rendered = helm(&["template"].into_iter().chain(rest).collect::<Vec<_>>()).await?;
                assert!(rendered.contains("kind: Deployment"), "{command}");
            }
            ["kubectl", "apply", "--server-side", "-k", path] => {
                let path = path.strip_prefix("deploy/").with_context(|| command.clone())?;
                assert!(!kustomized(path).await?.is_empty(), "{command}");
            }
            _ => anyhow::bail!("`{command}` is neither run nor marked `{NOT_TESTED}`"),
        }
        ran += 1;
    }
    assert!(ran >= 10, "{ran}");
    Ok(())
}
