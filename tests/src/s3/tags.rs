//! Tags of objects.

use temporal_stack_common::{http::Method, s3::Tags};

use super::{Checked, Stage, expect, refused, section};

section! { "Tags",
    "PutObjectTagging", "GetObjectTagging has them", set;
    "PutObject with `x-amz-tagging`", "GetObjectTagging has them", with_object;
    "PutObjectTagging again", "the new ones only", replace;
    "DeleteObjectTagging", "no tags", delete;
    "PutObjectTagging of 11 tags", "400", too_many;
    "HeadObject of an object with tags", "`x-amz-tagging-count`", count;
}

fn tags(tags: &[(&str, &str)]) -> Tags {
    tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

async fn set(Stage { plain, .. }: Stage) -> Checked {
    plain.put("tags/set", "x").await?;
    let sent = tags(&[("colour", "red/blue + 1"), ("empty", "")]);
    plain.client.set_tags(&plain.bucket, "tags/set", None, &sent).await?;
    expect(plain.client.tags(&plain.bucket, "tags/set", None).await? == sent, "other tags")
}

async fn with_object(Stage { plain, .. }: Stage) -> Checked {
    plain.put_with("tags/with", "x", &[("x-amz-tagging", "a=1&b=2%203")]).await?;
    let found = plain.client.tags(&plain.bucket, "tags/with", None).await?;
    expect(found == tags(&[("a", "1"), ("b", "2 3")]), "other tags")
}

async fn replace(Stage { plain, .. }: Stage) -> Checked {
    plain.put("tags/replace", "x").await?;
    for one in [&[("a", "1")][..], &[("b", "2")]] {
        plain.client.set_tags(&plain.bucket, "tags/replace", None, &tags(one)).await?;
    }
    expect(plain.client.tags(&plain.bucket, "tags/replace", None).await? == tags(&[("b", "2")]), "other tags")
}

async fn delete(Stage { plain, .. }: Stage) -> Checked {
    plain.put_with("tags/delete", "x", &[("x-amz-tagging", "a=1")]).await?;
    plain.call(plain.object(Method::DELETE, "tags/delete").with("tagging", "")).await?;
    expect(plain.client.tags(&plain.bucket, "tags/delete", None).await?.is_empty(), "tags remain")
}

async fn too_many(Stage { plain, .. }: Stage) -> Checked {
    plain.put("tags/many", "x").await?;
    let many: Tags = (0..11).map(|number| (format!("tag-{number}"), "x".to_owned())).collect();
    refused(plain.client.set_tags(&plain.bucket, "tags/many", None, &many).await, "400")
}

async fn count(Stage { plain, .. }: Stage) -> Checked {
    plain.put_with("tags/count", "x", &[("x-amz-tagging", "a=1&b=2")]).await?;
    let answer = plain.call(plain.object(Method::HEAD, "tags/count")).await?;
    expect(answer.header("x-amz-tagging-count") == Some("2"), "no count")
}
