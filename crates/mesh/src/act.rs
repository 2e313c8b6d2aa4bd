//! Writes to objects of others, as data and as calls.

use std::{collections::BTreeMap, fmt, sync::Arc};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    ResourceExt,
    api::{ApiResource, DynamicObject},
};
use serde_json::{Value, json};
use temporal_stack_common::{
    api::{Mesh, annotation},
    component::Memos,
    hand::{Hand, Target, Touched},
    message::listed,
    surroundings::{Around, Place},
    world::{ReadError, World},
};

use crate::{
    decide::view::{closed, is_annotated},
    linkerd::policies::Policy,
    names::{DEFAULT_POLICY, ENABLED, INJECT},
    observe,
    observed::Component,
    policy::kinds::Server,
    released::Released,
};

/// How many pods a message names.
const MOST: usize = 3;

/// Why a pass failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server did not answer a read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The API server did not answer a write.
    #[error("the API server did not answer")]
    Write(#[source] kube::Error),
    /// Another writer has set the same field.
    #[error("another writer has set it: {0}; remove that field, or this object")]
    Conflict(String),
    /// The controller may not write the object.
    #[error("the controller has no permission: {0}; apply its ClusterRole and ClusterRoleBinding")]
    Refused(String),
    /// Pods would deny everything without the Servers of the object.
    #[error("{0} would accept nothing without policies, because of {setting}; restart them", setting = DEFAULT_POLICY)]
    Closed(String),
}

/// One write to an object of another owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    target: Target,
    change: Change,
}

/// A change of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Set the annotations of the namespace.
    Annotate(Value),
    /// Have the pods of a component injected.
    Inject,
    /// Undo that.
    Release,
    /// Ask a component to restart its pods.
    Restart(String),
}

impl Action {
    /// Makes these the annotations of the namespace that this controller has set.
    pub(crate) fn annotate(uid: &str, name: &str, annotations: &BTreeMap<&str, &str>) -> Self {
        Self { target: namespace(uid, name), change: Change::Annotate(json!(annotations)) }
    }

    /// Has the pods of a component injected.
    pub(crate) fn inject(target: &Target) -> Self {
        Self { target: target.clone(), change: Change::Inject }
    }

    /// Undoes that.
    pub(crate) fn release(target: &Target) -> Self {
        Self { target: target.clone(), change: Change::Release }
    }

    /// Asks a component to restart its pods.
    pub(crate) fn restart(target: &Target, value: &str) -> Self {
        Self { target: target.clone(), change: Change::Restart(value.to_owned()) }
    }

    /// The change.
    #[cfg(test)]
    pub(crate) fn change(&self) -> &Change {
        &self.change
    }
}

fn namespace(uid: &str, name: &str) -> Target {
    let resource = ApiResource::erase::<Namespace>(&());
    Target { resource, namespace: None, name: name.to_owned(), uid: uid.to_owned() }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = (&self.target.resource.kind, &self.target.name);
        match &self.change {
            Change::Annotate(annotations) => {
                let keys: Vec<&str> =
                    annotations.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
                write!(f, "annotate {kind}/{name} with {}", keys.join(", "))
            }
            Change::Inject => write!(f, "set {INJECT} in spec.pods.annotations of {kind}/{name}"),
            Change::Release => write!(f, "release {INJECT} in spec.pods.annotations of {kind}/{name}"),
            Change::Restart(_) => write!(f, "request a restart of {kind}/{name}"),
        }
    }
}

/// Carries out the action.
pub(crate) async fn act(Action { target, change }: &Action, hand: &Hand, memos: &Memos) -> Result<(), Error> {
    let touched = match change {
        Change::Annotate(annotations) => hand.apply(target, &json!({"metadata": {"annotations": annotations}})).await,
        Change::Inject => {
            let annotations = json!({INJECT: ENABLED});
            hand.apply(target, &json!({"spec": {"pods": {"annotations": annotations}}})).await
        }
        Change::Release => hand.apply(target, &json!({})).await,
        Change::Restart(value) => hand.annotate(target, &json!({annotation::RESTART: value})).await,
    };
    match touched.map_err(Error::Write)? {
        Touched::Conflict(words) => return Err(Error::Conflict(words)),
        Touched::Refused(words) => return Err(Error::Refused(words)),
        // An object that has gone needs no change.
        Touched::Done | Touched::Gone => {}
    }
    let released = memos.get::<Released>();
    match change {
        Change::Inject => released.set(&target.uid, false),
        Change::Release => released.set(&target.uid, true),
        Change::Annotate(_) | Change::Restart(_) => {}
    }
    Ok(())
}

/// Removes what an object that is being deleted has set: the annotations, unless another object takes its place, and its Servers,
/// because garbage collection has no order, and a Server without its policies denies everything. One does not wait for the other.
pub(crate) async fn leave(object: &Mesh, hand: &Hand, world: &World<'_>) -> Result<(), Error> {
    let components = observe::components(world);
    let released = if world.siblings.others == 0 { release(hand, world, &components).await } else { Ok(()) };
    let (servers, closed) = (servers(object, world)?, closed(&components));
    if !servers.is_empty() && !closed.is_empty() {
        released?;
        return Err(Error::Closed(listed(&closed, MOST)));
    }
    for target in servers {
        permitted(hand.delete(&target).await)?;
    }
    released
}

/// Removes the annotations.
async fn release(hand: &Hand, world: &World<'_>, components: &[Component]) -> Result<(), Error> {
    let own = observe::namespace(world).await?;
    let own = own.there().filter(|own| !own.owned.is_empty());
    let namespace = own.map(|own| namespace(&own.uid, world.namespace()));
    let annotated = components.iter().filter(|component| is_annotated(component));
    for target in namespace.into_iter().chain(annotated.map(|component| component.target.clone())) {
        permitted(hand.apply(&target, &json!({})).await)?;
    }
    Ok(())
}

/// A conflict or an object that has gone is no failure here: nothing of ours is left there.
fn permitted(touched: kube::Result<Touched>) -> Result<(), Error> {
    match touched.map_err(Error::Write)? {
        Touched::Refused(words) => Err(Error::Refused(words)),
        Touched::Done | Touched::Gone | Touched::Conflict(_) => Ok(()),
    }
}

/// The Servers of an object.
fn servers(object: &Mesh, world: &World<'_>) -> Result<Vec<Target>, Error> {
    let owner = object.metadata.uid.as_deref();
    let all = world.around::<Server>(Place::Served);
    if all == Around::Refused {
        return Err(Error::Refused("it may not list Servers".to_owned()));
    }
    let own = all.objects().iter().filter(|found| {
        Policy::kept("Server", found).is_some_and(|policy| policy.owner.is_some() && policy.owner.as_deref() == owner)
    });
    let target = |found: &Arc<DynamicObject>| Target {
        resource: ApiResource::erase::<Server>(&()),
        namespace: found.namespace(),
        name: found.name_any(),
        uid: found.uid().unwrap_or_default(),
    };
    Ok(own.map(target).collect())
}

#[cfg(test)]
mod tests {
    use kube::{Api, Client, api::PostParams};
    use temporal_stack_common::{api::ComponentKind, testkit::FakeApi};

    use super::*;
    use crate::{fixture::component, names::COMPONENT};

    /// A component that exists.
    async fn existing(client: Client) -> Target {
        let target = component(ComponentKind::PostgresDatabase).target;
        let object = DynamicObject::new(&target.name, &target.resource);
        let api: Api<DynamicObject> = Api::namespaced_with(client, "default", &target.resource);
        let created = api.create(&PostParams::default(), &object).await.unwrap();
        Target { uid: created.metadata.uid.unwrap(), ..target }
    }

    fn stored(api: &FakeApi, target: &Target) -> Value {
        api.get(&target.resource.plural, "default", &target.name).unwrap()
    }

    #[tokio::test]
    async fn request_of_a_restart_is_an_annotation() {
        let api = FakeApi::new();
        let target = existing(api.others()).await;
        let (hand, memos) = (Hand::new(api.client(), COMPONENT), Memos::default());
        act(&Action::restart(&target, "mesh-a-1"), &hand, &memos).await.unwrap();
        assert_eq!(stored(&api, &target)["metadata"]["annotations"][annotation::RESTART], "mesh-a-1");
        // What has gone needs no restart.
        let gone = Target { name: "gone".to_owned(), ..target };
        act(&Action::restart(&gone, "mesh-a-1"), &hand, &memos).await.unwrap();
    }

    #[tokio::test]
    async fn released_component_is_remembered_until_it_is_injected() {
        let api = FakeApi::new();
        let target = existing(api.others()).await;
        let (hand, memos) = (Hand::new(api.client(), COMPONENT), Memos::default());
        let injected = || stored(&api, &target)["spec"]["pods"]["annotations"][INJECT].clone();
        act(&Action::inject(&target), &hand, &memos).await.unwrap();
        assert_eq!(injected(), ENABLED);
        act(&Action::release(&target), &hand, &memos).await.unwrap();
        assert_eq!(injected(), Value::Null);
        assert!(memos.get::<Released>().all().contains(&target.uid));
        act(&Action::inject(&target), &hand, &memos).await.unwrap();
        assert!(memos.get::<Released>().all().is_empty());
    }

    #[tokio::test]
    async fn refusal_is_reported_with_the_remedy() {
        let api = FakeApi::new();
        let target = existing(api.others()).await;
        let (hand, memos) = (Hand::new(api.client(), COMPONENT), Memos::default());
        for (code, remedy) in [(403, "ClusterRole"), (409, "remove that field")] {
            api.refuse_next(&target.resource.plural, code, "no");
            let refused = act(&Action::inject(&target), &hand, &memos).await.unwrap_err();
            assert!(refused.to_string().contains(remedy), "{refused}");
        }
    }
}
