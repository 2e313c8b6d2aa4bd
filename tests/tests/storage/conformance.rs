//! The list of calls that applications may expect, at each engine; `docs/s3-conformance.md` has the results.

use std::{env, fs};

use anyhow::{Context as _, Result, ensure};
use e2e::s3::{self, Checked, Place, Stage, table};
use temporal_stack_common::s3::{Key, Lock, Mode};

use crate::engine::{Engine, Minio, Versity};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/s3-conformance.md");
/// As of the snapshots: `always` writes the page again.
const UPDATE: &str = "INSTA_UPDATE";
const PLAIN: &str = "conformance-plain";
const VERSIONED: &str = "conformance-versioned";
const LOCKED: &str = "conformance-locked";
const OTHER: &str = "conformance-other";

/// Makes the buckets as a controller does; the keys are those of bindings, or root's.
async fn run(engine: &Engine, is_restricted: bool) -> Result<Vec<Checked>> {
    let root = engine.client()?;
    for bucket in [PLAIN, VERSIONED, LOCKED, OTHER] {
        root.create(bucket, bucket == LOCKED).await?;
    }
    root.set_versioning(VERSIONED, true).await?;
    root.set_lock(LOCKED, &Lock { mode: Mode::Governance, days: 1 }).await?;
    for object in ["object", "other"] {
        root.put(OTHER, object, b"theirs".to_vec()).await?;
    }
    let place = async |bucket: &str| {
        let key: Key = if is_restricted { engine.login(bucket).await? } else { engine.root().clone() };
        anyhow::Ok(Place::new(&engine.address(), &key, bucket)?)
    };
    let (plain, versioned, locked) = (place(PLAIN).await?, place(VERSIONED).await?, place(LOCKED).await?);
    Ok(s3::run(&Stage { plain, versioned, locked, other: OTHER.to_owned() }).await)
}

#[tokio::test]
async fn results_are_those_of_the_page() -> Result<()> {
    let minio = Engine::Minio(Minio::start(1, 1).await?);
    let versity = Engine::Versity(Versity::start().await?);
    let foreign = Engine::Minio(Minio::start(1, 1).await?);
    let columns = [
        ("minio", run(&minio, true).await?),
        ("versity", run(&versity, true).await?),
        ("external", run(&foreign, false).await?),
    ];
    let page = table::page(&columns);
    if env::var(UPDATE).is_ok_and(|update| update == "always") {
        return fs::write(PAGE, page).context("the page cannot be written");
    }
    let documented = fs::read_to_string(PAGE).unwrap_or_default();
    let differ = |line: &&str| !documented.lines().any(|other| other == *line);
    let lines: Vec<&str> = page.lines().filter(differ).collect();
    let lines = lines.join("\n");
    ensure!(
        page == documented,
        "docs/s3-conformance.md is outdated; write it with {UPDATE}=always. New lines:\n{lines}"
    );
    Ok(())
}
