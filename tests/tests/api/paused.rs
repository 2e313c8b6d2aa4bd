//! Hands off, when the user says so.

use anyhow::{Result, ensure};
use e2e::{
    Subject,
    subject::{assert_told, condition_of},
};
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt as _;
use serde_json::json;
use temporal_stack_common::{api::annotation, condition::PAUSED};

use crate::{
    step::{cpu_limited, look, made},
    with_controller,
};

e2e::for_each_kind!(paused_object_is_reported_and_unchanged_until_resumed);

async fn paused_object_is_reported_and_unchanged_until_resumed<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        made(space, controller).await?;
        let sets = space.api::<StatefulSet>();
        let before = sets.get(&K::set()).await?;
        let of_children = || -> Result<u64> {
            let writes = controller.requests()?.writes();
            let of_children = |resource: &str| !resource.ends_with("/status") && resource != "events";
            Ok(writes.0.iter().filter(|(used, _)| of_children(&used.resource)).map(|(_, count)| count).sum())
        };
        let written = of_children()?;

        let change = K::provider(&json!({"resources": {"limits": {"cpu": "2"}}}));
        space.patch(&json!({"metadata": {"annotations": {annotation::PAUSED: "true"}}, "spec": change})).await?;
        let paused = space.condition(PAUSED, "True", "Paused").await?;
        assert_told(&paused, &[annotation::PAUSED, "held back"])?;
        let ready = space.condition("Ready", "False", "Paused").await?;
        assert_told(&ready, &[annotation::PAUSED])?;
        for _ in 0..3 {
            look(space, controller).await?;
        }
        ensure!(of_children()? == written, "children were written to while paused");
        ensure!(
            sets.get(&K::set()).await?.resource_version() == before.resource_version(),
            "the StatefulSet has changed"
        );

        space.annotate(annotation::PAUSED, &json!(null)).await?;
        cpu_limited(space, "2").await?;
        let object = space.waits_for_its_pods().await?;
        ensure!(condition_of(&object, PAUSED).is_none(), "it still says that it is paused");
        Ok(())
    })
    .await;
}
