//! Services: one that clients use, one that gives the pod its name.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use temporal_stack_common::{
    names::Names,
    port::POSTGRESQL,
    workload::{client_service, naming_service, port, service},
};

use crate::names::{mesh, selector};

/// The Service for clients: ready pods only.
pub(super) fn clients(names: &Names) -> Service {
    service(names.base.clone(), mesh(), leading_to_pods(names, client_service()))
}

/// The Service that gives the pod its name, ready or not.
pub(super) fn pods(names: &Names) -> Service {
    service(names.pod_service(), mesh(), leading_to_pods(names, naming_service()))
}

fn leading_to_pods(names: &Names, spec: ServiceSpec) -> ServiceSpec {
    let port = ServicePort { name: Some("tcp-postgresql".to_owned()), ..port(POSTGRESQL) };
    ServiceSpec { selector: Some(selector(names)), ports: Some(vec![port]), ..spec }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixture::object;

    #[test]
    fn unready_pods_have_names_and_no_clients() {
        let names = Names::new(&object(&json!({})));
        assert_eq!(pods(&names).spec.unwrap().publish_not_ready_addresses, Some(true));
        assert_eq!(clients(&names).spec.unwrap().publish_not_ready_addresses, None);
    }
}
