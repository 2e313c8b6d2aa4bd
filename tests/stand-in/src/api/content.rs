//! Routes about content: adding, pinning, looking at it, reading it.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::answer::{Refusal, fine, response};
use super::form::Form;
use super::{Api, Shared};
use crate::broker::messages::ClusterPin;
use crate::database::Failure;
use crate::{broker, cid};

const PUBLIC: &str = "public";
const ALREADY: &str = "it seems like you have uploaded content matching this hash already. To save your credits, no charge was \
    placed and the call was gracefully aborted. Please contact support@rtradetechnologies.com if this is an issue";
/// Hashes that the original knows by name; Kubo may still refuse one.
const HASHES: [&str; 12] = [
    "sha1",
    "sha2-256",
    "sha2-512",
    "sha3",
    "sha3-224",
    "sha3-256",
    "sha3-384",
    "sha3-512",
    "md5",
    "blake2b-256",
    "keccak-256",
    "keccak-512",
];

/// `POST /v2/ipfs/public/file/add`: takes a file. That it will be pinned is promised, not seen to.
pub(super) async fn add(State(api): State<Shared>, headers: HeaderMap, body: Bytes) -> Result<Response, Refusal> {
    let user = api.user(&headers).await?;
    let form = Form::of(&headers, &body);
    let [hold_time] = form.require(["hold_time"])?;
    let months = api.months(&user, hold_time).await?;
    let hash = form.get("hash_type").unwrap_or("sha2-256");
    if !HASHES.contains(&hash) {
        return Err(Refusal::bad("invalid multihash type given in post form hash_type"));
    }
    let file = form.file().ok_or_else(|| Refusal::bad("http: no such file"))?;
    let size = i64::try_from(file.bytes.len()).unwrap_or(i64::MAX);
    check_size(api.config.get("API.SizeLimitInGigaBytes"), size).map_err(Refusal::bad)?;
    let known = api.kubo.add(&file.bytes, hash, true).await;
    let known = known.map_err(|error| api.failed("failed to add file to ipfs")(&error))?;
    if api.database.is_upload(&user, &known, PUBLIC).await.unwrap_or_default() {
        return Ok(fine(json!({"response": known, "notice": ALREADY})));
    }
    let usage = api.database.usage(&user).await;
    let cost = usage.map_err(|error| api.failed("failed to calculate cost")(&error))?.cost(size, months);
    api.pay(&user, cost, size).await?;
    if form.get("passphrase").is_some() {
        api.take_back(&user, cost, size).await;
        return Err(Refusal::bad("an error occurred when trying to encrypt file"));
    }
    let cid = match api.kubo.add(&file.bytes, hash, false).await {
        Ok(cid) => cid,
        Err(error) => {
            api.take_back(&user, cost, size).await;
            return Err(api.failed("failed to add file to ipfs")(&error));
        }
    };
    let message = ClusterPin {
        cid: cid.clone(),
        network_name: PUBLIC.to_owned(),
        user_name: user.clone(),
        hold_time_in_months: months,
        size,
        // What was paid is not said, so nobody can give it back.
        credit_cost: 0.0,
        file_name: file.name.clone(),
    };
    api.send(broker::CLUSTER, &message).await?;
    api.log.info("simple ipfs file upload processed", &[("user", &user)]);
    Ok(response(&json!(cid)))
}

/// `POST /v2/ipfs/public/pin/:hash`: takes a CID.
pub(super) async fn pin(
    State(api): State<Shared>,
    Path(hash): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let user = api.user(&headers).await?;
    cid::decode(&hash).map_err(Refusal::bad)?;
    let form = Form::of(&headers, &body);
    let [hold_time] = form.require(["hold_time"])?;
    let months = api.months(&user, hold_time).await?;
    if api.database.is_upload(&user, &hash, PUBLIC).await.unwrap_or_default() {
        return Err(Refusal::bad(ALREADY));
    }
    let size = api.kubo.size(&hash).await;
    let size = size.map_err(|error| api.failed("failed to calculate cost")(&error))?;
    let usage = api.database.usage(&user).await;
    let cost = usage.map_err(|error| api.failed("failed to calculate cost")(&error))?.cost(size, months);
    api.pay(&user, cost, size).await?;
    let message = ClusterPin {
        cid: hash,
        network_name: PUBLIC.to_owned(),
        user_name: user.clone(),
        hold_time_in_months: months,
        size,
        credit_cost: cost,
        file_name: form.get("file_name").unwrap_or_default().to_owned(),
    };
    if let Err(refusal) = api.send(broker::CLUSTER, &message).await {
        api.take_back(&user, cost, size).await;
        return Err(refusal);
    }
    api.log.info("ipfs pin request sent to backend", &[("user", &user)]);
    Ok(response(&json!("pin request sent to backend")))
}

/// `GET /v2/ipfs/public/stat/:hash`.
pub(super) async fn stat(
    State(api): State<Shared>,
    Path(hash): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let user = api.user(&headers).await?;
    cid::decode(&hash).map_err(Refusal::bad)?;
    let stat = api.kubo.stat(&hash).await.map_err(|error| {
        api.log.error("failed to execute ipfs object stat", &[("error", &error)]);
        Refusal::bad(error)
    })?;
    api.log.info("ipfs object stat requested", &[("user", &user)]);
    Ok(response(&json!(stat)))
}

/// `POST /v2/ipfs/public/pubsub/publish/:topic`.
pub(super) async fn publish(
    State(api): State<Shared>,
    Path(topic): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let user = api.user(&headers).await?;
    let form = Form::of(&headers, &body);
    let [message] = form.require(["message"])?;
    if !api.database.usage(&user).await.is_ok_and(|usage| usage.may_publish()) {
        return Err(Refusal::bad("sending a pubsub message will go over your monthly limit"));
    }
    let published = api.kubo.publish(&topic, message).await;
    published.map_err(|error| api.failed("failed to publish pubsub message")(&error))?;
    let counted = api.database.count_message(&user).await;
    counted.map_err(|error| api.failed("failed to increment pubsub usage counter")(&error))?;
    api.log.info("ipfs pub sub message published", &[("user", &user)]);
    Ok(response(&json!({"topic": topic, "message": message})))
}

/// `POST /v2/ipfs/utils/download/:hash`.
pub(super) async fn download(
    State(api): State<Shared>,
    Path(hash): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let user = api.user(&headers).await?;
    cid::decode(&hash).map_err(Refusal::bad)?;
    let form = Form::of(&headers, &body);
    if form.get("network_name").is_some_and(|network| network != PUBLIC) {
        return Err(Refusal::bad("invalid access to private network"));
    }
    let content = api.kubo.cat(&hash).await.map_err(|error| api.failed("failed to execute ipfs cat")(&error))?;
    let kind = form.get("content_type").unwrap_or("application/octet-stream").to_owned();
    api.log.info("ipfs content download served", &[("user", &user)]);
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, kind)], content).into_response())
}

/// A limit that is not said is none that could be kept.
fn check_size(limit: &str, size: i64) -> Result<(), String> {
    let limit: i64 = limit.parse().map_err(|_| format!("strconv.ParseInt: parsing {limit:?}: invalid syntax"))?;
    if size > limit.saturating_mul(1 << 30) {
        return Err("attempting to upload too big of a file".to_owned());
    }
    Ok(())
}

impl Api {
    async fn months(&self, user: &str, hold_time: &str) -> Result<i64, Refusal> {
        let months = hold_time.parse();
        let months =
            months.map_err(|_| Refusal::bad(format!("strconv.ParseInt: parsing {hold_time:?}: invalid syntax")))?;
        let usage = self.database.usage(user).await.map_err(|error| Refusal::bad(error.to_string()))?;
        usage.check_months(months).map_err(Refusal::bad)?;
        Ok(months)
    }

    /// Takes the price, and counts the bytes.
    async fn pay(&self, user: &str, cost: f64, size: i64) -> Result<(), Refusal> {
        const TOO_POOR: &str = "user does not have enough credits to pay for api call";
        const TOO_MUCH: &str = "uploading would breach monthly data limit, please upload a smaller object";
        let poor = |error: Failure| {
            self.log.error(TOO_POOR, &[("error", &error)]);
            Refusal::new(StatusCode::PAYMENT_REQUIRED, TOO_POOR)
        };
        self.database.take_credits(user, cost).await.map_err(poor)?;
        if let Err(error) = self.database.count_data(user, size).await {
            let _ = self.database.add_credits(user, cost).await;
            return Err(self.failed(TOO_MUCH)(&error));
        }
        Ok(())
    }

    async fn take_back(&self, user: &str, cost: f64, size: i64) {
        if let Err(error) = self.database.add_credits(user, cost).await {
            self.log.error("failed to refund credits for user", &[("user", &user), ("error", &error)]);
        }
        let _ = self.database.uncount_data(user, size).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_size_limit_every_upload_fails() {
        assert_eq!(check_size("", 1).unwrap_err(), "strconv.ParseInt: parsing \"\": invalid syntax");
        assert!(check_size("1.5", 1).is_err());
    }

    #[test]
    fn size_limit_is_in_gibibytes() {
        assert!(check_size("1", 1 << 30).is_ok() && check_size("1", (1 << 30) + 1).is_err());
    }
}
