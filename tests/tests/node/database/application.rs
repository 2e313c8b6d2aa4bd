//! An application that uses the database twenty times a second, and follows the binding.

use anyhow::Result;
use e2e::{Space, Subject as _, follower::Follower, sql};
use temporal_stack_common::api::PostgresDatabase;
use tokio_postgres::NoTls;

/// Starts one that reads a new binding only after as many further connections as `slowness` says.
pub(crate) async fn start(space: &Space, slowness: u32) -> Result<Follower> {
    let address = space.address_by(&space.binding().await?).await?;
    let connect = move |binding| async move {
        let (client, connection) = sql::config(&binding, address)?.connect(NoTls).await?;
        tokio::spawn(async move { drop(connection.await) });
        client.simple_query("select 1").await?;
        Ok(())
    };
    Follower::start(space.api(), &PostgresDatabase::binding(), slowness, connect).await
}
