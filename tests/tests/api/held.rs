//! What a newer controller would change waits, for evicted pods too, and nobody else's edit gets in meanwhile.

use anyhow::{Result, ensure};
use e2e::{Controller, Identity, Subject, prepare::api_server, subject::condition_of, until, with_namespace};
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use temporal_stack_common::{api::annotation, condition::RESTART_PENDING};

use crate::step::{made, quiet, server_of};

e2e::for_each_kind!(newer_template_stays_deferred_when_the_set_changes);

/// The default images of a newer controller.
const NEWER: &str = "registry.invalid/newer:2";

/// A controller whose default images are newer.
async fn newer<K: Subject>(space: &e2e::Space, identity: Identity) -> Result<Controller> {
    let images: Vec<_> = K::IMAGES.iter().map(|(variable, _)| (*variable, NEWER)).collect();
    let controller = Controller::start_as(space, &identity.with_images(images.leak())).await?;
    controller.leads().await?;
    Ok(controller)
}

/// Waits until a set that is not the one with that UID wants this image.
async fn wants<K: Subject>(sets: &Api<StatefulSet>, image: &Value, not: Option<&str>) -> Result<StatefulSet> {
    let is_wanted =
        |set: &StatefulSet| server_of(set)["image"] == *image && (not.is_none() || set.uid().as_deref() != not);
    until(sets, &K::set(), &format!("the image {image}"), is_wanted).await
}

async fn newer_template_stays_deferred_when_the_set_changes<K: Subject>() {
    let cluster = api_server().await.expect("an API server");
    with_namespace(&cluster, async |space| {
        let identity = Identity::of_namespace::<K>(space).await?;
        let one = space.one::<K>();
        let mut controller = Controller::start_as(space, &identity).await?;
        controller.leads().await?;
        made(&one, &controller).await?;
        let sets = space.api::<StatefulSet>();
        let image = server_of(&sets.get(&K::set()).await?)["image"].clone();
        controller.terminate()?;
        controller.ended().await?;

        let controller = newer::<K>(space, identity).await?;
        let told = one.condition(RESTART_PENDING, "True", "NewerTemplate").await?;
        ensure!(told.message.contains(&K::set()) && told.message.contains(NEWER), "{}", told.message);
        quiet(&one, &controller).await?;
        let set = wants::<K>(&sets, &image, None).await?;

        let container = json!({"name": K::PROVIDER, "image": "registry.invalid/theirs:1"});
        let edit = json!({"spec": {"template": {"spec": {"containers": [container]}}}});
        let params = PatchParams { field_manager: Some("somebody".to_owned()), ..PatchParams::default() };
        let edited = sets.patch(&K::set(), &params, &Patch::Strategic(edit)).await?;
        ensure!(server_of(&edited)["image"] != image, "the edit came to nothing");
        wants::<K>(&sets, &image, None).await?;
        quiet(&one, &controller).await?;

        sets.delete(&K::set(), &DeleteParams::default()).await?;
        wants::<K>(&sets, &image, set.uid().as_deref()).await?;

        one.annotate(annotation::RESTART, &json!("now")).await?;
        wants::<K>(&sets, &json!(NEWER), None).await?;
        one.until("nothing pending", |object| condition_of(object, RESTART_PENDING).is_none()).await?;
        quiet(&one, &controller).await?;
        Ok(())
    })
    .await;
}
