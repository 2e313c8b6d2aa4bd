//! A **stand-in** for Linkerd 2.20, the service mesh, as far as the stack's Mesh controller and its pods see it. It is not Linkerd.
//!
//! No package registry has Linkerd's images, so tests that must not depend on one use this: what was recorded of the real one around
//! the stack, and nothing else.
//!
//! ```text
//!   crds       the kinds of policy.linkerd.io and gateway.networking.k8s.io, in the versions that one release or another has
//!   authority  trust anchor, issuer and the webhook's certificate, valid for as long as the test says
//!   inject     pod + namespace ─▶ pod with `linkerd-init` and the native sidecar `linkerd-proxy`, labels, annotations
//!   webhook    the same as an admission webhook over TLS, and another one about policies
//!   proxy      4143 forwards to the pod's own ports; 4191 serves /live, /ready and the recorded metrics
//!   recorded   those metrics; each counter grows by its recorded value every second
//! ```
//!
//! | kept | not kept |
//! |---|---|
//! | groups, versions, required fields, list types and defaults of the kinds | other fields, descriptions, print columns |
//! | names, order, probes, ports and capabilities of the injected containers | `linkerd-init` changes no routes |
//! | which annotations and labels are on an injected pod, and which are copied from the namespace | values in the proxy's environment that nobody reads |
//! | 4143 leads to any port that the pod declares, and answers 502 without a body where nobody listens | TLS, the transport header |
//! | 4191 as recorded, with the pod's own namespace | figures of the real traffic |
//! | the proxy waits for open connections when it ends | policies: nothing is denied |
//!
//! As routes stay as they are, clients reach a pod's ports directly, as they would without a mesh. A test that wants to come by
//! the proxy asks 4143 to connect: `CONNECT localhost:5001 HTTP/1.1` and an empty line, then everything is passed on.

pub mod authority;
pub mod crds;
pub mod inject;
pub mod proxy;
pub mod recorded;
pub mod webhook;

/// The namespace of the control plane.
pub const NAMESPACE: &str = "linkerd";
/// The version of the original that it stands in for: pods must look as those of the original do.
pub const VERSION: &str = "stable-2.20.0";
/// The group of the policies.
pub const POLICY: &str = "policy.linkerd.io";
/// The group of the routes.
pub const GATEWAY: &str = "gateway.networking.k8s.io";
/// The name of the injector's webhook configuration.
pub const INJECTOR: &str = "linkerd-proxy-injector-webhook-config";
/// The name of the webhook configuration about policies.
pub const VALIDATOR: &str = "linkerd-policy-validator-webhook-config";
/// The Deployments of the control plane, with the value of `linkerd.io/control-plane-component`.
pub const COMPONENTS: [(&str, &str); 3] = [
    ("linkerd-identity", "identity"),
    ("linkerd-destination", "destination"),
    ("linkerd-proxy-injector", "proxy-injector"),
];
