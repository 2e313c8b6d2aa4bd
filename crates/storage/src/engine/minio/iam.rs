//! Users and their policies, in one request: the import of an archive changes what is in it, and nothing else. Unlike the calls for
//! single users, its body needs no encryption of its own.

use serde::Deserialize;
use serde_json::{Value, json};
use temporal_stack_common::{
    http::Answer,
    s3::{Address, Failure, policy},
};

use super::zip;
use crate::{engine::Grant, names};

/// The archive that creates or corrects a user, the policy of its bucket, and the mapping of both.
pub(super) fn archive(Grant { bucket, key, .. }: &Grant) -> Vec<u8> {
    let name = names::policy(bucket);
    let document: Value = serde_json::from_str(&policy::document(bucket)).unwrap_or_default();
    let files = [
        ("iam-assets/policies.json", json!({ &name: document })),
        ("iam-assets/users.json", json!({ &key.id: {"secretKey": key.secret, "status": "enabled"} })),
        ("iam-assets/user_mappings.json", json!({ &key.id: {"version": 1, "policy": name} })),
    ];
    zip::archive(&files.map(|(path, content)| (path, content.to_string().into_bytes())))
}

/// What the server did not import. It answers that with a success, too.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Imported {
    failed: Failed,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Failed {
    policies: Option<Vec<Value>>,
    users: Option<Vec<Value>>,
    user_policies: Option<Vec<Value>>,
}

/// Whether all was imported. The message has no part of the answer, which names the key.
pub(super) fn check(answer: &Answer, address: &Address) -> Result<(), Failure> {
    let Ok(Imported { failed }) = answer.json::<Imported>() else { return Ok(()) };
    let parts = [("policy", failed.policies), ("user", failed.users), ("mapping", failed.user_policies)];
    let failed = parts.into_iter().find(|(_, list)| list.as_ref().is_some_and(|list| !list.is_empty()));
    failed.map_or(Ok(()), |(part, _)| {
        Err(Failure::Unreadable {
            address: address.endpoint.clone(),
            request: "PUT /minio/admin/v3/import-iam-v2".to_owned(),
            cause: format!("the {part} was not imported"),
        })
    })
}

#[cfg(test)]
mod tests {
    use temporal_stack_common::s3::Key;

    use super::*;

    #[test]
    fn archive_has_policy_user_and_mapping() {
        let key = Key { id: "AKID".to_owned(), secret: "s3cret".to_owned() };
        let archive = archive(&Grant { bucket: "photos".to_owned(), key, others: Vec::new() });
        let text = String::from_utf8_lossy(&archive);
        for part in [
            r#"{"AKID":{"secretKey":"s3cret","status":"enabled"}}"#,
            r#"{"AKID":{"policy":"temporal-stack-photos","version":1}}"#,
            "arn:aws:s3:::photos/*",
            "iam-assets/user_mappings.json",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
