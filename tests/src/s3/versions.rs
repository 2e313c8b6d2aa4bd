//! Versions of objects.

use temporal_stack_common::{
    http::Method,
    s3::{Item, Tags, Version},
};

use super::{Checked, Deviation, LIMIT, Place, Stage, expect, lists::texts, refused, section};

section! { "Versions",
    "PutObject twice", "two versions, the newest first", two;
    "GetObject, `versionId`", "that version", get;
    "HeadObject, `versionId`", "that version", head;
    "DeleteObject", "a delete marker; GetObject is 404 NoSuchKey", delete;
    "HeadObject of a deleted object", "404, with `x-amz-delete-marker`", head_deleted;
    "DeleteObject of the delete marker", "the object is back", undelete;
    "DeleteObject, `versionId`", "the one before is the newest", delete_version;
    "DeleteObjects with versions", "gone for good", delete_many;
    "CopyObject of a version", "it is the newest again", restore;
    "PutObjectTagging, `versionId`", "tags of that version only", tags;
    "ListObjectVersions in pages of one, by the markers of the server", "each version once", pages;
    "ListObjectVersions in pages, after the oldest version of an object", "each version once", object_by_object;
    "ListObjectsV2", "deleted objects are not listed", list;
}

/// Stores an object twice; the versions, the newest first.
async fn stored(place: &Place, key: &str) -> Result<[String; 2], Deviation> {
    let missing = || Deviation("no version in the answer".to_owned());
    let before = place.client.put(&place.bucket, key, b"before".to_vec()).await?.version.ok_or_else(missing)?;
    let after = place.client.put(&place.bucket, key, b"after".to_vec()).await?.version.ok_or_else(missing)?;
    Ok([after, before])
}

async fn versions(place: &Place, key: &str) -> Result<Vec<Version>, Deviation> {
    Ok(place.client.list_versions(&place.bucket, key, None, 100).await?.versions)
}

async fn two(Stage { versioned, .. }: Stage) -> Checked {
    let expected = stored(&versioned, "two").await?;
    let found = versions(&versioned, "two").await?;
    let names: Vec<&str> = found.iter().map(|version| version.version.as_str()).collect();
    expect(names == expected && found[0].is_latest && !found[1].is_latest, "other versions, or another order")
}

async fn get(Stage { versioned, .. }: Stage) -> Checked {
    let [_, before] = stored(&versioned, "get").await?;
    let answer = versioned.call(versioned.object(Method::GET, "get").with("versionId", &before)).await?;
    expect(answer.body == b"before", "another version")
}

async fn head(Stage { versioned, .. }: Stage) -> Checked {
    let [_, before] = stored(&versioned, "head").await?;
    let head = versioned.client.head_version(&versioned.bucket, "head", Some(&before)).await?;
    expect(head.size == 6 && head.stored.version.as_deref() == Some(&before), "another version")
}

async fn delete(Stage { versioned, .. }: Stage) -> Checked {
    stored(&versioned, "delete").await?;
    versioned.client.delete(&versioned.bucket, "delete").await?;
    refused(versioned.get("delete").await, "404 NoSuchKey")?;
    let found = versions(&versioned, "delete").await?;
    expect(found.len() == 3 && found.iter().any(|version| version.is_marker && version.is_latest), "no delete marker")
}

async fn head_deleted(Stage { versioned, .. }: Stage) -> Checked {
    stored(&versioned, "head-deleted").await?;
    let answer = versioned.call(versioned.object(Method::DELETE, "head-deleted")).await?;
    refused(versioned.client.head(&versioned.bucket, "head-deleted").await, "404")?;
    expect(answer.header("x-amz-delete-marker") == Some("true"), "no such header")
}

async fn undelete(Stage { versioned, .. }: Stage) -> Checked {
    stored(&versioned, "undelete").await?;
    versioned.client.delete(&versioned.bucket, "undelete").await?;
    let found = versions(&versioned, "undelete").await?;
    let marker = found.iter().find(|version| version.is_marker).map(|version| version.version.clone());
    versioned.client.delete_version(&versioned.bucket, "undelete", &marker.unwrap_or_default()).await?;
    expect(versioned.get("undelete").await? == "after", "different")
}

async fn delete_version(Stage { versioned, .. }: Stage) -> Checked {
    let [after, _] = stored(&versioned, "delete-version").await?;
    versioned.client.delete_version(&versioned.bucket, "delete-version", &after).await?;
    expect(versioned.get("delete-version").await? == "before", "different")
}

async fn delete_many(Stage { versioned, .. }: Stage) -> Checked {
    let items = stored(&versioned, "many").await?;
    let items = items.map(|version| Item { key: "many".to_owned(), version: Some(version) });
    let remaining = versioned.client.delete_many(&versioned.bucket, &items).await?;
    expect(remaining.is_empty() && versions(&versioned, "many").await?.is_empty(), "some remain")
}

async fn restore(Stage { versioned, .. }: Stage) -> Checked {
    let [_, before] = stored(&versioned, "restore").await?;
    let source = format!("/{}/restore?versionId={before}", versioned.bucket);
    versioned.call(versioned.object(Method::PUT, "restore").with_header("x-amz-copy-source", &source)).await?;
    expect(versioned.get("restore").await? == "before", "different")
}

async fn tags(Stage { versioned, .. }: Stage) -> Checked {
    let [after, before] = stored(&versioned, "tags").await?;
    let sent: Tags = [("a".to_owned(), "1".to_owned())].into();
    versioned.client.set_tags(&versioned.bucket, "tags", Some(&before), &sent).await?;
    let (old, new) = (
        versioned.client.tags(&versioned.bucket, "tags", Some(&before)).await?,
        versioned.client.tags(&versioned.bucket, "tags", Some(&after)).await?,
    );
    expect(old == sent && new.is_empty(), "other tags")
}

async fn pages(Stage { versioned, .. }: Stage) -> Checked {
    let mut expected = Vec::new();
    for key in ["pages/a", "pages/b"] {
        expected.extend(stored(&versioned, key).await?);
    }
    let (mut all, mut markers) = (Vec::new(), Vec::new());
    for _ in 0..=expected.len() {
        let call = versioned.bucket(Method::GET).with("versions", "").with("prefix", "pages/").with("max-keys", "1");
        let call = markers.iter().fold(call, |call, (name, value): &(&str, String)| call.with(name, value));
        let page = String::from_utf8_lossy(&versioned.call(call).await?.body).into_owned();
        all.extend(texts(&page, "VersionId"));
        markers = [("key-marker", "NextKeyMarker"), ("version-id-marker", "NextVersionIdMarker")]
            .into_iter()
            .filter_map(|(name, element)| Some((name, texts(&page, element).pop()?)))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        if markers.is_empty() {
            break;
        }
    }
    expect(all == expected, "other versions, or not each once")
}

async fn object_by_object(Stage { versioned, .. }: Stage) -> Checked {
    let mut expected = Vec::new();
    for key in ["objects/a", "objects/b", "objects/c"] {
        expected.extend(stored(&versioned, key).await?);
    }
    let (mut all, mut after) = (Vec::new(), None);
    for _ in 0..=expected.len() {
        let page = versioned.client.list_versions(&versioned.bucket, "objects/", after.as_ref(), 3).await?;
        all.extend(page.versions.into_iter().map(|version| version.version));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    expect(all == expected, "other versions, or not each once")
}

async fn list(Stage { versioned, .. }: Stage) -> Checked {
    stored(&versioned, "list/kept").await?;
    stored(&versioned, "list/deleted").await?;
    versioned.client.delete(&versioned.bucket, "list/deleted").await?;
    let page = versioned.client.list(&versioned.bucket, "list/", None, 10).await?;
    let keys: Vec<&str> = page.objects.iter().map(|object| object.key.as_str()).collect();
    expect(
        keys == ["list/kept"] && versioned.client.get(&versioned.bucket, "list/kept", LIMIT).await? == b"after",
        "others",
    )
}
