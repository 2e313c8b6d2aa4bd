//! Databases that CloudNativePG runs: with its CRD, and an operator that has no servers. So nothing becomes Ready, and everything up
//! to the query is there.

mod retention;
mod suites;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    Controller, One, Space,
    fake::{
        CloudNativePg,
        cloud_native_pg::{CLUSTERS, SilentWebhook, clusters, crd, crd_of_version},
    },
    prepare::{api_server, until_established},
    subject::{NAME, condition_of},
    until, until_gone, with_namespace,
};
use k8s_openapi::{
    api::{core::v1::Secret, networking::v1::NetworkPolicy},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::PostgresDatabase,
    condition::{RECONCILING, STALLED},
};
use tokio::{sync::OnceCell, time::interval};

/// The object that tests make.
type Subjects<'a> = One<'a, PostgresDatabase>;

/// The name of its cluster.
const CLUSTER: &str = "temporal-postgresdatabase";
/// What the object waits for in the end: there are no servers.
const IN_THE_END: &str = "ServerUnreachable";

/// The kind is installed once for all tests of the process; before that, its absence is tested.
static INSTALLED: OnceCell<()> = OnceCell::const_new();

/// Runs a test with a controller, and an operator of CloudNativePG.
async fn with_operator(test: impl AsyncFnOnce(&Subjects<'_>, &Controller, &CloudNativePg) -> Result<()>) {
    INSTALLED.get_or_init(absent_then_installed).await;
    let cluster = api_server().await.expect("an API server");
    with_namespace(&cluster, async |space| {
        let operator = CloudNativePg::start(&space.client, &space.name);
        let controller = Controller::start::<PostgresDatabase>(space).await?;
        let result = test(&space.one(), &controller, &operator).await;
        drop(controller);
        release(space).await?;
        result
    })
    .await;
}

/// Lets the object go, which its controller would otherwise have to.
async fn release(space: &Space) -> Result<()> {
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    match space.one::<PostgresDatabase>().objects().patch(NAME, &PatchParams::default(), &free).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        freed => Ok(freed.map(drop)?),
    }
}

/// The absence of the kind is reported, then another version of it, and then its appearance is noticed.
async fn absent_then_installed() {
    let cluster = api_server().await.expect("an API server");
    with_namespace(&cluster, async |space| {
        let kinds = Api::<CustomResourceDefinition>::all(space.client.clone());
        // A cluster that is used again has it.
        remove(&kinds).await?;
        let controller = Controller::start::<PostgresDatabase>(space).await?;
        let object: Subjects<'_> = space.one();
        object.create(&spec(&json!({}))).await?;
        object.stalled("CloudNativePgMissing", &[CLUSTERS, "install it, or use another provider"]).await?;

        install(&kinds, &crd_of_version("v2")?).await?;
        object.condition_about(STALLED, "True", "CloudNativePgUnsupported", &["serves v2, not v1"]).await?;
        remove(&kinds).await?;

        install(&kinds, &crd()?).await?;
        cluster_of(space).await?;
        object.until("gone on", |object| condition_of(object, STALLED).is_none()).await?;
        drop(controller);
        release(space).await
    })
    .await;
}

async fn install(kinds: &Api<CustomResourceDefinition>, kind: &CustomResourceDefinition) -> Result<()> {
    kinds.create(&PostParams::default(), kind).await?;
    until_established(kinds, CLUSTERS).await
}

async fn remove(kinds: &Api<CustomResourceDefinition>) -> Result<()> {
    match kinds.delete(CLUSTERS, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        deleted => {
            deleted?;
            until_gone(kinds, CLUSTERS).await
        }
    }
}

/// A spec of this provider with these fields.
fn spec(fields: &Value) -> Value {
    let mut provider = json!({"storage": {"size": "1Gi"}});
    for (key, value) in fields.as_object().into_iter().flatten() {
        provider[key] = value.clone();
    }
    json!({"provider": {"cloudNativePg": provider}})
}

/// The cluster, once it exists.
async fn cluster_of(space: &Space) -> Result<DynamicObject> {
    until(&clusters(&space.client, &space.name), CLUSTER, "been made", |_| true).await
}

/// Waits until all is there but a server.
async fn delegated(space: &Subjects<'_>) -> Result<PostgresDatabase> {
    space.condition(RECONCILING, "True", IN_THE_END).await?;
    space.get().await
}

#[tokio::test]
async fn missing_kind_is_reported_and_picked_up() {
    INSTALLED.get_or_init(absent_then_installed).await;
}

#[tokio::test]
async fn cluster_has_the_fields_of_the_spec_and_keeps_those_of_others() {
    with_operator(async |space, _, _| {
        let fields = json!({"parameters": {"max_connections": "50"}, "synchronous": {"number": 1}, "runAsUser": 999});
        space.create(&spec(&fields)).await?;
        let object = delegated(space).await?;
        let cluster = cluster_of(space).await?;
        let made = &cluster.data["spec"];
        ensure!(made["instances"] == 3 && made["storage"]["size"] == "1Gi" && made["postgresUID"] == 999, "{made}");
        ensure!(made["postgresql"]["synchronous"]["dataDurability"] == "required", "{made}");
        ensure!(made["superuserSecret"]["name"] == "temporal-postgresdatabase-cluster-administrator", "{made}");
        ensure!(made["bootstrap"]["initdb"] == json!({"database": "temporal", "owner": "temporal_owner"}), "{made}");
        ensure!(made.get("imageName").is_none(), "{made}");
        let secret = space.api::<Secret>().get("temporal-postgresdatabase-cluster-administrator").await?;
        ensure!(
            secret.labels().get("cnpg.io/reload").is_some_and(|value| value == "true"),
            "not taken up by CloudNativePG"
        );
        space.api::<NetworkPolicy>().get(&format!("{CLUSTER}-cluster")).await?;
        let recorded = object.status.and_then(|status| status.cluster).context("the status names the cluster")?;
        ensure!(recorded.generation == cluster.metadata.generation && recorded.uid == cluster.uid(), "{recorded:?}");

        let theirs = json!({"spec": {"logLevel": "debug", "managed": {"roles": [{"name": "analyst", "login": true}]},
            "postgresql": {"parameters": {"log_statement": "ddl"}}}});
        let clusters = clusters(&space.client, &space.name);
        clusters
            .patch(
                CLUSTER,
                &PatchParams { field_manager: Some("user".to_owned()), ..PatchParams::default() },
                &Patch::Merge(theirs),
            )
            .await?;
        patch_cluster(space, &json!({"instances": 5, "parameters": {"work_mem": "8MB", "max_connections": null}}))
            .await?;
        let after = until(&clusters, CLUSTER, "five servers", |cluster| cluster.data["spec"]["instances"] == 5).await?;
        let after = &after.data["spec"];
        ensure!(after["postgresql"]["parameters"] == json!({"log_statement": "ddl", "work_mem": "8MB"}), "{after}");
        ensure!(after["logLevel"] == "debug" && after["managed"]["roles"][0]["name"] == "analyst", "{after}");
        delegated(space).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn drift_of_a_field_of_the_spec_is_corrected() {
    with_operator(async |space, _, _| {
        space.create(&spec(&json!({}))).await?;
        delegated(space).await?;
        let clusters = clusters(&space.client, &space.name);
        let drift = Patch::Merge(json!({"spec": {"enableSuperuserAccess": false, "instances": 1}}));
        clusters.patch(CLUSTER, &PatchParams::default(), &drift).await?;
        until(&clusters, CLUSTER, "been corrected", |cluster| {
            cluster.data["spec"]["enableSuperuserAccess"] == true && cluster.data["spec"]["instances"] == 3
        })
        .await
        .map(drop)
    })
    .await;
}

#[tokio::test]
async fn state_of_the_cluster_is_in_the_conditions() {
    with_operator(async |space, _, operator| {
        let archiving = json!({"type": "ContinuousArchiving", "status": "False", "reason": "ContinuousArchivingFailing",
            "message": "no such bucket", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        operator.reports(json!({"phase": "Creating a new replica", "readyInstances": 1, "conditions": [archiving]}));
        space.create(&spec(&json!({}))).await?;
        space.condition_about(RECONCILING, "True", "UnderReplicated", &["a replica is being created"]).await?;
        space.condition_about("FailoverReady", "False", "UnderReplicated", &["1 of 3 servers ready"]).await?;
        space.condition("Delegated", "False", "UnderReplicated").await?;
        space.condition("CertificatesValid", "True", "AsExpected").await?;
        space.condition_about("ContinuousArchiving", "False", "ArchivingFailed", &["no such bucket"]).await?;
        operator.reports(json!({}));
        touch(space).await?;
        delegated(space).await?;
        space.condition_about("FailoverReady", "True", "AsExpected", &["2 may fail"]).await?;
        space.condition("Delegated", "True", "AsExpected").await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn absent_operator_is_waited_for_and_named() {
    with_operator(async |space, _, _| {
        let webhook = SilentWebhook::register(space).await?;
        space.create(&spec(&json!({}))).await?;
        let told = ["failed calling webhook", "check its pods: kubectl get pods -A"];
        space.condition_about(RECONCILING, "True", "OperatorNotReady", &told).await?;
        ensure!(clusters(&space.client, &space.name).get_opt(CLUSTER).await?.is_none(), "the cluster came through");
        webhook.remove().await?;
        delegated(space).await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn operator_that_goes_is_reported_beside_a_running_cluster() {
    with_operator(async |space, _, _| {
        space.create(&spec(&json!({}))).await?;
        delegated(space).await?;
        let webhook = SilentWebhook::register(space).await?;
        for kind in ["Delegated", "FailoverReady"] {
            space.condition_about(kind, "Unknown", "OperatorNotReady", &["continue without failover"]).await?;
        }
        webhook.remove().await?;
        space.condition("Delegated", "True", "AsExpected").await.map(drop)
    })
    .await;
}

#[tokio::test]
async fn two_operators_are_reported() {
    with_operator(async |space, _, operator| {
        space.create(&spec(&json!({}))).await?;
        delegated(space).await?;
        let reported = space.condition_about("Delegated", "False", "OperatorConflict", &["two operators"]);
        let contest = async {
            let mut turns = interval(std::time::Duration::from_millis(500));
            for operator_hash in ["one", "other"].iter().cycle() {
                turns.tick().await;
                operator.reports(json!({"cloudNativePGOperatorHash": operator_hash}));
                touch(space).await?;
            }
            Ok::<_, anyhow::Error>(())
        };
        tokio::select! {
            reported = reported => reported.map(drop),
            contest = contest => contest,
        }
    })
    .await;
}

#[tokio::test]
async fn invalid_cluster_is_refused_by_the_schema() {
    with_operator(async |space, _, _| {
        let refused = [
            (spec(&json!({"instances": 0})), "must be 1 to 9"),
            (spec(&json!({"image": "postgres:17", "imageCatalogRef": {"name": "c", "major": 17}})), "not both"),
            (spec(&json!({"instances": 2, "synchronous": {"number": 2}})), "must be below instances"),
            (with_pods(&json!({"runtimeClassName": "kata"})), "pods.runtimeClassName"),
            (with_pods(&json!({"serviceAccountName": "theirs"})), "pods.serviceAccountName"),
        ];
        for (spec, told) in refused {
            let refusal = format!("{:#}", space.create(&spec).await.err().context("it was accepted")?);
            ensure!(refusal.contains(told), "`{told}` is not in: {refusal}");
        }
        space.create(&spec(&json!({"runAsUser": 999, "walStorage": {"size": "1Gi"}}))).await?;
        for (fields, told) in [
            (json!({"runAsUser": 26}), "runAsUser: cannot change"),
            (json!({"runAsUser": null}), "runAsUser: cannot change"),
            (json!({"walStorage": null}), "walStorage: cannot be removed"),
        ] {
            let refusal = format!("{:#}", patch_cluster(space, &fields).await.err().context("it was accepted")?);
            ensure!(refusal.contains(told), "`{told}` is not in: {refusal}");
        }
        Ok(())
    })
    .await;
}

fn with_pods(pods: &Value) -> Value {
    let mut wanted = spec(&json!({}));
    wanted["pods"] = pods.clone();
    wanted
}

/// Has the operator look at the cluster again.
async fn touch(space: &Space) -> Result<()> {
    let now = Patch::Merge(
        json!({"metadata": {"annotations": {"example.com/touched": format!("{:?}", std::time::Instant::now())}}}),
    );
    clusters(&space.client, &space.name).patch(CLUSTER, &PatchParams::default(), &now).await?;
    Ok(())
}

/// Merges fields into the provider.
async fn patch_cluster(space: &Subjects<'_>, fields: &Value) -> Result<PostgresDatabase> {
    space.patch(&json!({"spec": {"provider": {"cloudNativePg": fields}}})).await
}
