//! What the sidecar itself does, and who may come by it: the port of the proxy leads to every port of the pod.

use std::{collections::BTreeMap, net::IpAddr};

use anyhow::{Context as _, Result, ensure};
use e2e::{One, network::Policies};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt as _, api::ListParams};
use serde_json::json;
use temporal_stack_common::api::{IpfsCluster, Mesh};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::mesh::{component, one_of, pods, stranger};

/// The port of proxies.
const PROXY: u16 = 4143;
/// Their metrics.
const METRICS: u16 = 4191;

fn address(pod: &Pod) -> Result<IpAddr> {
    let address = pod.status.as_ref().and_then(|status| status.pod_ip.as_ref());
    Ok(address.context("the pod has no address")?.parse()?)
}

/// What a proxy answers to a request for a port of its pod, and what the server behind it answers to another one.
async fn by_proxy(pod: &Pod, port: u16, request: &str) -> Result<String> {
    let mut stream = TcpStream::connect((address(pod)?, PROXY)).await?;
    stream.write_all(format!("CONNECT localhost:{port} HTTP/1.1\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    while !answer.ends_with("\r\n\r\n") {
        answer.push(char::from(stream.read_u8().await?));
    }
    if answer.starts_with("HTTP/1.1 200") {
        answer.clear();
        stream.write_all(request.as_bytes()).await?;
        stream.read_to_string(&mut answer).await?;
    }
    Ok(answer)
}

pub(super) async fn proxy_leads_to_the_ports_of_its_pod(mesh: &One<'_, Mesh>) -> Result<()> {
    let peer = one_of(mesh, "ipfs").await?;
    let health = "GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let answer = by_proxy(&peer, 9094, health).await?;
    ensure!(answer.starts_with("HTTP/1.1 204"), "IPFS Cluster by its proxy: {answer}");
    // As the real one answers where nobody listens: 502 without a body.
    let answer = by_proxy(&peer, 1, health).await?;
    ensure!(answer.starts_with("HTTP/1.1 502") && answer.contains("content-length: 0"), "{answer}");
    Ok(())
}

pub(super) async fn port_of_the_proxy_admits_users_of_the_pod_only(mesh: &One<'_, Mesh>) -> Result<()> {
    let image = image_of(&one_of(mesh, "database").await?, "postgres")?;
    let stranger = stranger(mesh, &image).await?;
    // The peers admit those that are listed, by their proxies as well.
    let clients = json!([{"podSelector": {"matchLabels": {"app.kubernetes.io/component": "temporal"}}}]);
    mesh.one::<IpfsCluster>().patch(&json!({"spec": {"access": {"clients": clients}}})).await?;
    let all = pods(mesh).await?;
    let of = |wanted: &'static str| all.values().filter(move |pod| component(pod) == wanted);
    for wanted in ["queue", "ipfs"] {
        // Its own component's pods, and those of Temporal, which uses it.
        for (server, client) in of(wanted)
            .flat_map(|server| [wanted, "temporal"].into_iter().flat_map(of).map(move |client| (server, client)))
        {
            let edge = format!("{} reaches {} by its proxy", client.name_any(), server.name_any());
            e2e::turns(&edge, async || Ok(is_admitted(&Policies::read(mesh).await?, client, server))).await?;
        }
    }
    let policies = Policies::read(mesh).await?;
    for peer in of("ipfs") {
        ensure!(!is_admitted(&policies, &stranger, peer), "a stranger reaches {} by its proxy", peer.name_any());
    }
    scraped_by_listed_only(mesh, &policies, &stranger, of("database").next().context("a database")?).await
}

fn is_admitted(policies: &Policies, client: &Pod, server: &Pod) -> bool {
    policies.admits(client, server, PROXY)
}

/// The metrics of proxies are for those who are listed, and for the controller that reads them.
async fn scraped_by_listed_only(mesh: &One<'_, Mesh>, policies: &Policies, stranger: &Pod, server: &Pod) -> Result<()> {
    ensure!(!policies.admits(stranger, server, METRICS), "a stranger reads the metrics of proxies");
    let controllers = Api::<Pod>::namespaced(mesh.client.clone(), e2e::installed::SYSTEM);
    let ours = ListParams::default().labels("app.kubernetes.io/name=mesh-controller");
    for controller in controllers.list(&ours).await? {
        ensure!(policies.admits(&controller, server, METRICS), "the controller cannot read the metrics of proxies");
    }
    Ok(())
}

fn image_of(pod: &Pod, container: &str) -> Result<String> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let found = containers.into_iter().find(|one| one.name == container);
    found.and_then(|one| one.image.clone()).with_context(|| format!("no container {container}"))
}

pub(super) async fn no_probe_is_answered_by_a_proxy(mesh: &One<'_, Mesh>) -> Result<()> {
    for (name, pod) in pods(mesh).await? {
        let spec = pod.spec.unwrap_or_default();
        for container in spec.containers.iter().chain(spec.init_containers.iter().flatten()) {
            let probes = [&container.startup_probe, &container.readiness_probe, &container.liveness_probe];
            let is_answered = probes.into_iter().flatten().any(|probe| probe.tcp_socket.is_some());
            ensure!(!is_answered, "{name}: a proxy accepts the connections of {}'s probe", container.name);
        }
    }
    Ok(())
}

pub(super) async fn each_component_has_an_identity_of_its_own(mesh: &One<'_, Mesh>) -> Result<()> {
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    for (name, pod) in pods(mesh).await? {
        let account = pod.spec.as_ref().and_then(|spec| spec.service_account_name.clone()).unwrap_or_default();
        ensure!(!["", "default"].contains(&account.as_str()), "{name} is a stranger");
        let owner = owners.entry(account.clone()).or_insert_with(|| component(&pod).to_owned());
        ensure!(owner == component(&pod), "{account} is of the {owner} and of {name}");
    }
    // Temporal's API, its workers and its key server, beside the other components.
    ensure!(owners.len() >= 6, "{owners:?}");
    Ok(())
}
