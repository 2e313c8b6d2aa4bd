use anyhow::ensure;
use e2e::{database::NAME, until_gone};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Secret},
};
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams},
};
use serde_json::json;

use crate::database::{embedded, made, with_space};

#[tokio::test]
async fn policy_delete_removes_the_volume_and_all_secrets() {
    with_space(async |space| {
        let mut watch = made(space, &embedded(&json!({"deletionPolicy": "Delete"}))).await?;
        let ours = ListParams::default().labels("app.kubernetes.io/managed-by=temporal-stack");
        let secrets = space.api::<Secret>();
        let names: Vec<String> = secrets.list(&ours).await?.iter().map(ResourceExt::name_any).collect();
        ensure!(names.len() == 3, "administrator, login and binding: {names:?}");
        let directory = space.volume().await?;

        space.databases().delete(NAME, &DeleteParams::default()).await?;
        until_gone(&space.databases(), NAME).await?;
        for name in &names {
            until_gone(&secrets, name).await?;
        }
        until_gone(&space.api::<StatefulSet>(), "temporal-postgresdatabase").await?;
        until_gone(&space.api::<PersistentVolumeClaim>(), "data-temporal-postgresdatabase-0").await?;
        watch.step("all is gone after");
        println!("  the directory of the volume is there: {}", directory.exists());
        Ok(())
    })
    .await;
}
