//! Keys that may use one bucket: in another one, while they change under load, and in what the engines say.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::Result;
use e2e::{
    load::{Application, Load},
    objects::LIMIT,
};
use temporal_stack_common::{
    http::Method,
    s3::{Call, Client, Code, Key},
};

use crate::engine::{Engine, Minio, for_each_engine};

const MINE: &str = "mine";
const THEIRS: &str = "theirs";

async fn key_of_a_bucket_is_refused_in_another_one(engine: Engine) -> Result<()> {
    let root = engine.client()?;
    for bucket in [MINE, THEIRS] {
        root.create(bucket, false).await?;
        root.put(bucket, "object", bucket.as_bytes().to_vec()).await?;
    }
    let (login, other) = (engine.login(MINE).await?, engine.login(THEIRS).await?);
    let user = Client::new(&engine.address(), &login)?;
    user.put(MINE, "more", b"more".to_vec()).await?;
    assert_eq!(user.get(MINE, "object", LIMIT).await?, MINE.as_bytes());
    assert_eq!(user.list(MINE, "", None, 10).await?.objects.len(), 2);
    user.delete(MINE, "more").await?;

    let copy = Call::object(Method::PUT, MINE, "copy").with_header("x-amz-copy-source", &format!("/{THEIRS}/object"));
    let tries = [
        ("get", user.get(THEIRS, "object", LIMIT).await.map(drop)),
        ("head", user.head(THEIRS, "object").await.map(drop)),
        ("put", user.put(THEIRS, "new", Vec::new()).await.map(drop)),
        ("delete", user.delete(THEIRS, "object").await.map(drop)),
        ("list", user.list(THEIRS, "", None, 10).await.map(drop)),
        ("versions", user.list_versions(THEIRS, "", None, 10).await.map(drop)),
        ("set_versioning", user.set_versioning(THEIRS, true).await),
        ("policy", user.policy(THEIRS).await.map(drop)),
        ("set_policy", user.set_policy(THEIRS, None).await),
        ("remove", user.remove(THEIRS).await),
        ("create", user.create("another", false).await),
        ("copy", user.call(copy).await.map(drop)),
        ("remove its own bucket", user.remove(MINE).await),
        ("open its own bucket", user.set_policy(MINE, Some(&open(MINE))).await),
    ];
    for (what, result) in tries {
        let failure = result.expect_err(what);
        assert!(failure.is(&Code::AccessDenied), "{what}: {failure}");
    }
    let theirs = Client::new(&engine.address(), &other)?;
    assert_eq!(theirs.get(THEIRS, "object", LIMIT).await?, THEIRS.as_bytes());
    assert!(user.buckets().await?.iter().all(|bucket| bucket == MINE));
    Ok(())
}

#[tokio::test]
async fn loose_key_of_minio_is_restricted_by_another_import() -> Result<()> {
    let minio = Minio::start(1, 1).await?;
    let root = minio.client(0)?;
    for bucket in [MINE, THEIRS] {
        root.create(bucket, false).await?;
    }
    let key = minio.login(MINE).await?;
    let user = Client::new(&minio.address(0), &key)?;
    minio.give(&key, "readwrite").await?;
    user.list(THEIRS, "", None, 1).await?;
    minio.restrict(MINE, &key).await?;
    let refused = user.list(THEIRS, "", None, 1).await.expect_err("another bucket");
    assert!(refused.is(&Code::AccessDenied), "{refused}");
    user.list(MINE, "", None, 1).await?;
    Ok(())
}

/// A policy by which everybody may read a bucket.
fn open(bucket: &str) -> String {
    let resource = format!("arn:aws:s3:::{bucket}/*");
    let statement =
        serde_json::json!({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": resource});
    serde_json::json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

/// The next key is made, the application gets it, and the one before goes when nobody uses it any more.
async fn rotate(application: &Arc<Application>, load: &Load, before: &Key, next: &Key) -> Result<()> {
    application.set_key(next);
    // Requests that were sent with the key before are over when as many others are done as clients are there.
    load.goes_on(20).await?;
    assert!(before != next);
    Ok(())
}

async fn rotation_under_load_refuses_no_request(engine: Engine) -> Result<()> {
    engine.client()?.create(MINE, false).await?;
    let mut key = engine.login(MINE).await?;
    let application = Application::with_patience(vec![engine.address()], &key, Duration::ZERO);
    let load = Load::start(&application, MINE);
    for _ in 0..5 {
        load.goes_on(20).await?;
        let next = engine.login(MINE).await?;
        rotate(&application, &load, &key, &next).await?;
        engine.remove(MINE, &key).await?;
        let refused = Client::new(&engine.address(), &key)?.list(MINE, "", None, 1).await.expect_err("a removed key");
        assert!(refused.is(&Code::InvalidAccessKeyId), "{refused}");
        key = next;
    }
    load.goes_on(20).await?;
    let rounds: usize = load.end().await?.iter().sum();
    println!("5 rotations during {rounds} puts and gets");
    Ok(())
}

for_each_engine!(
    key_of_a_bucket_is_refused_in_another_one,
    rotation_under_load_refuses_no_request,
    secret_is_never_said
);

#[tokio::test]
async fn new_key_works_at_once_at_every_server() -> Result<()> {
    let minio = Minio::start(4, 1).await?;
    minio.client(0)?.create(MINE, false).await?;
    let mut key = minio.login(MINE).await?;
    let application = Application::with_patience(minio.addresses(), &key, Duration::ZERO);
    let load = Load::start(&application, MINE);
    for _ in 0..3 {
        let next = minio.login(MINE).await?;
        rotate(&application, &load, &key, &next).await?;
        minio.remove(&key).await?;
        key = next;
    }
    load.goes_on(20).await?;
    load.end().await?;
    assert_eq!(application.retries.load(Ordering::Relaxed), 0);
    Ok(())
}

async fn secret_is_never_said(mut engine: Engine) -> Result<()> {
    engine.client()?.create(MINE, false).await?;
    let login = engine.login(MINE).await?;
    let user = Client::new(&engine.address(), &login)?;
    user.put(MINE, "object", b"object".to_vec()).await?;
    user.list(THEIRS, "", None, 1).await.expect_err("another bucket");
    let wrong = Key { secret: "wrong".to_owned(), ..login.clone() };
    Client::new(&engine.address(), &wrong)?.list(MINE, "", None, 1).await.expect_err("a wrong secret");
    engine.kill_and_start().await?;
    engine.remove(MINE, &login).await?;
    user.list(MINE, "", None, 1).await.expect_err("a removed key");
    let root = engine.root().clone();
    let said = engine.said()? + &engine.arguments().join(" ");
    for part in [&root.id, &root.secret, &login.id, &login.secret] {
        let line = said.lines().find(|line| line.contains(part.as_str()));
        assert!(line.is_none(), "a key is in what the engine says: {}", line.unwrap_or_default().replace(part, "…"));
    }
    Ok(())
}
