//! Today's answers fail, one thing after the other; translated, they do not.

use super::*;

/// Recorded of IPFS Cluster 1.1.6 with Kubo 0.42.0; the peers have the addresses that Kubo has by default.
const PEERS_TODAY: &[u8] = include_bytes!("../../../fixtures/peers-today.json");
const PIN_TODAY: &[u8] = include_bytes!("../../../fixtures/pin-today.json");
const STATUS_TODAY: &[u8] = include_bytes!("../../../fixtures/status-today.json");

const CID_FIELD: &str = "of type struct { CidTarget string \"json:\\\"/\\\"\" }";

fn json(answer: &[u8]) -> Value {
    serde_json::from_slice(answer).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

/// Rule C1: the lines become an array.
fn array() -> Value {
    serde_json::Deserializer::from_slice(PEERS_TODAY).into_iter::<Value>().collect::<Result<_, _>>().unwrap()
}

/// A rule for CIDs: `"Qm…"` becomes `{"/": "Qm…"}`.
fn link(value: &mut Value, key: &str) {
    let target = value[key].take();
    value[key] = serde_json::json!({"/": target});
}

fn said<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
    match result.unwrap_err() {
        Failure::Said(said) => said,
        Failure::Panic(said) => panic!("a panic: {said}"),
    }
}

#[test]
fn todays_peers_are_refused_as_no_array() {
    let first = PEERS_TODAY.split(|byte| *byte == b'\n').next().unwrap();
    assert_eq!(said(peers(first)), "json: cannot unmarshal object into Go value of type []*api.ID");
    assert_eq!(said(peers(PEERS_TODAY)), "invalid character '{' after top-level value");
    assert_eq!(said(peers(b"")), "unexpected end of JSON input");
}

#[test]
fn array_with_todays_addresses_ends_the_process() {
    let Err(Failure::Panic(said)) = peers(&bytes(&array())) else { panic!("quic-v1 was accepted") };
    assert!(said.starts_with("interface conversion: multiaddr.Multiaddr is nil, not *multiaddr.multiaddr"), "{said}");
}

#[test]
fn array_without_addresses_is_accepted() {
    let mut array = array();
    for peer in array.as_array_mut().unwrap() {
        for pointer in ["/addresses", "/cluster_peers_addresses", "/ipfs/addresses"] {
            *peer.pointer_mut(pointer).unwrap() = Value::Array(Vec::new());
        }
    }
    assert_eq!(peers(&bytes(&array)), Ok(2));
    assert_eq!(peers(b"[]"), Ok(0));
}

#[test]
fn peer_that_is_down_and_a_kubo_that_is_down_are_accepted() {
    let peer = "12D3KooWP5NMh7GHgNLdYMSRYQ77nDQRvMewcnKqhibWWHGzjgaK";
    let down = format!(
        r#"[{{"id":"{peer}","addresses":null,"cluster_peers":null,"error":"failed to dial","ipfs":{{"addresses":null,"error":""}}}}]"#
    );
    assert_eq!(peers(down.as_bytes()), Ok(1));
    let without_kubo = format!(r#"[{{"id":"{peer}","ipfs":{{"addresses":null,"error":"connection refused"}}}}]"#);
    assert_eq!(peers(without_kubo.as_bytes()), Ok(1));
}

#[test]
fn todays_pin_fails_at_the_cid_then_at_the_type() {
    assert_eq!(said(pin(PIN_TODAY)), format!("json: cannot unmarshal string into Go struct field Pin.cid {CID_FIELD}"));
    let mut answer = json(PIN_TODAY);
    link(&mut answer, "cid");
    let expected = "json: cannot unmarshal string into Go struct field Pin.type of type api.PinType";
    assert_eq!(said(pin(&bytes(&answer))), expected);
    answer["type"] = 2.into();
    assert_eq!(pin(&bytes(&answer)), Ok(()));
    answer["reference"] = "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n".into();
    assert!(said(pin(&bytes(&answer))).contains("Pin.reference"));
}

#[test]
fn todays_status_fails_at_the_cid() {
    let expected = format!("json: cannot unmarshal string into Go struct field GlobalPinInfo.cid {CID_FIELD}");
    assert_eq!(said(status(STATUS_TODAY)), expected);
    let mut answer = json(STATUS_TODAY);
    link(&mut answer, "cid");
    let found = status(&bytes(&answer)).unwrap();
    assert!(!found.is_empty() && found.iter().all(|(_, status)| status.starts_with("pin")), "{found:?}");
}

#[test]
fn entries_of_a_status_may_have_a_cid_and_a_peer() {
    let mut answer = json(STATUS_TODAY);
    link(&mut answer, "cid");
    let cid = answer["cid"].clone();
    for (peer, entry) in answer["peer_map"].as_object_mut().unwrap() {
        entry["cid"] = cid.clone();
        entry["peer"] = peer.clone().into();
    }
    assert!(status(&bytes(&answer)).is_ok());
    for entry in answer["peer_map"].as_object_mut().unwrap().values_mut() {
        link(entry, "peer");
    }
    assert!(status(&bytes(&answer)).is_err());
}
