//! The ports of all products: the one table from which pods, Services and policies take number, name and protocol.
//!
//! A mesh must know each port's protocol, because it cannot detect one whose server speaks first, or one that is encrypted. It
//! reads it in two places: `appProtocol` on the ports of a Service, for the pods that connect, and an annotation on the pods
//! that listen. Both are derived from this table, with or without a mesh, so that a mesh that comes later changes nothing.

/// The protocol of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.
    Http,
    /// HTTP/1 over TLS, which the server ends itself.
    Https,
    /// HTTP/2 without TLS.
    H2c,
    /// Anything else over TCP: a mesh must only pass bytes on.
    Opaque,
    /// UDP, which meshes leave alone.
    Udp,
}

impl Protocol {
    /// The `appProtocol` of a Service's port. Opaque ports are `tcp`: Linkerd treats every value that it does not know as opaque,
    /// and Istio knows this one, while names such as `postgresql` would make it wait for the client's first bytes.
    pub fn app_protocol(self) -> Option<&'static str> {
        match self {
            Self::Http => Some("http"),
            Self::Https => Some("https"),
            Self::H2c => Some("kubernetes.io/h2c"),
            Self::Opaque => Some("tcp"),
            Self::Udp => None,
        }
    }

    /// Whether a mesh must treat it as opaque. A mesh detects TLS itself.
    pub fn is_opaque(self) -> bool {
        self == Self::Opaque
    }
}

/// A port of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name on pods and Services.
    pub name: &'static str,
    /// Its number.
    pub number: u16,
    /// What is spoken on it.
    pub protocol: Protocol,
}

impl Port {
    const fn new(name: &'static str, number: u16, protocol: Protocol) -> Self {
        Self { name, number, protocol }
    }

    /// The same port with TLS.
    #[must_use]
    pub const fn with_tls(self) -> Self {
        Self { protocol: Protocol::Https, ..self }
    }
}

/// PostgreSQL: the client asks for TLS first, and the server may speak first.
pub const POSTGRESQL: Port = Port::new("postgresql", 5432, Protocol::Opaque);

/// RabbitMQ for applications.
pub const AMQP: Port = Port::new("amqp", 5672, Protocol::Opaque);
/// The management API of RabbitMQ.
pub const MANAGEMENT: Port = Port::new("management", 15672, Protocol::Http);
/// The metrics of RabbitMQ.
pub const RABBITMQ_METRICS: Port = Port::new("metrics", 15692, Protocol::Http);
/// The port mapper of Erlang.
pub const EPMD: Port = Port::new("epmd", 4369, Protocol::Opaque);
/// The traffic between the nodes of RabbitMQ.
pub const CLUSTERING: Port = Port::new("clustering", 25672, Protocol::Opaque);

/// The RPC of Kubo.
pub const RPC: Port = Port::new("rpc", 5001, Protocol::Http);
/// The gateway of Kubo.
pub const GATEWAY: Port = Port::new("gateway", 8080, Protocol::Http);
/// The blocks that Kubos exchange, over libp2p.
pub const SWARM: Port = Port::new("swarm", 4001, Protocol::Opaque);
/// The same over QUIC.
pub const SWARM_UDP: Port = Port::new("swarm-udp", 4001, Protocol::Udp);
/// The REST API of IPFS Cluster.
pub const REST: Port = Port::new("cluster", 9094, Protocol::Http);
/// The proxy of IPFS Cluster for Kubo's RPC.
pub const PROXY: Port = Port::new("proxy", 9095, Protocol::Http);
/// The traffic between the peers of IPFS Cluster, over libp2p.
pub const PEERS: Port = Port::new("peers", 9096, Protocol::Opaque);
/// The metrics of IPFS Cluster.
pub const CLUSTER_METRICS: Port = Port::new("metrics", 8888, Protocol::Http);

/// S3; MinIO answers everything else there, too.
pub const S3: Port = Port::new("s3", 9000, Protocol::Http);
/// The API of the Versity S3 Gateway for administration.
pub const S3_ADMINISTRATION: Port = Port::new("admin", 9001, Protocol::Http);

/// The API of Temporal.
pub const API: Port = Port::new("api", 6767, Protocol::Http);
/// The key server of Temporal, which speaks gRPC.
pub const KRAB: Port = Port::new("krab", 10000, Protocol::H2c);
/// IPFS Cluster's REST API as the bridge offers it to the program in its pod.
pub const BRIDGE_REST: Port = Port::new("rest", REST.number, Protocol::Http);
/// The health and metrics of the bridge.
pub const BRIDGE_ADMIN: Port = Port::new("bridge-admin", 9080, Protocol::Http);
/// The answers of `bridge answer` to the kubelet.
pub const PROBE: Port = Port::new("probe", 9081, Protocol::Http);

/// The proxy of a mesh, for connections from meshed pods to any port.
pub(crate) const MESH: Port = Port::new("linkerd-proxy", 4143, Protocol::Opaque);
/// The metrics of the proxy of a mesh.
pub const MESH_METRICS: Port = Port::new("linkerd-admin", 4191, Protocol::Http);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opaque_ports_are_those_that_no_proxy_can_read() {
        let table = [
            (POSTGRESQL, "tcp"),
            (AMQP, "tcp"),
            (EPMD, "tcp"),
            (CLUSTERING, "tcp"),
            (SWARM, "tcp"),
            (PEERS, "tcp"),
            (MANAGEMENT, "http"),
            (RPC, "http"),
            (REST, "http"),
            (GATEWAY, "http"),
            (API, "http"),
            (API.with_tls(), "https"),
            (KRAB, "kubernetes.io/h2c"),
        ];
        for (port, app_protocol) in table {
            assert_eq!(port.protocol.app_protocol(), Some(app_protocol), "{port:?}");
            assert_eq!(port.protocol.is_opaque(), app_protocol == "tcp", "{port:?}");
        }
        assert_eq!(SWARM_UDP.protocol.app_protocol(), None);
    }
}
