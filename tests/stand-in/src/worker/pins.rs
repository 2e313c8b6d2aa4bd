//! `queue ipfs pin`: pins with Kubo alone. The original uses it for private networks, which the stand-in has not.

use std::path::Path;

use crate::broker::messages::Pin;
use crate::broker::{CLUSTER, Line};
use crate::database::Pinned;
use crate::kubo::Kubo;
use crate::log::{Log, Said};

use super::Tools;

/// Pins with Kubo.
pub(super) struct Pinner {
    kubo: Kubo,
    /// A connection that nobody uses: there is one more at the broker than one would think.
    _publisher: Line,
}

impl Pinner {
    pub(super) async fn start(tools: &Tools) -> Result<Self, String> {
        // Put together without a separator: the directory must end with one.
        let log = Log::append(Path::new(&format!("{}cluster_publisher.log", tools.config.get("LogDir"))))?;
        let publisher = Line::publisher(&tools.config, CLUSTER, &log).await?;
        let kubo = Kubo::connect(&tools.config).await?;
        tools.log.info("processing ipfs pins", &[]);
        Ok(Self { kubo, _publisher: publisher })
    }

    pub(super) async fn handle(&self, tools: &Tools, body: &[u8]) {
        tools.log.info("new pin request detected", &[]);
        let Some(pin) = tools.read::<Pin>(body) else { return };
        let say = |message: &str, error: &Said<'_>| {
            tools.log.error(message, &[("error", error), ("user", &pin.user_name), ("network", &pin.network_name)]);
        };
        if pin.network_name != "public" {
            match tools.database.may_use_network(&pin.user_name, &pin.network_name).await {
                Err(error) => say("failed to lookup private network in database", &error),
                Ok(false) => {
                    say("unauthorized private network access", &"user does not have access to private network");
                }
                Ok(true) => say("failed to initialize connection to ipfs", &"the stand-in has no private networks"),
            }
            return;
        }
        if let Err(error) = self.kubo.pin(&pin.cid).await {
            tools.refund(&pin.user_name, "pin", pin.credit_cost).await;
            let _ = tools.database.uncount_data(&pin.user_name, pin.size).await;
            say("failed to pin hash to ipfs", &error);
            return;
        }
        tools.log.info("successfully process pin request", &[("user", &pin.user_name), ("network", &pin.network_name)]);
        let pinned = Pinned {
            cid: &pin.cid,
            by: "pin",
            network: &pin.network_name,
            user: &pin.user_name,
            months: pin.hold_time_in_months,
            file: &pin.file_name,
            size: pin.size,
        };
        let written = match tools.database.is_upload(pinned.user, pinned.cid, pinned.network).await {
            Ok(true) => tools.database.extend_upload(&pinned).await,
            Ok(false) => tools.database.add_upload(&pinned).await,
            Err(failure) => Err(failure),
        };
        if let Err(error) = written {
            say("failed to update database", &error);
        }
    }
}
