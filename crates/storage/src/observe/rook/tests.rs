//! The state of a bucket of Rook, by a server with prepared answers.

use serde_json::json;
use temporal_stack_common::s3::{
    Key,
    fake::{Fake, ID, SECRET, answer, refusal},
};

use super::*;

/// The state of a bucket, whose list is answered so.
async fn state(list: String, is_wanted: bool) -> Found {
    let fake = Fake::answering(move |_: &temporal_stack_common::s3::fake::SeenRequest| list.clone()).await;
    let key = Key { id: ID.to_owned(), secret: SECRET.to_owned() };
    let granted = Granted { address: fake.address(), bucket: "photos-1".to_owned(), key };
    let claim = json!({
        "apiVersion": "objectbucket.io/v1alpha1", "kind": "ObjectBucketClaim", "metadata": {"name": "c"}, "spec": {},
    });
    let bucket: Bucket = serde_json::from_value(json!({"name": "photos"})).unwrap();
    let claim = serde_json::from_value(claim).unwrap();
    inspect(&granted, &claim, Some(&bucket).filter(|_| is_wanted)).await.unwrap_or_else(Found::Failed)
}

#[tokio::test]
async fn only_the_store_says_that_a_bucket_is_gone() {
    let gone = || refusal("404 Not Found", "NoSuchBucket", "gone");
    assert!(matches!(state(gone(), false).await, Found::Absent));
    assert!(matches!(state(gone(), true).await, Found::Failed(_)));
    for list in [refusal("403 Forbidden", "AccessDenied", "no"), answer("404 Not Found", "default backend")] {
        for is_wanted in [true, false] {
            let found = state(list.clone(), is_wanted).await;
            assert!(matches!(found, Found::Failed(_)), "{list} {is_wanted}: {found:?}");
        }
    }
}
