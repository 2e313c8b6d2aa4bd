//! The objects that a controller watches, and its use of them, from which its permissions follow.

use kube::{Resource, api::ApiResource};

use crate::surroundings::Surrounding;

/// The watches of a controller, besides that of its own kind.
pub struct Watches<K> {
    /// The kinds of its children, and how it uses them.
    pub children: Vec<Child>,
    /// The ConfigMaps and Secrets of users that are watched by name.
    pub sources: Sources,
    /// The user's source that an object reads. The one with the default name counts for one object of a namespace:
    /// [`World::default_source`](crate::world::World::default_source) says whether it is this one.
    pub configuration: fn(&K) -> Configuration<'_>,
    /// The kinds of other components that this one refers to in its namespace. They and all bindings are watched, and a change
    /// triggers a pass for all objects of its namespace. A kind that the cluster does not have is watched when it appears.
    pub neighbours: Vec<ApiResource>,
    /// The kinds of administrators' objects that a pass reads by name in any namespace:
    /// [`World::get_elsewhere`](crate::world::World::get_elsewhere). The cluster need not have them.
    pub elsewhere: Vec<ApiResource>,
    /// Objects of others that a pass knows without a request: [`World::around`](crate::world::World::around).
    pub surroundings: Vec<Surrounding>,
    /// The kinds in whose objects single fields are set: [`Hand`](crate::hand::Hand).
    pub touched: Vec<ApiResource>,
    /// Whether ConfigMaps and Secrets of users are read: otherwise the controller has no permission for them.
    pub is_configured: bool,
}

impl<K> Default for Watches<K> {
    fn default() -> Self {
        Self {
            children: Vec::new(),
            sources: Sources::default(),
            configuration: |_| Configuration::Default,
            neighbours: Vec::new(),
            elsewhere: Vec::new(),
            surroundings: Vec::new(),
            touched: Vec::new(),
            is_configured: true,
        }
    }
}

/// The ConfigMap or Secret that an object reads its configuration from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Configuration<'a> {
    /// Its spec names none: the source with the default name.
    Default,
    /// Its spec names this one.
    Named(&'a str),
    /// None, for instance because its product runs elsewhere.
    Nothing,
}

impl<'a> Configuration<'a> {
    /// The source by a spec: the name in the spec, unless the product is external.
    pub fn new(is_external: bool, named: Option<&'a str>) -> Self {
        match named {
            _ if is_external => Self::Nothing,
            Some(name) => Self::Named(name),
            None => Self::Default,
        }
    }
}

/// ConfigMaps and Secrets of users that are watched by name, in every namespace that the controller serves.
/// Those with the label `temporal-stack.dev/config=true` are watched too.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sources {
    /// Names of ConfigMaps.
    pub config_maps: &'static [&'static str],
    /// Names of Secrets.
    pub secrets: &'static [&'static str],
}

impl Sources {
    /// Kind and name of the default source, for objects that name none: the first of these.
    pub(crate) fn default_reference(&self) -> Option<(&'static str, &'static str)> {
        let map = self.config_maps.first().map(|name| ("ConfigMap", *name));
        map.or_else(|| self.secrets.first().map(|name| ("Secret", *name)))
    }
}

/// A kind of child, and how the controller uses its objects.
#[derive(Clone, Debug)]
pub struct Child {
    /// The kind.
    pub resource: ApiResource,
    /// How the controller uses its objects.
    pub relation: Relation,
}

/// How the controller uses the objects of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Creates, applies and prunes them.
    Owned,
    /// Others create them; some of their fields are set.
    Adjusted {
        /// Whether they are also deleted.
        deleted: bool,
    },
    /// Pods of its workloads, which are deleted one at a time to restart them.
    Restarted {
        /// Whether [`Manifest::labels`](crate::manifest::Manifest::labels) sets labels on them, too.
        labelled: bool,
    },
    /// Only reads them.
    Watched,
}

impl Child {
    /// A kind in this relation.
    pub fn new<K: Resource<DynamicType = ()>>(relation: Relation) -> Self {
        Self { resource: ApiResource::erase::<K>(&()), relation }
    }

    /// A kind whose objects the controller creates, applies and prunes.
    pub fn owned<K: Resource<DynamicType = ()>>() -> Self {
        Self::new::<K>(Relation::Owned)
    }

    /// Whether the controller may prune objects of this kind, because it creates them.
    pub fn is_owned(&self) -> bool {
        self.relation == Relation::Owned
    }
}

impl Relation {
    /// The verbs beside `list` and `watch` that the controller needs.
    pub fn verbs(self) -> &'static [&'static str] {
        match self {
            Self::Owned => &["create", "delete", "get", "patch"],
            Self::Adjusted { deleted: true } => &["delete", "get", "patch"],
            Self::Adjusted { deleted: false } => &["get", "patch"],
            Self::Restarted { labelled: true } => &["delete", "patch"],
            Self::Restarted { labelled: false } => &["delete"],
            Self::Watched => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Pod, Secret};

    use super::*;

    #[test]
    fn each_relation_has_the_verbs_of_its_writes() {
        assert_eq!(Relation::Owned.verbs(), ["create", "delete", "get", "patch"]);
        assert_eq!(Relation::Adjusted { deleted: true }.verbs(), ["delete", "get", "patch"]);
        assert_eq!(Relation::Adjusted { deleted: false }.verbs(), ["get", "patch"]);
        assert_eq!(Relation::Restarted { labelled: true }.verbs(), ["delete", "patch"]);
        assert_eq!(Relation::Restarted { labelled: false }.verbs(), ["delete"]);
        assert!(Relation::Watched.verbs().is_empty());
    }

    #[test]
    fn only_owned_kinds_may_be_created() {
        let owned = Child::owned::<Secret>();
        assert!(owned.is_owned() && owned.relation.verbs().contains(&"create"));
        for relation in [
            Relation::Adjusted { deleted: true },
            Relation::Adjusted { deleted: false },
            Relation::Restarted { labelled: true },
            Relation::Restarted { labelled: false },
            Relation::Watched,
        ] {
            let child = Child::new::<Pod>(relation);
            assert!(!child.is_owned() && !child.relation.verbs().contains(&"create"), "{relation:?}");
        }
    }
}
