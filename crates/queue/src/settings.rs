//! The settings of the broker: the Erlang cookie from the user's Secret, the virtual host from the spec.
//!
//! Whether the user's cookie is applied is decided in `decide/rotation.rs`.

pub(crate) mod additional;
mod values;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use temporal_stack_common::{
    api::MessageQueue,
    condition::{CONFIG_HONOURED, Statement},
    config::{self, Key, Reading, Ruling},
    default_source::DefaultSource,
    given,
};

use crate::names::CONFIG;

use crate::reason;

/// The key of the cookie, in the user's Secret and in ours.
pub(crate) const COOKIE: &str = "erlang-cookie";

/// The value in the published example.
pub(crate) const PUBLISHED: &str = "c-is-for-cookie-thats-good-enough-for-me";
/// The cookie becomes an atom, which has at most this number of characters.
const LONGEST: usize = 255;

const TABLE: &[Key] = &[Key { name: COOKIE, rule }];

/// The settings of the broker.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The application's virtual host.
    pub(crate) virtual_host: String,
    /// Whether the user's configuration is used as written.
    pub(crate) honoured: Statement,
}

/// Reads the user's Secret; `None` if it does not exist or belongs to another object.
pub(crate) fn read(config: Option<&Secret>) -> Option<Reading> {
    config.map(|config| config::read(&given::texts(config), TABLE))
}

/// The application's virtual host on a cluster that the controller runs.
pub(crate) fn virtual_host(object: &MessageQueue) -> String {
    object.spec.virtual_host.clone().unwrap_or_else(|| object.name_any())
}

/// Whether the user's Secret is used as written.
pub(crate) fn honoured(reading: Option<&Reading>, default_source: &DefaultSource) -> Statement {
    let source = format!("Secret/{CONFIG}");
    let honoured = reading.map_or_else(
        || {
            let message = format!("{source} does not exist; the cookie in use, or a generated one, applies");
            Statement::holds(CONFIG_HONOURED, reason::AS_WRITTEN, message)
        },
        |reading| reading.statement(&source),
    );
    match (default_source.remark(&source, "the cookie in use, or a generated one, applies"), default_source) {
        (None, _) => honoured,
        (Some(remark), DefaultSource::NotUsed(_)) => Statement::holds(CONFIG_HONOURED, reason::ADAPTED, remark),
        (Some(remark), _) => honoured.adapted(&remark),
    }
}

fn rule(cookie: &str) -> Ruling {
    let remedy = "write letters, digits and dashes, or remove the key to have a cookie generated";
    if cookie.is_empty() {
        return Ruling::Refused(format!("is empty; {remedy}"));
    }
    if !cookie.chars().all(|c| c.is_ascii_graphic()) {
        return Ruling::Refused(format!("contains a space or a non-ASCII character; {remedy}"));
    }
    if cookie.len() > LONGEST {
        return Ruling::Refused(format!("has more than {LONGEST} characters; {remedy}"));
    }
    if cookie == PUBLISHED {
        return Ruling::Remarked(
            "is a published example value, which anyone can look up; keep ports 4369 and 25672 closed to all but the nodes"
                .to_owned(),
        );
    }
    Ruling::Honoured
}
