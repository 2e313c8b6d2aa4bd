//! The log.
//!
//! # Guarantees
//!
//! * No body of a request or an answer is logged, whatever the filter says: kube's own events that quote them (its
//!   `kube_client::client` module prints the whole answer when it cannot be read) are dropped. A Secret is such a body.
//!   Of the database driver only errors are logged: a statement that sets a password contains its verifier, and the notices of
//!   a server, up to 4 MiB for each session, are text of a stranger.
//! * Standard output stays free: events go to standard error, coloured only on a terminal.

use std::io::{self, IsTerminal as _};

use tracing::Metadata;
use tracing_subscriber::{
    EnvFilter, Layer as _, filter::filter_fn, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use super::Error;

/// How events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A line of text, for people.
    #[default]
    Plain,
    /// A JSON object, for log collectors.
    Json,
}

/// Installs the process's only subscriber for `filter`, in the syntax of [`EnvFilter`].
///
/// # Errors
///
/// The filter does not parse, or a subscriber is installed already.
pub fn init(filter: &str, format: Format) -> Result<(), Error> {
    let filter =
        EnvFilter::builder().parse(filter).map_err(|source| Error::LogFilter { filter: filter.to_owned(), source })?;
    let events = fmt::layer().with_writer(io::stderr);
    let events = match format {
        Format::Plain => events.with_ansi(io::stderr().is_terminal()).boxed(),
        Format::Json => events.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(events.with_filter(filter_fn(quotes_no_body)))
        .try_init()
        .map_err(Error::LogInstall)
}

fn quotes_no_body(event: &Metadata<'_>) -> bool {
    let quotes_server = event.target().starts_with("tokio_postgres") && *event.level() > tracing::Level::ERROR;
    event.target() != "kube_client::client" && !quotes_server
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::LogBuffer;

    #[test]
    fn foreign_text_is_not_logged() {
        let buffer = LogBuffer::default();
        let events = fmt::layer().with_writer(buffer.clone());
        let subscriber = tracing_subscriber::registry().with(events.with_filter(filter_fn(quotes_no_body)));
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(target: "kube_client::client", "{{\"data\": \"hunter2\"}}");
            tracing::info!(target: "tokio_postgres::connection", "NOTICE: hunter2");
            tracing::warn!(target: "tokio_postgres::connection", "WARNING: hunter2");
            tracing::warn!(target: "kube_client::client::builder", "failed with status 500");
        });
        let text = buffer.text();
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("failed with status 500"), "{text}");
    }

    #[test]
    fn invalid_filter_is_named() {
        let error = init("info,kube=loud", Format::Plain).unwrap_err();
        assert!(error.to_string().contains("info,kube=loud"), "{error}");
    }
}
