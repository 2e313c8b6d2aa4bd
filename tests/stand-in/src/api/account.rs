//! Routes about users: who they are, their keys, what they have uploaded.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use data_encoding::BASE64;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::answer::{Refusal, fine, response};
use super::form::Form;
use super::{Shared, token};
use crate::broker;
use crate::broker::messages::KeyCreation;
use crate::krab::Client;

#[derive(Deserialize)]
struct Login {
    username: String,
    password: String,
}

/// `POST /v2/auth/login`: needs no realm, unlike all that its token is for.
pub(super) async fn login(State(api): State<Shared>, body: Bytes) -> Result<Response, Refusal> {
    let realm = Some(api.config.get("API.JWT.Realm")).filter(|realm| !realm.is_empty()).unwrap_or("gin jwt");
    let login = serde_json::from_slice::<Login>(&body).ok();
    let login = login.filter(|login| !login.username.is_empty() && !login.password.is_empty());
    let login = login.ok_or_else(|| Refusal::login(StatusCode::BAD_REQUEST, "Missing Username or Password", realm))?;
    let signed_in = api.database.sign_in(&login.username, &login.password).await;
    let signed_in =
        signed_in.inspect_err(|error| api.log.warn("bad sign in", &[("user", &login.username), ("error", error)]));
    let Some(user) = signed_in.ok().flatten() else {
        api.log.error("invalid login detected", &[]);
        return Err(Refusal::login(StatusCode::UNAUTHORIZED, "Incorrect Username / Password", realm));
    };
    let now = token::now();
    let expire = Timestamp::from_second(now + token::LIFETIME).map(|time| time.to_string()).unwrap_or_default();
    Ok(bare(&json!({"expire": expire, "token": token::sign(api.config.get("API.JWT.Key"), &user, now)})))
}

/// This one answer has no `code`.
fn bare(said: &serde_json::Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
    axum::response::IntoResponse::into_response((StatusCode::OK, kind, said.to_string()))
}

/// `POST /v2/account/key/ipfs/new`: has a key made.
pub(super) async fn new_key(State(api): State<Shared>, headers: HeaderMap, body: Bytes) -> Result<Response, Refusal> {
    let user = api.user(&headers).await?;
    let form = Form::of(&headers, &body);
    let [kind, bits, name] = form.require(["key_type", "key_bits", "key_name"])?;
    if !["rsa", "ed25519"].contains(&kind) {
        return Err(Refusal::bad(format!("{kind} is invalid key type must be rsa, or ed25519")));
    }
    let keys = api.database.keys(&user).await;
    let keys = keys.map_err(|_| Refusal::new(StatusCode::NOT_FOUND, "failed to search for key"))?;
    let name = format!("{user}-{name}");
    if keys.names.contains(&name) {
        return Err(Refusal::new(StatusCode::CONFLICT, "key name already exists"));
    }
    let size = bits.parse().map_err(|_| Refusal::bad(format!("strconv.Atoi: parsing {bits:?}: invalid syntax")))?;
    let usage = api.database.usage(&user).await.map_err(|error| Refusal::bad(error.to_string()))?;
    if !usage.may_make_key() {
        return Err(Refusal::bad("too many keys created"));
    }
    let counted = api.database.count_key(&user).await;
    counted.map_err(|error| api.failed("failed to increment key count")(&error))?;
    let network_name = "public".to_owned();
    let message =
        KeyCreation { user_name: user.clone(), name, r#type: kind.to_owned(), size, network_name, credit_cost: 0.0 };
    api.send(broker::KEYS, &message).await?;
    api.log.info("key creation request sent to backend", &[("user", &user)]);
    Ok(response(&json!("key creation sent to backend")))
}

/// `GET /v2/account/key/ipfs/get`: the keys that have been made.
pub(super) async fn keys(State(api): State<Shared>, headers: HeaderMap) -> Result<Response, Refusal> {
    let user = api.user(&headers).await?;
    let keys = api.database.keys(&user).await.map_err(|error| api.failed("failed to search for key")(&error))?;
    if keys.names.is_empty() {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "no keys"));
    }
    Ok(response(&json!({"key_names": keys.names, "key_ids": keys.ids})))
}

/// `GET /v2/account/key/export/<name>`: hands out a key, which the key server has no longer then. The original gives it as words.
pub(super) async fn export_key(
    State(api): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let user = api.user(&headers).await?;
    let keys = api.database.keys(&user).await.map_err(|error| api.failed("failed to search for key")(&error))?;
    if !keys.names.contains(&name) {
        return Err(Refusal::bad("user is not authorized to use this key"));
    }
    let krab = Client::primary(&api.config);
    let private = krab.get(&name).await.map_err(|error| api.failed("failed to export key")(&error))?;
    krab.delete(&name).await.map_err(|error| api.failed("failed to delete key")(&error))?;
    Ok(response(&json!(BASE64.encode(&private))))
}

/// `GET /v2/database/uploads`: what has been pinned for the user.
pub(super) async fn uploads(State(api): State<Shared>, headers: HeaderMap) -> Result<Response, Refusal> {
    let user = api.user(&headers).await?;
    let uploads = api.database.uploads(&user).await;
    let uploads = uploads.map_err(|error| {
        api.log.error("failed to search for uploads in database", &[("error", &error)]);
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "failed to search for uploads in database")
    })?;
    Ok(fine(json!({"response": uploads})))
}
