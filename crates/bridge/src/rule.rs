//! The changes since 2020, one rule per file. Everything else passes unchanged.
//!
//! | rule | call | what is translated |
//! |---|---|---|
//! | [C1](peers) | `GET /peers` | a stream of objects into an array |
//! | [C2](addresses) | `GET /peers` | addresses that a go-multiaddr of 2020 does not know |
//! | [C3](pin) | `POST /pins/<cid>` | how a CID and a type are written |
//! | [C4](pin_status) | `GET /pins/<cid>` | how a CID is written |
//! | [K1](object_stat) | `POST /api/v0/object/stat` | a command that was removed |
//! | [K2](publish) | `POST /api/v0/pubsub/pub` | where the data are, and how a topic is written |

mod addresses;
mod link;
mod object_stat;
mod peers;
mod pin;
mod pin_status;
mod publish;

use http::{Method, Request, header::ACCEPT_ENCODING};

use crate::{
    answer::{Answer, Body},
    failure::Failure,
    product::Product,
    query,
    upstream::Upstream,
};

/// The longest answer to translate; that of a cluster with a thousand peers is shorter.
const LONGEST: usize = 4 * 1024 * 1024;

/// The rule for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// C1 and C2.
    Peers,
    /// C3.
    Pin,
    /// C4.
    PinStatus,
    /// K1.
    ObjectStat,
    /// K2.
    Publish,
}

impl Rule {
    /// The rule for a call, if any.
    pub(crate) fn find<B>(product: Product, request: &Request<B>) -> Option<Self> {
        let (method, path) = (request.method(), request.uri().path());
        match product {
            Product::Kubo if *method == Method::POST => match path {
                "/api/v0/object/stat" => Some(Self::ObjectStat),
                // With one argument it is the current form of the call.
                "/api/v0/pubsub/pub" if query::arguments(request.uri().query()).len() > 1 => Some(Self::Publish),
                _ => None,
            },
            Product::Cluster if *method == Method::GET && path == "/peers" => Some(Self::Peers),
            Product::Cluster if is_one_pin(path) => match *method {
                Method::GET => Some(Self::PinStatus),
                Method::POST => Some(Self::Pin),
                _ => None,
            },
            _ => None,
        }
    }

    /// Its label in metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Peers => "peers",
            Self::Pin => "pin",
            Self::PinStatus => "pin-status",
            Self::ObjectStat => "object-stat",
            Self::Publish => "publish",
        }
    }

    /// Answers a call by this rule.
    ///
    /// # Errors
    ///
    /// No answer arrived, or it cannot be translated.
    pub(crate) async fn answer(self, upstream: &Upstream, mut request: Request<Body>) -> Result<Answer, Failure> {
        // An answer to translate must not be compressed.
        request.headers_mut().remove(ACCEPT_ENCODING);
        match self {
            Self::Peers => peers::answer(upstream, request.map(drop)).await,
            Self::Pin => pin::answer(upstream, request).await,
            Self::PinStatus => pin_status::answer(upstream, request.map(drop)).await,
            Self::ObjectStat => object_stat::answer(upstream, request.map(drop)).await,
            Self::Publish => publish::answer(upstream, request).await,
        }
    }
}

/// Whether this is `/pins/<cid>`, and not `/pins/recover` or something below a CID.
fn is_one_pin(path: &str) -> bool {
    let pin = path.strip_prefix("/pins/");
    pin.is_some_and(|pin| !pin.is_empty() && pin != "recover" && !pin.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(product: Product, method: &str, uri: &str) -> Option<Rule> {
        Rule::find(product, &Request::builder().method(method).uri(uri).body(()).unwrap())
    }

    #[test]
    fn each_changed_call_of_temporal_has_a_rule() {
        let query = "name=&replication-max=-1&replication-min=-1&shard-size=0&user-allocations=";
        assert_eq!(rule(Product::Cluster, "GET", "/peers"), Some(Rule::Peers));
        assert_eq!(rule(Product::Cluster, "POST", &format!("/pins/QmA?{query}")), Some(Rule::Pin));
        assert_eq!(rule(Product::Cluster, "GET", "/pins/QmA?local=true"), Some(Rule::PinStatus));
        assert_eq!(rule(Product::Kubo, "POST", "/api/v0/object/stat?arg=QmA"), Some(Rule::ObjectStat));
        assert_eq!(rule(Product::Kubo, "POST", "/api/v0/pubsub/pub?arg=topic&arg=data"), Some(Rule::Publish));
    }

    #[test]
    fn other_calls_pass_unchanged() {
        for (product, method, uri) in [
            (Product::Kubo, "POST", "/api/v0/id?"),
            (Product::Kubo, "GET", "/peers"),
            (Product::Kubo, "POST", "/api/v0/object/stat/more?arg=QmA"),
            (Product::Kubo, "POST", "/api/v0/pubsub/pub?arg=udG9waWM"),
            (Product::Cluster, "POST", "/peers"),
            (Product::Cluster, "GET", "/pins"),
            (Product::Cluster, "GET", "/pins/"),
            (Product::Cluster, "POST", "/pins/recover"),
            (Product::Cluster, "POST", "/pins/QmA/recover"),
            (Product::Cluster, "DELETE", "/pins/QmA"),
            (Product::Cluster, "POST", "/api/v0/object/stat?arg=QmA"),
        ] {
            assert_eq!(rule(product, method, uri), None, "{method} {uri}");
        }
    }
}
