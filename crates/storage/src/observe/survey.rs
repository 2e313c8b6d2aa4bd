//! Asks an object storage about its buckets, and about the keys that use them.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use temporal_stack_common::{
    http::{self, Method},
    login::{Bound, Login, LoginState},
    s3::{Call, Client, Code, Existence, Failure, Locking, Versioning},
};

use crate::{
    access::{self, Store},
    engine::{Engine, Fact, Kind, is_silence},
    names::OWNER_TAG,
    observed::{Evidence, Facts, Found, Known, Lasting, Lasts, Survey},
};

/// How many buckets are asked about at the same time.
const AT_ONCE: usize = 4;

/// Asks an engine: the first server that answers. `buckets` are the ones to look at, and whether each is wanted.
pub(super) async fn embedded(
    kind: &Kind,
    servers: &[Store],
    buckets: &BTreeMap<String, bool>,
    logins: &BTreeMap<String, Vec<Login>>,
    bound: &BTreeMap<String, Bound>,
    lasting: &Lasting,
) -> Survey {
    let mut silence = Survey::Unasked;
    for store in servers {
        let asked = async {
            let mut known = known(store, Some((kind, lasting)), buckets).await?;
            for (bucket, logins) in logins {
                let is_wanted = buckets.get(bucket).is_some_and(|is_wanted| *is_wanted);
                let login_states = login_states(servers, bucket, logins, is_wanted, bound.get(bucket)).await?;
                known.login_states.insert(bucket.clone(), login_states);
            }
            Ok(known)
        };
        match asked.await {
            Ok(known) => return Survey::Known(known),
            Err(failure) => silence = Survey::Silent(failure),
        }
    }
    silence
}

/// Asks an object storage that runs elsewhere.
pub(super) async fn external(store: &Store, buckets: &BTreeMap<String, bool>) -> Survey {
    match known(store, None, buckets).await {
        Ok(known) => Survey::Known(known),
        Err(failure) => Survey::Silent(failure),
    }
}

/// `engine` is the one that the controller runs, and what is remembered of its answers.
async fn known(
    store: &Store,
    engine: Option<(&Kind, &Lasting)>,
    buckets: &BTreeMap<String, bool>,
) -> Result<Known, Failure> {
    let client = store.client()?;
    if buckets.is_empty() {
        // Only whether the key works.
        match client.call(Call::service(Method::GET)).await {
            Err(failure) if !failure.is(&Code::AccessDenied) => return Err(failure),
            _ => return Ok(Known { store: Some(store.clone()), ..Known::default() }),
        }
    }
    let (kind, lasting) = engine.unzip();
    let account = if kind.is_none() { Some(account(&client, store).await?) } else { None };
    let asking = Asking { client: &client, store, kind, account: account.as_ref(), lasting };
    let asked: Vec<_> = buckets
        .iter()
        .map(|(name, is_wanted)| async move {
            match found(asking, name, !is_wanted).await {
                Err(failure) if !may_be_about_bucket(&failure) => Err(failure),
                answer => Ok((name.clone(), answer)),
            }
        })
        .collect();
    let answers: Vec<(String, Result<Found, Failure>)> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
    let has_found = answers.iter().any(|(_, answer)| answer.is_ok());
    let mut buckets = BTreeMap::new();
    for (name, answer) in answers {
        match answer {
            Err(failure) if !has_found => return Err(failure),
            answer => drop(buckets.insert(name, answer.unwrap_or_else(Found::Failed))),
        }
    }
    Ok(Known { store: Some(store.clone()), buckets, login_states: BTreeMap::new() })
}

/// Whether an answer may concern its bucket alone, if that of another bucket is usable: a bucket of another region redirects, and one
/// may have very long settings.
fn may_be_about_bucket(failure: &Failure) -> bool {
    matches!(failure, Failure::Http(http::Failure::Redirect { .. } | http::Failure::TooLarge { .. }))
}

/// Who is asked about a bucket.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) client: &'a Client,
    pub(super) store: &'a Store,
    /// The engine, if the controller runs it.
    pub(super) kind: Option<&'a Kind>,
    /// The account of the key, if the object storage has buckets of others.
    pub(super) account: Option<&'a Account>,
    /// What is remembered of the answers of an engine.
    pub(super) lasting: Option<&'a Lasting>,
}

/// The account of a key.
pub(super) enum Account {
    /// It has these buckets.
    Has(Vec<String>),
    /// Requests are refused for buckets of any other.
    Expected,
    /// The key may not list its buckets.
    Unknown,
}

/// The account of the key. That the key may not list its buckets is no failure; that the key is wrong is.
async fn account(client: &Client, store: &Store) -> Result<Account, Failure> {
    match client.buckets().await {
        Ok(_) if store.account.is_some() => Ok(Account::Expected),
        Ok(buckets) => Ok(Account::Has(buckets)),
        Err(failure) if is_about_key(&failure) => Err(failure),
        Err(failure) if is_silence(&failure) && !may_be_about_bucket(&failure) => Err(failure),
        Err(_) if store.account.is_some() => Ok(Account::Expected),
        Err(_) => Ok(Account::Unknown),
    }
}

/// The state of a bucket. A failure of the storage itself is the failure of all.
pub(super) async fn found(asking: Asking<'_>, bucket: &str, is_leaving: bool) -> Result<Found, Failure> {
    let asked = async {
        let versioning = match existing(asking, bucket).await? {
            Ok(versioning) => versioning,
            Err(found) => return Ok(found),
        };
        Ok(Found::Usable(facts(asking, bucket, versioning, is_leaving).await?))
    };
    match asked.await {
        Err(failure) if is_silence(&failure) || is_about_key(&failure) => Err(failure),
        Err(failure) => Ok(Found::Failed(failure)),
        Ok(found) => Ok(found),
    }
}

/// Whether a bucket that can be used keeps versions; or what it is instead. The engines of the controller answer the first question with
/// the second; others may answer it for a bucket that does not exist.
async fn existing(asking: Asking<'_>, bucket: &str) -> Result<Result<Fact<Versioning>, Found>, Failure> {
    let Asking { client, kind, .. } = asking;
    if kind.is_some() {
        match client.versioning(bucket).await {
            Ok(versioning) => return Ok(Ok(Fact::Is(versioning))),
            Err(failure) if failure.is(&Code::NoSuchBucket) => return Ok(Err(Found::Absent)),
            Err(failure) if is_silence(&failure) || is_about_key(&failure) => return Err(failure),
            Err(_) => {}
        }
    }
    Ok(match client.exists(bucket).await? {
        Existence::Absent => Err(Found::Absent),
        Existence::Foreign => Err(Found::Foreign),
        Existence::Usable => Ok(fact(client.versioning(bucket).await)?),
    })
}

/// Whether a failure is about the key or the clock, and so the same for all buckets.
fn is_about_key(failure: &Failure) -> bool {
    [Code::InvalidAccessKeyId, Code::SignatureDoesNotMatch, Code::RequestTimeTooSkewed]
        .iter()
        .any(|code| failure.is(code))
}

async fn facts(
    asking: Asking<'_>,
    bucket: &str,
    versioning: Fact<Versioning>,
    is_leaving: bool,
) -> Result<Facts, Failure> {
    let Asking { client, store, kind, account, .. } = asking;
    let is_empty = match versioning {
        _ if !is_leaving => None,
        // Versions that a list of objects does not show are data, too.
        Fact::Refused => None,
        Fact::Is(Versioning::Enabled | Versioning::Suspended) => {
            Some(client.list_versions(bucket, "", None, 1).await?.versions.is_empty())
        }
        Fact::Is(Versioning::Off) | Fact::Unsupported => {
            Some(client.list(bucket, "", None, 1).await?.objects.is_empty())
        }
    };
    Ok(Facts {
        versioning,
        lock: locking(asking, bucket).await?,
        expiration: expiration(asking, bucket).await?,
        quota: match kind {
            Some(kind) => kind.quota(store, bucket).await?,
            None => Fact::Unsupported,
        },
        is_empty,
        evidence: match account {
            Some(account) => Some(evidence(client, account, bucket).await?),
            None => None,
        },
    })
}

/// What shows whose the bucket is.
async fn evidence(client: &Client, account: &Account, bucket: &str) -> Result<Evidence, Failure> {
    let owner = match client.bucket_tags(bucket).await {
        Ok(mut tags) => Fact::Is(tags.remove(OWNER_TAG)),
        Err(failure) if failure.is(&Code::NotImplemented) || failure.status() == Some(501) => Fact::Unsupported,
        Err(failure) if is_silence(&failure) || is_about_key(&failure) => return Err(failure),
        // Storages without tags differ in how they refuse.
        Err(_) => Fact::Refused,
    };
    let is_of_account = match account {
        Account::Has(buckets) => Some(buckets.iter().any(|of_account| of_account == bucket)),
        Account::Expected => Some(true),
        Account::Unknown => None,
    };
    Ok(Evidence { is_of_account, owner })
}

/// Whether and how the bucket locks objects. One without object lock never gets it, so it is not asked again at once.
async fn locking(Asking { client, lasting, .. }: Asking<'_>, bucket: &str) -> Result<Fact<Locking>, Failure> {
    if lasting.is_some_and(|lasting| lasting.holds(bucket, Lasts::WithoutLock)) {
        return Ok(Fact::Is(Locking::Off));
    }
    let lock = fact(client.locking(bucket).await)?;
    if let (Some(lasting), Fact::Is(Locking::Off)) = (lasting, lock) {
        lasting.record(bucket, Lasts::WithoutLock);
    }
    Ok(lock)
}

/// After how many days objects expire. What the engine does not support is not asked again at once.
async fn expiration(Asking { client, lasting, .. }: Asking<'_>, bucket: &str) -> Result<Fact<Option<u32>>, Failure> {
    if lasting.is_some_and(|lasting| lasting.holds(bucket, Lasts::WithoutExpiration)) {
        return Ok(Fact::Unsupported);
    }
    let days = fact(client.expiration(bucket).await)?;
    if let (Some(lasting), Fact::Unsupported) = (lasting, days) {
        lasting.record(bucket, Lasts::WithoutExpiration);
    }
    Ok(days)
}

/// A setting that the object storage may not have, or that the key may not read.
fn fact<T>(answer: Result<T, Failure>) -> Result<Fact<T>, Failure> {
    match answer {
        Ok(value) => Ok(Fact::Is(value)),
        Err(failure) if failure.is(&Code::NotImplemented) || failure.is(&Code::MethodNotAllowed) => {
            Ok(Fact::Unsupported)
        }
        Err(failure) if failure.status() == Some(501) => Ok(Fact::Unsupported),
        Err(failure) if failure.is(&Code::AccessDenied) => Ok(Fact::Refused),
        Err(failure) => Err(failure),
    }
}

/// The state of a bucket's logins: each is tried. One that is not in the binding yet must work on every server, because the next
/// request of an application may go to any of them.
async fn login_states(
    servers: &[Store],
    bucket: &str,
    logins: &[Login],
    is_wanted: bool,
    bound: Option<&Bound>,
) -> Result<Vec<LoginState>, Failure> {
    let mut login_states = Vec::new();
    for (index, login) in logins.iter().enumerate() {
        let is_bound = bound.and_then(|bound| bound.number) == Some(login.number);
        let is_newest = is_wanted && index + 1 == logins.len();
        let asked = if is_newest && !is_bound { servers } else { servers.get(..1).unwrap_or_default() };
        let mut login_state = LoginState::Usable;
        for store in asked {
            match try_login(store, bucket, login).await? {
                LoginState::Usable => {}
                other => login_state = other,
            }
        }
        login_states.push(login_state);
    }
    Ok(login_states)
}

/// The state of a login on a server.
async fn try_login(store: &Store, bucket: &str, login: &Login) -> Result<LoginState, Failure> {
    match Client::new(&store.address, &access::key(login))?.list(bucket, "", None, 1).await {
        Ok(_) => Ok(LoginState::Usable),
        Err(failure) if failure.is(&Code::InvalidAccessKeyId) => Ok(LoginState::Absent),
        Err(failure) if failure.is(&Code::SignatureDoesNotMatch) || failure.is(&Code::AccessDenied) => {
            Ok(LoginState::Unusable)
        }
        // The bucket comes first; whether the key works there is not known yet.
        Err(failure) if failure.is(&Code::NoSuchBucket) => Ok(LoginState::Unusable),
        Err(failure) => Err(failure),
    }
}

#[cfg(test)]
mod tests;
