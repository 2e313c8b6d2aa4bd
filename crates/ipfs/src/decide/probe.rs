//! The probe of the cluster.

use cid::{Cid, multihash::Multihash};
use kube::ResourceExt;
use serde_json::json;
use sha2::{Digest, Sha256};
use temporal_stack_common::{api::IpfsCluster, manifest::hash, provider::Provider};

use super::view::{EmbeddedView, View};
use crate::{access::Access, names::PROBE, observed::PeerPod, verify::Probe};

/// Codes of multiformats: a raw block, and its hash.
const RAW: u64 = 0x55;
const SHA2_256: u64 = 0x12;

/// The probe of a cluster; `None`: its Secret cannot be used.
pub(super) fn probe(view: &View<'_>) -> Option<Probe> {
    match &view.provider {
        Provider::Embedded(embedded) => Some(probe_peers(embedded)),
        Provider::External(access) => access.as_ref().ok().map(|access| probe_access(view.object, access.clone())),
    }
}

/// The probe of peers that the controller runs: through the Service in the binding, and read back from one of them.
fn probe_peers(view: &EmbeddedView<'_>) -> Probe {
    let objects = &view.observed.objects;
    let ready: Vec<(&PeerPod, &String)> = objects
        .pods
        .iter()
        .filter(|pod| pod.is_ready && pod.is_serving)
        .filter_map(|pod| Some((pod, pod.ip.as_ref()?)))
        .collect();
    // The Service's address works while a name server does not.
    let service = objects.service.clone().unwrap_or_else(|| view.names.host(&view.names.base));
    let (reader, evidence) = match &ready[..] {
        [] | [_] => (&service, "is pinned, as the Service reports, and was read back".to_owned()),
        [.., (pod, ip)] => (
            *ip,
            format!("is pinned on its peers, as the Service reports, and was read back from peer {}", pod.ordinal),
        ),
    };
    let incarnations: Vec<_> = ready.iter().map(|(pod, _)| (pod.ordinal, &pod.incarnation)).collect();
    Probe {
        subject: hash(&json!([view.object.metadata.generation, incarnations])),
        reader: Access::at_host(reader).kubo,
        evidence,
        is_busy: view.copies_under_way() != (0, 0),
        ..probe_access(view.object, Access::at_host(&service))
    }
}

/// The probe of an external cluster.
fn probe_access(object: &IpfsCluster, access: Access) -> Probe {
    let (content, cid) = content(object);
    Probe {
        content,
        cid,
        subject: hash(&json!([object.metadata.generation, format!("{access:?}")])),
        reader: access.kubo.clone(),
        access,
        evidence: "is pinned, and was read back".to_owned(),
        is_busy: true,
        is_read_only: false,
    }
}

/// The content to pin, and its CID: the same for a recreated object of the same name. The name itself stays private.
fn content(object: &IpfsCluster) -> (Vec<u8>, String) {
    let name = hash(&json!([object.namespace(), object.name_any()]));
    let content = format!("{PROBE} {name}\n").into_bytes();
    // A SHA-256 fits into a multihash of 64 bytes.
    let digest = Multihash::<64>::wrap(SHA2_256, &Sha256::digest(&content)).unwrap_or_default();
    (content, Cid::new_v1(RAW, digest).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn content_is_the_same_for_an_object_created_again() {
        let mut object = fixture::of_size(1);
        let before = content(&object);
        object.metadata.uid = Some("other".to_owned());
        assert_eq!(content(&object), before);
        object.metadata.namespace = Some("other".to_owned());
        assert_ne!(content(&object), before);
        assert!(before.1.starts_with("bafkrei"), "{}", before.1);
    }
}
