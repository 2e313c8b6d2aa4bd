//! Objects that are locked for a time.

use temporal_stack_common::http::{Answer, Method};

use super::{Checked, Deviation, Place, Stage, expect, refused, section};

section! { "Object lock (governance, one day)",
    "PutObject", "HeadObject has mode and time", default;
    "DeleteObject, `versionId`, of a locked version", "403 AccessDenied", delete;
    "The same with `x-amz-bypass-governance-retention`", "403 AccessDenied: the key may not", bypass;
    "DeleteObject without a version", "a delete marker", mark;
    "PutObject over a locked object", "a new version", replace;
    "PutObjectRetention, later", "accepted", later;
    "PutObjectRetention, earlier", "403 AccessDenied", earlier;
    "PutObjectLegalHold on and off", "GetObjectLegalHold has it", hold;
}

/// Stores an object; its version.
async fn stored(place: &Place, key: &str) -> Result<String, Deviation> {
    let stored = place.client.put(&place.bucket, key, b"locked".to_vec()).await?;
    stored.version.ok_or_else(|| Deviation("no version in the answer".to_owned()))
}

async fn default(Stage { locked, .. }: Stage) -> Checked {
    stored(&locked, "default").await?;
    let head = locked.client.head(&locked.bucket, "default").await?;
    let mode = head.attributes.get("x-amz-object-lock-mode").map(String::as_str);
    let has_time = head.attributes.contains_key("x-amz-object-lock-retain-until-date");
    expect(mode == Some("GOVERNANCE") && has_time, "without mode or time")
}

async fn delete(Stage { locked, .. }: Stage) -> Checked {
    let version = stored(&locked, "delete").await?;
    let answer = locked.client.delete_version(&locked.bucket, "delete", &version).await;
    let result = refused(answer, "403 AccessDenied");
    expect(locked.get("delete").await? == "locked", "deleted nevertheless")?;
    result
}

async fn bypass(Stage { locked, .. }: Stage) -> Checked {
    let version = stored(&locked, "bypass").await?;
    let call = locked.object(Method::DELETE, "bypass").with("versionId", &version);
    let answer = locked.call(call.with_header("x-amz-bypass-governance-retention", "true")).await;
    refused(answer, "403 AccessDenied")
}

async fn mark(Stage { locked, .. }: Stage) -> Checked {
    stored(&locked, "mark").await?;
    locked.client.delete(&locked.bucket, "mark").await?;
    refused(locked.get("mark").await, "404 NoSuchKey")
}

async fn replace(Stage { locked, .. }: Stage) -> Checked {
    let before = stored(&locked, "replace").await?;
    expect(stored(&locked, "replace").await? != before, "the same version")
}

async fn retention(place: &Place, key: &str, year: u16) -> Result<Answer, Deviation> {
    let document = format!(
        "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>GOVERNANCE</Mode>\
         <RetainUntilDate>{year}-01-01T00:00:00Z</RetainUntilDate></Retention>"
    );
    let call = place.object(Method::PUT, key).with("retention", "");
    place.call(call.with_content("application/xml", document.into_bytes())).await
}

async fn later(Stage { locked, .. }: Stage) -> Checked {
    stored(&locked, "later").await?;
    retention(&locked, "later", 2040).await?;
    let head = locked.client.head(&locked.bucket, "later").await?;
    let until = head.attributes.get("x-amz-object-lock-retain-until-date").map(String::as_str).unwrap_or_default();
    expect(until.starts_with("2040-01-01"), "another time")
}

async fn earlier(Stage { locked, .. }: Stage) -> Checked {
    stored(&locked, "earlier").await?;
    retention(&locked, "earlier", 2041).await?;
    refused(retention(&locked, "earlier", 2040).await, "403 AccessDenied")
}

async fn hold(Stage { locked, .. }: Stage) -> Checked {
    stored(&locked, "hold").await?;
    for status in ["ON", "OFF"] {
        let document = format!(
            "<LegalHold xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>{status}</Status></LegalHold>"
        );
        let call = locked.object(Method::PUT, "hold").with("legal-hold", "");
        locked.call(call.with_content("application/xml", document.into_bytes())).await?;
        let answer = locked.call(locked.object(Method::GET, "hold").with("legal-hold", "")).await?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        expect(text.contains(&format!("<Status>{status}</Status>")), format!("not {status}"))?;
    }
    Ok(())
}
