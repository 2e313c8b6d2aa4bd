//! `queue ipfs key-creation`: makes a key, and has krab keep it.

use libp2p_identity::Keypair;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::broker::messages::KeyCreation;
use crate::krab::Client;
use crate::log::Said;

use super::Tools;

/// Makes keys.
pub(super) struct Maker {
    primary: Client,
    /// None with `-dev`.
    fallback: Option<Client>,
}

impl Maker {
    /// Nobody is asked whether krab is there.
    pub(super) fn start(tools: &Tools) -> Self {
        tools.log.info("processing ipfs key creation requests", &[]);
        let fallback = (!tools.dev).then(|| Client::fallback(&tools.config));
        Self { primary: Client::primary(&tools.config), fallback }
    }

    pub(super) async fn handle(&self, tools: &Tools, body: &[u8]) {
        tools.log.info("new key creation request detected", &[]);
        let Some(key) = tools.read::<KeyCreation>(body) else { return };
        let say = |message: &str, error: &Said<'_>| {
            tools.log.error(message, &[("error", error), ("user", &key.user_name), ("key_name", &key.name)]);
        };
        if key.name.split('-').next() != Some(key.user_name.as_str()) {
            let message = format!("invalid key name {}, must be prefixed with: {}-", key.name, key.user_name);
            tools.log.error(&message, &[]);
            return;
        }
        if key.r#type != "ed25519" {
            let why = match key.r#type.as_str() {
                "rsa" => "the stand-in makes no RSA keys".to_owned(),
                other => format!("key must be ed25519 or rsa, not {other}"),
            };
            say("invalid key type for creation request", &why);
            return;
        }
        let made =
            new_pair().and_then(|pair| Ok((pair.to_protobuf_encoding().map_err(|error| error.to_string())?, pair)));
        let (private, pair) = match made {
            Ok(made) => made,
            Err(error) => return say("failed to create key", &error),
        };
        if let Err(error) = self.primary.put(&key.name, &private).await {
            return say("failed to store key in primary krab", &error);
        }
        if let Some(fallback) = &self.fallback
            && let Err(error) = fallback.put(&key.name, &private).await
        {
            let details: [(&str, &Said<'_>); 3] =
                [("error", &error), ("user", &key.user_name), ("key_name", &key.name)];
            tools.log.warn("failed to store key in krab", &details);
        }
        let id = pair.public().to_peer_id().to_base58();
        match tools.database.add_key(&key.user_name, &key.name, &id).await {
            Ok(()) => {
                let details: [(&str, &Said<'_>); 2] = [("user", &key.user_name), ("key_name", &key.name)];
                tools.log.info("successfully processed key creation request", &details);
            }
            Err(error) => say("failed to update database", &error),
        }
    }
}

/// A new ed25519 key.
pub(super) fn new_pair() -> Result<Keypair, String> {
    let mut seed = [0; 32];
    SystemRandom::new().fill(&mut seed).map_err(|error| error.to_string())?;
    Keypair::ed25519_from_bytes(seed).map_err(|error| error.to_string())
}
