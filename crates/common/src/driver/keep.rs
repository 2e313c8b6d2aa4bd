//! Watches that continue after errors, and after a panic over an object that a user wrote.

use std::{convert::Infallible, time::Duration};

use futures::{StreamExt, stream::BoxStream};
use http::Method;
use kube::{
    Api, Resource,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use crate::{
    metadata::Timeless,
    panics::{Panicked, catch, caught},
    process::client::Call,
};

/// How long the same error is not repeated in the log.
const REPEATED: Duration = Duration::from_secs(300);
/// How long to wait before a panicked watch is restarted.
const PAUSE: Duration = Duration::from_secs(30);

/// The events of a watch.
pub(super) type Attempts<K> = BoxStream<'static, watcher::Result<Event<K>>>;

/// Processes the events of a watch, forever. A panic over one event loses that event.
pub(super) async fn keep<E>(
    what: String,
    begin: impl Fn() -> BoxStream<'static, E>,
    mut take: impl FnMut(E),
) -> Infallible {
    let failed = |panicked: &Panicked| {
        tracing::error!(%panicked, "the watch of {what} failed internally; report this location and the version of the controller as a bug");
    };
    loop {
        let mut stream = begin();
        loop {
            match caught(stream.next()).await {
                Ok(Some(event)) => {
                    if let Err(panicked) = catch(|| take(event)) {
                        failed(&panicked);
                    }
                }
                Ok(None) => break,
                Err(panicked) => {
                    failed(&panicked);
                    break;
                }
            }
        }
        // The stream of a watch does not end, so this is after a panic.
        sleep(PAUSE).await;
    }
}

/// A watch that is retried with backoff while it fails; the cause is logged.
pub(super) fn attempts<K>(api: Api<K>, config: watcher::Config) -> Attempts<K>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let url = api.resource_url().to_owned();
    let mut log = Log::default();
    let events = watcher(api, config).default_backoff().inspect(move |event| match event {
        Err(error) => log.log_problem(&describe_watch_error(error, &url)),
        Ok(Event::InitDone) => log.note_recovery(&url),
        Ok(_) => {}
    });
    events.boxed()
}

/// The same for objects that are parsed without the times of their managed fields.
pub(super) fn timeless_attempts<K>(api: Api<Timeless<K>>, config: watcher::Config) -> Attempts<K>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let parsed = |event| match event {
        Event::Apply(Timeless(object)) => Event::Apply(object),
        Event::Delete(Timeless(object)) => Event::Delete(object),
        Event::Init => Event::Init,
        Event::InitApply(Timeless(object)) => Event::InitApply(object),
        Event::InitDone => Event::InitDone,
    };
    attempts(api, config).map(move |event| event.map(parsed)).boxed()
}

/// The latest log entry.
#[derive(Default)]
struct Log(Option<(String, Instant)>);

impl Log {
    /// Whether to log it: at once if it is new, else at intervals.
    fn is_due(&mut self, text: &str) -> bool {
        if let Some((last, at)) = &self.0
            && last == text
            && at.elapsed() < REPEATED
        {
            return false;
        }
        self.0 = Some((text.to_owned(), Instant::now()));
        true
    }

    fn log_problem(&mut self, text: &str) {
        if self.is_due(text) {
            tracing::warn!("{text}");
        }
    }

    fn note_recovery(&mut self, url: &str) {
        if self.0.take().is_some() {
            tracing::info!("the watch of {url} is working again");
        }
    }
}

/// Whether the cluster does not have the kind.
pub(super) fn is_absent(error: &watcher::Error) -> bool {
    code(error) == Some(404)
}

/// Whether the API server refuses until a missing kind or Role is installed.
pub(super) fn is_refused(error: &watcher::Error) -> bool {
    matches!(code(error), Some(401 | 403 | 404))
}

fn code(error: &watcher::Error) -> Option<u16> {
    status(error).map(|status| status.code)
}

fn status(error: &watcher::Error) -> Option<&kube::core::Status> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => Some(status),
        _ => None,
    }
}

/// The error of the watch of a URL, with the remedy.
fn describe_watch_error(error: &watcher::Error, url: &str) -> String {
    let call = Call::parse(&Method::GET, &url.parse().unwrap_or_default());
    let dot = if call.group.is_empty() { "" } else { "." };
    let resource = format!("{}{dot}{}", call.resource, call.group);
    let namespace = url.split_once("/namespaces/").and_then(|(_, rest)| rest.split('/').next());
    match status(error) {
        Some(status) if status.code == 404 => {
            format!("{resource} cannot be watched: CustomResourceDefinition/{resource} is missing; install it")
        }
        Some(status) if status.code == 403 => {
            let (place, role) = match namespace {
                Some(namespace) => {
                    (format!(" in namespace {namespace}"), format!("Role and RoleBinding to namespace {namespace}"))
                }
                None => (String::new(), "ClusterRole and ClusterRoleBinding".to_owned()),
            };
            format!("{resource} cannot be watched{place}: {}; apply the controller's {role}", status.message)
        }
        _ => format!("watch of {url} failed: {error}; retried with backoff"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures::stream;

    use super::*;

    fn refusal(code: u16) -> watcher::Error {
        let status = kube::core::Status { code, message: "forbidden: no".to_owned(), ..kube::core::Status::default() };
        watcher::Error::InitialListFailed(kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn missing_kind_and_role_are_named() {
        let url = "/apis/temporal-stack.dev/v1alpha1/namespaces/b/messagequeues";
        let missing = describe_watch_error(&refusal(404), url);
        assert!(missing.contains("CustomResourceDefinition/messagequeues.temporal-stack.dev is missing"), "{missing}");
        let forbidden = describe_watch_error(&refusal(403), url);
        assert!(forbidden.contains("in namespace b") && forbidden.contains("RoleBinding"), "{forbidden}");
        let cluster = describe_watch_error(&refusal(403), "/api/v1/pods");
        assert!(cluster.starts_with("pods cannot be watched:") && cluster.contains("ClusterRole"), "{cluster}");
        assert!(is_refused(&refusal(403)) && !is_absent(&refusal(403)) && !is_refused(&refusal(500)));
    }

    #[tokio::test(start_paused = true)]
    async fn repeated_error_is_logged_at_intervals() {
        let mut log = Log::default();
        assert!(log.is_due("a"));
        assert!(!log.is_due("a"));
        assert!(log.is_due("b"));
        tokio::time::advance(REPEATED).await;
        assert!(log.is_due("b"));
    }

    #[tokio::test(start_paused = true)]
    async fn panic_over_one_event_loses_only_that_event() {
        let taken = Arc::new(Mutex::new(Vec::new()));
        let noted = taken.clone();
        let (all, done) = tokio::sync::oneshot::channel();
        let mut all = Some(all);
        let begin = || stream::iter([1, 2, 3]).chain(stream::pending()).boxed();
        let keeping = keep("numbers".to_owned(), begin, move |number| {
            assert_ne!(number, 2, "a bad one");
            noted.lock().unwrap().push(number);
            if number == 3 {
                all.take().map(|all| all.send(()));
            }
        });
        tokio::select! {
            never = keeping => match never {},
            done = done => done.unwrap(),
        }
        assert_eq!(*taken.lock().unwrap(), [1, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn panicked_stream_is_restarted() {
        let begun = Arc::new(Mutex::new(0));
        let (seen, done) = tokio::sync::oneshot::channel();
        let mut seen = Some(seen);
        let begin = || {
            let mut begun = begun.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *begun += 1;
            let is_first = *begun == 1;
            stream::iter([1])
                .map(move |number| if is_first { panic!("a bad answer") } else { number })
                .chain(stream::pending())
                .boxed()
        };
        let keeping = keep("numbers".to_owned(), begin, move |_| {
            seen.take().map(|seen| seen.send(()));
        });
        tokio::select! {
            never = keeping => match never {},
            done = done => done.unwrap(),
        }
        assert_eq!(*begun.lock().unwrap(), 2);
    }
}
