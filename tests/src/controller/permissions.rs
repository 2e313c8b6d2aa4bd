//! Which permissions the controllers of a test run have used, left in files for the test that compares them with those granted.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use temporal_stack_common::process::client::{Call, Counts};

use crate::{Subject, rbac::Permission};

impl From<&Call> for Permission {
    fn from(call: &Call) -> Self {
        Self { verb: call.verb.to_string(), group: call.group.clone(), resource: call.resource.clone() }
    }
}

/// Adds what was used to the folder; each call writes a file of its own, so that nobody overwrites another's.
pub(super) fn record(folder: &Path, requests: &Counts) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let used: Vec<Permission> = requests.0.keys().map(Permission::from).collect();
    let name = format!("{:016x}.json", rand::random::<u64>());
    std::fs::write(folder.join(name), serde_json::to_vec(&used)?)?;
    Ok(())
}

/// Where controllers leave word of what they have used.
pub(super) fn folder_of(shared: &Path, program: &str) -> PathBuf {
    shared.join("used").join(program)
}

/// All permissions that the controllers of a kind have used on this cluster so far. Discovery takes none.
pub fn used_permissions<K: Subject>(shared: &Path) -> Result<BTreeSet<Permission>> {
    let mut all = BTreeSet::new();
    let folder = folder_of(shared, K::PROGRAM);
    for file in std::fs::read_dir(folder).with_context(|| format!("no {} has left word of what it used", K::PROGRAM))? {
        all.extend(serde_json::from_slice::<Vec<Permission>>(&std::fs::read(file?.path())?)?);
    }
    all.retain(|permission| permission.resource != "other");
    Ok(all)
}
