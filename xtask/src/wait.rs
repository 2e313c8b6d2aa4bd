//! Waiting for daemons, with an eye on whether they still run.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::process::Daemon;
use crate::step::Step;

const PAUSE: Duration = Duration::from_millis(100);

/// Waits until `is_so`; fails when one of the daemons ends before that, or after the limit.
pub fn until(
    step: &Step,
    what: &str,
    daemons: &[Daemon],
    limit: Duration,
    mut is_so: impl FnMut() -> Result<bool>,
) -> Result<()> {
    step.note(format!("waiting until {what}"));
    let started = Instant::now();
    while !is_so()? {
        if let Some(ended) = daemons.iter().find(|daemon| daemon.process().is_none()) {
            step.quote(&ended.log());
            bail!("{} exited; see its log {}", ended.name, ended.log().display());
        }
        if started.elapsed() > limit {
            bail!("timed out: waited {} s until {what}", limit.as_secs());
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}
