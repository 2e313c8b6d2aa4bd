//! Services: one that clients use, one that gives pods their names.

use k8s_openapi::api::core::v1::{Service, ServiceSpec};
use temporal_stack_common::{
    port::{AMQP, CLUSTERING, EPMD, MANAGEMENT, Port, RABBITMQ_METRICS},
    workload::{client_service, naming_service, opaque, port, service},
};

use crate::names::{Names, selector};

/// The Service for clients: ready pods only.
pub(super) fn clients(names: &Names) -> Service {
    leading_to(names, names.base.clone(), &[AMQP, MANAGEMENT, RABBITMQ_METRICS], client_service())
}

/// The Service that gives pods their names, ready or not: a node must find the others before it can become ready.
pub(super) fn pods(names: &Names) -> Service {
    leading_to(names, names.pod_service(), &[EPMD, CLUSTERING], naming_service())
}

fn leading_to(names: &Names, name: String, ports: &[Port], spec: ServiceSpec) -> Service {
    let service_ports = ports.iter().map(|served| port(*served)).collect();
    let spec = ServiceSpec { ports: Some(service_ports), selector: Some(selector(names)), ..spec };
    service(name, opaque(ports), spec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::names;

    #[test]
    fn unready_pods_have_names_and_no_clients() {
        assert_eq!(pods(&names()).spec.unwrap().publish_not_ready_addresses, Some(true));
        assert_eq!(clients(&names()).spec.unwrap().publish_not_ready_addresses, None);
    }
}
