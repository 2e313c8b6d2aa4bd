//! Suspension: the user stops everything of an object that runs, and keeps everything else.
//!
//! ```text
//!   spec.suspend: true ─▶ Deployments have no replicas ─▶ no pod of them or of a Job runs ─▶ StatefulSets have no replicas
//!     ─▶ no pod runs: Suspended
//!   spec.suspend: false ─▶ the replicas are back, all at once, as after a full stop
//! ```
//!
//! The driver does it, for all kinds alike. Whatever reads data or holds connections stops first, what has the data last. Nothing
//! is written to the product meanwhile and nothing is verified; bindings, Secrets, volumes and Services stay. A change of the spec
//! is applied to what does not run, and the rest of it when the object runs again.

/// A stop that the user asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suspension {
    /// What runs for the object without a pod of its own, and has not stopped yet, with the remedy if that lasts.
    pub awaited: Option<String>,
}

impl Suspension {
    /// That of an object with this `spec.suspend`.
    pub(crate) fn new(suspend: bool) -> Option<Self> {
        suspend.then(Self::default)
    }
}

/// Refuses to suspend what does not run here. `elsewhere` is the name of such a provider, if the object has one.
pub(crate) fn wrong_with_suspend(suspend: bool, elsewhere: Option<&str>) -> Option<String> {
    let provider = elsewhere.filter(|_| suspend)?;
    Some(format!(
        "spec.suspend has no effect with spec.provider.{provider}: nothing runs here that could stop; remove it, and stop the server where it runs"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provider_elsewhere_cannot_be_suspended() {
        let message = wrong_with_suspend(true, Some("external")).unwrap();
        assert!(message.contains("spec.provider.external") && message.contains("; remove it"), "{message}");
        assert_eq!(wrong_with_suspend(false, Some("external")), None);
        assert_eq!(wrong_with_suspend(true, None), None);
    }
}
