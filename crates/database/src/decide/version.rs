//! Whether the server may restart with a new image: not before the image has reported its version, because a server cannot open the
//! data of another major version.

use temporal_stack_common::{
    api::{PostgresDatabase, Rollout},
    component::{Stalled, Waiting},
};

use super::view::{EmbeddedView, ServerView, View};
use crate::{
    Defaults, desire,
    observed::{Report, Template},
    reason,
};

/// The image that a Job must report about, and why it is waited for.
pub(super) struct Check {
    pub(super) image: String,
    pub(super) waiting: Waiting,
}

/// The check that an embedded server needs before it restarts; `None` if it may, or has no data yet.
pub(super) fn check(
    view: &View<'_>,
    server: &ServerView<'_>,
    embedded: &EmbeddedView<'_>,
    defaults: &Defaults,
) -> Result<Option<Check>, Stalled> {
    let reported = || view.object.status.as_ref().and_then(|status| status.server_version.as_deref());
    let version_of_data = server.server.known().map(|known| known.version.as_str()).or_else(reported);
    let (Some(data), Some(live)) = (version_of_data, embedded.live) else { return Ok(None) };
    let wanted = desire::server_template(view, embedded, defaults);
    if wanted.image == live.image || !is_due(view.object, live, &wanted) {
        return Ok(None);
    }
    let report = embedded.reports.iter().find(|report| report.image == wanted.image);
    let Some(version) = report.and_then(|report| report.version.as_deref()) else {
        let waiting = Waiting::new(reason::CHECKING_IMAGE, pending(&wanted.image, report));
        return Ok(Some(Check { image: wanted.image, waiting }));
    };
    match (major(version), major(data)) {
        (Some(new), Some(old)) if new == old => Ok(None),
        (Some(_), Some(old)) => Err(refused(embedded, (&wanted.image, version), (data, old))),
        _ => {
            let message = format!(
                "server not restarted: image {} does not report a version of PostgreSQL, but {version:?}; set an image of PostgreSQL {}",
                wanted.image, data
            );
            Err(Stalled::new(reason::MAJOR_VERSION_CHANGED, message))
        }
    }
}

/// Whether the server is about to get the template: a newer controller alone restarts it only where the user wants that.
fn is_due(object: &PostgresDatabase, live: &Template, wanted: &Template) -> bool {
    object.spec.rollout == Rollout::Automatic || (&live.roll, &live.restart) != (&wanted.roll, &wanted.restart)
}

fn pending(image: &str, report: Option<&Report>) -> String {
    match report {
        Some(Report { trouble: Some(trouble), .. }) => {
            format!("image {image} not tried yet: {trouble}; the server keeps its image until then")
        }
        Some(Report { has_ended: true, .. }) => {
            format!(
                "image {image} not tried: the pod of its Job has gone before it reported; delete the Job to repeat it"
            )
        }
        _ => {
            format!("image {image} is being tried for its version of PostgreSQL; the server keeps its image until then")
        }
    }
}

fn refused(embedded: &EmbeddedView<'_>, (image, new): (&str, &str), (version, old): (&str, u32)) -> Stalled {
    let named =
        if embedded.provider.image.is_some() { "spec.provider.postgres.image" } else { "the controller's default" };
    let message = format!(
        "server not restarted: image {image} ({named}) has {new}, which cannot open the data of PostgreSQL {version}; set spec.provider.postgres.image to an image of PostgreSQL {old}, or copy the data to a new server (docs/operations.md, \"Another major version of PostgreSQL\")"
    );
    Stalled::new(reason::MAJOR_VERSION_CHANGED, message)
}

/// The major version in the words of `postgres --version`, or of a server: `postgres (PostgreSQL) 17.6 (Debian …)`, `17.6`, `18beta1`.
fn major(version: &str) -> Option<u32> {
    let version = version.strip_prefix("postgres (PostgreSQL) ").unwrap_or(version);
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests;
