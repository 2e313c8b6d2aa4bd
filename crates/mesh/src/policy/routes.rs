//! Routes of the calls to Kubo and IPFS Cluster: which are repeated on failure, and which have an end.
//!
//! | route | calls | repeated | ends after |
//! |---|---|---|---|
//! | `quick` | ask a peer about itself | yes | ten seconds |
//! | `reads` | read, and may take as long as the content is far | yes | – |
//! | `others` | everything else, such as uploads and pins | no | – |
//!
//! Repeated is what a proxy answers in the place of a peer (502 to 504): it may reach another peer. A 500 is Kubo's own answer to
//! everything that it cannot do, and would be the same again.
//!
//! Linkerd takes retries and timeouts from annotations of the whole route (2.16), so that each has only calls that are alike. The
//! fields for timeouts exist in some versions of the Gateway API only, and one that it does not know makes Linkerd ignore the
//! route. A port with routes answers 404 to calls without one, so `others` has all.
//!
//! # Circuit breaking
//!
//! Linkerd takes it from annotations of the Service, and that is a child of the `IpfsCluster`: its controller writes them, whether there
//! is a mesh or not, as it does with protocols.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use temporal_stack_common::{
    api::{ComponentKind, ComponentReference},
    manifest::Manifest,
    port::{self, Port},
};

use super::{
    kinds::{HTTPRoute, HTTPRouteSpec, Match, PathMatch, Rule, ServicePort},
    name,
};
use crate::stack::{Stack, base};

/// How often a call is repeated.
const LIMIT: &str = "2";
/// The answers upon which it is repeated.
const REPEATED: &str = "gateway-error";
/// How many matches a rule may have, in all versions of the Gateway API.
const MOST_MATCHES: usize = 8;
/// How long a peer may take to describe itself.
const QUICK: &str = "10s";

/// Calls that are alike.
struct Calls {
    name: &'static str,
    is_repeated: bool,
    is_quick: bool,
    matches: Vec<Match>,
}

/// The routes of all peers.
pub(crate) fn routes(stack: &Stack) -> Vec<Manifest> {
    let clusters = stack.components.iter().filter(|component| component.id.kind == ComponentKind::IpfsCluster);
    let ports = clusters.flat_map(|cluster| [(cluster, port::RPC, kubo()), (cluster, port::REST, ipfs_cluster())]);
    let all =
        ports.flat_map(|(cluster, port, calls)| calls.into_iter().map(move |calls| route(&cluster.id, port, &calls)));
    all.collect()
}

/// Calls of Kubo's RPC, all of which are POST.
fn kubo() -> [Calls; 3] {
    let calls = |paths: &[&str]| paths.iter().map(|path| exact("POST", &format!("/api/v0/{path}"))).collect();
    [
        Calls { name: "quick", is_repeated: true, is_quick: true, matches: calls(&["id", "version", "swarm/peers"]) },
        Calls {
            name: "reads",
            is_repeated: true,
            is_quick: false,
            matches: calls(&[
                "cat",
                "ls",
                "refs",
                "resolve",
                "block/get",
                "block/stat",
                "dag/get",
                "dag/stat",
                "files/stat",
                "pin/ls",
                "repo/stat",
            ]),
        },
        others(),
    ]
}

/// Calls of IPFS Cluster's REST API, in which the method says whether something is changed.
fn ipfs_cluster() -> [Calls; 3] {
    let quick = ["/id", "/version", "/health"].map(|path| exact("GET", path)).to_vec();
    let reads = vec![Match { method: Some("GET".to_owned()), ..beginning("/") }];
    [
        Calls { name: "quick", is_repeated: true, is_quick: true, matches: quick },
        Calls { name: "reads", is_repeated: true, is_quick: false, matches: reads },
        others(),
    ]
}

fn others() -> Calls {
    Calls { name: "others", is_repeated: false, is_quick: false, matches: vec![beginning("/")] }
}

fn exact(method: &str, path: &str) -> Match {
    let path = PathMatch { type_: "Exact".to_owned(), value: path.to_owned() };
    Match { path, method: Some(method.to_owned()) }
}

fn beginning(path: &str) -> Match {
    Match { path: PathMatch { type_: "PathPrefix".to_owned(), value: path.to_owned() }, method: None }
}

fn route(id: &ComponentReference, port: Port, calls: &Calls) -> Manifest {
    let service =
        ServicePort { group: String::new(), kind: "Service".to_owned(), name: base(id), port: port.number.into() };
    let retries = calls.is_repeated.then_some([("retry.linkerd.io/http", REPEATED), ("retry.linkerd.io/limit", LIMIT)]);
    let end = calls.is_quick.then_some(("timeout.linkerd.io/request", QUICK));
    let annotations: BTreeMap<String, String> =
        retries.into_iter().flatten().chain(end).map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let route = HTTPRoute {
        metadata: ObjectMeta {
            name: Some(name::route(id, port.name, calls.name)),
            annotations: (!annotations.is_empty()).then_some(annotations),
            ..ObjectMeta::default()
        },
        spec: HTTPRouteSpec {
            parent_refs: vec![service.clone()],
            rules: calls
                .matches
                .chunks(MOST_MATCHES)
                .map(|matches| Rule { matches: matches.to_vec(), backend_refs: vec![service.clone()] })
                .collect(),
        },
    };
    Manifest::new(&route)
}
