//! The volumes of the cluster, as far as a claim may be bound to them.
//!
//! Volumes are the cluster's, and most of them belong to other tenants: those are counted, and never named.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{NodeSelectorTerm, PersistentVolume};
use kube::{Api, ResourceExt, api::ListParams};
use serde::{Deserialize, Serialize};

use super::{
    World,
    reads::{parsed, text},
};
use crate::message::shortened;

/// The most volumes per page, and the most pages.
const MOST_VOLUMES: u32 = 500;
const MOST_PAGES: usize = 20;
/// The most volumes that are described, of a class and of all; the others are only counted. The answer must remain small enough to
/// be remembered.
const MOST_OF_CLASS: usize = 20;
const MOST_DESCRIBED: usize = 150;
/// The most characters of a place that are kept.
const LONGEST_PLACE: usize = 200;

/// The volumes of a class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Volumes {
    /// The number of all.
    pub(crate) total: usize,
    /// The number of those that claims use.
    pub(crate) bound: usize,
    /// The number of those whose claim was deleted: they keep its data, and no other claim gets them.
    pub(crate) released: usize,
    /// Some of the others.
    pub(crate) others: Vec<Volume>,
}

/// A volume that no claim uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Volume {
    /// Its name.
    pub(crate) name: String,
    /// Its phase, `Available` for instance.
    pub(crate) phase: String,
    /// Its size.
    pub(crate) capacity: String,
    /// The access modes that it offers.
    pub(crate) modes: Vec<String>,
    /// Whether it is a raw device.
    pub(crate) is_block: bool,
    /// The claim that it is reserved for: namespace, name and UID, if any.
    pub(crate) reserved: Option<(String, String, Option<String>)>,
}

impl Volumes {
    fn add(&mut self, volume: &PersistentVolume, may_describe: bool) {
        self.total += 1;
        match volume.status.as_ref().and_then(|status| status.phase.as_deref()) {
            Some("Bound") => self.bound += 1,
            Some("Released" | "Failed") => self.released += 1,
            _ if may_describe && self.others.len() < MOST_OF_CLASS => self.others.push(Volume::new(volume)),
            _ => {}
        }
    }
}

impl Volume {
    fn new(volume: &PersistentVolume) -> Self {
        let spec = volume.spec.clone().unwrap_or_default();
        let capacity = spec.capacity.as_ref().and_then(|capacity| capacity.get("storage"));
        let reserved = spec
            .claim_ref
            .map(|claim| (claim.namespace.unwrap_or_default(), claim.name.unwrap_or_default(), claim.uid));
        Self {
            name: volume.name_any(),
            phase: volume.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default(),
            capacity: capacity.map(|capacity| capacity.0.clone()).unwrap_or_default(),
            modes: spec.access_modes.unwrap_or_default(),
            is_block: spec.volume_mode.as_deref() == Some("Block"),
            reserved,
        }
    }
}

impl World<'_> {
    /// The volumes of a class, which need not be a `StorageClass`; those without a class for an empty name. `None` where the
    /// controller may not list volumes. All objects share one read of all classes: tenants choose the names that they ask for.
    pub(crate) async fn volumes_of_class(&self, class: &str) -> kube::Result<Option<Volumes>> {
        let found = self.cluster.remembered("PersistentVolumes", async {
            let api = Api::<PersistentVolume>::all(self.client.clone());
            let mut page = ListParams::default().limit(MOST_VOLUMES);
            let mut classes = Classes::default();
            for _ in 0..MOST_PAGES {
                let volumes = match api.list(&page).await {
                    Ok(volumes) => volumes,
                    Err(kube::Error::Api(status)) if status.is_forbidden() => return text(&None::<Classes>),
                    Err(error) => return Err(error),
                };
                volumes.items.iter().for_each(|volume| classes.add(volume));
                match volumes.metadata.continue_.filter(|token| !token.is_empty()) {
                    Some(token) => page = page.continue_token(&token),
                    None => break,
                }
            }
            text(&Some(classes))
        });
        let classes: Option<Classes> = parsed(&found.await?)?;
        Ok(classes.map(|mut classes| classes.volumes.remove(class).unwrap_or_default()))
    }

    /// Where the volume of that name can be used, if it cannot be used on every node: `topology.kubernetes.io/zone in a`.
    pub(crate) async fn place_of_volume(&self, name: &str) -> Option<String> {
        let what = format!("PersistentVolume/{name}");
        if let Some(found) = self.reads.recall(&what, self.max_age) {
            return parsed(&found).ok()?;
        }
        let named = ListParams::default().fields(&format!("metadata.name={name}")).limit(1);
        let found = match Api::<PersistentVolume>::all(self.client.clone()).list(&named).await {
            Ok(volumes) => volumes.items.first().and_then(place),
            Err(error) => {
                tracing::debug!(%error, "could not read the volume of a claim");
                None
            }
        };
        self.reads.keep(&what, None, text(&found).ok()?, false);
        found
    }
}

/// The volumes of the cluster, by class.
#[derive(Default, Serialize, Deserialize)]
struct Classes {
    volumes: BTreeMap<String, Volumes>,
    /// The number of volumes that are described.
    described: usize,
}

impl Classes {
    fn add(&mut self, volume: &PersistentVolume) {
        let class = volume.spec.as_ref().and_then(|spec| spec.storage_class_name.clone()).unwrap_or_default();
        let volumes = self.volumes.entry(class).or_default();
        let before = volumes.others.len();
        volumes.add(volume, self.described < MOST_DESCRIBED);
        self.described += volumes.others.len() - before;
    }
}

fn place(volume: &PersistentVolume) -> Option<String> {
    let required = volume.spec.as_ref()?.node_affinity.as_ref()?.required.as_ref()?;
    let terms = required.node_selector_terms.iter().map(expressions).collect::<Vec<_>>().join(" or ");
    Some(shortened(&terms, LONGEST_PLACE)).filter(|terms| !terms.is_empty())
}

fn expressions(term: &NodeSelectorTerm) -> String {
    let all = term.match_expressions.iter().flatten().map(|expression| {
        let values = expression.values.as_deref().unwrap_or_default().join(", ");
        match expression.operator.as_str() {
            "In" => format!("{} is {values}", expression.key),
            other => format!("{} {other} {values}", expression.key),
        }
    });
    all.collect::<Vec<_>>().join(" and ")
}
