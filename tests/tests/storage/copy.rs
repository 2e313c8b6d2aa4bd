//! `storage-controller copy` between the engines.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::{Command, ExitStatus},
};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    objects::{self, LIMIT},
    process::Process,
    turns,
};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use temporal_stack_common::{
    http::Method,
    s3::{Attributes, Call, Client, Key, Tags},
};

use crate::engine::{Engine, Minio, Versity};

/// A bucket with 1,000 objects.
const MANY: &str = "many";
/// A bucket with objects of all kinds.
const PLAIN: &str = "plain";
/// A bucket with versions.
const VERSIONED: &str = "versioned";
/// The keys of an object in parts, and of one that is copied in parts.
const LARGE: [&str; 2] = ["large/in parts", "large/at once"];

/// The program, with a Secret for each side.
struct Copy {
    folder: PathBuf,
    keys: Vec<Key>,
    runs: u32,
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Copy {
    fn new(from: (&Engine, &Key, Option<&str>), to: (&Engine, &Key, Option<&str>)) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("temporal-stack-copy-{:x}", rand::random::<u64>()));
        fs::create_dir_all(&folder)?;
        for (name, (engine, key, bucket)) in [("from.json", from), ("to.json", to)] {
            let endpoint = engine.address().endpoint;
            let keys = [("endpoint", &*endpoint), ("access-key-id", &*key.id), ("secret-access-key", &*key.secret)];
            let keys = keys.into_iter().chain(bucket.map(|bucket| ("bucket", bucket)));
            let data: BTreeMap<String, ByteString> =
                keys.map(|(key, value)| (key.to_owned(), ByteString(value.as_bytes().to_vec()))).collect();
            let secret = Secret { data: Some(data), ..Secret::default() };
            fs::write(folder.join(name), serde_json::to_vec(&secret)?)?;
        }
        Ok(Self { folder, keys: vec![from.1.clone(), to.1.clone()], runs: 0 })
    }

    fn start(&mut self) -> Result<Process> {
        let mut command = Command::new(e2e::built("storage-controller")?);
        command.args(["copy", "--from"]).arg(self.folder.join("from.json"));
        command.arg("--to").arg(self.folder.join("to.json"));
        self.runs += 1;
        Process::start(command, &self.folder.join(format!("{}.log", self.runs)))
    }

    /// Runs it to its end; what it says shows no key.
    async fn run(&mut self) -> Result<(ExitStatus, String)> {
        let process = self.start()?;
        let lines = process.lines();
        let status = process.ended().await?;
        let output = lines().join("\n");
        println!("{output}");
        let shown = self.keys.iter().find(|key| output.contains(&key.id) || output.contains(&key.secret));
        ensure!(shown.is_none(), "a key is shown");
        Ok((status, output))
    }

    async fn succeeds(&mut self) -> Result<String> {
        let (status, output) = self.run().await?;
        ensure!(status.success(), "the copy failed: {output}");
        Ok(output)
    }
}

fn all(from: &Engine, to: &Engine) -> Result<Copy> {
    Copy::new((from, from.root(), None), (to, to.root(), None))
}

fn tags(value: &str) -> Tags {
    [("colour".to_owned(), value.to_owned())].into()
}

fn large(length: usize) -> Vec<u8> {
    (0..length).map(|number| (number / 1000).to_le_bytes()[0]).collect()
}

/// Puts objects of all kinds into a bucket.
async fn put_plain(client: &Client) -> Result<()> {
    client.create(PLAIN, false).await?;
    let headers = [("content-type", "text/css"), ("cache-control", "max-age=60"), ("x-amz-meta-a", "b c")];
    let headers: Attributes = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    client.put_with(PLAIN, "with/headers & ü+", b"content".to_vec(), &headers).await?;
    client.set_tags(PLAIN, "with/headers & ü+", None, &tags("red/blue + 1")).await?;
    client.put(PLAIN, "empty", Vec::new()).await?;
    let upload = client.create_upload(PLAIN, LARGE[0], &headers).await?;
    let mut parts = Vec::new();
    for (number, part) in (1..).zip(large(12 << 20).chunks(5 << 20)) {
        parts.push(client.put_part(&upload, number, part.to_vec()).await?);
    }
    client.complete(&upload, &parts).await?;
    client.put(PLAIN, LARGE[1], large(9 << 20)).await?;
    Ok(())
}

async fn is_plain_equal(client: &Client) -> Result<()> {
    let head = client.head(PLAIN, "with/headers & ü+").await?;
    for (name, value) in [("content-type", "text/css"), ("cache-control", "max-age=60"), ("x-amz-meta-a", "b c")] {
        ensure!(head.attributes.get(name).is_some_and(|found| found == value), "{name} differs: {head:?}");
    }
    ensure!(client.tags(PLAIN, "with/headers & ü+", None).await? == tags("red/blue + 1"), "other tags");
    ensure!(
        client.get(PLAIN, "with/headers & ü+", LIMIT).await? == b"content"
            && client.head(PLAIN, "empty").await?.size == 0
    );
    ensure!(client.get(PLAIN, LARGE[0], 16 << 20).await? == large(12 << 20), "parts differ");
    ensure!(client.head(PLAIN, LARGE[0]).await?.attributes.contains_key("x-amz-meta-a"), "parts lack their headers");
    ensure!(client.get(PLAIN, LARGE[1], 16 << 20).await? == large(9 << 20), "the large object differs");
    ensure!(client.list(PLAIN, "", None, 100).await?.objects.len() == 4, "other objects");
    Ok(())
}

/// What is put one after another; `None` is a deletion.
const HISTORY: [(&str, &[Option<&str>]); 3] =
    [("a", &[Some("one"), Some("two"), None, Some("three")]), ("ab", &[Some("alone")]), ("b", &[Some("gone"), None])];

async fn put_versions(client: &Client) -> Result<()> {
    client.create(VERSIONED, false).await?;
    client.set_versioning(VERSIONED, true).await?;
    for (key, contents) in HISTORY {
        for content in contents {
            match content {
                Some(content) => drop(client.put(VERSIONED, key, content.as_bytes().to_vec()).await?),
                None => client.delete(VERSIONED, key).await?,
            }
        }
    }
    let oldest = oldest(client).await?;
    Ok(client.set_tags(VERSIONED, "a", Some(&oldest), &tags("first")).await?)
}

async fn oldest(client: &Client) -> Result<String> {
    let page = client.list_versions(VERSIONED, "a", None, 100).await?;
    let oldest = page.versions.iter().rfind(|version| version.key == "a");
    Ok(oldest.context("no version")?.version.clone())
}

async fn are_versions_equal(client: &Client) -> Result<()> {
    let page = client.list_versions(VERSIONED, "", None, 100).await?;
    for (key, contents) in HISTORY {
        let mut found = Vec::new();
        for version in page.versions.iter().rev().filter(|version| version.key == key) {
            let call = Call::object(Method::GET, VERSIONED, key);
            let content = if version.is_marker {
                None
            } else {
                let answer = client.call(call.with("versionId", &version.version)).await?;
                Some(String::from_utf8(answer.body)?)
            };
            found.push(content);
        }
        let expected: Vec<Option<String>> = contents.iter().map(|content| content.map(str::to_owned)).collect();
        ensure!(found == expected, "versions of {key}: {found:?}");
    }
    ensure!(client.tags(VERSIONED, "a", Some(&oldest(client).await?)).await? == tags("first"), "other tags");
    Ok(())
}

async fn everything_arrives(from: Engine, to: Engine) -> Result<()> {
    let (source, target) = (from.client()?, to.client()?);
    source.create(MANY, false).await?;
    objects::put_all(&source, MANY).await?;
    put_plain(&source).await?;
    put_versions(&source).await?;
    let mut copy = all(&from, &to)?;
    let first = copy.succeeds().await?;
    ensure!(first.matches(", 1 with tags").count() == 2, "tags are not counted: {first}");
    // As if the copy had ended between an object and its tags.
    target.call(Call::object(Method::DELETE, PLAIN, "with/headers & ü+").with("tagging", "")).await?;
    copy.succeeds().await?;
    objects::are_equal(&target, MANY).await?;
    is_plain_equal(&target).await?;
    are_versions_equal(&target).await?;
    let again = copy.succeeds().await?;
    ensure!(again.matches("0 versions copied").count() == 3, "copied again: {again}");
    are_versions_equal(&target).await
}

#[tokio::test]
async fn everything_arrives_from_minio_at_versity() -> Result<()> {
    let (from, to) = (Engine::Minio(Minio::start(1, 1).await?), Engine::Versity(Versity::start().await?));
    everything_arrives(from, to).await
}

#[tokio::test]
async fn everything_arrives_from_versity_at_minio() -> Result<()> {
    let (from, to) = (Engine::Versity(Versity::start().await?), Engine::Minio(Minio::start(1, 1).await?));
    everything_arrives(from, to).await
}

#[tokio::test]
async fn interrupted_copy_goes_on_where_it_was() -> Result<()> {
    let (from, to) = (Engine::Minio(Minio::start(1, 1).await?), Engine::Versity(Versity::start().await?));
    let (source, target) = (from.client()?, to.client()?);
    source.create(MANY, false).await?;
    objects::put_all(&source, MANY).await?;
    let mut copy = all(&from, &to)?;
    let process = copy.start()?;
    turns("a hundred objects are copied", async || {
        Ok(target.list(MANY, "", None, 1000).await.is_ok_and(|page| page.objects.len() >= 100))
    })
    .await?;
    // Killed, without a warning.
    drop(process);
    let before = target.list(MANY, "", None, 1000).await?.objects;
    ensure!(before.len() < objects::COUNT, "the copy was faster than its end");
    copy.succeeds().await?;
    objects::are_equal(&target, MANY).await?;
    let after = target.list(MANY, "", None, 1000).await?.objects;
    let is_kept = |object| after.contains(object);
    ensure!(before.iter().all(is_kept), "objects that were there were written again");
    Ok(())
}

#[tokio::test]
async fn bindings_copy_their_bucket_into_one_of_another_name() -> Result<()> {
    let (from, to) = (Engine::Versity(Versity::start().await?), Engine::Minio(Minio::start(1, 1).await?));
    put_plain(&from.client()?).await?;
    to.client()?.create("renamed", false).await?;
    let (ours, theirs) = (from.login(PLAIN).await?, to.login("renamed").await?);
    Copy::new((&from, &ours, Some(PLAIN)), (&to, &theirs, Some("renamed")))?.succeeds().await?;
    let target = Client::new(&to.address(), &theirs)?;
    ensure!(target.list("renamed", "", None, 100).await?.objects.len() == 4, "other objects");
    ensure!(target.get("renamed", LARGE[1], 16 << 20).await? == large(9 << 20), "the large object differs");
    Ok(())
}

#[tokio::test]
async fn other_versions_at_the_target_are_left_alone() -> Result<()> {
    let (from, to) = (Engine::Minio(Minio::start(1, 1).await?), Engine::Minio(Minio::start(1, 1).await?));
    put_versions(&from.client()?).await?;
    let target = to.client()?;
    target.create(VERSIONED, false).await?;
    let mut copy = all(&from, &to)?;
    let (status, output) = copy.run().await?;
    ensure!(!status.success() && output.contains("set versioning: true"), "without versions: {output}");
    target.set_versioning(VERSIONED, true).await?;
    target.put(VERSIONED, "a", b"other".to_vec()).await?;
    let (status, output) = copy.run().await?;
    ensure!(!status.success() && output.contains("a: the target has other versions of it"), "{output}");
    ensure!(
        target.list_versions(VERSIONED, "a", None, 100).await?.versions.iter().filter(|one| one.key == "a").count()
            == 1
    );
    ensure!(target.get(VERSIONED, "ab", LIMIT).await? == b"alone", "the others are copied");
    Ok(())
}
