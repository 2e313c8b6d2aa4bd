//! Names that belong to somebody else: never a fight.

use anyhow::{Result, ensure};
use e2e::{
    Space,
    database::{
        NAME,
        child::{BINDING, SERVER, VOLUME},
        embedded, external,
    },
    snapshot::children,
    until,
};
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{PersistentVolumeClaim, Secret, Service},
};
use kube::{
    Resource, ResourceExt as _,
    api::{DeleteParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{step::look, with_controller};

async fn foreign<K>(space: &Space, object: Value) -> Result<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + Serialize,
    K: DeserializeOwned,
{
    Ok(space.api::<K>().create(&PostParams::default(), &serde_json::from_value(object)?).await?)
}

#[tokio::test]
async fn a_foreign_secret_of_the_bindings_name_is_left_alone() {
    with_controller(async |space, controller| {
        let keys = json!({"host": "127.0.0.1", "port": "1", "username": "u", "password": "p", "database": "d"});
        foreign::<Secret>(space, json!({"metadata": {"name": "theirs"}, "stringData": keys})).await?;
        let taken: Secret =
            foreign(space, json!({"metadata": {"name": BINDING}, "stringData": {"their": "own"}})).await?;
        space.create(&external("theirs")).await?;
        space.stalled("NameTaken", &[BINDING, "somebody else", "Rename or delete it"]).await?;
        for _ in 0..3 {
            look(space, controller).await?;
        }
        let after = space.api::<Secret>().get(BINDING).await?;
        ensure!(after.resource_version() == taken.resource_version(), "the Secret was written to");
        let bound = space.databases().get(NAME).await?.status.and_then(|status| status.binding);
        ensure!(bound.is_none(), "somebody else's Secret is called the binding: {bound:?}");

        space.api::<Secret>().delete(BINDING, &DeleteParams::default()).await?;
        // What is stalled by an object that nobody watches is looked at again within half a minute.
        until(&space.api::<Secret>(), BINDING, "been made", |secret| secret.uid() != taken.uid()).await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_foreign_secret_of_the_bindings_name_is_noticed_before_a_server_is_made() {
    with_controller(async |space, _| {
        let taken: Secret =
            foreign(space, json!({"metadata": {"name": BINDING}, "stringData": {"their": "own"}})).await?;
        space.create(&embedded()).await?;
        space.stalled("NameTaken", &[BINDING, "somebody else"]).await?;
        let after = space.api::<Secret>().get(BINDING).await?;
        ensure!(after.resource_version() == taken.resource_version(), "the Secret was written to");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_foreign_service_is_left_alone() {
    with_controller(async |space, controller| {
        let spec = json!({"ports": [{"port": 80}]});
        let taken: Service = foreign(space, json!({"metadata": {"name": SERVER}, "spec": spec})).await?;
        space.create(&embedded()).await?;
        space.stalled("NameTaken", &[SERVER, "somebody else", "Rename or delete it"]).await?;
        for _ in 0..3 {
            look(space, controller).await?;
        }
        let after = space.api::<Service>().get(SERVER).await?;
        ensure!(after.resource_version() == taken.resource_version(), "the Service was written to");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_volume_claim_of_another_owner_is_not_used() {
    with_controller(async |space, controller| {
        let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}});
        let taken: PersistentVolumeClaim = foreign(space, json!({"metadata": {"name": VOLUME}, "spec": spec})).await?;
        space.create(&embedded()).await?;
        space.stalled("NameTaken", &[VOLUME, "somebody else", "Rename or delete it"]).await?;
        for _ in 0..3 {
            look(space, controller).await?;
        }
        let after = space.api::<PersistentVolumeClaim>().get(VOLUME).await?;
        ensure!(after.spec == taken.spec && after.labels() == taken.labels(), "the claim was written to");
        let made = children(space).await?;
        ensure!(
            !made.keys().any(|reference| reference.starts_with("StatefulSet/")),
            "a server was made on it: {:?}",
            made.keys()
        );
        Ok(())
    })
    .await;
}
