//! Names that belong to somebody else: never a fight.

use anyhow::{Result, ensure};
use e2e::{Space, Subject, snapshot::children, until};
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

use crate::{
    step::{look, theirs},
    with_controller,
};

e2e::for_each_kind!(
    foreign_secret_with_the_bindings_name_is_not_touched,
    foreign_secret_with_the_bindings_name_prevents_a_server,
    foreign_service_is_not_touched,
    volume_claim_of_another_owner_is_not_used,
);

/// Makes an object of somebody else's.
async fn foreign<K>(space: &Space, object: Value) -> Result<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + Serialize,
    K: DeserializeOwned,
{
    Ok(space.api::<K>().create(&PostParams::default(), &serde_json::from_value(object)?).await?)
}

async fn foreign_secret_with_the_bindings_name_is_not_touched<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        let _theirs = theirs::<K>(space).await?;
        let taken: Secret =
            foreign(space, json!({"metadata": {"name": K::binding()}, "stringData": {"their": "own"}})).await?;
        space.create(&K::external("theirs")).await?;
        space.stalled("NameTaken", &[&K::binding(), "another owner", "rename this object"]).await?;
        for _ in 0..3 {
            look(space, controller).await?;
        }
        let after = space.api::<Secret>().get(&K::binding()).await?;
        ensure!(after.resource_version() == taken.resource_version(), "the Secret was written to");
        let bound = serde_json::to_value(space.get().await?)?["status"]["binding"].clone();
        ensure!(bound.is_null(), "another owner");

        space.api::<Secret>().delete(&K::binding(), &DeleteParams::default()).await?;
        // What is stalled by an object that nobody watches is looked at again within half a minute.
        until(&space.api::<Secret>(), &K::binding(), "been made", |secret| secret.uid() != taken.uid()).await?;
        Ok(())
    })
    .await;
}

async fn foreign_secret_with_the_bindings_name_prevents_a_server<K: Subject>() {
    with_controller::<K>(async |space, _| {
        let taken: Secret =
            foreign(space, json!({"metadata": {"name": K::binding()}, "stringData": {"their": "own"}})).await?;
        space.create(&K::embedded()).await?;
        space.stalled("NameTaken", &[&K::binding(), "another owner"]).await?;
        let after = space.api::<Secret>().get(&K::binding()).await?;
        ensure!(after.resource_version() == taken.resource_version(), "the Secret was written to");
        Ok(())
    })
    .await;
}

async fn foreign_service_is_not_touched<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        let spec = json!({"ports": [{"port": 80}]});
        let taken: Service = foreign(space, json!({"metadata": {"name": K::set()}, "spec": spec})).await?;
        space.create(&K::embedded()).await?;
        space.stalled("NameTaken", &[&K::set(), "another owner", "rename this object"]).await?;
        for _ in 0..3 {
            look(space, controller).await?;
        }
        let after = space.api::<Service>().get(&K::set()).await?;
        ensure!(after.resource_version() == taken.resource_version(), "the Service was written to");
        Ok(())
    })
    .await;
}

async fn volume_claim_of_another_owner_is_not_used<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}});
        let taken: PersistentVolumeClaim =
            foreign(space, json!({"metadata": {"name": K::volume(0)}, "spec": spec})).await?;
        space.create(&K::embedded()).await?;
        space.stalled("NameTaken", &[&K::volume(0), "another owner", "rename this object"]).await?;
        for _ in 0..3 {
            look(space, controller).await?;
        }
        let after = space.api::<PersistentVolumeClaim>().get(&K::volume(0)).await?;
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
