//! `queue ipfs ipns-entry`: the original publishes records with a libp2p host of its own. The stand-in listens where that
//! listens and writes what that writes, but publishes nothing.

use std::fs::File;

use libp2p_identity::Keypair;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::broker::messages::NameEntry;
use crate::krab::Client;
use crate::lock::lock;
use crate::log::Said;

use super::Tools;
use super::keys::new_pair;

/// No configuration changes it.
const ADDRESS: &str = "0.0.0.0:3999";

/// Publishes records.
pub(super) struct Publisher {
    primary: Client,
    fallback: Client,
    listener: AbortHandle,
    /// Locked for as long as it is open.
    _datastore: Option<File>,
}

impl Publisher {
    pub(super) async fn start(tools: &Tools) -> Result<Self, String> {
        let (primary, fallback) = (Client::primary(&tools.config), Client::fallback(&tools.config));
        let identity = match tools.config.get("Services.RTNS.KeyName") {
            "" => {
                tools.log.info("using a temporary publisher identity", &[]);
                new_pair()?
            }
            name => {
                tools.log.info("using a persistent publisher identity", &[]);
                pair(&primary.get(name).await?)?
            }
        };
        let datastore = match tools.config.get("Services.RTNS.DatastorePath") {
            path if !path.is_empty() && !tools.dev => {
                tools.log.info("using badger datastore", &[]);
                Some(lock(path)?)
            }
            _ => {
                tools.log.info("using map datastore", &[]);
                None
            }
        };
        let peer = identity.public().to_peer_id();
        tools.log.info(&format!("usering peerid of {peer} for publisher"), &[]);
        let listener =
            TcpListener::bind(ADDRESS).await.map_err(|error| format!("failed to listen on {ADDRESS}: {error}"))?;
        let listening = async move {
            loop {
                // Whoever connects is heard and told nothing.
                let _ = listener.accept().await;
            }
        };
        let listener = tokio::spawn(listening).abort_handle();
        tools.log.info("processing ipns entry creation requests", &[]);
        Ok(Self { primary, fallback, listener, _datastore: datastore })
    }

    pub(super) async fn handle(&self, tools: &Tools, body: &[u8]) {
        tools.log.info("new ipns entry creation detected", &[]);
        let Some(entry) = tools.read::<NameEntry>(body) else { return };
        if entry.network_name != "public" {
            tools.log.error("private networks not supported for ipns", &[("user", &entry.user_name)]);
            return;
        }
        let about: [(&str, &Said<'_>); 3] = [("user", &entry.user_name), ("key", &entry.key), ("cid", &entry.cid)];
        tools.log.info("publishing ipns entry", &about);
        let say = |message: &str, error: &Said<'_>| {
            let details = [about.as_slice(), &[("error", error)]].concat();
            tools.log.error(message, &details);
        };
        let private = match self.primary.get(&entry.key).await {
            Ok(private) => private,
            Err(error) => {
                say("failed to retrieve private key from priamry krab, attempting backup", &error);
                if tools.dev {
                    return say("primary krab key retrieval failure, with dev mode disabled, aborting", &error);
                }
                match self.fallback.get(&entry.key).await {
                    Ok(private) => private,
                    Err(error) => {
                        tools.refund(&entry.user_name, "ipns", entry.credit_cost).await;
                        return say("failed to retrieve private key from backup krab", &error);
                    }
                }
            }
        };
        let id = match pair(&private) {
            Ok(pair) => pair.public().to_peer_id().to_base58(),
            Err(error) => return say("failed to unmarshal private key", &error),
        };
        match tools.database.set_record(&id, &entry.key, &entry.cid, &entry.user_name).await {
            Ok(()) => tools.log.info("successfully processed ipns entry creation request", &about),
            Err(error) => say("failed to update ipns entry in database", &error),
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

fn pair(private: &[u8]) -> Result<Keypair, String> {
    Keypair::from_protobuf_encoding(private).map_err(|error| error.to_string())
}
