//! The messages, in JSON. What a reader does not find is zero, as Go has it.

use serde::{Deserialize, Serialize, Serializer};

/// In `ipfs-cluster-add-queue`: pin this.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ClusterPin {
    /// What.
    pub(crate) cid: String,
    /// Where: `public`, or it is refused.
    pub(crate) network_name: String,
    /// For whom.
    pub(crate) user_name: String,
    /// For how long.
    pub(crate) hold_time_in_months: i64,
    /// How many bytes were counted for it.
    pub(crate) size: i64,
    /// What was paid.
    #[serde(serialize_with = "as_go_writes_it")]
    pub(crate) credit_cost: f64,
    /// What it is called.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) file_name: String,
}

/// In `ipfs-pin-queue`: pin this in a private network.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Pin {
    /// What.
    pub(crate) cid: String,
    /// Where.
    pub(crate) network_name: String,
    /// For whom.
    pub(crate) user_name: String,
    /// For how long.
    pub(crate) hold_time_in_months: i64,
    /// What was paid.
    #[serde(serialize_with = "as_go_writes_it")]
    pub(crate) credit_cost: f64,
    /// How many bytes were counted for it.
    pub(crate) size: i64,
    /// The user's token, for the network.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) jwt: String,
    /// What it is called.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) file_name: String,
}

/// In `ipfs-key-creation-queue`: make a key.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct KeyCreation {
    /// For whom.
    pub(crate) user_name: String,
    /// `<user>-<name>`, or it is refused.
    pub(crate) name: String,
    /// `ed25519` or `rsa`.
    pub(crate) r#type: String,
    /// Bits.
    pub(crate) size: i64,
    /// `public`.
    pub(crate) network_name: String,
    /// What was paid.
    #[serde(serialize_with = "as_go_writes_it")]
    pub(crate) credit_cost: f64,
}

/// In `ipns-entry-queue`: publish a record.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct NameEntry {
    /// What it leads to.
    pub(crate) cid: String,
    /// How long it is valid, in nanoseconds.
    pub(crate) life_time: i64,
    /// How long it may be remembered, in nanoseconds.
    pub(crate) ttl: i64,
    /// Whether the CID must be found first; nobody looks at it.
    pub(crate) resolve: bool,
    /// The key's name.
    pub(crate) key: String,
    /// For whom.
    pub(crate) user_name: String,
    /// `public`, or it is refused.
    pub(crate) network_name: String,
    /// What was paid.
    #[serde(serialize_with = "as_go_writes_it")]
    pub(crate) credit_cost: f64,
}

/// In `email-send-queue`: send a mail.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Mail {
    /// What it is about.
    pub(crate) subject: String,
    /// What it says.
    pub(crate) content: String,
    /// `text/html`.
    pub(crate) content_type: String,
    /// To whom.
    pub(crate) user_names: Vec<String>,
    /// Where they are, in the same order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) emails: Vec<String>,
}

/// Go writes a whole number without a point.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde has it so")]
fn as_go_writes_it<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    #[expect(clippy::cast_possible_truncation, reason = "it has no fraction and is no larger than an integer can be")]
    if number.fract() == 0.0 && number.abs() < 1e15 {
        return serializer.serialize_i64(*number as i64);
    }
    serializer.serialize_f64(*number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pin_is_written_as_the_original_writes_it() {
        let pin = ClusterPin {
            cid: "Qm".to_owned(),
            network_name: "public".to_owned(),
            user_name: "ann".to_owned(),
            hold_time_in_months: 2,
            size: 11,
            credit_cost: 0.0,
            file_name: "a.txt".to_owned(),
        };
        let expected = "{\"cid\":\"Qm\",\"network_name\":\"public\",\"user_name\":\"ann\",\"hold_time_in_months\":2,\"size\":11,\
            \"credit_cost\":0,\"file_name\":\"a.txt\"}";
        assert_eq!(serde_json::to_string(&pin).unwrap(), expected);
        assert!(!serde_json::to_string(&ClusterPin::default()).unwrap().contains("file_name"));
    }

    #[test]
    fn missing_fields_are_zero_and_unknown_fields_ignored() {
        let pin: ClusterPin = serde_json::from_str(r#"{"cid": "Qm", "credit_cost": 0.5, "more": 1}"#).unwrap();
        let expected = ClusterPin { cid: "Qm".to_owned(), credit_cost: 0.5, ..ClusterPin::default() };
        assert_eq!(pin, expected);
        assert!(serde_json::from_str::<ClusterPin>(r#"{"size": "11"}"#).is_err());
    }
}
