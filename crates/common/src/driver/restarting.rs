//! Restarting a pod that runs an outdated template.

use k8s_openapi::api::core::v1::Pod;
use kube::{Resource, ResourceExt};

use super::{
    error::Error,
    pass::{Pass, about, is_paused, paused},
    passes::Result,
    report::PassOutcome,
    restart::{Outdated, Restart, decide},
    volumes,
    write::restart_pod,
};
use crate::{
    api::Rollout,
    component::{Component, Intent},
    condition::reason,
};

impl<C: Component> Pass<'_, C> {
    /// Restarts at most one pod, when it is safe. Returns what it did or waits for.
    pub(super) async fn restart(&self, intent: &Intent<C>, outdated: &Outdated) -> Result<Option<PassOutcome>, C> {
        let object = self.object;
        let automatic = intent.rollout == Rollout::Automatic;
        let children = self.with.cache.children(&self.instance, &self.owner.reference.uid);
        if !volumes::endangered(&children).is_empty() {
            // The claim was deleted during this pass; the next one reports it.
            return Ok(None);
        }
        let pods = children.all::<Pod>();
        let pod = match decide(outdated, &pods, automatic, &intent.restart) {
            Restart::None => return Ok(None),
            Restart::Later(why) => return Ok(Some(PassOutcome::Reconciling(reason::APPLYING, why))),
            Restart::Now(pod) => pod,
        };
        if is_paused(object) {
            return Ok(Some(paused(&format!("the restart of Pod/{} is", pod.name_any()), None)));
        }
        let (name, namespace) = (pod.name_any(), &self.instance.namespace);
        tracing::info!(object = %object.name_any(), %namespace, "restart Pod/{name}");
        let restarted = restart_pod(&self.with.client, namespace, &pod).await;
        if restarted.map_err(Error::api(format!("delete Pod/{name}")))? {
            let note = format!("Pod/{name} ran an outdated template and was restarted");
            self.note("Restarted", "Restart", note, about("Pod", pod.meta())).await;
        }
        Ok(Some(PassOutcome::Reconciling(reason::APPLYING, format!("Pod/{name} is restarting"))))
    }
}
