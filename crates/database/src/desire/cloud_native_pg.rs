//! The `Cluster` of CloudNativePG, with the fields of the spec only: its operator and users set others.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{ServiceAccount, TopologySpreadConstraint},
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};
use temporal_stack_common::{
    api::{CloudNativePgProvider, ImageCatalogReference, PodSettings, Resources, Storage},
    names::Names,
};

use crate::{
    cloud_native_pg::{
        Bootstrap, CatalogReference, Cluster, ClusterSpec, ClusterStorage, GROUP, Inherited, InitDb, Placement,
        Postgresql, SecretReference, SynchronousReplicas,
    },
    decide::{cloud_native_pg, view::View},
    names::{
        HIBERNATED, HIBERNATION, HIBERNATION_OFF, HIBERNATION_ON, cluster_administrator, cluster_child,
        cluster_selector, mesh, owner_role,
    },
};

/// The locale of an embedded server, so that a database sorts alike on both.
const LOCALE: &str = "C.UTF-8";

/// The cluster.
pub(super) fn cluster(view: &View<'_>, delegated: &cloud_native_pg::View<'_>) -> Cluster {
    let mut cluster = Cluster::new(&view.names.base, spec(view, delegated));
    let annotated = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    if view.must_sleep() {
        // Left out again when the object runs, and with it taken back: then a user's own hibernation remains.
        let asleep =
            [(HIBERNATION, HIBERNATION_ON)].into_iter().chain(delegated.must_wake().then_some((HIBERNATED, "")));
        let annotations = asleep.map(annotated).collect();
        cluster.metadata = ObjectMeta { annotations: Some(annotations), ..cluster.metadata };
    } else if delegated.must_wake() {
        // Both are left out again once they have been read: whether the cluster is hibernated is the user's decision otherwise.
        let awake = [(HIBERNATION, HIBERNATION_OFF), (HIBERNATED, "")];
        let annotations = awake.into_iter().map(annotated).collect();
        cluster.metadata = ObjectMeta { annotations: Some(annotations), ..cluster.metadata };
    }
    cluster
}

/// The account of its servers, where it cannot have the name of the cluster, which the account of an embedded server has. Its pods
/// need a token.
pub(super) fn account(view: &View<'_>, delegated: &cloud_native_pg::View<'_>) -> Option<ServiceAccount> {
    let name = account_name(view, delegated).filter(|name| *name == cluster_child(&view.names))?;
    let metadata = ObjectMeta { name: Some(name), ..ObjectMeta::default() };
    Some(ServiceAccount { metadata, ..ServiceAccount::default() })
}

/// It cannot change.
fn account_name(view: &View<'_>, delegated: &cloud_native_pg::View<'_>) -> Option<String> {
    match delegated.cluster() {
        Some(cluster) => cluster.spec.service_account_name.clone(),
        None => view.traces.account.then(|| cluster_child(&view.names)),
    }
}

/// Its spec.
pub(super) fn spec(view: &View<'_>, delegated: &cloud_native_pg::View<'_>) -> ClusterSpec {
    let CloudNativePgProvider {
        instances,
        image,
        image_catalog_ref,
        run_as_user,
        storage,
        wal_storage,
        resources,
        parameters: _,
        synchronous: _,
    } = &delegated.provider;
    let (names, pods) = (&view.names, &view.object.spec.pods);
    let (image_name, image_catalog_ref) = match (image, image_catalog_ref) {
        (None, None) => image_in_use(delegated),
        (image, reference) => (image.clone(), reference.as_ref().map(catalog)),
    };
    ClusterSpec {
        instances: *instances,
        image_name,
        image_catalog_ref,
        postgres_uid: *run_as_user,
        postgres_gid: *run_as_user,
        enable_superuser_access: Some(true),
        superuser_secret: Some(SecretReference { name: cluster_administrator(names) }),
        bootstrap: bootstrap(view, delegated),
        service_account_name: account_name(view, delegated),
        storage: Some(volume(storage)),
        wal_storage: wal_storage.as_ref().map(volume),
        resources: Some(resources.clone()).filter(|resources| *resources != Resources::default()),
        postgresql: postgresql(&delegated.provider),
        affinity: affinity(pods),
        topology_spread_constraints: spread(names, pods),
        priority_class_name: pods.priority_class_name.clone(),
        image_pull_secrets: pods.image_pull_secrets.clone(),
        inherited_metadata: Some(inherited(pods)),
    }
}

/// The image or the catalogue of a cluster that exists, where the spec names none. Without either, CloudNativePG's webhook sets the
/// default of the present operator: another major version would be upgraded to, offline and for good.
fn image_in_use(delegated: &cloud_native_pg::View<'_>) -> (Option<String>, Option<CatalogReference>) {
    let spec = delegated.cluster().map(|cluster| &cluster.spec);
    match spec.and_then(|spec| spec.image_catalog_ref.clone()) {
        Some(reference) => (None, Some(reference)),
        None => (spec.and_then(|spec| spec.image_name.clone()), None),
    }
}

fn catalog(ImageCatalogReference { kind, name, major }: &ImageCatalogReference) -> CatalogReference {
    CatalogReference { api_group: GROUP.to_owned(), kind: *kind, name: name.clone(), major: *major }
}

/// The first database. It is read once, so a cluster that exists keeps what it was created with, and one from a backup has none.
/// Databases of another name are created over SQL.
fn bootstrap(view: &View<'_>, delegated: &cloud_native_pg::View<'_>) -> Option<Bootstrap> {
    if let Some(cluster) = delegated.cluster() {
        return cluster.spec.bootstrap.clone().filter(|bootstrap| bootstrap.initdb.is_some());
    }
    let database = view.settings.database.clone();
    let owner = owner_role(&database);
    let locale = || Some(LOCALE.to_owned());
    Some(Bootstrap { initdb: Some(InitDb { database, owner, locale_collate: locale(), locale_ctype: locale() }) })
}

fn volume(storage: &Storage) -> ClusterStorage {
    ClusterStorage { size: Some(storage.size.0.clone()), storage_class: storage.storage_class_name.clone() }
}

fn postgresql(provider: &CloudNativePgProvider) -> Option<Postgresql> {
    let synchronous = provider.synchronous.map(|synchronous| SynchronousReplicas {
        method: synchronous.method,
        number: synchronous.number,
        data_durability: Some(synchronous.data_durability),
    });
    let postgresql = Postgresql { parameters: provider.parameters.clone(), synchronous };
    (postgresql != Postgresql::default()).then_some(postgresql)
}

fn affinity(pods: &PodSettings) -> Option<Placement> {
    let of_user = pods.affinity.clone().unwrap_or_default();
    let affinity = Placement {
        node_selector: pods.node_selector.clone(),
        tolerations: pods.tolerations.clone(),
        node_affinity: of_user.node_affinity,
        additional_pod_affinity: of_user.pod_affinity,
        additional_pod_anti_affinity: of_user.pod_anti_affinity,
    };
    (affinity != Placement::default()).then_some(affinity)
}

/// Without constraints of the user, CloudNativePG spreads the servers over machines.
fn spread(names: &Names, pods: &PodSettings) -> Vec<TopologySpreadConstraint> {
    let ours = || LabelSelector { match_labels: Some(cluster_selector(names)), ..LabelSelector::default() };
    let counting = |constraint: &TopologySpreadConstraint| TopologySpreadConstraint {
        label_selector: constraint.label_selector.clone().or_else(|| Some(ours())),
        ..constraint.clone()
    };
    pods.topology_spread_constraints.iter().map(counting).collect()
}

/// Metadata of pods and Services: those of the user, and what a mesh must know.
fn inherited(pods: &PodSettings) -> Inherited {
    let annotations: BTreeMap<String, String> = pods.annotations.clone().into_iter().chain(mesh()).collect();
    Inherited { labels: pods.labels.clone(), annotations }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use temporal_stack_common::manifest::Manifest;

    use super::*;
    use crate::fixture::{cluster, delegated, manifests, object};

    fn made(spec: &Value, live: Option<Value>) -> Value {
        let observed = delegated(live.map(|live| cluster(&live)), &[], None);
        let manifests = manifests(&object(spec), &observed);
        let cluster = manifests.into_iter().find(|manifest| manifest.resource.kind == "Cluster");
        cluster.map(|Manifest { object, .. }| object).unwrap()
    }

    #[test]
    fn bootstrap_of_an_existing_cluster_stays() {
        let spec = json!({"provider": {"cloudNativePg": {}}, "database": "other"});
        assert_eq!(made(&spec, None)["spec"]["bootstrap"]["initdb"]["database"], "other");
        let live = json!({"spec": {"bootstrap": {"initdb": {"database": "temporal", "owner": "temporal_owner"}}}});
        let initdb = json!({"database": "temporal", "owner": "temporal_owner"});
        assert_eq!(made(&spec, Some(live))["spec"]["bootstrap"]["initdb"], initdb);
        let of_backup = json!({"spec": {"bootstrap": {"recovery": {"source": "backup"}}}});
        assert_eq!(made(&spec, Some(of_backup))["spec"].get("bootstrap"), None);
    }

    #[test]
    fn image_that_the_operator_chose_stays() {
        let live = || Some(json!({"spec": {"imageName": "cnpg/postgres:17.5"}}));
        let image =
            |provider: Value, live| made(&json!({"provider": {"cloudNativePg": provider}}), live)["spec"].clone();
        assert_eq!(image(json!({}), live())["imageName"], "cnpg/postgres:17.5");
        assert_eq!(image(json!({}), None).get("imageName"), None);
        assert_eq!(image(json!({"image": "mine:18"}), live())["imageName"], "mine:18");
        let catalog = json!({"imageCatalogRef": {"name": "c", "major": 18}});
        assert_eq!(image(catalog, live()).get("imageName"), None);
        let reference = json!({"apiGroup": GROUP, "kind": "ImageCatalog", "name": "c", "major": 16});
        let of_catalog = || Some(json!({"spec": {"imageCatalogRef": reference}}));
        assert_eq!(image(json!({}), of_catalog())["imageCatalogRef"], reference);
        assert_eq!(image(json!({"image": "mine:18"}), of_catalog()).get("imageCatalogRef"), None);
    }

    #[test]
    fn hibernation_is_taken_back_only_after_an_earlier_object() {
        let spec = json!({"provider": {"cloudNativePg": {}}});
        let annotations =
            |live: Value| made(&spec, Some(json!({"metadata": {"annotations": live}})))["metadata"].clone();
        let woken = annotations(json!({HIBERNATION: "on", HIBERNATED: "an-uid"}));
        assert_eq!(woken["annotations"], json!({HIBERNATION: "off", HIBERNATED: ""}));
        for own in [json!({HIBERNATION: "on"}), json!({HIBERNATION: "off", HIBERNATED: ""})] {
            assert_eq!(annotations(own).get("annotations"), None);
        }
    }

    #[test]
    fn placement_of_pods_reaches_the_cluster() {
        let pods = json!({
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "dedicated", "operator": "Exists"}],
            "affinity": {"podAntiAffinity": {}},
            "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
            "priorityClassName": "high",
            "labels": {"team": "a"},
            "imagePullSecrets": [{"name": "registry"}],
        });
        let spec = made(&json!({"provider": {"cloudNativePg": {}}, "pods": pods}), None)["spec"].clone();
        assert_eq!(spec["affinity"]["nodeSelector"], json!({"disk": "ssd"}));
        assert_eq!(spec["affinity"]["additionalPodAntiAffinity"], json!({}));
        let selector = &spec["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"];
        assert_eq!(*selector, json!({"cnpg.io/cluster": "temporal-postgresdatabase"}));
        assert_eq!(
            (&spec["priorityClassName"], &spec["inheritedMetadata"]["labels"]["team"]),
            (&json!("high"), &json!("a"))
        );
    }
}
