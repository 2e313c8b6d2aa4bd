//! Services: one that clients use, one that gives pods their names.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Service, ServiceSpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use temporal_stack_common::{
    api::MessageQueue,
    workload::{client_service, http_port, naming_service, port},
};

use super::stateful_set::{mesh, selector};
use crate::names::{self, AMQP, CLUSTERING, EPMD, MANAGEMENT, METRICS};

/// What clients connect to: ready pods only.
pub(super) fn clients(object: &MessageQueue) -> Service {
    let ports = vec![port("amqp", AMQP), http_port("management", MANAGEMENT), http_port("metrics", METRICS)];
    service(object, names::set(object), ServiceSpec { ports: Some(ports), ..client_service() })
}

/// What gives pods their names, ready or not: a node must find the others before it can become ready.
pub(super) fn pods(object: &MessageQueue) -> Service {
    let ports = vec![port("epmd", EPMD), port("clustering", CLUSTERING)];
    service(object, names::pods(object), ServiceSpec { ports: Some(ports), ..naming_service() })
}

fn service(object: &MessageQueue, name: String, spec: ServiceSpec) -> Service {
    let annotations: BTreeMap<_, _> = mesh();
    Service {
        metadata: ObjectMeta { name: Some(name), annotations: Some(annotations), ..ObjectMeta::default() },
        spec: Some(ServiceSpec { selector: Some(selector(object)), ..spec }),
        ..Service::default()
    }
}

#[cfg(test)]
mod tests {
    use temporal_stack_common::api::MessageQueueSpec;

    use super::*;

    #[test]
    fn nodes_have_names_before_they_are_ready_and_clients_see_only_ready_ones() {
        let object = MessageQueue::new("temporal", MessageQueueSpec::default());
        assert_eq!(pods(&object).spec.unwrap().publish_not_ready_addresses, Some(true));
        assert_eq!(clients(&object).spec.unwrap().publish_not_ready_addresses, None);
    }
}
