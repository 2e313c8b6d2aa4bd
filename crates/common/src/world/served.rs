//! What the API server serves, and objects of the whole cluster.

use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope, api::core::v1::Namespace};
use kube::{Api, Resource, api::ListParams};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Elsewhere, World, is_object_name,
    reads::{parsed, text},
};
use crate::metadata::Timeless;

impl World<'_> {
    /// The kinds that the API server serves of a group and version, such as `policy.linkerd.io/v1beta3`; none if it does not serve
    /// that version. The answer is shared by all objects.
    pub async fn kinds_of(&self, group_version: &str) -> kube::Result<Vec<String>> {
        let what = format!("kinds of {group_version}");
        let found = self.cluster.remembered(&what, async {
            let kinds: Vec<String> = match self.client.list_api_group_resources(group_version).await {
                Ok(list) => {
                    let resources = list.resources.into_iter().filter(|resource| !resource.name.contains('/'));
                    resources.map(|resource| resource.kind).collect()
                }
                Err(kube::Error::Api(status)) if status.code == 404 => Vec::new(),
                Err(error) => return Err(error),
            };
            text(&kinds)
        });
        parsed(&found.await?)
    }

    /// The versions of a group that the API server serves, such as `v1`; none if it does not serve the group. The answer is shared by
    /// all objects.
    pub async fn versions_of(&self, group: &str) -> kube::Result<Vec<String>> {
        let what = format!("versions of {group}");
        let found = self.cluster.remembered(&what, async {
            let groups = self.client.list_api_groups().await?.groups;
            let of_group = groups.into_iter().filter(|found| found.name == group);
            let versions: Vec<String> =
                of_group.flat_map(|found| found.versions).map(|served| served.version).collect();
            text(&versions)
        });
        parsed(&found.await?)
    }

    /// An object of the whole cluster; its kind must be among [`Watches::elsewhere`](crate::watches::Watches). The name must be one
    /// that only administrators write. The answer is shared by all objects.
    pub async fn get_cluster_wide<K>(&self, name: &str) -> kube::Result<Elsewhere<K>>
    where
        K: Resource<DynamicType = (), Scope = ClusterResourceScope> + Clone + std::fmt::Debug + Serialize,
        K: DeserializeOwned,
    {
        if !is_object_name(name) {
            return Ok(Elsewhere::Missing);
        }
        let what = format!("{}/{name}", K::kind(&()));
        let found = self
            .cluster
            .remembered(&what, async { text(&Elsewhere::of(Api::<K>::all(self.client.clone()).get_opt(name).await)?) });
        parsed(&found.await?)
    }

    /// A part of the object's namespace: for controllers that may not watch namespaces.
    pub async fn read_namespace<T>(&self, take: fn(Namespace) -> T) -> kube::Result<Elsewhere<T>>
    where
        T: Serialize + DeserializeOwned,
    {
        let what = "Namespace";
        if let Some(found) = self.reads.recall(what, self.max_age) {
            return parsed(&found);
        }
        let found = match Api::<Timeless<Namespace>>::all(self.client.clone()).get_opt(self.namespace).await {
            Ok(Some(Timeless(found))) => Elsewhere::There(take(found)),
            Ok(None) => Elsewhere::Missing,
            Err(kube::Error::Api(status)) if status.is_forbidden() => Elsewhere::Unknown,
            Err(error) => return Err(error),
        };
        self.reads.keep(what, None, text(&found)?, false);
        Ok(found)
    }

    /// The names of the first objects of a kind in the namespace that these selectors of labels and fields find. The controller must
    /// be permitted to list them.
    pub async fn names_of<K>(&self, labels: &str, fields: &str, most: u32) -> kube::Result<Vec<String>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
    {
        let what = format!("{} {labels} {fields}", K::plural(&()));
        if let Some(found) = self.reads.recall(&what, self.max_age) {
            return parsed(&found);
        }
        let params = ListParams::default().labels(labels).fields(fields).limit(most);
        let api = Api::<K>::namespaced(self.client.clone(), self.namespace);
        let list = api.list_metadata(&params).await?;
        let names: Vec<String> = list.items.into_iter().filter_map(|item| item.metadata.name).collect();
        self.reads.keep(&what, None, text(&names)?, false);
        Ok(names)
    }
}
