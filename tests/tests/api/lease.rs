//! Two replicas take turns.

use std::time::Instant;

use anyhow::{Result, ensure};
use e2e::{Controller, Identity, Subject, prepare::api_server, with_namespace};

use crate::step::{cpu_limited, limit_cpu, made};

e2e::for_each_kind!(edit_after_the_leader_got_sigterm_is_handled_by_the_other);

async fn edit_after_the_leader_got_sigterm_is_handled_by_the_other<K: Subject>() {
    let cluster = api_server().await.expect("an API server");
    with_namespace(&cluster, async |space| {
        let identity = Identity::of_namespace::<K>(space).await?;
        let mut leader = Controller::start_as(space, &identity).await?;
        leader.leads().await?;
        let standby = Controller::start_as(space, &identity).await?;
        standby.wait_ready().await?;
        standby.log.line("standing by").await?;
        made::<K>(&space.one(), &leader).await?;
        ensure!(
            standby.requests()?.writes().total() == 0,
            "the standby has written:\n{}",
            standby.requests()?.writes()
        );

        let started = Instant::now();
        leader.terminate()?;
        leader.log.line("shutting down: waiting for running passes").await?;
        limit_cpu::<K>(&space.one(), "2").await?;
        cpu_limited::<K>(&space.one(), "2").await?;
        println!("from SIGTERM to the edit acted on: {:.2} s", started.elapsed().as_secs_f64());

        standby.leads().await?;
        ensure!(leader.ended().await?.success(), "the leader did not end in order");
        ensure!(standby.requests()?.writes().total() > 0, "the other has written nothing");
        anyhow::Ok(()) as Result<()>
    })
    .await;
}
