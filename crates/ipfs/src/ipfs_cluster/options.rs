//! The options of a pin in a request to IPFS Cluster.

use std::collections::BTreeMap;

use temporal_stack_common::http::Path;

use super::Pin;

/// The replication factor of a pin that all peers should hold.
pub(crate) const EVERYWHERE: i64 = -1;

/// Changed options of a pin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PinUpdate {
    /// How many peers must hold it; 0: as many as IPFS Cluster is configured to.
    pub(crate) min: i64,
    /// How many peers should hold it; 0: as many as IPFS Cluster is configured to.
    pub(crate) max: i64,
    /// Metadata to set, or to remove if without a value.
    pub(crate) metadata: BTreeMap<String, Option<String>>,
    /// The peers to prefer if additional ones are needed; those that hold it already are kept anyway.
    pub(crate) user_allocations: Vec<String>,
}

/// Adds the query of a pin request: an omitted option would be lost.
pub(super) fn query(path: Path, pin: &Pin, update: &PinUpdate) -> Path {
    let mut options = vec![
        ("replication-min".to_owned(), update.min.to_string()),
        ("replication-max".to_owned(), update.max.to_string()),
        ("name".to_owned(), pin.name.clone()),
        ("mode".to_owned(), pin.mode.clone()),
        ("user-allocations".to_owned(), update.user_allocations.join(",")),
        ("expire-at".to_owned(), pin.expire_at.map(|end| end.to_string()).unwrap_or_default()),
        ("origins".to_owned(), pin.origins.join(",")),
    ];
    if pin.shard_size > 0 {
        options.push(("shard-size".to_owned(), pin.shard_size.to_string()));
    }
    options.retain(|(_, value)| !value.is_empty());
    let mut metadata: BTreeMap<&str, Option<&str>> =
        pin.metadata.iter().map(|(key, value)| (key.as_str(), Some(value.as_str()))).collect();
    metadata.extend(update.metadata.iter().map(|(key, value)| (key.as_str(), value.as_deref())));
    let metadata = metadata.into_iter().filter_map(|(key, value)| Some((format!("meta-{key}"), value?.to_owned())));
    options.extend(metadata);
    options.iter().fold(path, |path, (key, value)| path.with(key, value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pin() -> Pin {
        serde_json::from_value(json!({
            "cid": "bafk", "name": "a&b ü", "replication_factor_min": 1, "replication_factor_max": 2, "mode": "recursive",
            "type": "pin", "allocations": ["A"], "expire_at": "2030-01-01T00:00:00Z", "metadata": {"k=1": "v,", "empty": ""},
            "origins": ["/ip4/127.0.0.1/tcp/4001/p2p/12D3"], "shard_size": 7, "pin_update": null, "reference": null,
        }))
        .unwrap()
    }

    fn text(pin: &Pin, update: &PinUpdate) -> String {
        query(Path::fixed("pins/a"), pin, update).query().to_owned()
    }

    #[test]
    fn all_options_of_a_pin_are_repeated() {
        assert_eq!(
            text(&pin(), &PinUpdate { min: 1, max: 2, ..PinUpdate::default() }),
            "replication-min=1&replication-max=2&name=a%26b%20%C3%BC&mode=recursive&expire-at=2030-01-01T00%3A00%3A00Z&\
             origins=%2Fip4%2F127.0.0.1%2Ftcp%2F4001%2Fp2p%2F12D3&shard-size=7&meta-empty=&meta-k%3D1=v%2C"
        );
    }

    #[test]
    fn update_changes_factors_and_metadata() {
        let metadata = BTreeMap::from([("k=1".to_owned(), None), ("note".to_owned(), Some("1,2".to_owned()))]);
        let update = PinUpdate { min: -1, max: -1, metadata, user_allocations: vec!["A".to_owned(), "B".to_owned()] };
        let pin = Pin { origins: Vec::new(), expire_at: None, shard_size: 0, name: String::new(), ..pin() };
        assert_eq!(
            text(&pin, &update),
            "replication-min=-1&replication-max=-1&mode=recursive&user-allocations=A%2CB&meta-empty=&meta-note=1%2C2"
        );
    }
}
