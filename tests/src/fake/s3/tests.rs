//! The client against the fake.

use temporal_stack_common::s3::{Address, Client, Code, Existence, Item, Key, Style};

use super::*;

fn client(fake: &S3, id: &str) -> Client {
    let endpoint = format!("http://{}", fake.address());
    let address = Address { endpoint, region: "us-east-1".to_owned(), style: Style::Path, authority: None };
    Client::new(&address, &Key { id: id.to_owned(), secret: SECRET.to_owned() }).unwrap()
}

#[tokio::test]
async fn client_accepts_the_fake_storage() {
    let fake = S3::start().await.unwrap();
    let client = client(&fake, ID);
    assert_eq!(client.exists("photos").await.unwrap(), Existence::Absent);
    client.create("photos", false).await.unwrap();
    assert_eq!(client.exists("photos").await.unwrap(), Existence::Usable);
    for key in ["a b", "b/c", "ä"] {
        client.put("photos", key, key.as_bytes().to_vec()).await.unwrap();
        assert_eq!(client.get("photos", key, 100).await.unwrap(), key.as_bytes());
    }
    let page = client.list("photos", "", None, 2).await.unwrap();
    assert_eq!((page.objects.len(), page.next.as_deref()), (2, Some("b/c")));
    let rest = client.list("photos", "", page.next.as_deref(), 2).await.unwrap();
    assert_eq!((rest.objects[0].key.as_str(), rest.next), ("ä", None));
    let refused = client.remove("photos").await.unwrap_err();
    assert!(refused.is(&Code::BucketNotEmpty), "{refused}");
    let item = |key: &str| Item { key: key.to_owned(), version: None };
    assert!(client.delete_many("photos", &[item("a b"), item("b/c")]).await.unwrap().is_empty());
    assert_eq!(fake.objects("photos"), ["ä"]);
    client.set_versioning("photos", true).await.unwrap();
    assert!(fake.setting("photos", "versioning").unwrap().contains("Enabled"));
    assert_eq!(client.expiration("photos").await.unwrap(), None);
    assert_eq!(client.policy("photos").await.unwrap(), None);
    assert!(client.lock("photos").await.unwrap().is_none());
}

#[tokio::test]
async fn other_key_is_refused_and_noted() {
    let fake = S3::start().await.unwrap();
    let refused = client(&fake, "another").list("photos", "", None, 1).await.unwrap_err();
    assert!(refused.is(&Code::InvalidAccessKeyId), "{refused}");
    assert_eq!(fake.foreign().len(), 1);
}

#[tokio::test]
async fn owner_of_a_bucket_is_refused_elsewhere() {
    let fake = S3::start().await.unwrap();
    let owner = client(&fake, &fake.grant("photos"));
    fake.grant("logs");
    assert_eq!(owner.exists("photos").await.unwrap(), Existence::Usable);
    assert!(owner.list("logs", "", None, 1).await.unwrap_err().is(&Code::AccessDenied));
    assert!(fake.foreign().is_empty());
    fake.lose("photos");
    assert!(owner.list("photos", "", None, 1).await.unwrap_err().is(&Code::NoSuchBucket));
    fake.purge("logs");
    assert!(client(&fake, "fake-owner-of-logs").exists("logs").await.is_err());
}

#[tokio::test]
async fn refusal_is_what_the_client_reads() {
    let fake = S3::start().await.unwrap();
    let client = client(&fake, ID);
    client.create("photos", false).await.unwrap();
    fake.refuses(Some(Refusal::Skewed));
    assert!(client.list("photos", "", None, 1).await.unwrap_err().is(&Code::RequestTimeTooSkewed));
    fake.refuses(Some(Refusal::Foreign));
    assert_eq!(client.exists("photos").await.unwrap(), Existence::Foreign);
    assert!(client.create("photos", false).await.unwrap_err().is(&Code::BucketAlreadyExists));
    fake.refuses(None);
    assert_eq!(client.exists("photos").await.unwrap(), Existence::Usable);
}

#[tokio::test]
async fn list_has_the_buckets_of_the_account() {
    let fake = S3::start().await.unwrap();
    let client = client(&fake, ID);
    client.create("photos", false).await.unwrap();
    fake.put_strange("theirs");
    let owner = self::client(&fake, &fake.grant("logs"));
    assert_eq!(client.buckets().await.unwrap(), ["logs", "photos"]);
    assert_eq!(owner.buckets().await.unwrap(), ["logs"]);
    assert_eq!(client.exists("theirs").await.unwrap(), Existence::Usable);
    let tags = [("a".to_owned(), "b".to_owned())].into();
    client.set_bucket_tags("photos", &tags).await.unwrap();
    assert_eq!(client.bucket_tags("photos").await.unwrap(), tags);
    fake.has_no_tags();
    assert!(client.bucket_tags("photos").await.unwrap_err().is(&Code::NotImplemented));
}
