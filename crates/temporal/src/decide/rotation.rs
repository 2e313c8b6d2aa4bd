//! The rotation of credentials: Temporal has the login and the broker user that the bindings name, so another one rolls its pods. The
//! value below becomes part of the annotation that rolls them (`desire/deployment.rs`, `template`), each part at its step
//! (`desire.rs`, `deployment`). Its own keys are generated once and never replaced; its certificate is renewed in `certificate.rs`.

use serde_json::{Value, json};

use super::view::View;
use crate::access::Database;

/// The values of the environment whose change restarts the API and the workers: those of the user and the bindings, not additions
/// of a newer controller. They include a key of 190 bits, so a weak password cannot be guessed from the hash.
pub(crate) fn rotation(view: &View<'_>) -> Value {
    let keys = view.keys.map(|keys| [keys.jwt, keys.krab_auth]);
    let database = view.dependencies.database.access.as_ref();
    let database = database
        .map(|Database { endpoint, username, password }| json!([endpoint.host, endpoint.port, username, password]));
    let broker = view.dependencies.queue.access.as_ref().map(|access| &access.uri);
    json!([view.settings.variables, keys, database, broker])
}
