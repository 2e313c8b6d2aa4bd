//! Objects of administrators in other namespaces, which a class of the cluster refers to.

use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Resource};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    World, is_object_name,
    reads::{parsed, text},
};

/// An object in another namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Elsewhere<K> {
    /// It exists.
    There(K),
    /// It does not exist, or the cluster does not have its kind.
    Missing,
    /// The controller may not read it, as with a namespaced Role.
    #[default]
    Unknown,
}

impl<K: Resource> Elsewhere<K> {
    /// The answer to a read.
    pub(super) fn of(answer: kube::Result<Option<K>>) -> kube::Result<Self> {
        Ok(match answer {
            Ok(Some(mut found)) => {
                found.meta_mut().managed_fields = None;
                Self::There(found)
            }
            Ok(None) => Self::Missing,
            Err(kube::Error::Api(status)) if status.is_forbidden() => Self::Unknown,
            Err(error) => return Err(error),
        })
    }
}

impl<K> Elsewhere<K> {
    /// The same with a part of the object.
    pub fn map<T>(self, take: impl FnOnce(K) -> T) -> Elsewhere<T> {
        match self {
            Self::There(found) => Elsewhere::There(take(found)),
            Self::Missing => Elsewhere::Missing,
            Self::Unknown => Elsewhere::Unknown,
        }
    }

    /// The object, if it exists and may be read.
    pub fn there(&self) -> Option<&K> {
        match self {
            Self::There(found) => Some(found),
            Self::Missing | Self::Unknown => None,
        }
    }
}

impl World<'_> {
    /// An object of an administrator, in any namespace; its kind must be among [`Watches::elsewhere`](crate::watches::Watches). The
    /// name must come from an object that only administrators write, such as a `StorageClass`: tenants must not learn by their own
    /// objects what exists elsewhere. The answer is shared by all objects.
    pub async fn get_elsewhere<K>(&self, namespace: &str, name: &str) -> kube::Result<Elsewhere<K>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + Serialize,
        K: DeserializeOwned,
    {
        self.read_elsewhere(namespace, name, |found: K| found).await
    }

    /// The same, where only a part of the object is taken, and remembered.
    pub async fn read_elsewhere<K, T>(
        &self,
        namespace: &str,
        name: &str,
        take: fn(K) -> T,
    ) -> kube::Result<Elsewhere<T>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + DeserializeOwned,
        T: Serialize + DeserializeOwned,
    {
        if !is_object_name(namespace) || !is_object_name(name) {
            return Ok(Elsewhere::Missing);
        }
        let what = format!("{}/{namespace}/{name} as {}", K::kind(&()), std::any::type_name::<T>());
        let found = self.cluster.remembered(&what, async {
            let api = Api::<K>::namespaced(self.client.clone(), namespace);
            text(&Elsewhere::of(api.get_opt(name).await)?.map(take))
        });
        parsed(&found.await?)
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::PostParams;
    use serde_json::json;

    use super::*;
    use crate::{testkit::FakeApi, world::fixture::Surroundings};

    async fn read(api: &FakeApi, namespace: &str, name: &str) -> Elsewhere<ConfigMap> {
        Surroundings::new(api).world().get_elsewhere(namespace, name).await.unwrap()
    }

    #[tokio::test]
    async fn object_elsewhere_is_there_missing_or_unknown() {
        let api = FakeApi::new();
        let map: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "m"}})).unwrap();
        Api::namespaced(api.others(), "b").create(&PostParams::default(), &map).await.unwrap();
        assert!(matches!(read(&api, "b", "m").await, Elsewhere::There(_)));
        assert_eq!(read(&api, "b", "other").await, Elsewhere::Missing);
        // A name with a path leads nowhere.
        assert_eq!(read(&api, "b", "../c/m").await, Elsewhere::Missing);
        api.refuse("configmaps", "b", 403);
        assert_eq!(read(&api, "b", "m").await, Elsewhere::Unknown);
    }
}
