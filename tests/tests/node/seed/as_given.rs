use std::fs;

use anyhow::{Context as _, Result, ensure};
use e2e::{Needs, Space, Stopwatch, Subject, database::assert_told, installed::SYSTEM, program::xtask};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{Api, ResourceExt as _, api::ListParams};
use temporal_stack_common::{api::PostgresDatabase, condition::CONFIG_HONOURED};

use crate::{
    on_stack,
    seed::{
        everything::{differences, everything},
        ipfs, queue,
    },
    workspace,
};

/// The test's own copy of the seed.
const SEED: &str = include_str!("../../../fixtures/seed/postgres-config.yaml");

/// The pods of the controller of a kind.
pub(crate) async fn controllers<K: Subject>(space: &Space) -> Result<Vec<Pod>> {
    let pods = Api::<Pod>::namespaced(space.client.clone(), SYSTEM);
    let ours = ListParams::default().labels(&format!("app.kubernetes.io/name={}", K::PROGRAM));
    Ok(pods.list(&ours).await?.items)
}

#[test]
fn deployed_postgres_config_equals_the_seed() {
    let deployed = fs::read(workspace().join("deploy/stack/configuration/postgres-config.yaml")).unwrap();
    assert!(deployed == SEED.as_bytes(), "deploy/stack/configuration/postgres-config.yaml differs from the seed's");
}

#[tokio::test]
async fn seed_gives_a_verified_database_and_a_powerless_login() {
    on_stack(Needs::stack(), async |space| {
        space.ready().await?;
        let adapted = space.condition(CONFIG_HONOURED, "True", "Adapted").await?;
        assert_told(&adapted, &["POSTGRES_PASSWORD", "POSTGRES_USER"])?;
        let seed: ConfigMap = serde_saphyr::from_str(SEED)?;
        let live = space.api::<ConfigMap>().get("postgres-config").await?;
        ensure!(live.data == seed.data && live.binary_data == seed.binary_data, "the ConfigMap was changed");

        let session = space.connect_as("postgres", "password123", "temporal").await?;
        let powers = "select concat_ws(' ', rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication)
            from pg_roles where rolname = session_user";
        ensure!(session.one(powers).await? == "f f f f f", "the login postgres has power");
        ensure!(session.one("select session_user || ' as ' || current_user").await? == "postgres as temporal_owner");
        ensure!(space.connect_as("postgres", "password124", "temporal").await.is_err(), "any password will do");

        let pods = controllers::<PostgresDatabase>(space).await?;
        let [pod] = pods.as_slice() else { anyhow::bail!("{} pods of the controller", pods.len()) };
        let image = pod.spec.as_ref().and_then(|spec| spec.containers.first()?.image.clone()).context("no image")?;
        let phase = pod.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
        println!("{} is {phase}, from {image}", pod.name_any());
        ensure!(phase == "Running" && image.contains("/database-controller:"));
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn second_up_changes_nothing() {
    on_stack(Needs::alone(), async |space| {
        space.ready().await?;
        queue::is_ready(space).await?;
        ipfs::is_ready(space).await?;
        // Another test may have scaled a controller: this takes its field back.
        xtask(&["up", "--yes"]).await?;
        let before = everything(&space.client).await?;
        let mut watch = Stopwatch::new();
        xtask(&["up", "--yes"]).await?;
        watch.step("xtask up, with nothing to do,");
        let after = everything(&space.client).await?;
        let changes = differences(&before, &after);
        println!("{} objects, {} of them changed", after.len(), changes.len());
        ensure!(changes.is_empty(), "{changes:#?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn pod_with_the_binding_alone_runs_sql() {
    on_stack(Needs::stack(), async |space| {
        let mut watch = Stopwatch::new();
        let sql = "create table if not exists of_a_pod (n int);
            insert into of_a_pod select generate_series(1, 1000);
            select count(*) >= 1000 from of_a_pod";
        ensure!(space.run_in_pod(sql).await? == "t");
        watch.step("a pod has run SQL after");
        ensure!(space.binding().await?.host == "temporal-postgresdatabase.default.svc");
        Ok(())
    })
    .await;
}
