//! Images as `cargo xtask images` builds them, unpacked.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::sync::Mutex;

/// Names the archives: `postgres=FILE,rabbitmq=FILE,…`.
const IMAGES: &str = "TEMPORAL_STACK_IMAGES";
/// Where archives are unpacked, once for each.
const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");

/// The root file system of an image; nobody writes to it but [`Image::directory`].
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) root: PathBuf,
    /// The environment of its programs.
    pub(crate) variables: Vec<(String, String)>,
    /// The command of a container that has none of its own.
    pub(crate) entrypoint: Vec<String>,
}

impl Image {
    /// The image of that name.
    pub(crate) async fn named(name: &str) -> Result<Self> {
        static UNPACKING: Mutex<()> = Mutex::const_new(());
        let archives = std::env::var(IMAGES).with_context(|| {
            format!(
                "{IMAGES} is not set: `cargo xtask test` sets it to what `cargo xtask images` has built: NAME=ARCHIVE,…"
            )
        })?;
        let archives: BTreeMap<&str, &str> = archives.split(',').filter_map(|image| image.split_once('=')).collect();
        let archive = Path::new(archives.get(name).with_context(|| format!("{IMAGES} has no {name}"))?);
        let stem = archive.file_stem().context("an archive without a name")?.to_string_lossy();
        let _turn = UNPACKING.lock().await;
        unpacked(archive, name, &Path::new(FOLDER).join("images").join(name).join(&*stem))
    }

    /// Makes a directory of the root, so that something can be mounted there, and says where it is on this machine.
    pub(crate) fn directory(&self, path: &str) -> Result<PathBuf> {
        let mut place = self.root.clone();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            place.push(part);
            // A link that leads to the root leads to that of the image.
            if let Ok(target) = fs::read_link(&place) {
                place.pop();
                place = match target.strip_prefix("/") {
                    Ok(inside) => self.root.join(inside),
                    Err(_) => place.join(target),
                };
            }
            fs::create_dir_all(&place)?;
        }
        Ok(place)
    }
}

fn unpacked(archive: &Path, name: &str, folder: &Path) -> Result<Image> {
    if !folder.exists() {
        // Former ones of this name are of no use any more.
        let others = folder.parent().context("a folder in a folder")?;
        if others.exists() {
            fs::remove_dir_all(others)?;
        }
        let new = folder.with_extension("new");
        fs::create_dir_all(&new)?;
        unpack(archive, &new).with_context(|| format!("could not unpack the image {name}"))?;
        fs::rename(&new, folder)?;
    }
    let config: Value = serde_json::from_slice(&fs::read(folder.join("config.json"))?)?;
    let variables = config["config"]["Env"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let variables = variables.filter_map(|pair| pair.split_once('='));
    let variables = variables.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let entrypoint = config["config"]["Entrypoint"].as_array().into_iter().flatten().filter_map(Value::as_str);
    Ok(Image { root: folder.join("root"), variables, entrypoint: entrypoint.map(str::to_owned).collect() })
}

/// Unpacks an archive as the OCI image layout has it.
fn unpack(archive: &Path, folder: &Path) -> Result<()> {
    let (layout, root) = (folder.join("layout"), folder.join("root"));
    tar(archive, &layout)?;
    let json = |path: &Path| anyhow::Ok(serde_json::from_slice::<Value>(&fs::read(path)?)?);
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().context("a descriptor without a digest")?;
        anyhow::Ok(layout.join("blobs").join(digest.replace(':', "/")))
    };
    let manifest = json(&blob(&json(&layout.join("index.json"))?["manifests"][0])?)?;
    for layer in manifest["layers"].as_array().context("no layers")? {
        tar(&blob(layer)?, &root)?;
        remove_deleted(&root)?;
    }
    fs::rename(blob(&manifest["config"])?, folder.join("config.json"))?;
    Ok(fs::remove_dir_all(layout)?)
}

fn tar(archive: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let mut command = Command::new("tar");
    command.arg("--extract").arg("--file").arg(archive).arg("--directory").arg(folder);
    command.args(["--numeric-owner", "--preserve-permissions"]);
    let output = command.output()?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Removes what a layer says is deleted: `.wh.NAME` stands for NAME.
fn remove_deleted(folder: &Path) -> Result<()> {
    let entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    for mark in &entries {
        let name = mark.file_name().to_string_lossy().into_owned();
        let Some(deleted) = name.strip_prefix(".wh.") else { continue };
        fs::remove_file(mark.path())?;
        let deleted = folder.join(deleted);
        match fs::symlink_metadata(&deleted) {
            Ok(found) if found.is_dir() => fs::remove_dir_all(deleted)?,
            Ok(_) => fs::remove_file(deleted)?,
            Err(_) => {}
        }
    }
    for entry in entries {
        if fs::symlink_metadata(entry.path()).is_ok_and(|found| found.is_dir()) {
            remove_deleted(&entry.path())?;
        }
    }
    Ok(())
}
