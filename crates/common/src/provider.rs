//! The location of a product: the controller runs it, or it runs elsewhere and a Secret of the user describes it.

use k8s_openapi::api::core::v1::Secret;

use crate::{
    api::{Access, ExternalSecret, PodSettings},
    component::Stalled,
    network::wrong_with_access,
    workload::{wrong_with_name, wrong_with_pods},
    world::{ReadError, World},
};

/// The location of a product.
pub enum Provider<E, X> {
    /// The controller runs it.
    Embedded(Box<E>),
    /// It runs elsewhere.
    External(X),
}

/// The description of a product that runs elsewhere, as it was observed.
pub struct External {
    /// The name of the Secret.
    pub name: String,
    /// The Secret, if it exists.
    pub secret: Option<Secret>,
}

impl External {
    /// Reads the Secret that a spec names.
    pub async fn observe(spec: &ExternalSecret, world: &World<'_>) -> Result<Self, ReadError> {
        Ok(Self { name: spec.secret_name.clone(), secret: world.secret(&spec.secret_name).await? })
    }
}

/// What a product that the controller runs answered to its administrator.
#[derive(Debug, Default)]
pub enum Answer<T, F> {
    /// Nothing: no pod is ready.
    #[default]
    Absent,
    /// Nothing, although a pod is ready.
    Silent(F),
    /// Its state.
    Known(Box<T>),
}

impl<T, F> From<Result<T, F>> for Answer<T, F> {
    fn from(asked: Result<T, F>) -> Self {
        match asked {
            Ok(known) => Self::Known(Box::new(known)),
            Err(failure) => Self::Silent(failure),
        }
    }
}

impl<T, F> Answer<T, F> {
    /// The state of the product, if it answered.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(known) => Some(known),
            Self::Absent | Self::Silent(_) => None,
        }
    }
}

/// The error in what the objects of all kinds have, if any: the name, the providers, each with whether it is set, `spec.access` and
/// `spec.pods`.
pub fn wrong_with_common(
    name: &str,
    providers: &[(&str, bool)],
    access: &Access,
    pods: &PodSettings,
) -> Option<String> {
    wrong_with_name(name)
        .or_else(|| wrong_with_providers(providers))
        .or_else(|| wrong_with_access(access))
        .or_else(|| wrong_with_pods(pods))
}

fn wrong_with_providers(providers: &[(&str, bool)]) -> Option<String> {
    let set: Vec<&str> = providers.iter().filter(|(_, is_set)| *is_set).map(|(provider, _)| *provider).collect();
    match set[..] {
        [] | [_] => None,
        [one, other] => Some(format!("spec.provider has both {one} and {other}: keep one of them")),
        _ => Some(format!("spec.provider has {}: keep one of them", set.join(" and "))),
    }
}

impl<E, X> Provider<E, X> {
    /// The product that the controller runs.
    pub fn embedded(&self) -> Option<&E> {
        match self {
            Self::Embedded(embedded) => Some(embedded),
            Self::External(_) => None,
        }
    }

    /// Whether the product runs elsewhere, so that only the user can correct it.
    pub fn is_external(&self) -> bool {
        self.embedded().is_none()
    }
}

impl<E, A> Provider<E, Result<A, Stalled>> {
    /// The product that the controller runs; `None`: it runs elsewhere, and its Secret can be used.
    pub fn usable(&self) -> Result<Option<&E>, Stalled> {
        match self {
            Self::Embedded(embedded) => Ok(Some(embedded)),
            Self::External(access) => access.as_ref().map(|_| None).map_err(Clone::clone),
        }
    }

    /// The access of an application to the product, if it is known.
    pub fn access(&self, of_embedded: impl FnOnce(&E) -> Option<A>) -> Option<A>
    where
        A: Clone,
    {
        match self {
            Self::Embedded(embedded) => of_embedded(embedded),
            Self::External(access) => access.as_ref().ok().cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_one_provider_is_invalid() {
        let wrong = |set: &[(&str, bool)]| wrong_with_common("a", set, &Access::default(), &PodSettings::default());
        assert_eq!(wrong(&[]), None);
        assert_eq!(wrong(&[("minio", true), ("external", false)]), None);
        assert!(wrong(&[("minio", true), ("external", true)]).unwrap().contains("both minio and external"));
        let three = wrong(&[("minio", true), ("rook", true), ("external", true)]).unwrap();
        assert!(three.contains("minio and rook and external"), "{three}");
    }
}
