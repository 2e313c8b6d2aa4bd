//! Whether the server may get a new image: not before a Job has reported the version in it, because a server cannot open the data of
//! another major version.

use k8s_openapi::api::{apps::v1::StatefulSet, batch::v1::Job};
use kube::Resource;
use temporal_stack_common::{
    api::{PostgresDatabase, Rollout},
    component::{Intent, Stalled, Waiting},
    manifest::Manifest,
};

use super::view::{EmbeddedView, Runner, ServerView, View};
use crate::{
    Database, Defaults, desire,
    observed::{Report, Template},
    reason,
};

/// The intent, without a restart by an image that is not known to open the data: until then the server keeps its pod template.
pub(super) fn guard(view: &View<'_>, intent: Intent<Database>, defaults: &Defaults) -> Intent<Database> {
    let Some(server) = view.provider.administered() else { return intent };
    let Runner::Embedded(embedded) = &server.runner else { return intent };
    let Some(check) = Check::new(view, server, embedded, defaults) else { return intent };
    let mut intent = match check.find() {
        Found::Accepted => return intent,
        Found::Refused(stalled) => Intent { stalled: Some(stalled), ..intent },
        Found::Awaited(message) => Intent { waiting: Some(Waiting::new(reason::CHECKING_IMAGE, message)), ..intent },
    };
    if !embedded.observed.has_set {
        // It would start with the new image.
        intent.manifests.retain(|manifest| manifest.resource.kind != StatefulSet::kind(&()));
    }
    let job = check.job;
    intent.manifests.push(match check.report {
        Some(Report { is_lost: true, .. }) => Manifest::absent::<Job>(job.name()),
        _ => job,
    });
    Intent { keeps_templates: true, ..intent }
}

/// An image that the server is about to get.
struct Check<'a> {
    wanted: Template,
    /// The image of the server.
    live: Option<&'a Template>,
    /// The version of the data.
    data: &'a str,
    job: Manifest,
    report: Option<&'a Report>,
    is_default: bool,
}

/// What is known of the image.
enum Found {
    /// It opens the data.
    Accepted,
    /// It does not.
    Refused(Stalled),
    /// A Job is about to report; the text tells how far it is.
    Awaited(String),
}

impl<'a> Check<'a> {
    /// The check that is needed; a server without data needs none, and one that cannot start has nothing to lose.
    fn new(
        view: &'a View<'_>,
        server: &'a ServerView<'_>,
        embedded: &'a EmbeddedView<'_>,
        defaults: &Defaults,
    ) -> Option<Self> {
        let observed = embedded.observed;
        let known = server.server.known();
        let reported = || view.object.status.as_ref().and_then(|status| status.server_version.as_deref());
        let data = known.map(|known| known.version.as_str()).or_else(reported)?;
        let (live, wanted) = (observed.live.as_ref(), desire::server_template(view, embedded, defaults));
        let is_due = match live {
            Some(live) => live.image != wanted.image && is_due(view.object, live, &wanted),
            // Neither a set nor a pod tells what the image was.
            None => known.is_none(),
        };
        if !is_due || (known.is_none() && observed.has_failed) {
            return None;
        }
        let job = desire::version_job(view, embedded, &wanted.image);
        let report = observed.reports.iter().find(|report| report.job == job.name());
        Some(Self { wanted, live, data, job, report, is_default: embedded.provider.image.is_none() })
    }

    fn find(&self) -> Found {
        let Some(version) = self.report.and_then(|report| report.version.as_deref()) else {
            return Found::Awaited(self.awaited());
        };
        match (major(version), major(self.data)) {
            (Some(new), Some(old)) if new == old => Found::Accepted,
            (Some(_), Some(old)) => Found::Refused(self.refused(version, old)),
            _ => Found::Refused(Stalled::new(
                reason::MAJOR_VERSION_CHANGED,
                format!(
                    "server not restarted: image {} does not report a version of PostgreSQL (postgres --version); set an image of PostgreSQL {}",
                    self.wanted.image, self.data
                ),
            )),
        }
    }

    fn awaited(&self) -> String {
        let image = &self.wanted.image;
        let Some(trouble) = self.report.and_then(|report| report.trouble.as_ref()) else {
            return format!(
                "image {image} is being tried by Job/{}: the server keeps its image until then",
                self.job.name()
            );
        };
        let back = match self.live {
            Some(live) => format!(", or set spec.provider.postgres.image to {} to keep the present one", live.image),
            None => String::new(),
        };
        format!("image {image} not tried yet: {trouble}; the server keeps its image: correct it{back}")
    }

    fn refused(&self, new: &str, old: u32) -> Stalled {
        let (image, data) = (&self.wanted.image, self.data);
        let named = if self.is_default { "the controller's default" } else { "spec.provider.postgres.image" };
        let message = format!(
            "server not restarted: image {image} ({named}) has {new}, which cannot open the data of PostgreSQL {data}; set spec.provider.postgres.image to an image of PostgreSQL {old}, or copy the data to a new server (docs/operations.md, \"Another major version of PostgreSQL\")"
        );
        Stalled::new(reason::MAJOR_VERSION_CHANGED, message)
    }
}

/// Whether the server is about to get the template: a newer controller alone restarts it only where the user wants that.
fn is_due(object: &PostgresDatabase, live: &Template, wanted: &Template) -> bool {
    object.spec.rollout == Rollout::Automatic || (&live.roll, &live.restart) != (&wanted.roll, &wanted.restart)
}

/// The first number, as the program that prepares the volume reads it: `postgres (PostgreSQL) 17.6 (Debian …)`, `17.6`, `18beta1`.
fn major(version: &str) -> Option<u32> {
    let line = version.lines().find(|line| line.starts_with("postgres (")).unwrap_or(version);
    let digits: String =
        line.chars().skip_while(|char| !char.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests;
