//! A pass that finds nothing to do sends nothing.

use anyhow::ensure;
use e2e::{Subject, full};

use crate::{
    step::{look, made, quiet},
    with_controller,
};

e2e::for_each_kind!(pass_over_an_unchanged_object_sends_no_request);

async fn pass_over_an_unchanged_object_sends_no_request<K: Subject>() {
    with_controller::<K>(async |space, controller| {
        made(space, controller).await?;
        let before = quiet(space, controller).await?;
        let passes = controller.metrics()?.passes("unchanged");
        let looks = if full() { 1000 } else { 10 };
        for _ in 0..looks {
            look(space, controller).await?;
        }
        let metrics = controller.metrics()?;
        ensure!(metrics.passes("unchanged") >= passes + looks, "there were too few passes");
        let after = metrics.requests().of_passes();
        println!(
            "requests until a {} waits for its pod alone:
{before}",
            K::kind(&())
        );
        ensure!(
            after == before,
            "{looks} passes over an unchanged object made requests; before:\n{before}after:\n{after}"
        );
        Ok(())
    })
    .await;
}
