//! Where events go.
//!
//! # Guarantees
//!
//! * No body of a request or an answer is logged, whatever the filter says: kube's own events that quote them (its
//!   `kube_client::client` module prints the whole answer when it cannot be read) are dropped. A Secret is such a body. So are
//!   statements that a database driver quotes below `info`: one that sets a password quotes its verifier.
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
/// The filter does not parse, or there is a subscriber already.
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
    let quotes_statements = event.target().starts_with("tokio_postgres") && *event.level() > tracing::Level::INFO;
    event.target() != "kube_client::client" && !quotes_statements
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn answers_that_cannot_be_read_are_not_quoted() {
        let written = Written::default();
        let writer = written.clone();
        let events = fmt::layer().with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(events.with_filter(filter_fn(quotes_no_body)));
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(target: "kube_client::client", "{{\"data\": \"hunter2\"}}");
            tracing::warn!(target: "kube_client::client::builder", "failed with status 500");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("failed with status 500"), "{text}");
    }

    #[test]
    fn a_bad_filter_is_named() {
        let error = init("info,kube=loud", Format::Plain).unwrap_err();
        assert!(error.to_string().contains("info,kube=loud"), "{error}");
    }
}
