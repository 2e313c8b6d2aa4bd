//! A cluster that somebody else runs: what its Secret says, and what is wrong with it.

use k8s_openapi::api::core::v1::Secret;
use temporal_stack_common::given::{self, Outcome};

use crate::names::{REST, RPC};

/// Where a cluster can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// Host of Kubo's RPC.
    pub(crate) host: String,
    /// Its port.
    pub(crate) port: u16,
    /// Host of IPFS Cluster's REST API.
    pub(crate) cluster_host: String,
    /// Its port.
    pub(crate) cluster_port: u16,
}

/// Reads the user's Secret; what is wrong with it is for the user to correct.
pub(crate) fn access(name: &str, secret: Option<&Secret>) -> Outcome<Access> {
    let keys = "the keys host, port, cluster-host and cluster-port";
    given::read("spec.provider.external.secretName", name, secret, keys, |given| {
        let (host, cluster_host) = (given.host("host"), given.host("cluster-host"));
        let (port, cluster_port) = (given.port("port", RPC), given.port("cluster-port", REST));
        Some(Access { host: host?, port, cluster_host: cluster_host?, cluster_port })
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;
    use temporal_stack_common::component::Progress;

    use super::*;

    fn of(keys: &[(&str, &str)]) -> Result<Access, Progress> {
        let data = keys.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec()))).collect();
        access("theirs", Some(&Secret { data: Some(data), ..Secret::default() })).read
    }

    #[test]
    fn both_hosts_must_be_named_and_ports_are_the_usual_ones() {
        let access = of(&[("host", "kubo"), ("cluster-host", "cluster")]).unwrap();
        assert_eq!((access.port, access.cluster_port), (5001, 9094));
        assert!(format!("{:?}", of(&[("host", "kubo")])).contains("the key cluster-host is absent"));
        let wrong = of(&[("host", "kubo"), ("cluster-host", "cluster"), ("cluster-port", "x")]);
        assert!(format!("{wrong:?}").contains("the key cluster-port is no port number"));
    }

    #[test]
    fn a_host_with_a_meaning_in_a_url_is_named_by_its_key() {
        for host in ["a@b", "a/b", "a?b", "a#b", "a b", "169.254.169.254", "[::1"] {
            let wrong = format!("{:?}", of(&[("host", "kubo"), ("cluster-host", host)]));
            assert!(wrong.contains("the key cluster-host ") && wrong.contains("SecretIncomplete"), "{wrong}");
        }
        assert_eq!(of(&[("host", "[fd00::1]\n"), ("cluster-host", "c")]).unwrap().host, "fd00::1");
    }
}
