//! The engines: their programs, folders and addresses.

mod iam;
mod minio;
mod versity;

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use temporal_stack_common::s3::{Address, Client, Key, Style};

pub(crate) use self::{minio::Minio, versity::Versity};
use crate::REGION;

/// Names the folder with `minio` and `versitygw`.
const PROGRAMS: &str = "TEMPORAL_STACK_OBJECT_STORES";

/// An engine with one address, as a test uses it that is about all of them.
pub(crate) enum Engine {
    /// MinIO, one server with one drive.
    Minio(Minio),
    /// The Versity S3 Gateway.
    Versity(Versity),
}

impl Engine {
    /// Where it is.
    pub(crate) fn address(&self) -> Address {
        match self {
            Self::Minio(minio) => minio.address(0),
            Self::Versity(versity) => versity.address(),
        }
    }

    /// The key that may do everything.
    pub(crate) fn root(&self) -> &Key {
        match self {
            Self::Minio(minio) => minio.root(),
            Self::Versity(versity) => versity.root(),
        }
    }

    /// Makes a key that may use one bucket, which exists.
    pub(crate) async fn login(&self, bucket: &str) -> Result<Key> {
        match self {
            Self::Minio(minio) => minio.login(bucket).await,
            Self::Versity(versity) => versity.login(bucket).await,
        }
    }

    /// Takes a key away.
    pub(crate) async fn remove(&self, bucket: &str, key: &Key) -> Result<()> {
        match self {
            Self::Minio(minio) => minio.remove(key).await,
            Self::Versity(versity) => versity.remove(bucket, key).await,
        }
    }

    /// A client as root.
    pub(crate) fn client(&self) -> Result<Client> {
        Ok(Client::new(&self.address(), self.root())?)
    }

    /// Kills it without a warning, and starts it again with its data.
    pub(crate) async fn kill_and_start(&mut self) -> Result<()> {
        match self {
            Self::Minio(minio) => {
                minio.kill(0);
                minio.start_server(0)?;
                minio.is_healthy().await
            }
            Self::Versity(versity) => versity.kill_and_start().await,
        }
    }

    /// All that it has logged.
    pub(crate) fn said(&self) -> Result<String> {
        match self {
            Self::Minio(minio) => minio.said(),
            Self::Versity(versity) => versity.said(),
        }
    }

    /// The arguments of its processes.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let ids = match self {
            Self::Minio(minio) => minio.processes(),
            Self::Versity(versity) => versity.processes(),
        };
        ids.into_iter().flat_map(|id| e2e::host::arguments(id.cast_signed())).collect()
    }
}

/// Makes a test of each function for each engine.
macro_rules! for_each_engine {
    ($($test:ident),+ $(,)?) => {
        mod minio {
            $(#[tokio::test]
            async fn $test() -> anyhow::Result<()> {
                super::$test($crate::engine::Engine::Minio($crate::engine::Minio::start(1, 1).await?)).await
            })+
        }
        mod versity {
            $(#[tokio::test]
            async fn $test() -> anyhow::Result<()> {
                super::$test($crate::engine::Engine::Versity($crate::engine::Versity::start().await?)).await
            })+
        }
    };
}
pub(crate) use for_each_engine;

/// A folder of one's own, until it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("temporal-stack-storage-{:x}", rand::random::<u64>()));
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is in the system's folder for that.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn program(name: &str) -> Result<PathBuf> {
    let folder = std::env::var_os(PROGRAMS).map(PathBuf::from).with_context(|| {
        format!(
            "{PROGRAMS} is not set: `cargo xtask test` sets it; by hand, it is `bin` in the cache, once \
             `cargo xtask images minio versity` has built minio and versitygw"
        )
    })?;
    let program = folder.join(name);
    ensure!(program.exists(), "{PROGRAMS}: there is no {name} in {}", folder.display());
    Ok(program)
}

/// Loopback addresses that nobody else is on, so all ports are free there.
fn addresses(count: u8) -> Vec<Ipv4Addr> {
    let net: [u8; 2] = rand::random();
    (1..=count).map(|host| Ipv4Addr::new(127, net[0] | 1, net[1], host)).collect()
}

fn address(ip: Ipv4Addr, port: u16) -> Address {
    Address { endpoint: format!("http://{ip}:{port}"), region: REGION.to_owned(), style: Style::Path, authority: None }
}

/// A key that nobody has.
fn random_key() -> Key {
    let word = || format!("{:016x}", rand::random::<u64>());
    Key { id: format!("u{}", word()), secret: word() + &word() }
}

/// The text of all logs in a folder.
fn logs(folder: &Path) -> Result<String> {
    let mut text = String::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            text += &String::from_utf8_lossy(&fs::read(path)?);
        }
    }
    Ok(text)
}
