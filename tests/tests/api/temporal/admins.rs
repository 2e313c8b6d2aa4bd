//! Secrets with the accounts that the spec wants.

use anyhow::ensure;
use e2e::subject::condition_of;
use serde_json::json;

use super::{PASSWORD, complete, made, with_controller};
use crate::step::{ensure_untold, write_secret};

#[tokio::test]
async fn incomplete_administrator_secret_is_reported_by_key() {
    with_controller(async |space, controller| {
        made(space, controller, &json!({"admins": [{"secretName": "first"}, {"secretName": "second"}]})).await?;
        let missing = ["spec.admins", "Secret/first does not exist", "username, password and email"];
        space.condition_about("AdminsReady", "False", "SecretMissing", &missing).await?;
        let whole = json!({"username": "admin", "password": PASSWORD, "email": "admin@example.com"});
        for key in ["username", "password", "email"] {
            let mut keys = whole.clone();
            keys.as_object_mut().map(|keys| keys.remove(key));
            write_secret(space, "first", &keys).await?;
            let about = format!("the key {key} is absent or empty");
            space
                .condition_about("AdminsReady", "False", "SecretIncomplete", &["Secret/first", "spec.admins", &about])
                .await?;
        }
        write_secret(space, "first", &whole).await?;
        space.condition_about("AdminsReady", "False", "SecretMissing", &["Secret/second does not exist"]).await?;
        write_secret(space, "second", &whole).await?;
        // What is left is for the products.
        let object = space.until("no word of accounts", |object| condition_of(object, "AdminsReady").is_none()).await?;
        ensure!(condition_of(&object, "Migrated").is_some());
        complete(space, controller).await?;
        ensure_untold(space, controller, PASSWORD).await
    })
    .await;
}
