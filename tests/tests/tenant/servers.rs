//! Secrets of external products that lead to servers that answer badly.

use anyhow::{Result, ensure};
use e2e::{
    One, Subject,
    fake::{Harm, Ipfs, Server},
    full, seed,
    siblings::{self, Bindings},
    stranger::Stranger,
    subject::says,
};
use k8s_openapi::api::core::v1::Secret;
use kube::{ResourceExt as _, api::ListParams};
use serde_json::json;
use std::net::SocketAddr;
use temporal_stack_common::{
    api::{IpfsCluster, Status as _, Temporal},
    condition,
};

use crate::victim::{Victim, with_strangers};

/// The most that is taken of an answer that does not end: buffers of the kernel included.
const MOST: u64 = 64 << 20;

/// Makes an object whose products are at these addresses.
async fn lead<K: Subject>(stranger: &Stranger, name: &str, at: SocketAddr, cluster: SocketAddr) -> Result<()> {
    let keys = json!({
        "host": at.ip().to_string(), "port": at.port().to_string(),
        "cluster-host": cluster.ip().to_string(), "cluster-port": cluster.port().to_string(),
        "username": "u", "password": "p", "database": "d",
        "endpoint": format!("http://{at}"), "access-key-id": "u", "secret-access-key": "p",
    });
    stranger.create::<Secret>(&json!({"metadata": {"name": name}, "stringData": keys})).await?;
    ensure!(
        stranger.create::<K>(&json!({"metadata": {"name": name}, "spec": K::external(name)})).await?,
        "{name} was refused"
    );
    Ok(())
}

/// Waits until the object says that this server is of no use.
async fn blames<K: Subject>(space: &One<'_, K>, name: &str, server: SocketAddr) -> Result<()> {
    let blames = |object: &K| {
        let conditions = object.status().map(|status| status.conditions().to_vec()).unwrap_or_default();
        let ready = condition::find(&conditions, condition::READY).cloned();
        ready.is_some_and(|ready| ready.status != "True" && ready.message.contains(&server.to_string()))
    };
    e2e::until(&space.objects(), name, &format!("blamed {server}"), blames).await.map(drop)
}

e2e::for_each_kind!(misbehaving_servers_do_not_affect_other_tenants);

async fn misbehaving_servers_do_not_affect_other_tenants<K: Victim>() {
    with_strangers::<K>(async |strangers| {
        let seed = seed();
        let own = Ipfs::start().await?;
        let mut servers = Vec::new();
        for (number, harm) in Harm::all(strangers.target()).into_iter().enumerate() {
            let (server, half) = (Server::start(harm, seed).await?, Server::start(harm, seed).await?);
            lead::<K>(&strangers.stranger, &format!("all-{number}"), server.address(), server.address()).await?;
            // One that is well at first: the second product is asked only then.
            if K::PROGRAM == IpfsCluster::PROGRAM {
                lead::<K>(&strangers.stranger, &format!("half-{number}"), own.address(), half.address()).await?;
                servers.push((format!("half-{number}"), harm, half));
            }
            servers.push((format!("all-{number}"), harm, server));
        }
        for (name, harm, server) in &servers {
            server.until_asked(1).await?;
            blames(&strangers.hostile, name, server.address()).await?;
            println!("{harm:?} of {name}: {} MiB", server.largest() >> 20);
            ensure!(server.largest() < MOST, "{harm:?} of {name}: {} bytes were taken", server.largest());
        }
        let ready =
            strangers.hostile.objects().list(&ListParams::default()).await?.items.into_iter().filter(|object| {
                object.status().is_some_and(|status| condition::is_ready(status.conditions(), object.meta().generation))
            });
        let ready: Vec<_> = ready.map(|object| object.name_any()).collect();
        ensure!(ready.is_empty(), "{ready:?} are Ready");
        Ok(())
    })
    .await;
}

/// Temporal asks the broker and the database that the bindings of others name, and anyone may write such a binding.
#[tokio::test]
async fn misbehaving_neighbours_do_not_affect_other_tenants() {
    with_strangers::<Temporal>(async |strangers| {
        let (seed, mut servers) = (seed(), Vec::new());
        for (number, harm) in Harm::all(strangers.target()).into_iter().enumerate() {
            let (name, server) = (format!("bound-{number}"), Server::start(harm, seed).await?);
            siblings::ask(&strangers.hostile, &name, Bindings::to(server.address())).await?;
            servers.push((name, harm, server));
        }
        for (name, harm, server) in &servers {
            server.until_asked(2).await?;
            let waits = |object: &Temporal| says(object, condition::RECONCILING, "True", "BrokerUnreachable");
            e2e::until(&strangers.hostile.objects(), name, "been told of its broker", waits).await?;
            ensure!(server.largest() < MOST, "{harm:?} of {name}: {} bytes were taken", server.largest());
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn many_silent_servers_keep_no_stranger_waiting() {
    with_strangers::<IpfsCluster>(async |strangers| {
        let server = Server::start(Harm::Silent, seed()).await?;
        let count = if full() { 200 } else { 40 };
        for number in 0..count {
            lead::<IpfsCluster>(&strangers.stranger, &format!("slow-{number}"), server.address(), server.address())
                .await?;
        }
        // As many as there are places for passes.
        server.until_asked(8).await
    })
    .await;
}
