//! Why a condition is as it is: the closed list of this component's reasons. Those that all components share, and those of the
//! driver, are in `crates/common/src/condition.rs`.

use temporal_stack_common::condition::Reason;
pub(crate) use temporal_stack_common::condition::reason::*;

/// An older `Mesh` of the namespace counts.
pub(crate) const NOT_OLDEST: Reason = Reason::new("NotOldest");
/// The cluster has no Linkerd.
pub(crate) const NOT_INSTALLED: Reason = Reason::new("NotInstalled");
/// The cluster has a part of Linkerd's kinds only.
pub(crate) const KINDS_MISSING: Reason = Reason::new("KindsMissing");
/// A part of Linkerd's control plane does not run.
pub(crate) const CONTROL_PLANE_DOWN: Reason = Reason::new("ControlPlaneDown");
/// Linkerd is older than the versions that this controller works with.
pub(crate) const UNSUPPORTED_VERSION: Reason = Reason::new("UnsupportedVersion");
/// Linkerd is newer than the versions for which this controller was written.
pub(crate) const UNTRIED_VERSION: Reason = Reason::new("UntriedVersion");
/// Linkerd reports no version, or one that cannot be read.
pub(crate) const VERSION_UNKNOWN: Reason = Reason::new("VersionUnknown");
/// The controller may not read what it needs to know.
pub(crate) const NOT_PERMITTED: Reason = Reason::new("NotPermitted");
/// The Pod Security of the namespace forbids what proxies need.
pub(crate) const POD_SECURITY: Reason = Reason::new("PodSecurity");
/// Linkerd's webhooks leave the namespace alone.
pub(crate) const NAMESPACE_EXCLUDED: Reason = Reason::new("NamespaceExcluded");
/// Another writer has set an annotation of Linkerd to another value.
pub(crate) const FOREIGN_ANNOTATION: Reason = Reason::new("ForeignAnnotation");
/// A component that the spec names does not exist.
pub(crate) const COMPONENT_MISSING: Reason = Reason::new("ComponentMissing");
/// Pods lack a proxy.
pub(crate) const PROXIES_MISSING: Reason = Reason::new("ProxiesMissing");
/// Pods have a proxy with earlier settings.
pub(crate) const PROXIES_OUTDATED: Reason = Reason::new("ProxiesOutdated");
/// Components are restarted, so that their pods get a proxy.
pub(crate) const ROLLING: Reason = Reason::new("Rolling");
/// Pods have been restarted, and still lack a current proxy.
pub(crate) const INJECTION_FAILED: Reason = Reason::new("InjectionFailed");
/// Proxies run as containers, not as native sidecars.
pub(crate) const NO_NATIVE_SIDECARS: Reason = Reason::new("NoNativeSidecars");
/// A certificate expires within 30 days, or in the last quarter of its time.
pub(crate) const CERTIFICATE_EXPIRING: Reason = Reason::new("CertificateExpiring");
/// Proxies have not renewed their certificates in time.
pub(crate) const CERTIFICATE_NOT_RENEWED: Reason = Reason::new("CertificateNotRenewed");
/// A certificate has expired.
pub(crate) const CERTIFICATE_EXPIRED: Reason = Reason::new("CertificateExpired");
/// The proxy of a pod does not answer.
pub(crate) const PROXY_UNREACHABLE: Reason = Reason::new("ProxyUnreachable");
/// No metrics of proxies have been read yet.
pub(crate) const NO_METRICS: Reason = Reason::new("NoMetrics");
/// The metrics of the proxies cannot be read.
pub(crate) const METRICS_UNREACHABLE: Reason = Reason::new("MetricsUnreachable");
/// No component calls another.
pub(crate) const NO_TRAFFIC: Reason = Reason::new("NoTraffic");
/// Calls between components fail.
pub(crate) const CALLS_FAILING: Reason = Reason::new("CallsFailing");
/// Calls between components are slow.
pub(crate) const CALLS_SLOW: Reason = Reason::new("CallsSlow");
/// A policy denies calls between components.
pub(crate) const CALLS_DENIED: Reason = Reason::new("CallsDenied");
/// Policies count connections and deny nothing.
pub(crate) const AUDITING: Reason = Reason::new("Auditing");
/// A connection that the stack needs would be denied.
pub(crate) const NEEDED_CONNECTION_DENIED: Reason = Reason::new("NeededConnectionDenied");
/// A Server of another owner counts for a port of the stack.
pub(crate) const FOREIGN_SERVER: Reason = Reason::new("ForeignServer");
/// A policy that admits a needed connection does not exist, or differs.
pub(crate) const POLICIES_MISSING: Reason = Reason::new("PoliciesMissing");
