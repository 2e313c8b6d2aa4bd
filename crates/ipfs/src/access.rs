//! Where a cluster is: the peers that the controller runs, and those that a user's Secret describes.

use k8s_openapi::api::core::v1::Secret;
use temporal_stack_common::{
    address::Endpoint,
    given::{self, Outcome},
};

use crate::names::{REST, RPC};

/// How to use a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// Kubo's RPC.
    pub(crate) kubo: Endpoint,
    /// IPFS Cluster's REST API.
    pub(crate) cluster: Endpoint,
}

impl Access {
    /// Both programs on one host, at their default ports.
    pub(crate) fn at_host(host: &str) -> Self {
        let endpoint = |port| Endpoint { host: host.to_owned(), port };
        Self { kubo: endpoint(RPC), cluster: endpoint(REST) }
    }
}

/// Reads the user's Secret; its errors are for the user to correct.
pub(crate) fn read(name: &str, secret: Option<&Secret>) -> Outcome<Access> {
    let keys = "the keys host, port, cluster-host and cluster-port";
    given::read("spec.provider.external.secretName", name, secret, keys, |given| {
        let (host, cluster_host) = (given.host("host"), given.host("cluster-host"));
        let (port, cluster_port) = (given.port("port", RPC), given.port("cluster-port", REST));
        Some(Access {
            kubo: Endpoint { host: host?, port },
            cluster: Endpoint { host: cluster_host?, port: cluster_port },
        })
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;
    use temporal_stack_common::component::Stalled;

    use super::*;
    use crate::reason;

    fn access(keys: &[(&str, &str)]) -> Result<Access, Stalled> {
        let data = keys.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec()))).collect();
        read("theirs", Some(&Secret { data: Some(data), ..Secret::default() })).read
    }

    #[test]
    fn both_hosts_are_required_and_ports_have_defaults() {
        let complete = access(&[("host", "kubo"), ("cluster-host", "cluster")]).unwrap();
        assert_eq!((complete.kubo.port, complete.cluster.port), (5001, 9094));
        let stalled = access(&[("host", "kubo")]).unwrap_err();
        assert!(stalled.message.contains("the key cluster-host is absent"), "{stalled:?}");
        let stalled = access(&[("host", "kubo"), ("cluster-host", "cluster"), ("cluster-port", "x")]).unwrap_err();
        assert!(stalled.message.contains("the key cluster-port is not a port number"), "{stalled:?}");
    }

    #[test]
    fn host_with_a_meaning_in_a_url_is_refused_by_its_key() {
        for host in ["a@b", "a/b", "a?b", "a#b", "a b", "169.254.169.254", "[::1"] {
            let stalled = access(&[("host", "kubo"), ("cluster-host", host)]).unwrap_err();
            assert_eq!(stalled.reason, reason::SECRET_INCOMPLETE);
            assert!(stalled.message.contains("the key cluster-host "), "{stalled:?}");
        }
        assert_eq!(access(&[("host", "[fd00::1]\n"), ("cluster-host", "c")]).unwrap().kubo.host, "fd00::1");
    }
}
