//! A controller that starts before its kind is installed: the log names the `CustomResourceDefinition`, and the controller goes on when
//! it is there.

use anyhow::Result;
use e2e::{
    Controller, Identity, fake::Postgres, plane::Plane, prepare::install_kinds, step::write_secret, subject::external,
    until_gone, with_namespace,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, CustomResourceExt as _, api::DeleteParams};
use serde_json::json;
use temporal_stack_common::api::PostgresDatabase;

#[tokio::test]
async fn missing_kind_is_logged_and_served_once_installed() {
    let plane = Plane::start().await.expect("an API server of its own");
    with_namespace(&plane.cluster, async |space| -> Result<()> {
        let identity = Identity::of_namespace::<PostgresDatabase>(space).await?;
        let kinds = Api::<CustomResourceDefinition>::all(space.client.clone());
        let kind = PostgresDatabase::crd_name();
        kinds.delete(kind, &DeleteParams::default()).await?;
        until_gone(&kinds, kind).await?;

        let controller = Controller::start_as(space, &identity).await?;
        controller.log.line_with(&format!("CustomResourceDefinition/{kind} is missing; install it")).await?;
        install_kinds(&space.client).await?;

        let fake = Postgres::start().await?;
        let (host, port) = (fake.address().ip().to_string(), fake.address().port().to_string());
        let keys = json!({"host": host, "port": port, "username": "u", "password": "p", "database": "d"});
        write_secret(space, "theirs", &keys).await?;
        let database = space.one::<PostgresDatabase>();
        database.create(&external("theirs")).await?;
        database.ready().await?;
        controller.wait_ready().await
    })
    .await;
}
