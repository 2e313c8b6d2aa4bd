//! What IPFS Cluster answers, decoded as strictly as the client of v0.12.1 decodes it: names that it does not know are
//! ignored, what is missing or null is zero, and what is of another type is an error.

use serde_json::{Map, Value};

use super::Failure;
use crate::{cid, multiaddr};

/// What Go calls the type that a CID is decoded by.
const TARGET: &str = "struct { CidTarget string \"json:\\\"/\\\"\" }";

/// Decodes `GET /peers`: one array. Returns how many peers there are.
pub(super) fn peers(answer: &[u8]) -> Result<usize, Failure> {
    let array = match document(answer)? {
        Value::Array(array) => array,
        Value::Null => return Ok(0),
        other => return Err(mismatch(&other, None, "[]*api.ID")),
    };
    for peer in array.iter().filter(|peer| !peer.is_null()) {
        let peer = Object::of(peer, "ID")?;
        peer.peer("id")?;
        peer.peers("cluster_peers")?;
        peer.addresses("addresses")?;
        peer.addresses("cluster_peers_addresses")?;
        for text in ["version", "commit", "rpc_protocol_version", "error", "peername"] {
            peer.text(text)?;
        }
        if let Some(ipfs) = peer.get("ipfs") {
            let ipfs = Object::of(ipfs, "IPFSID")?;
            ipfs.peer("id")?;
            ipfs.addresses("addresses")?;
            ipfs.text("error")?;
        }
    }
    Ok(array.len())
}

/// Decodes the answer to `POST /pins/<cid>`.
pub(super) fn pin(answer: &[u8]) -> Result<(), Failure> {
    let answer = document(answer)?;
    let pin = Object::of(&answer, "Pin")?;
    pin.cid("cid")?;
    pin.number("type", "api.PinType")?;
    pin.cid("reference")?;
    pin.cid("pin_update")?;
    pin.text("name")?;
    for number in ["replication_factor_min", "replication_factor_max", "max_depth", "shard_size"] {
        pin.number(number, "int")?;
    }
    pin.peers("allocations")?;
    pin.peers("user_allocations")?;
    if let Some(metadata) = pin.get("metadata") {
        let metadata = Object::of(metadata, "Pin")?;
        metadata.members.keys().try_for_each(|key| metadata.text(key).map(drop))?;
    }
    Ok(())
}

/// Decodes the answer to `GET /pins/<cid>`: the status by peer.
pub(super) fn status(answer: &[u8]) -> Result<Vec<(String, String)>, Failure> {
    let answer = document(answer)?;
    let info = Object::of(&answer, "GlobalPinInfo")?;
    info.cid("cid")?;
    let Some(map) = info.get("peer_map") else { return Ok(Vec::new()) };
    let map = Object::of(map, "GlobalPinInfo")?;
    let mut found = Vec::new();
    for (peer, entry) in map.members.iter().filter(|(_, entry)| !entry.is_null()) {
        let entry = Object::of(entry, "PinInfo")?;
        entry.cid("cid")?;
        entry.peer("peer")?;
        for text in ["peername", "timestamp", "error"] {
            entry.text(text)?;
        }
        found.push((peer.clone(), entry.text("status")?.to_owned()));
    }
    Ok(found)
}

fn document(answer: &[u8]) -> Result<Value, Failure> {
    let mut values = serde_json::Deserializer::from_slice(answer).into_iter::<Value>();
    let value = values.next().ok_or_else(|| Failure::Said("unexpected end of JSON input".to_owned()))?;
    let value = value.map_err(|error| Failure::Said(format!("invalid JSON: {error}")))?;
    // One line after the other is no document.
    let rest = answer[values.byte_offset()..].iter().find(|byte| !byte.is_ascii_whitespace());
    rest.map_or(Ok(value), |byte| {
        Err(Failure::Said(format!("invalid character '{}' after top-level value", char::from(*byte))))
    })
}

/// What Go says of a value that is of another type.
fn mismatch(value: &Value, field: Option<String>, wanted: &str) -> Failure {
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let into = field.map_or_else(|| "Go value".to_owned(), |field| format!("Go struct field {field}"));
    Failure::Said(format!("json: cannot unmarshal {is} into {into} of type {wanted}"))
}

struct Object<'a> {
    kind: &'static str,
    members: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    fn of(value: &'a Value, kind: &'static str) -> Result<Self, Failure> {
        let members = value.as_object().ok_or_else(|| mismatch(value, None, &format!("api.{kind}")))?;
        Ok(Self { kind, members })
    }

    /// A member that is there and is not null. Go ignores the case of a key.
    fn get(&self, key: &str) -> Option<&'a Value> {
        let found = self.members.get(key);
        let found = found
            .or_else(|| self.members.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value));
        found.filter(|value| !value.is_null())
    }

    fn field(&self, key: &str) -> String {
        format!("{}.{key}", self.kind)
    }

    fn text(&self, key: &str) -> Result<&'a str, Failure> {
        let Some(value) = self.get(key) else { return Ok("") };
        value.as_str().ok_or_else(|| mismatch(value, Some(self.field(key)), "string"))
    }

    fn number(&self, key: &str, wanted: &str) -> Result<(), Failure> {
        match self.get(key) {
            Some(value) if !value.is_i64() && !value.is_u64() => Err(mismatch(value, Some(self.field(key)), wanted)),
            _ => Ok(()),
        }
    }

    /// `{"/": "Qm…"}`.
    fn cid(&self, key: &str) -> Result<(), Failure> {
        let Some(value) = self.get(key) else { return Ok(()) };
        let link = value.as_object().ok_or_else(|| mismatch(value, Some(self.field(key)), TARGET))?;
        let target = match link.get("/") {
            None | Some(Value::Null) => "",
            Some(target) => target.as_str().ok_or_else(|| mismatch(target, Some(self.field(key)), "string"))?,
        };
        cid::decode(target).map_err(|why| Failure::Said(why.to_owned()))
    }

    fn peer(&self, key: &str) -> Result<(), Failure> {
        self.get(key).map_or(Ok(()), |value| self.is_peer(key, value))
    }

    fn peers(&self, key: &str) -> Result<(), Failure> {
        self.items(key, "[]peer.ID")?.iter().try_for_each(|value| self.is_peer(key, value))
    }

    fn is_peer(&self, key: &str, value: &Value) -> Result<(), Failure> {
        let name = value.as_str().ok_or_else(|| mismatch(value, Some(self.field(key)), "string"))?;
        cid::decode_peer(name).map_err(|why| Failure::Said(why.to_owned()))
    }

    /// An address that the client cannot parse is where it breaks.
    fn addresses(&self, key: &str) -> Result<(), Failure> {
        for value in self.items(key, "[]api.Multiaddr")? {
            let address = value.as_str().ok_or_else(|| mismatch(value, Some(self.field(key)), "string"))?;
            multiaddr::parse(address).map_err(|why| {
                let said = "interface conversion: multiaddr.Multiaddr is nil, not *multiaddr.multiaddr";
                Failure::Panic(format!("{said} ({why})"))
            })?;
        }
        Ok(())
    }

    fn items(&self, key: &str, wanted: &str) -> Result<&'a [Value], Failure> {
        let Some(value) = self.get(key) else { return Ok(&[]) };
        value.as_array().map(Vec::as_slice).ok_or_else(|| mismatch(value, Some(self.field(key)), wanted))
    }
}

#[cfg(test)]
mod tests;
