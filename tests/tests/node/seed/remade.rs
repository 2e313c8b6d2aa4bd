use std::{collections::BTreeMap, fs};

use anyhow::{Result, ensure};
use e2e::{Needs, Space, Stopwatch, database::NAME, until_gone};
use k8s_openapi::api::{
    core::v1::{PersistentVolumeClaim, Secret},
    events::v1::Event,
};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, ListParams, PostParams},
};
use temporal_stack_common::api::PostgresDatabase;

use crate::{on_stack, seed::rows, workspace};

/// Names and UIDs of what outlives the object.
async fn data(space: &Space) -> Result<BTreeMap<String, Option<String>>> {
    let ours = ListParams::default().labels("temporal-stack.dev/data=true,app.kubernetes.io/component=database");
    let claims = space.api::<PersistentVolumeClaim>().list(&ours).await?;
    let secrets = space.api::<Secret>().list(&ours).await?;
    let claims = claims.iter().map(|claim| (claim.name_any(), claim.uid()));
    Ok(claims.chain(secrets.iter().map(|secret| (secret.name_any(), secret.uid()))).collect())
}

#[tokio::test]
async fn recreated_object_adopts_its_volume_and_secrets() {
    on_stack(Needs::stack(), async |space| {
        let rows = rows::add(space).await?;
        let before = data(space).await?;
        ensure!(before.len() == 3, "a volume, an administrator and a login: {before:?}");
        let binding = space.binding().await?;
        let mut watch = Stopwatch::new();
        space.databases().delete(NAME, &DeleteParams::default()).await?;
        until_gone(&space.databases(), NAME).await?;

        let text = fs::read_to_string(workspace().join("deploy/stack/database.yaml"))?;
        let object: PostgresDatabase = serde_saphyr::from_str(&text)?;
        let made = space.databases().create(&PostParams::default(), &object).await?;
        space.ready().await?;
        watch.step("deleted, made again and Ready after");
        let after = data(space).await?;
        ensure!(after == before, "before: {before:#?}, after: {after:#?}");
        ensure!(space.binding().await? == binding, "the binding says something else than before");

        let events = space.api::<Event>().list(&ListParams::default().fields("reason=Adopted")).await?;
        let is_about = |event: &&Event| event.regarding.as_ref().is_some_and(|object| object.uid == made.uid());
        let notes: Vec<&str> = events.iter().filter(is_about).filter_map(|event| event.note.as_deref()).collect();
        println!("events of the adoption: {notes:#?}");
        for name in before.keys() {
            ensure!(notes.iter().any(|note| note.contains(name)), "no event says that {name} was adopted");
        }
        rows::are_there(space, rows).await
    })
    .await;
}
