use std::{collections::BTreeMap, fs};

use anyhow::{Result, ensure};
use e2e::{Needs, One, Pinset, Space, Stopwatch, Subject as _, host::restarts, peers::Peer, subject::condition_of};
use k8s_openapi::api::{
    core::v1::{ConfigMap, Pod, Secret},
    events::v1::Event,
};
use kube::{ResourceExt as _, api::ListParams};
use temporal_stack_common::{
    api::{IpfsCluster, label},
    condition::{CONFIG_HONOURED, READY, RESTART_PENDING},
};

use crate::{
    on_stack,
    seed::{
        faults::{binding_is_made_again, end_controllers},
        newer::{downgrade, upgrade},
    },
    workspace,
};

/// The test's own copy of the seed.
const SEED: &str = include_str!("../../../fixtures/seed/ipfs-cluster-config.yaml");
const PEERS: u32 = 3;

/// What becomes of each key of the seed that is not taken as it is written.
const TOLD: [&str; 12] = [
    "CLUSTER_PEERNAME is the prefix of the peers' names",
    "CLUSTER_SECRET is empty, which would leave the cluster open to everyone: all peers use a generated secret",
    "API_IPFSPROXY_LISTENMULTIADDRESS is read as CLUSTER_IPFSPROXY_LISTENMULTIADDRESS",
    "API_IPFSPROXY_NODEMULTIADDRESS is read as CLUSTER_IPFSPROXY_NODEMULTIADDRESS",
    "API_RESTAPI_HTTPLISTENMULTIADDRESS is read as CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS",
    "API_RESTAPI_HTTPLISTENMULTIADDRESS is set to /ip4/0.0.0.0/tcp/9094, because clients must reach it",
    "IPFSCONNECTOR_IPFSHTTP_NODEMULTIADDRESS is read as CLUSTER_IPFSHTTP_NODEMULTIADDRESS",
    "IPFS_API_CONNECTION_HOST belongs to temporal-config",
    "IPFS_API_CONNECTION_PORT belongs to temporal-config",
    "IPFS_KEYSTORE_PATH belongs to temporal-config",
    "IPFS_CLUSTER_API_CONNECTION_HOST belongs to temporal-config",
    "IPFS_CLUSTER_API_CONNECTION_PORT belongs to temporal-config",
];
/// Keys that are taken as they are written, or equal what the controller decides, which is nothing to say.
const SILENT: [&str; 3] = ["CLUSTER_LEAVEONSHUTDOWN", "CLUSTER_LISTENMULTIADDRESS", "CLUSTER_REPLICATIONFACTORMAX"];

/// Waits until the peers of the stack are Ready, and all pins where they should be.
pub(crate) async fn is_ready(space: &Space) -> Result<()> {
    let ipfs = space.one::<IpfsCluster>();
    ipfs.condition(READY, "True", "Verified").await?;
    ipfs.condition("PeersConnected", "True", "AllConnected").await?;
    ipfs.condition("PinsHealthy", "True", "FullyReplicated").await.map(drop)
}

/// What no controller may touch: pods with their restarts, Secrets with what is in them, and who the peers are.
#[derive(Debug, PartialEq)]
struct Untouched {
    pods: BTreeMap<String, (Option<String>, i32)>,
    secrets: BTreeMap<String, Secret>,
    peers: Vec<(String, String, String)>,
}

impl Untouched {
    async fn of(ipfs: &One<'_, IpfsCluster>) -> Result<Self> {
        let ours = ListParams::default().labels(&format!("{}=ipfs", label::COMPONENT));
        let pods = ipfs.api::<Pod>().list(&ours).await?;
        let secrets = ipfs.api::<Secret>().list(&ours).await?;
        let mut peers = Vec::new();
        for peer in ipfs.peers(PEERS).await? {
            let id = peer.id().await?;
            peers.push((id.peername, id.id, peer.kubo_id().await?));
        }
        let untouched = |mut secret: Secret| {
            // The binding is deleted by the tests.
            (secret.metadata.resource_version, secret.metadata.managed_fields) = (None, None);
            (secret.name_any(), secret)
        };
        Ok(Self {
            pods: pods.iter().map(|pod| (pod.name_any(), (pod.uid(), restarts(pod)))).collect(),
            secrets: secrets
                .items
                .into_iter()
                .filter(|secret| secret.name_any() != IpfsCluster::binding())
                .map(untouched)
                .collect(),
            peers,
        })
    }

    /// Fails with the names of what was touched, and no more: there are keys in it.
    fn is(&self, now: &Self) -> Result<()> {
        ensure!(self.pods == now.pods, "pods were {:?} and are {:?}", self.pods, now.pods);
        ensure!(self.peers == now.peers, "peers were {:?} and are {:?}", self.peers, now.peers);
        let touched: Vec<_> =
            self.secrets.keys().filter(|name| self.secrets.get(*name) != now.secrets.get(*name)).collect();
        ensure!(touched.is_empty() && self.secrets.len() == now.secrets.len(), "Secrets were touched: {touched:?}");
        Ok(())
    }
}

/// Runs a test with some pins, and unpins them, whatever came of it: the stack is left as it was found.
async fn with_pins(ipfs: &One<'_, IpfsCluster>, test: impl AsyncFnOnce(&Pinset, &[Peer]) -> Result<()>) -> Result<()> {
    let peers = ipfs.peers(PEERS).await?;
    let mut pins = Pinset::beside_others(&peers[0]).await?;
    pins.grow(&peers, 10, (2, 3)).await?;
    pins.grow(&peers, 10, (-1, -1)).await?;
    let result = test(&pins, &peers).await;
    let service = ipfs.service().await?;
    for cid in pins.cids() {
        service.unpin(cid).await?;
    }
    result
}

#[test]
fn deployed_cluster_config_equals_the_seed() {
    let deployed = fs::read(workspace().join("deploy/stack/configuration/ipfs-cluster-config.yaml")).unwrap();
    assert!(deployed == SEED.as_bytes(), "deploy/stack/configuration/ipfs-cluster-config.yaml differs from the seed's");
}

#[tokio::test]
async fn seed_gives_three_peers_and_each_key_is_reported() {
    on_stack(Needs::stack(), async |space| {
        let ipfs = space.one::<IpfsCluster>();
        is_ready(space).await?;
        let object = ipfs.get().await?;
        let verified = ListParams::default().fields("reason=Verified");
        let events = ipfs.api::<Event>().list(&verified).await?;
        let of_it =
            events.iter().filter(|event| event.regarding.as_ref().is_some_and(|about| about.uid == object.uid()));
        let first = of_it.filter_map(|event| event.event_time.as_ref()).map(|time| time.0.as_second()).min();
        // Events are forgotten after an hour.
        if let (Some(made), Some(first)) = (&object.metadata.creation_timestamp, first) {
            println!("{PEERS} peers Ready after: {} s", first - made.0.as_second());
        }

        let honoured = ipfs.condition_about(CONFIG_HONOURED, "True", "Adapted", &TOLD).await?;
        for key in SILENT {
            ensure!(!honoured.message.contains(key), "{key} is not taken as written: {}", honoured.message);
        }
        let seed: ConfigMap = serde_saphyr::from_str(SEED)?;
        let is_named = |key: &&String| honoured.message.contains(*key) || SILENT.contains(&key.as_str());
        let unnamed: Vec<_> = seed.data.iter().flat_map(BTreeMap::keys).filter(|key| !is_named(key)).collect();
        ensure!(unnamed.is_empty(), "nothing is said of {unnamed:?}");
        let live = space.api::<ConfigMap>().get("ipfs-cluster-config").await?;
        ensure!(live.data == seed.data && live.binary_data == seed.binary_data, "the ConfigMap was changed");

        let peers = ipfs.peers(PEERS).await?;
        for (ordinal, peer) in peers.iter().enumerate() {
            let id = peer.id().await?;
            ensure!(id.peername == format!("cluster-{ordinal}"), "peer {ordinal} calls itself {}", id.peername);
            ensure!(
                id.cluster_peers.len() == peers.len() && peer.connected().await?.len() == peers.len() - 1,
                "{id:?}"
            );
        }
        let mut watch = Stopwatch::new();
        with_pins(&ipfs, async |pins, peers| pins.heals(peers).await.map(drop)).await?;
        watch.step("20 pins were where they should be, and gone, after");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn other_controllers_leave_peers_and_pins_as_they_are() {
    on_stack(Needs::stack().ending::<IpfsCluster>(), async |space| {
        let ipfs = space.one::<IpfsCluster>();
        is_ready(space).await?;
        with_pins(&ipfs, async |pins, peers| outlives_its_controllers(&ipfs, pins, peers).await).await
    })
    .await;
}

async fn outlives_its_controllers(ipfs: &One<'_, IpfsCluster>, pins: &Pinset, peers: &[Peer]) -> Result<()> {
    pins.heals(peers).await?;
    let before = Untouched::of(ipfs).await?;
    ensure!(before.pods.len() == 3 && before.secrets.len() >= 5, "{:?}", before.secrets.keys());

    let mut watch = Stopwatch::new();
    end_controllers::<IpfsCluster>(ipfs).await?;
    binding_is_made_again::<IpfsCluster>(ipfs).await?;
    watch.step("the next controller works after");
    is_ready(ipfs).await?;
    before.is(&Untouched::of(ipfs).await?)?;

    upgrade::<IpfsCluster>(ipfs).await?;
    binding_is_made_again::<IpfsCluster>(ipfs).await?;
    is_ready(ipfs).await?;
    watch.step("one of another version works after");
    before.is(&Untouched::of(ipfs).await?)?;
    let object = ipfs.get().await?;
    ensure!(condition_of(&object, RESTART_PENDING).is_none(), "a restart is said to bring something new");

    downgrade::<IpfsCluster>().await?;
    binding_is_made_again::<IpfsCluster>(ipfs).await?;
    is_ready(ipfs).await?;
    before.is(&Untouched::of(ipfs).await?)?;
    pins.heals(peers).await.map(drop)
}
