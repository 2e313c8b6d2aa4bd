//! All names: annotations and labels of Linkerd, its objects, and its ports.

use temporal_stack_common::{api::DefaultInboundPolicy, port};

/// The component's name: label value, field manager, event reporter and Lease.
pub(crate) const COMPONENT: &str = "mesh";
/// What the program does.
pub(crate) const ABOUT: &str =
    "Puts the proxies of Linkerd beside the pods of Mesh objects, and verifies that they answer";

/// The condition about Linkerd.
pub(crate) const MESH_INSTALLED: &str = "MeshInstalled";
/// The condition about the proxies of the pods.
pub(crate) const INJECTED: &str = "Injected";
/// The condition about the certificates of Linkerd.
pub(crate) const IDENTITY_VALID: &str = "IdentityValid";

/// The condition about policies.
pub(crate) const POLICY_ENFORCED: &str = "PolicyEnforced";

/// Annotation of namespaces and pods: whether pods get a proxy.
pub(crate) const INJECT: &str = "linkerd.io/inject";
/// The value of [`INJECT`] for a proxy.
pub(crate) const ENABLED: &str = "enabled";
/// The value of [`INJECT`] for none.
pub(crate) const DISABLED: &str = "disabled";
/// How long a proxy waits for open connections after its program has ended. Without it a broker takes two minutes to end,
/// because clients that do not close their side keep connections half open.
pub(crate) const SHUTDOWN: &str = "config.linkerd.io/shutdown-grace-period";
/// The value of [`SHUTDOWN`].
pub(crate) const SHUTDOWN_TIME: &str = "5s";
/// How long a proxy remembers a Service that it does not use. With the default of 5 s every call hangs while Linkerd's control
/// plane is away.
pub(crate) const DISCOVERY: &str = "config.linkerd.io/proxy-outbound-discovery-cache-unused-timeout";
/// The value of [`DISCOVERY`].
pub(crate) const DISCOVERY_TIME: &str = "300s";
/// What a proxy does with connections to a port without a policy.
pub(crate) const DEFAULT_POLICY: &str = "config.linkerd.io/default-inbound-policy";
/// The values of [`DEFAULT_POLICY`] that refuse clients without a proxy, such as controllers.
pub(crate) const CLOSED: [DefaultInboundPolicy; 3] =
    [DefaultInboundPolicy::Deny, DefaultInboundPolicy::AllAuthenticated, DefaultInboundPolicy::ClusterAuthenticated];
/// The settings that the injector copies from a namespace to its pods.
pub(crate) const SETTINGS: [&str; 3] = [SHUTDOWN, DISCOVERY, DEFAULT_POLICY];
/// Annotation of pods: the hash of the trust anchors with which the proxy started.
pub(crate) const TRUST_ROOT: &str = "linkerd.io/trust-root-sha256";
/// Annotation of pods: ports that do not lead to the proxy.
pub(crate) const SKIPPED_PORTS: &str = "config.linkerd.io/skip-inbound-ports";
/// Label of namespaces: `disabled` where Linkerd's webhooks do not act.
pub(crate) const WEBHOOKS: &str = "config.linkerd.io/admission-webhooks";
/// Label of pods with a proxy.
pub(crate) const PROXIED: &str = "linkerd.io/control-plane-ns";
/// The container of the proxy.
pub(crate) const PROXY: &str = "linkerd-proxy";

/// The label of the Deployments of Linkerd's control plane.
pub(crate) const CONTROL_PLANE: &str = "linkerd.io/control-plane-component";
/// Their values of [`CONTROL_PLANE`].
pub(crate) const PLANES: [&str; 3] = ["identity", "destination", "proxy-injector"];
/// The label with the version of Linkerd.
pub(crate) const VERSION: &str = "app.kubernetes.io/version";
/// The webhook that adds proxies.
pub(crate) const INJECTOR: &str = "linkerd-proxy-injector-webhook-config";
/// The webhooks that check policies and profiles of Services before they are written.
pub(crate) const VALIDATORS: [&str; 2] =
    ["linkerd-policy-validator-webhook-config", "linkerd-sp-validator-webhook-config"];
/// The ConfigMap with the settings of the installation.
pub(crate) const CONFIG: &str = "linkerd-config";
/// The key with them, in YAML.
pub(crate) const CONFIG_KEY: &str = "values";
/// The ConfigMap with the trust anchors.
pub(crate) const TRUST_ROOTS: &str = "linkerd-identity-trust-roots";
/// The key with them, in PEM.
pub(crate) const TRUST_ROOTS_KEY: &str = "ca-bundle.crt";
/// The Secret with the issuer.
pub(crate) const ISSUER: &str = "linkerd-identity-issuer";
/// The keys that may have its certificate: of the command line, and of cert-manager.
pub(crate) const ISSUER_KEYS: [&str; 2] = ["crt.pem", "tls.crt"];
/// The group of Linkerd's policies.
pub(crate) const POLICIES: &str = "policy.linkerd.io";
/// Group and version of the Gateway API's routes.
pub(crate) const ROUTES: &str = "gateway.networking.k8s.io/v1";
/// The versions of `Server`, the newest first.
pub(crate) const SERVER_VERSIONS: [&str; 3] = ["v1beta3", "v1beta2", "v1beta1"];

/// Annotation of the `NetworkAuthentication` of a controller: its addresses, each with the time until which it is admitted if its pod
/// has gone.
pub(crate) const ADDRESSES: &str = "temporal-stack.dev/addresses";

/// The label of the controllers' pods.
pub(crate) const PART_OF_STACK: &str = "app.kubernetes.io/part-of=temporal-stack";
/// Label of namespaces: the strictest Pod Security that pods must meet.
pub(crate) const POD_SECURITY: &str = "pod-security.kubernetes.io/enforce";
/// The port of a proxy that reports whether it is ready.
pub(crate) const ADMIN: u16 = port::MESH_METRICS.number;

/// The annotations that a namespace gets, with their values.
pub(crate) fn annotations(
    is_whole: bool,
    default_policy: Option<DefaultInboundPolicy>,
) -> Vec<(&'static str, &'static str)> {
    let mut all = vec![(SHUTDOWN, SHUTDOWN_TIME), (DISCOVERY, DISCOVERY_TIME)];
    all.extend(is_whole.then_some((INJECT, ENABLED)));
    all.extend(default_policy.map(|policy| (DEFAULT_POLICY, policy.as_str())));
    all
}
