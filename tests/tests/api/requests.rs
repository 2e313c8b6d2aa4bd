//! A pass that finds nothing to do sends nothing.

use anyhow::ensure;

use crate::{
    step::{look, made, quiet},
    with_controller,
};

#[tokio::test]
async fn a_pass_over_an_unchanged_object_makes_no_request() {
    with_controller(async |space, controller| {
        made(space, controller).await?;
        let before = quiet(space, controller).await?;
        let passes = controller.metrics()?.passes("unchanged");
        for _ in 0..10 {
            look(space, controller).await?;
        }
        let metrics = controller.metrics()?;
        ensure!(metrics.passes("unchanged") >= passes + 10, "there were too few passes");
        let after = metrics.requests.of_passes();
        println!("requests until a database waits for its pod alone:\n{before}");
        ensure!(after == before, "10 passes over an unchanged object made requests; before:\n{before}after:\n{after}");
        Ok(())
    })
    .await;
}
