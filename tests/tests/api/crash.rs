//! The process ends before and after each of its writes in turn, and nobody can tell afterwards.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};
use e2e::{
    Controller, Identity, Record, Space, Subject,
    controller::run_faulty,
    prepare::api_server,
    step::{ask, outcome, undisturbed},
    with_namespace,
};
use k8s_openapi::api::core::v1::Secret;

/// More writes than any of the steps has.
const MANY: u32 = 120;

/// Starts the controller again and again; it ends before its first write, then after its first write, and so one write
/// later each time, until there is none left. Returns how often it ended.
pub(crate) async fn ended_at_each_write(space: &Space, identity: &Identity) -> Result<u32> {
    for turn in 0..MANY {
        let when = if turn % 2 == 0 { "before" } else { "after" };
        let status = run_faulty(space, identity, when, 1).await?;
        if status.success() {
            return Ok(turn);
        }
        ensure!(was_aborted(status), "the controller ended by itself: {status}");
    }
    bail!("after {MANY} ends there were still writes to do")
}

/// Nobody can tell the objects after crashes from those of a run without any.
pub(crate) fn ensure_same(disturbed: &BTreeMap<String, String>, undisturbed: &BTreeMap<String, String>) -> Result<()> {
    for (reference, child) in undisturbed {
        let other = disturbed.get(reference).map(String::as_str).unwrap_or_default();
        ensure!(other == child, "{reference} differs; undisturbed:\n{child}\nafter the crashes:\n{other}");
    }
    ensure!(disturbed.len() == undisturbed.len(), "there are others: {:?}", disturbed.keys());
    Ok(())
}

fn was_aborted(status: std::process::ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt as _;
    const SIGABRT: i32 = 6;
    status.signal() == Some(SIGABRT)
}

e2e::for_each_kind!(crash_around_each_write_leaves_the_same_objects);

async fn crash_around_each_write_leaves_the_same_objects<K: Subject>() {
    let cluster = api_server().await.expect("an API server");
    let cluster = &cluster;
    let disturbed = with_namespace(cluster, async |space| {
        let identity = Identity::of_namespace::<K>(space).await?;
        let record = Record::<Secret>::start(space).await?;
        for change in [false, true] {
            ask::<K>(&space.one(), change).await?;
            let ends = ended_at_each_write(space, &identity).await?;
            println!("{} {}: ended {ends} times", if change { "changing" } else { "making" }, K::kind(&()));
            ensure!(ends > 3, "there were hardly any writes");
        }
        let controller = Controller::start_as(space, &identity).await?;
        let disturbed = outcome::<K>(&space.one(), &controller).await?;
        record.assert_made_once()?;
        let undisturbed = undisturbed::<K>(cluster).await;
        ensure_same(&disturbed, &undisturbed)?;
        ensure!(disturbed.len() >= 5, "there are too few: {:?}", disturbed.keys());
        Ok(())
    });
    disturbed.await;
}
