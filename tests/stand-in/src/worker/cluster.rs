//! `queue ipfs cluster`: pins what the API has taken, and writes the row of the upload.

use crate::broker::messages::ClusterPin;
use crate::cid;
use crate::cluster::{Cluster, Failure};
use crate::database::Pinned;
use crate::log::Said;
use crate::stop::Stop;

use super::Tools;

/// Pins with IPFS Cluster.
pub(super) struct Pinner {
    cluster: Cluster,
}

impl Pinner {
    pub(super) async fn start(tools: &Tools) -> Result<Self, Failure> {
        let cluster = Cluster::connect(&tools.config).await?;
        tools.log.info("processing ipfs cluster pin requests", &[]);
        Ok(Self { cluster })
    }

    pub(super) async fn handle(&self, tools: &Tools, body: &[u8]) -> Result<(), Stop> {
        tools.log.info("new cluster pin request detected", &[]);
        let Some(pin) = tools.read::<ClusterPin>(body) else { return Ok(()) };
        let say = |message: &str, error: &Said<'_>| {
            tools.log.error(message, &[("error", error), ("cid", &pin.cid), ("user", &pin.user_name)]);
        };
        if pin.network_name != "public" {
            say("private clustered networks not yet supported", &"private network clusters not supported");
            return Ok(());
        }
        if let Err(why) = cid::decode(&pin.cid) {
            take_back(tools, &pin).await;
            say("bad cid format detected", &why);
            return Ok(());
        }
        tools.log.info("pinning hash to cluster", &[("cid", &pin.cid), ("user", &pin.user_name)]);
        // Told to end, it gives up what is under way, as if it had failed.
        let pinned = tokio::select! {
            pinned = self.cluster.pin(&pin.cid) => pinned,
            () = tools.ended() => Err(Failure::Said("context canceled (0)".to_owned())),
        };
        let status = match pinned {
            Ok(status) => status,
            Err(Failure::Panic(said)) => return Err(Stop::panic(said)),
            Err(failure) => {
                take_back(tools, &pin).await;
                say("failed to pin hash to cluster", &failure);
                return Ok(());
            }
        };
        println!("status\n{} {status:?}", pin.cid);
        match write(tools, &pin).await {
            Ok(()) => {
                let details: [(&str, &Said<'_>); 2] = [("cid", &pin.cid), ("user", &pin.user_name)];
                tools.log.info("successfully processed cluster pin request", &details);
            }
            Err(error) => say("failed to update database", &error),
        }
        Ok(())
    }
}

/// The price, and the bytes that were counted.
async fn take_back(tools: &Tools, pin: &ClusterPin) {
    tools.refund(&pin.user_name, "pin", pin.credit_cost).await;
    let _ = tools.database.uncount_data(&pin.user_name, pin.size).await;
}

async fn write(tools: &Tools, pin: &ClusterPin) -> Result<(), crate::database::Failure> {
    let pinned = Pinned {
        cid: &pin.cid,
        by: "pin-cluster",
        network: &pin.network_name,
        user: &pin.user_name,
        months: pin.hold_time_in_months,
        file: &pin.file_name,
        size: pin.size,
    };
    if tools.database.is_upload(pinned.user, pinned.cid, pinned.network).await? {
        return tools.database.extend_upload(&pinned).await;
    }
    tools.database.add_upload(&pinned).await
}
