//! The servers of a cluster, and what may happen to them.

use anyhow::{Context as _, Result, ensure};
use e2e::{Space, fake::cloud_native_pg::clusters, turns, until, until_gone};
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{PersistentVolumeClaim, Pod},
    },
    jiff::Timestamp,
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams},
};
use serde_json::json;

/// The cluster, its servers, and the primary.
const CLUSTER: &str = "temporal-postgresdatabase";
const SERVERS: &str = "cnpg.io/cluster=temporal-postgresdatabase,cnpg.io/podRole=instance";
const PRIMARY: &str = "cnpg.io/cluster=temporal-postgresdatabase,cnpg.io/instanceRole=primary";
/// The namespace and the Deployment of the operator.
const OPERATOR: (&str, &str) = ("cnpg-system", "cnpg-controller-manager");

/// What may happen to servers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The pod of the primary is killed.
    Primary,
    /// So is its volume.
    PrimaryAndVolume,
    /// A replica becomes the primary.
    Switchover,
    MoreServers,
    FewerServers,
    /// The operator stops, and comes back in the end.
    Operator,
}

impl Fault {
    /// All of them, one after the other.
    pub(crate) const OF_SERVERS: [Self; 6] = [
        Self::Primary,
        Self::PrimaryAndVolume,
        Self::Switchover,
        Self::MoreServers,
        Self::FewerServers,
        Self::Operator,
    ];

    /// Causes it, without waiting for what comes after.
    pub(crate) async fn happen(self, space: &Space) -> Result<()> {
        let killed = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        match self {
            Self::Primary => drop(space.api::<Pod>().delete(&primary(space).await?.name_any(), &killed).await?),
            Self::PrimaryAndVolume => {
                // A claim has the name of its server, and goes with the pod.
                let name = primary(space).await?.name_any();
                space.api::<PersistentVolumeClaim>().delete(&name, &DeleteParams::default()).await?;
                space.api::<Pod>().delete(&name, &killed).await?;
            }
            Self::Switchover => switch_over(space).await?,
            Self::MoreServers => instances(space, 4).await?,
            Self::FewerServers => instances(space, 3).await?,
            Self::Operator => scale_operator(space, 0).await?,
        }
        Ok(())
    }

    /// Ends it, where it does not end by itself.
    pub(crate) async fn is_over(self, space: &Space) -> Result<()> {
        if matches!(self, Self::Operator) { scale_operator(space, 1).await } else { Ok(()) }
    }
}

/// As `kubectl cnpg promote` does.
async fn switch_over(space: &Space) -> Result<()> {
    let before = primary(space).await?.name_any();
    let servers = servers(space).await?;
    let next = servers.iter().map(Pod::name_any).find(|name| *name != before).context("there is no replica")?;
    let status = json!({"status": {
        "targetPrimary": next,
        "targetPrimaryTimestamp": Timestamp::now().to_string(),
        "phase": "Switchover in progress",
        "phaseReason": format!("Switching over to {next}"),
    }});
    let clusters = clusters(&space.client, &space.name);
    clusters.patch_status(CLUSTER, &PatchParams::default(), &Patch::Merge(status)).await?;
    let has_switched = |cluster: &DynamicObject| cluster.data["status"]["currentPrimary"] == *next;
    until(&clusters, CLUSTER, "another primary", has_switched).await.map(drop)
}

async fn instances(space: &Space, count: u32) -> Result<()> {
    space.patch(&json!({"spec": {"provider": {"cloudNativePg": {"instances": count}}}})).await.map(drop)
}

/// The pods of the servers.
pub(crate) async fn servers(space: &Space) -> Result<Vec<Pod>> {
    Ok(space.api::<Pod>().list(&ListParams::default().labels(SERVERS)).await?.items)
}

/// That of the primary.
pub(crate) async fn primary(space: &Space) -> Result<Pod> {
    let mut primaries = space.api::<Pod>().list(&ListParams::default().labels(PRIMARY)).await?.items;
    ensure!(primaries.len() < 2, "there are several primaries");
    primaries.pop().context("there is no primary")
}

/// Waits until no server runs.
pub(crate) async fn none_run(space: &Space) -> Result<()> {
    turns("no server runs", async || Ok(servers(space).await?.is_empty())).await
}

/// Waits until the cluster and its volumes have gone.
pub(crate) async fn are_gone_with_their_volumes(space: &Space) -> Result<()> {
    until_gone(&clusters(&space.client, &space.name), CLUSTER).await?;
    let claims = space.api::<PersistentVolumeClaim>();
    for claim in claims.list(&ListParams::default()).await? {
        until_gone(&claims, &claim.name_any()).await?;
    }
    none_run(space).await
}

/// Starts or stops the operator.
pub(crate) async fn scale_operator(space: &Space, replicas: i32) -> Result<()> {
    let (namespace, name) = OPERATOR;
    let operators = Api::<Deployment>::namespaced(space.client.clone(), namespace);
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    operators.patch(name, &PatchParams::default(), &patch).await?;
    let has = |operator: &Deployment| {
        let ready = operator.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or_default();
        ready == replicas
    };
    until(&operators, name, "the wanted pods", has).await?;
    if replicas == 0 {
        // A pod that is ending still answers.
        let pods = Api::<Pod>::namespaced(space.client.clone(), namespace);
        for pod in pods.list(&ListParams::default()).await? {
            until_gone(&pods, &pod.name_any()).await?;
        }
    }
    Ok(())
}
