//! Two replicas take turns.

use std::time::Instant;

use anyhow::{Result, ensure};
use e2e::{Controller, Identity, database::child::SERVER, prepare::api_server, until, with_namespace};
use k8s_openapi::api::apps::v1::StatefulSet;
use serde_json::json;
use temporal_stack_common::api::PostgresDatabase;

use crate::step::{made, server_of};

#[tokio::test]
async fn an_edit_right_after_the_leader_was_told_to_end_is_acted_on_by_the_other() {
    let cluster = api_server().await.expect("an API server");
    with_namespace(&cluster, async |space| {
        let identity = Identity::of_namespace::<PostgresDatabase>(space).await?;
        let mut leader = Controller::start_as(space, &identity).await?;
        leader.leads().await?;
        let standby = Controller::start_as(space, &identity).await?;
        standby.wait_ready().await?;
        standby.log.line("standing by").await?;
        made(space, &leader).await?;
        ensure!(
            standby.requests()?.writes().total() == 0,
            "the standby has written:\n{}",
            standby.requests()?.writes()
        );

        let started = Instant::now();
        leader.terminate()?;
        leader.log.line("ending: waiting for the passes that run").await?;
        space.patch(&json!({"spec": {"provider": {"postgres": {"parameters": {"work_mem": "32MB"}}}}})).await?;
        let sets = space.api::<StatefulSet>();
        until(&sets, SERVER, "the parameter", |set| server_of(set)["command"].to_string().contains("work_mem=32MB"))
            .await?;
        println!("from SIGTERM to the edit acted on: {:.2} s", started.elapsed().as_secs_f64());

        standby.leads().await?;
        ensure!(leader.ended().await?.success(), "the leader did not end in order");
        ensure!(standby.requests()?.writes().total() > 0, "the other has written nothing");
        anyhow::Ok(()) as Result<()>
    })
    .await;
}
