//! What a key must not do.

use temporal_stack_common::{
    http::Method,
    s3::{Client, Key},
};

use super::{Checked, Deviation, Place, Stage, refused, section};

section! { "Access",
    "ListObjectsV2 of another bucket", "403 AccessDenied", list;
    "GetObject of another bucket", "403 AccessDenied", get;
    "PutObject into another bucket", "403 AccessDenied", put;
    "DeleteObject in another bucket", "403 AccessDenied", delete;
    "CreateBucket", "403 AccessDenied", create;
    "DeleteBucket of its own bucket", "403 AccessDenied", remove;
    "PutBucketPolicy of its own bucket", "403 AccessDenied", policy;
    "PutBucketVersioning of its own bucket", "403 AccessDenied", versioning;
    "A wrong secret", "403 SignatureDoesNotMatch", wrong_secret;
    "An unknown access key ID", "403 InvalidAccessKeyId", unknown;
}

const DENIED: &str = "403 AccessDenied";

async fn list(Stage { plain, other, .. }: Stage) -> Checked {
    refused(plain.client.list(&other, "", None, 1).await, DENIED)
}

async fn get(Stage { plain, other, .. }: Stage) -> Checked {
    refused(plain.client.get(&other, "object", 1000).await, DENIED)
}

async fn put(Stage { plain, other, .. }: Stage) -> Checked {
    refused(plain.client.put(&other, "intruder", Vec::new()).await, DENIED)
}

async fn delete(Stage { plain, other, .. }: Stage) -> Checked {
    refused(plain.client.delete(&other, "other").await, DENIED)
}

async fn create(Stage { plain, .. }: Stage) -> Checked {
    refused(plain.client.create(&format!("{}-2", plain.bucket), false).await, DENIED)
}

async fn remove(Stage { plain, .. }: Stage) -> Checked {
    // It has objects, so it stays in any case.
    plain.put("access/kept", "x").await?;
    refused(plain.client.remove(&plain.bucket).await, DENIED)
}

async fn policy(Stage { plain, .. }: Stage) -> Checked {
    let open = format!(
        "{{\"Version\":\"2012-10-17\",\"Statement\":[{{\"Effect\":\"Allow\",\"Principal\":\"*\",\
         \"Action\":\"s3:GetObject\",\"Resource\":\"arn:aws:s3:::{}/access/*\"}}]}}",
        plain.bucket
    );
    refused(plain.client.set_policy(&plain.bucket, Some(&open)).await, DENIED)
}

async fn versioning(Stage { versioned, .. }: Stage) -> Checked {
    // It has versions already, so nothing changes in any case.
    refused(versioned.client.set_versioning(&versioned.bucket, true).await, DENIED)
}

fn with_key(place: &Place, id: &str, secret: &str) -> Result<Client, Deviation> {
    Ok(Client::new(&place.address, &Key { id: id.to_owned(), secret: secret.to_owned() })?)
}

async fn wrong_secret(Stage { plain, .. }: Stage) -> Checked {
    let client = with_key(&plain, &plain.key.id, "wrong-secret-of-some-length")?;
    refused(client.list(&plain.bucket, "", None, 1).await, "403 SignatureDoesNotMatch")
}

async fn unknown(Stage { plain, .. }: Stage) -> Checked {
    let client = with_key(&plain, "unknown-key-id", &plain.key.secret)?;
    let answer = client.call(plain.bucket(Method::GET).with("list-type", "2")).await;
    refused(answer, "403 InvalidAccessKeyId")
}
