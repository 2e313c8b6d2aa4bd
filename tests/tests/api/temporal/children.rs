//! What is made in the cluster follows the spec and nothing else, and what belongs to somebody else is left alone.

use anyhow::{Context as _, Result, ensure};
use e2e::{full, subject::condition_of, until, until_gone};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        core::v1::{Secret, Service},
        networking::v1::{Ingress, NetworkPolicy},
        policy::v1::PodDisruptionBudget,
    },
};
use kube::{
    Resource, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{IpfsCluster, MessageQueue, PostgresDatabase, annotation},
    condition::PAUSED,
    process::client::Counts,
};

use super::{Subjects, complete, content, made, say, siblings, spec, waits_for_the_broker, with_controller, with_tls};
use crate::{
    drift::{Addition, is_undone},
    step::{look, quiet},
};

const API: &str = "temporal-temporal-api";
const KRAB: &str = "temporal-temporal-krab";
const ENVIRONMENT: &str = "temporal-temporal-environment";

/// Requests but those that look again whether there is a class by now, which is done while something is awaited.
fn counted(requests: &Counts) -> Counts {
    Counts(requests.of_passes().0.into_iter().filter(|(call, _)| call.resource != "storageclasses").collect())
}

#[tokio::test]
async fn unchanged_object_makes_no_request() {
    with_controller(async |space, controller| {
        with_tls(space).await?;
        made(space, controller, &json!({"api": {"replicas": 2}, "ingress": {"host": "temporal.example.com"}})).await?;
        quiet(space, controller).await?;
        let before = counted(&controller.requests()?);
        let passes = controller.metrics()?.passes("unchanged");
        let looks: u64 = if full() { 300 } else { 10 };
        for number in 0..looks {
            look(space, controller).await?;
            // News of a neighbour make a pass, and no request.
            let message = format!("answers for the {number}th time");
            match number % 3 {
                0 => say::<PostgresDatabase>(space, "True", "Verified", &message).await?,
                1 => say::<MessageQueue>(space, "True", "Verified", &message).await?,
                _ => say::<IpfsCluster>(space, "True", "Verified", &message).await?,
            }
        }
        controller.until("a pass for each news", |metrics| metrics.passes("unchanged") >= passes + looks).await?;
        look(space, controller).await?;
        let after = counted(&controller.requests()?);
        println!("requests until Temporal waits for products alone:\n{before}");
        ensure!(after == before, "passes over an unchanged object made requests; before:\n{before}after:\n{after}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn addition_to_rules_or_selectors_is_undone() {
    with_controller(async |space, controller| {
        made(space, controller, &json!({"ingress": {"host": "temporal.example.com"}})).await?;
        let additions: [Addition; 4] = [
            ("NetworkPolicy", KRAB, "/spec/ingress", json!({})),
            ("NetworkPolicy", KRAB, "/spec/ingress/0/from", json!({"namespaceSelector": {}})),
            ("Ingress", API, "/spec/rules", json!({"host": "theirs.example.com"})),
            ("Service", API, "/spec/selector", json!({"off": "1"})),
        ];
        for addition in &additions {
            is_undone(space, addition).await?;
        }
        quiet(space, controller).await?;
        Ok(())
    })
    .await;
}

/// What is there of somebody else's stalls the object and is left alone; when it goes, all goes on.
async fn is_left_alone<K>(name: &str, mut object: Value)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + Serialize,
    K: DeserializeOwned + Send + 'static,
{
    object["metadata"] = json!({"name": name});
    with_controller(async |space, controller| {
        siblings(space).await?;
        let taken: K = space.api::<K>().create(&PostParams::default(), &serde_json::from_value(object)?).await?;
        let reference = format!("{}/{name}", K::kind(&()));
        space.create(&spec(&json!({"api": {"replicas": 2}, "ingress": {"host": "temporal.example.com"}}))).await?;
        space.stalled("NameTaken", &[&reference, "another owner", "rename this object"]).await?;
        for _ in 0..3 {
            look(space, controller).await?;
        }
        let after = space.api::<K>().get(name).await?;
        // Kubernetes writes the status of some.
        let content_of = |object: &K| -> Result<Value> {
            let object = serde_json::to_value(object)?;
            let meta = &object["metadata"];
            Ok(json!([object["spec"], object["data"], meta["labels"], meta["annotations"], meta["ownerReferences"]]))
        };
        ensure!(content_of(&after)? == content_of(&taken)?, "{reference} was written to");
        space.api::<K>().delete(name, &DeleteParams::default()).await?;
        // What is stalled by an object that nobody watches is looked at again within half a minute.
        until(&space.api::<K>(), name, "been made", |made| made.uid() != taken.uid()).await?;
        complete(space, controller).await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn foreign_secret_is_left_alone() {
    is_left_alone::<Secret>("temporal-temporal-binding", json!({"stringData": {"their": "own"}})).await;
}

#[tokio::test]
async fn foreign_service_is_left_alone() {
    is_left_alone::<Service>(API, json!({"spec": {"ports": [{"port": 80}]}})).await;
}

#[tokio::test]
async fn foreign_secret_is_not_used_as_keys() {
    let keys = json!({"jwt-key": "a", "krab-auth-key": "b", "krab-keystore-password": "c"});
    is_left_alone::<Secret>("temporal-temporal-keys", json!({"stringData": keys})).await;
}

#[tokio::test]
async fn foreign_network_policy_is_left_alone() {
    let policy = json!({"spec": {"podSelector": {"matchLabels": {"app": "nobody"}}}});
    is_left_alone::<NetworkPolicy>(KRAB, policy).await;
}

#[tokio::test]
async fn foreign_disruption_budget_is_left_alone() {
    let budget = json!({"spec": {"selector": {"matchLabels": {"app": "nobody"}}, "maxUnavailable": 1}});
    is_left_alone::<PodDisruptionBudget>(API, budget).await;
}

#[tokio::test]
async fn foreign_ingress_is_left_alone() {
    let backend = json!({"service": {"name": "theirs", "port": {"number": 80}}});
    is_left_alone::<Ingress>(API, json!({"spec": {"defaultBackend": backend}})).await;
}

/// Edits an object as `kubectl edit` does: somebody else's field manager, no force.
async fn edit<K>(space: &Subjects<'_>, name: &str, patch: Value) -> Result<()>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
{
    let params = PatchParams { field_manager: Some("somebody".to_owned()), ..PatchParams::default() };
    space.api::<K>().patch(name, &params, &Patch::Merge(patch)).await?;
    Ok(())
}

#[tokio::test]
async fn foreign_edits_of_children_are_undone() {
    with_controller(async |space, controller| {
        made(space, controller, &json!({"api": {"replicas": 2}, "ingress": {"host": "temporal.example.com"}})).await?;
        let before = content(space).await?;
        let theirs = json!({"annotations": {"example.com/theirs": "yes"}});
        let astray = json!({"metadata": theirs, "spec": {"selector": {"app.kubernetes.io/name": "nothing"}}});
        for name in [API, KRAB] {
            let selector = space.api::<Service>().get(name).await?.spec.and_then(|spec| spec.selector);
            edit::<Service>(space, name, astray.clone()).await?;
            let is_back = |service: &Service| service.spec.as_ref().is_some_and(|spec| spec.selector == selector);
            let service = until(&space.api::<Service>(), name, "its selector back", is_back).await?;
            ensure!(service.annotations().contains_key("example.com/theirs"), "their annotation has gone");
        }
        let policies = space.api::<NetworkPolicy>();
        let rules = policies.get(KRAB).await?.spec;
        edit::<NetworkPolicy>(space, KRAB, json!({"spec": {"ingress": [{}]}})).await?;
        until(&policies, KRAB, "its rules back", |policy| policy.spec == rules).await?;
        let budgets = space.api::<PodDisruptionBudget>();
        let budget = budgets.get(API).await?.spec;
        edit::<PodDisruptionBudget>(space, API, json!({"spec": {"maxUnavailable": 2}})).await?;
        until(&budgets, API, "its number back", |now| now.spec == budget).await?;
        let ingresses = space.api::<Ingress>();
        let ingress = ingresses.get(API).await?.spec;
        let elsewhere = json!([{"host": "elsewhere.example.com"}]);
        edit::<Ingress>(space, API, json!({"spec": {"rules": elsewhere}})).await?;
        until(&ingresses, API, "its rules back", |now| now.spec == ingress).await?;
        let secrets = space.api::<Secret>();
        for name in [ENVIRONMENT, "temporal-temporal-krab-environment", "temporal-temporal-binding"] {
            let data = secrets.get(name).await?.data.context("it is empty")?;
            let key = data.keys().next().cloned().context("it has no key")?;
            edit::<Secret>(space, name, json!({"stringData": {key: "theirs"}})).await?;
            until(&secrets, name, "its value back", |now| now.data.as_ref() == Some(&data)).await?;
            secrets.delete(name, &DeleteParams::default()).await?;
            until(&secrets, name, "been made again", |now| now.data.as_ref() == Some(&data)).await?;
        }
        policies.delete(KRAB, &DeleteParams::default()).await?;
        until(&policies, KRAB, "been made again", |policy| policy.spec == rules).await?;
        complete(space, controller).await?;
        let after = content(space).await?;
        ensure!(after.keys().eq(before.keys()), "there are others: {:?}", after.keys());
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn only_own_pods_and_the_controller_reach_the_key_server() {
    with_controller(async |space, controller| {
        made(space, controller, &json!({})).await?;
        let policy = serde_json::to_value(space.api::<NetworkPolicy>().get(KRAB).await?.spec)?;
        let labels = &policy["podSelector"]["matchLabels"];
        ensure!(labels["temporal-stack.dev/role"] == "krab", "it is about other pods: {labels}");
        ensure!(policy["policyTypes"] == json!(["Ingress"]), "{policy}");
        let rules = policy["ingress"].as_array().cloned().unwrap_or_default();
        let [rule, mesh, scrape] = &rules[..] else { anyhow::bail!("there are {} rules", rules.len()) };
        ensure!(mesh["from"] == rule["from"] && mesh["ports"][0]["port"] == 4143, "{mesh}");
        let scraper = &scrape["from"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/name"];
        ensure!(
            scraper == "mesh-controller" && scrape["ports"] == json!([{"port": 4191, "protocol": "TCP"}]),
            "{scrape}"
        );
        ensure!(rule["ports"] == json!([{"port": 10000, "protocol": "TCP"}]), "{rule}");
        let from = rule["from"].as_array().cloned().unwrap_or_default();
        let [own, of_controller] = &from[..] else { anyhow::bail!("{from:?}") };
        let own = &own["podSelector"]["matchLabels"];
        ensure!(own["app.kubernetes.io/instance"] == "temporal" && own["temporal-stack.dev/role"].is_null(), "{own}");
        let namespace = &of_controller["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"];
        ensure!(namespace == "temporal-stack-system", "{of_controller}");
        let name = &of_controller["podSelector"]["matchLabels"]["app.kubernetes.io/name"];
        ensure!(name == "temporal-controller", "{of_controller}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn service_ingress_and_budget_follow_the_spec() {
    with_controller(async |space, controller| {
        made(space, controller, &json!({})).await?;
        let (services, ingresses) = (space.api::<Service>(), space.api::<Ingress>());
        let budgets = space.api::<PodDisruptionBudget>();
        let type_of =
            async || -> Result<Option<String>> { Ok(services.get(API).await?.spec.and_then(|spec| spec.type_)) };
        ensure!(type_of().await?.as_deref() == Some("ClusterIP"));
        ensure!(ingresses.get_opt(API).await?.is_none() && budgets.get_opt(API).await?.is_none());
        let address = services.get(API).await?.spec.and_then(|spec| spec.cluster_ip);

        let service = json!({"type": "LoadBalancer", "annotations": {"example.com/pool": "outside"}});
        let ingress = json!({
            "host": "temporal.example.com", "className": "nginx", "tlsSecretName": "outside",
            "annotations": {"nginx.ingress.kubernetes.io/backend-protocol": "HTTPS"},
        });
        space.patch(&json!({"spec": {"api": {"service": service, "replicas": 3}, "ingress": ingress}})).await?;
        complete(space, controller).await?;
        ensure!(type_of().await?.as_deref() == Some("LoadBalancer"));
        ensure!(services.get(API).await?.annotations()["example.com/pool"] == "outside");
        ensure!(services.get(API).await?.spec.and_then(|spec| spec.cluster_ip) == address, "its address is another");
        let made = serde_json::to_value(ingresses.get(API).await?)?;
        let (spec, annotations) = (&made["spec"], &made["metadata"]["annotations"]);
        ensure!(annotations["nginx.ingress.kubernetes.io/backend-protocol"] == "HTTPS", "{annotations}");
        ensure!(spec["ingressClassName"] == "nginx", "{spec}");
        ensure!(spec["tls"] == json!([{"hosts": ["temporal.example.com"], "secretName": "outside"}]), "{spec}");
        let path = &spec["rules"][0]["http"]["paths"][0];
        ensure!(spec["rules"][0]["host"] == "temporal.example.com" && path["path"] == "/", "{spec}");
        ensure!(path["backend"]["service"] == json!({"name": API, "port": {"name": "api"}}), "{path}");
        let budget = serde_json::to_value(budgets.get(API).await?.spec)?;
        ensure!(budget["maxUnavailable"] == 1, "{budget}");

        let less = json!({"className": null, "tlsSecretName": null, "annotations": null, "host": "other.example.com"});
        space.patch(&json!({"spec": {"ingress": less}})).await?;
        complete(space, controller).await?;
        let made = serde_json::to_value(ingresses.get(API).await?)?;
        let (spec, annotations) = (&made["spec"], &made["metadata"]["annotations"]);
        ensure!(spec["rules"][0]["host"] == "other.example.com" && spec["tls"].is_null(), "{spec}");
        ensure!(spec["ingressClassName"].is_null(), "{spec}");
        ensure!(annotations["nginx.ingress.kubernetes.io/backend-protocol"].is_null(), "{annotations}");

        space.patch(&json!({"spec": {"api": {"service": null, "replicas": 1}, "ingress": null}})).await?;
        until_gone(&ingresses, API).await?;
        until_gone(&budgets, API).await?;
        complete(space, controller).await?;
        ensure!(type_of().await?.as_deref() == Some("ClusterIP"));
        ensure!(!services.get(API).await?.annotations().contains_key("example.com/pool"), "the annotation stays");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn paused_object_is_reported_and_left_alone() {
    with_controller(async |space, controller| {
        made(space, controller, &json!({})).await?;
        let before = content(space).await?;
        let change = json!({"ingress": {"host": "temporal.example.com"}, "api": {"service": {"type": "NodePort"}}});
        space.patch(&json!({"metadata": {"annotations": {annotation::PAUSED: "true"}}, "spec": change})).await?;
        space.condition_about(PAUSED, "True", "Paused", &[annotation::PAUSED, "2 changes are held back"]).await?;
        space.condition_about("Ready", "False", "Paused", &[annotation::PAUSED]).await?;
        // It is still said how its neighbours are.
        say::<IpfsCluster>(space, "False", "VerificationFailed", "does not answer").await?;
        let told = ["IpfsCluster/temporal is not Ready: VerificationFailed"];
        space.condition_about("DependenciesReady", "False", "DependencyNotReady", &told).await?;
        for _ in 0..3 {
            look(space, controller).await?;
        }
        ensure!(content(space).await? == before, "children have changed while it was paused");
        say::<IpfsCluster>(space, "True", "Verified", "answers").await?;

        space.annotate(annotation::PAUSED, &json!(null)).await?;
        until(&space.api::<Ingress>(), API, "been made", |_| true).await?;
        waits_for_the_broker(space).await?;
        complete(space, controller).await?;
        let object = space.get().await?;
        ensure!(condition_of(&object, PAUSED).is_none(), "it still says that it is paused");
        Ok(())
    })
    .await;
}
