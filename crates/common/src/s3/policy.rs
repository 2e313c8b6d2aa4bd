//! The documents that restrict a user to one bucket.
//!
//! They name both resources, the bucket and its objects, because engines differ in whether `bucket/*` includes the bucket. They
//! list what is allowed: a user reads, writes and deletes objects, and can neither open the bucket to others (policy, ACL) nor remove
//! it, nor remove locked objects before their time.

use serde_json::{Value, json};

/// What users may do with the bucket.
const BUCKET: [&str; 6] = [
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:ListBucketMultipartUploads",
    "s3:GetBucketLocation",
    "s3:GetBucketVersioning",
    "s3:GetBucketObjectLockConfiguration",
];
/// What they may do with its objects. The names of actions on versions begin like the others.
const OBJECTS: [&str; 9] = [
    "s3:GetObject*",
    "s3:PutObject",
    "s3:PutObjectTagging",
    "s3:PutObjectVersionTagging",
    "s3:PutObjectRetention",
    "s3:PutObjectLegalHold",
    "s3:DeleteObject*",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
];

/// The policy of a user: this bucket and nothing else.
pub fn document(bucket: &str) -> String {
    policy(&statements(bucket))
}

/// The policy of a bucket, for engines whose users have none: these users, by the IDs of their keys.
pub fn grant(bucket: &str, users: &[&str]) -> String {
    policy(&statements(bucket).map(|mut statement| {
        statement["Principal"] = json!({"AWS": users});
        statement
    }))
}

fn statements(bucket: &str) -> [Value; 2] {
    [statement(&BUCKET, bucket, ""), statement(&OBJECTS, bucket, "/*")]
}

fn statement(actions: &[&str], bucket: &str, objects: &str) -> Value {
    json!({"Effect": "Allow", "Action": actions, "Resource": [format!("arn:aws:s3:::{bucket}{objects}")]})
}

fn policy(statements: &[Value; 2]) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(policy: &str) -> Vec<Value> {
        let policy: Value = serde_json::from_str(policy).unwrap();
        assert_eq!(policy["Version"], "2012-10-17");
        policy["Statement"].as_array().unwrap().clone()
    }

    #[test]
    fn policy_names_the_bucket_and_its_objects_only() {
        for policy in [document("photos"), grant("photos", &["a", "b"])] {
            let resources: Vec<Value> =
                parsed(&policy).iter().map(|statement| statement["Resource"][0].clone()).collect();
            assert_eq!(resources, ["arn:aws:s3:::photos", "arn:aws:s3:::photos/*"]);
        }
    }

    #[test]
    fn user_cannot_open_the_bucket_or_bypass_locks() {
        for policy in [document("photos"), grant("photos", &["a"])] {
            for action in ["s3:*", "Policy", "Acl", "Bypass", "DeleteBucket", "PutBucket", "PutObject*"] {
                assert!(!policy.contains(action), "{action}: {policy}");
            }
        }
    }

    #[test]
    fn grant_names_its_users() {
        for statement in parsed(&grant("photos", &["a", "b"])) {
            assert_eq!(statement["Principal"]["AWS"], json!(["a", "b"]));
        }
        assert!(parsed(&document("photos")).iter().all(|statement| statement.get("Principal").is_none()));
    }
}
