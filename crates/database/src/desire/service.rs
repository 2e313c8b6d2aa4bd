//! Services: one that clients use, one that gives the pod its name.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use temporal_stack_common::{
    api::PostgresDatabase,
    workload::{client_service, naming_service, port},
};

use super::stateful_set::{mesh, selector};
use crate::names::{self, PORT};

/// What clients connect to: ready pods only.
pub(super) fn clients(object: &PostgresDatabase) -> Service {
    service(object, names::server(object), client_service())
}

/// What gives the pod its name, ready or not.
pub(super) fn pods(object: &PostgresDatabase) -> Service {
    service(object, names::pods(object), naming_service())
}

fn service(object: &PostgresDatabase, name: String, spec: ServiceSpec) -> Service {
    Service {
        metadata: ObjectMeta { name: Some(name), annotations: Some(mesh()), ..ObjectMeta::default() },
        spec: Some(ServiceSpec {
            selector: Some(selector(object)),
            ports: Some(vec![ServicePort { name: Some("tcp-postgresql".to_owned()), ..port("postgresql", PORT) }]),
            ..spec
        }),
        ..Service::default()
    }
}

#[cfg(test)]
mod tests {
    use temporal_stack_common::api::PostgresDatabaseSpec;

    use super::*;

    #[test]
    fn the_pods_have_names_before_they_are_ready_and_clients_see_only_ready_ones() {
        let object = PostgresDatabase::new("temporal", PostgresDatabaseSpec::default());
        assert_eq!(pods(&object).spec.unwrap().publish_not_ready_addresses, Some(true));
        assert_eq!(clients(&object).spec.unwrap().publish_not_ready_addresses, None);
    }
}
