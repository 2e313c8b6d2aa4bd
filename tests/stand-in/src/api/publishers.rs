//! The API's nine connections to the broker.

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::select_all;
use serde::Serialize;
use tokio::sync::RwLock;

use crate::broker::{self, Line};
use crate::config::Config;
use crate::log::Log;

/// One connection for each queue.
pub(super) struct Publishers {
    lines: RwLock<HashMap<&'static str, Arc<Line>>>,
}

impl Publishers {
    /// Opens them, one after the other.
    pub(super) async fn open(config: &Config, log: &Log) -> Result<Arc<Self>, String> {
        let mut lines = HashMap::new();
        for queue in broker::ALL {
            lines.insert(queue, Arc::new(Line::publisher(config, queue, log).await?));
        }
        Ok(Arc::new(Self { lines: RwLock::new(lines) }))
    }

    /// Publishes to one.
    pub(super) async fn publish(&self, queue: &str, message: &impl Serialize) -> Result<(), String> {
        let line = self.lines.read().await.get(queue).cloned().ok_or("there is no such queue")?;
        line.publish(message).await
    }

    /// Waits until one is lost that cannot be made again at the first try. Nobody watches the one of ENS.
    pub(super) fn watch(publishers: &Arc<Self>, config: &Config, log: &Log) -> impl Future<Output = ()> + use<> {
        let config = Arc::new(config.clone());
        let watched = broker::ALL.into_iter().filter(|queue| *queue != broker::ENS);
        let keep = |queue| Box::pin(publishers.clone().keep(queue, config.clone(), log.clone()));
        let kept: Vec<_> = watched.map(keep).collect();
        async move { select_all(kept).await.0 }
    }

    async fn keep(self: Arc<Self>, queue: &'static str, config: Arc<Config>, log: Log) {
        loop {
            let Some(line) = self.lines.read().await.get(queue).cloned() else { return };
            let cause = line.lost().await;
            let message = "a protocol connection error stopping rabbitmq was received";
            log.error(message, &[("queue", &queue), ("error", &cause)]);
            match Line::publisher(&config, queue, &log).await {
                Ok(line) => {
                    self.lines.write().await.insert(queue, Arc::new(line));
                    log.warn("successfully re-established queue connection", &[("queue", &queue)]);
                }
                Err(error) => {
                    log.error("failed to re-establish queue process, exiting", &[("queue", &queue), ("error", &error)]);
                    return;
                }
            }
        }
    }
}
