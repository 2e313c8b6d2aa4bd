//! `api`: HTTP for users, messages for the queues.

mod account;
mod answer;
mod content;
mod form;
mod gate;
mod limit;
mod listener;
mod publishers;
mod token;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde_json::json;

use crate::arguments::Flags;
use crate::cluster::Cluster;
use crate::config::Config;
use crate::database::Database;
use crate::kubo::Kubo;
use crate::log::{Log, Said};
use crate::signal::terminated;
use crate::stop::Stop;
use crate::{VERSION, broker};
use answer::{Refusal, fine};
use listener::{Client, Incoming};
use publishers::Publishers;

/// What its routes have.
struct Api {
    config: Config,
    log: Log,
    database: Database,
    kubo: Kubo,
    publishers: Arc<Publishers>,
    gate: gate::Gate,
    requests: AtomicU64,
}

type Shared = Arc<Api>;

/// Serves until told to end. A broker that is lost ends it too, and that is no error.
pub(crate) async fn run(config: Config, flags: &Flags) -> Result<(), Stop> {
    let log = Log::open(config.get("LogDir"), "api_service.log")?;
    check_certificates(&config, &log)?;
    let log = log.named("api");
    // Whatever is refused here ends the process.
    let kubo = Kubo::connect(&config).await.map_err(|cause| log.fatal(cause))?;
    Cluster::connect(&config).await.map_err(|failure| failure.stop(|cause| log.fatal(cause)))?;
    let insecure = |failure| log.fatal(format!("failed to connect to database with insecure connection: {failure}"));
    let database = Database::open_either(&config).await.map_err(insecure)?;
    let publishers = Publishers::open(&config, &log).await.map_err(|cause| log.fatal(cause))?;
    let gate = gate::Gate::new(config.get("API.Connection.Limit"), flags.dev).map_err(|cause| log.fatal(cause))?;
    log.info("Routes initialized", &[]);
    log.info("api initialization successful", &[]);

    let address = format!("{}:{}", config.get("API.Connection.ListenAddress"), flags.port);
    let [certificate, key] =
        ["CertPath", "KeyPath"].map(|path| config.get(&format!("API.Connection.Certificates.{path}")));
    let tls = if certificate.is_empty() || key.is_empty() {
        eprintln!("TLS config incomplete - starting API service without TLS...");
        None
    } else {
        eprintln!("Starting API service with TLS...");
        Some((Path::new(certificate), Path::new(key)))
    };
    let incoming = Incoming::bind(&address, tls).await;
    let incoming = incoming.map_err(|cause| Stop::exit(format!("API service execution failed: {cause}")))?;
    eprintln!("press CTRL+C to stop processing and close queue resources");
    let lost = Publishers::watch(&publishers, &config, &log);
    let requests = AtomicU64::new(0);
    let api = Arc::new(Api { config, log, database, kubo, publishers, gate, requests });
    let service = router(api).into_make_service_with_connect_info::<Client>();
    tokio::select! {
        ended = axum::serve(incoming, service) => ended.map_err(|cause| Stop::exit(format!("API service execution failed: {cause}"))),
        // What is under way is dropped in either case.
        () = lost => Ok(()),
        () = terminated() => Ok(()),
    }
}

/// Certificates for services that are used only later, if at all, must be there from the start.
fn check_certificates(config: &Config, log: &Log) -> Result<(), Stop> {
    let fields = [
        "Services.Lens.TLS.CertPath",
        "Services.Nexus.TLS.CertPath",
        "Pay.TLS.CertPath",
        "Services.BchGRPC.Wallet.CertFile",
    ];
    for path in fields.map(|field| config.get(field)).into_iter().filter(|path| !path.is_empty()) {
        std::fs::read(path).map_err(|error| log.fatal(format!("could not load tls cert: open {path}: {error}")))?;
    }
    Ok(())
}

fn router(api: Shared) -> Router {
    let v2 = Router::new()
        .route("/systems/check", get(check))
        .route("/auth/login", post(account::login))
        .route("/statistics/stats", get(statistics))
        .route("/account/key/ipfs/new", post(account::new_key))
        .route("/account/key/ipfs/get", get(account::keys))
        .route("/account/key/export/{name}", get(account::export_key))
        .route("/ipfs/public/file/add", post(content::add))
        .route("/ipfs/public/pin/{hash}", post(content::pin))
        .route("/ipfs/public/stat/{hash}", get(content::stat))
        .route("/ipfs/public/pubsub/publish/{topic}", post(content::publish))
        .route("/ipfs/utils/download/{hash}", post(content::download))
        .route("/database/uploads", get(account::uploads));
    Router::new()
        .nest("/v2", v2)
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
        .layer(middleware::from_fn_with_state(api.clone(), enter))
        // A file is in memory as a whole, however large it is.
        .layer(DefaultBodyLimit::disable())
        .with_state(api)
}

/// What comes before every route, also those that are not there.
async fn enter(State(api): State<Shared>, request: Request, next: Next) -> Response {
    let passed = match api.gate.pass(&request) {
        Ok(passed) => passed,
        Err(refused) => return *refused,
    };
    api.requests.fetch_add(1, Ordering::Relaxed);
    let mut response = next.run(request).await;
    response.headers_mut().extend(passed);
    response
}

async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "404 page not found").into_response()
}

/// Says that all is well, whatever is.
async fn check() -> Response {
    let mut response = fine(json!({"version": VERSION, "response": "systems online"}));
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if let Ok(name) = HeaderValue::from_str(name.trim()) {
        response.headers_mut().insert("X-API-Hostname", name);
    }
    response
}

/// For administrators only.
async fn statistics(State(api): State<Shared>, headers: HeaderMap) -> Result<Response, Refusal> {
    let user = api.user(&headers).await?;
    if !api.database.is_admin(&user).await.unwrap_or_default() {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "user is not an administrator"));
    }
    Ok(fine(json!({"version": VERSION, "response": {"requests": api.requests.load(Ordering::Relaxed)}})))
}

/// Whose token a request has. Without a realm nobody gets in; without a key everybody can make a token.
fn bearer(realm: &str, key: &str, headers: &HeaderMap, now: i64) -> Result<String, Refusal> {
    if realm.is_empty() {
        return Err(Refusal::login(StatusCode::INTERNAL_SERVER_ERROR, "realm is required", "gin jwt"));
    }
    let refused = |why: &'static str| Refusal::login(StatusCode::UNAUTHORIZED, why, realm);
    let header = headers.get("Authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if header.is_empty() {
        return Err(refused("auth header empty"));
    }
    let given = header.strip_prefix("Bearer ").ok_or_else(|| refused("invalid auth header"))?;
    token::verify(key, given, now).map_err(refused)
}

impl Api {
    /// Who asks: somebody with a token who is still a user.
    async fn user(&self, headers: &HeaderMap) -> Result<String, Refusal> {
        let realm = self.config.get("API.JWT.Realm");
        let user = bearer(realm, self.config.get("API.JWT.Key"), headers, token::now())?;
        if !self.database.may_enter(&user).await.unwrap_or_default() {
            return Err(Refusal::login(StatusCode::FORBIDDEN, "You don't have permission to access.", realm));
        }
        Ok(user)
    }

    /// Says what went wrong to the log, and `message` alone to the user.
    fn failed(&self, message: &'static str) -> impl Fn(&Said<'_>) -> Refusal {
        let log = self.log.clone();
        move |error| {
            log.error(message, &[("error", &error)]);
            Refusal::new(StatusCode::BAD_REQUEST, message)
        }
    }

    /// Publishes to the queue of that name.
    async fn send(&self, queue: &'static str, message: &impl serde::Serialize) -> Result<(), Refusal> {
        debug_assert!(broker::ALL.contains(&queue), "nobody connects to {queue}");
        let sent = self.publishers.publish(queue, message).await;
        sent.map_err(|error| self.failed("failed to publish message to queue")(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(authorization: Option<&str>) -> HeaderMap {
        authorization.map(|value| ("authorization".parse().unwrap(), value.parse().unwrap())).into_iter().collect()
    }

    #[test]
    fn missing_realm_fails_every_route_that_needs_a_user() {
        let token = format!("Bearer {}", token::sign("key", "ann", 0));
        let refusal = bearer("", "key", &given(Some(&token)), 0).unwrap_err();
        let expected = Refusal::login(StatusCode::INTERNAL_SERVER_ERROR, "realm is required", "gin jwt");
        assert_eq!(refusal, expected);
        assert_eq!(bearer("realm", "key", &given(Some(&token)), 0), Ok("ann".to_owned()));
    }

    #[test]
    fn token_is_asked_for() {
        let refused = |why| Err(Refusal::login(StatusCode::UNAUTHORIZED, why, "realm"));
        assert_eq!(bearer("realm", "key", &given(None), 0), refused("auth header empty"));
        assert_eq!(bearer("realm", "key", &given(Some("Basic a")), 0), refused("invalid auth header"));
    }
}
