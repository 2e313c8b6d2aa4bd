use anyhow::ensure;
use e2e::{Pinset, Stopwatch, built, program::run};
use serde_json::json;

use crate::ipfs::{count, made, of_size, peers, with_another, with_ipfs};

#[tokio::test]
async fn exported_pinset_is_imported_unchanged() {
    with_ipfs(peers(2), async |from| {
        made(from, &of_size(1, &json!({}))).await?;
        let mut pins = Pinset::default();
        let source = from.peer(0).await?;
        let sources = std::slice::from_ref(&source);
        pins.grow(sources, count(100, 1000), (1, 1)).await?;
        pins.grow(sources, count(20, 200), (-1, -1)).await?;
        pins.heals(sources).await?;
        // What the controller reads back now and then is no part of it.
        from.ready().await?;

        let program = built("ipfs-controller")?;
        let file = from.folder.join("pins").display().to_string();
        let address = |peer: &e2e::peers::Peer| format!("--cluster-api=http://{}:9094", peer.address());
        run(program.clone(), &["export", &address(&source), &file], &[]).await?;
        let lines = std::fs::read_to_string(&file)?.lines().count();
        ensure!(lines >= pins.len(), "{lines} of {} pins were exported", pins.len());

        with_another(async |to| {
            made(to, &of_size(1, &json!({}))).await?;
            let target = to.peer(0).await?;
            pins.bring(&target).await?;
            let mut watch = Stopwatch::new();
            run(program.clone(), &["import", &address(&target), &file], &[]).await?;
            pins.heals(std::slice::from_ref(&target)).await?;
            watch.step(&format!("{} pins imported and there after", pins.len()));
            Ok(())
        })
        .await;
        Ok(())
    })
    .await;
}
