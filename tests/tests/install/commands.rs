//! The commands of docs/production.md, as far as they need no cluster.

use anyhow::{Context as _, Result};
use e2e::{helm::helm, manifests::kustomized, prometheus::folder};

/// What a line ends with whose command is not run.
const NOT_TESTED: &str = "# not tested";

/// The commands of the page: the indented lines.
fn commands() -> Result<Vec<String>> {
    let page = std::fs::read_to_string(folder("docs/production.md"))?;
    Ok(page.lines().filter_map(|line| line.strip_prefix("    ")).map(str::to_owned).collect())
}

#[tokio::test]
async fn every_command_of_the_production_page_works() -> Result<()> {
    let chart = folder("deploy/chart");
    let chart = chart.to_str().context("the path is not text")?;
    let mut ran = 0;
    for command in commands()?.into_iter().filter(|command| !command.ends_with(NOT_TESTED)) {
        let words: Vec<&str> = command.split(' ').filter(|word| *word != "--install").collect();
        match words[..] {
            ["helm", "install" | "upgrade" | "template", ref rest @ ..] => {
                let rest = rest.iter().map(|word| if *word == "deploy/chart" { chart } else { word });
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
