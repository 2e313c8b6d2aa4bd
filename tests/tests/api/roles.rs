//! A namespace without its Role costs what is in it, and nothing else.

use anyhow::Result;
use e2e::{Controller, Identity, Subject, prepare::api_server, with_namespace};

use crate::step::made;

e2e::for_each_kind!(namespace_without_a_role_is_served_once_the_role_exists);

async fn namespace_without_a_role_is_served_once_the_role_exists<K: Subject>() {
    let cluster = api_server().await.expect("an API server");
    let cluster = &cluster;
    with_namespace(cluster, async |home| {
        with_namespace(cluster, async |other| -> Result<()> {
            let identity = Identity::of_namespace::<K>(home).await?;
            let controller = Controller::start_with(home, &identity, &[other]).await?;
            controller.leads().await?;
            controller.log.line_with(&format!("cannot be watched in namespace {}", other.name)).await?;
            other.one::<K>().create(&K::embedded()).await?;
            made::<K>(&home.one(), &controller).await?;

            Identity::grant_in::<K>(other, home).await?;
            other.one::<K>().waits_for_its_pods().await?;
            Ok(())
        })
        .await;
        Ok(())
    })
    .await;
}
