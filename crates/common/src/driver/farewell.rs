//! The end of an object of which something remains outside of its children.

use kube::{
    Api, Resource, ResourceExt,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::json;

use super::{
    error::Error,
    events::NewEvent,
    pass::Pass,
    passes::{NextPass, Result},
    write::{is_conflict, is_not_found},
};
use crate::{api::GROUP, component::Component, metadata::Timeless};

/// After how many failures the object goes although something may remain: about a minute.
const PATIENCE: u32 = 5;

impl<C: Component> Pass<'_, C> {
    /// Sets the finalizer, before anything is done that would remain, and removes it when nothing would any more. `Some`: the pass
    /// ends, and the event of the change triggers the next one.
    pub(super) async fn hold_on(&self) -> Result<Option<NextPass>, C> {
        if !C::REMAINS || C::remains(self.object) == self.object.finalizers().contains(&finalizer::<C>()) {
            return Ok(None);
        }
        let mut finalizers = self.object.finalizers().to_vec();
        finalizers.retain(|other| *other != finalizer::<C>());
        finalizers.extend(C::remains(self.object).then(finalizer::<C>));
        self.set_finalizers(&finalizers).await?;
        Ok(Some(NextPass::After(super::BUSY)))
    }

    /// Removes what remains, and then the finalizer.
    pub(super) async fn part(&self) -> Result<NextPass, C> {
        if !C::REMAINS || !self.object.finalizers().contains(&finalizer::<C>()) {
            return Ok(NextPass::Never);
        }
        if let Err(error) = self.with.component.leave(self.object, &self.world()).await {
            let error = Error::Act { action: "remove what remains".to_owned(), source: error };
            if self.memory.with(|state| state.failures) < PATIENCE {
                return Err(error);
            }
            let note = format!("{}; deleted nevertheless", error.chain());
            let event =
                NewEvent { is_warning: true, reason: "Remains".to_owned(), action: "Delete", note, about: None };
            self.with.reporter.note(self.object, self.memory, event).await;
        }
        let mut finalizers = self.object.finalizers().to_vec();
        finalizers.retain(|other| *other != finalizer::<C>());
        self.set_finalizers(&finalizers).await?;
        Ok(NextPass::Never)
    }

    /// Replaces the finalizers, unless the object has changed or gone; then its event triggers another pass.
    async fn set_finalizers(&self, finalizers: &[String]) -> Result<(), C> {
        let metadata = json!({
            "uid": self.object.uid(),
            "resourceVersion": self.object.resource_version(),
            "finalizers": finalizers,
        });
        let (client, namespace) = (self.with.client.clone(), &self.instance.namespace);
        let resource = kube::api::ApiResource::erase::<C::Kind>(&());
        let api = Api::<Timeless<DynamicObject>>::namespaced_with(client, namespace, &resource);
        let params = PatchParams { field_manager: Some(C::NAME.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        match api.patch(&self.instance.name, &params, &patch).await {
            Err(error) if is_conflict(&error) || is_not_found(&error) => Ok(()),
            answer => answer.map(|_| ()).map_err(Error::api("write the finalizer")),
        }
    }
}

/// The name of the finalizer.
fn finalizer<C: Component>() -> String {
    format!("{GROUP}/{}", C::Kind::plural(&()))
}
