//! An application that opens a channel twenty times a second, and follows the binding.

use anyhow::Result;
use e2e::{One, Subject as _, broker::Session, follower::Follower};
use temporal_stack_common::api::MessageQueue;

/// Starts one that reads a new binding only after as many further connections as `slowness` says.
pub(crate) async fn start(queue: &One<'_, MessageQueue>, slowness: u32) -> Result<Follower> {
    let address = queue.service().await?;
    let connect = move |binding| async move {
        let session = Session::open(&binding, address).await?;
        Ok(session.connection.close(200, "".into()).await?)
    };
    Follower::start(queue.api(), &MessageQueue::binding(), slowness, connect).await
}
