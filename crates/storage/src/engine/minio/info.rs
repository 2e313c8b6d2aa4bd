//! The state of servers and drives, from the API for administration.

use serde::Deserialize;

use crate::{
    engine::{Drive, Healing, Health},
    names::{MOST_DRIVES, MOST_SERVERS},
};

/// The most bytes of the answer: 256 drives with their metrics.
pub(super) const LIMIT: usize = 4 << 20;
/// The most values of the answer: 256 drives have some 17,000, and 27,000 while all are healed.
pub(super) const VALUES: usize = 40_000;
/// The most servers that are looked at.
const SERVERS: usize = MOST_SERVERS.unsigned_abs() as usize;
/// The most drives of all servers that are looked at.
const DRIVES: usize = SERVERS * MOST_DRIVES.unsigned_abs() as usize;
/// The state of a drive that is in use.
const ONLINE: &str = "ok";

/// What the server reports.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Info {
    servers: Option<Vec<Server>>,
}

/// What the server reports about the drives alone, each with the URL of its server.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct StorageInfo {
    disks: Option<Vec<Disk>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Server {
    endpoint: String,
    version: String,
    drives: Option<Vec<Disk>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Disk {
    endpoint: String,
    path: String,
    state: String,
    healing: bool,
    heal_info: Option<HealInfo>,
    totalspace: u64,
    availspace: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct HealInfo {
    items_healed: u64,
    items_skipped: u64,
    objects_total_count: u64,
}

/// The health that it amounts to. An offline server is listed with its drives, and without a version.
pub(super) fn health(info: &Info) -> Health {
    let servers = info.servers.iter().flatten().take(SERVERS);
    let version = servers.clone().map(|server| &server.version).find(|version| !version.is_empty()).cloned();
    let drives = servers.flat_map(|server| {
        let drives = server.drives.as_deref().unwrap_or_default().iter();
        drives.map(|disk| drive(&server.endpoint, disk))
    });
    Health { version, drives: Some(drives.take(DRIVES).collect()), can_write: None }
}

/// The health without a version, from the answer about the drives alone.
pub(super) fn health_of_drives(info: &StorageInfo) -> Health {
    let drives = info.disks.iter().flatten().map(|disk| {
        let host = disk.endpoint.split_once("://").and_then(|(_, rest)| rest.split('/').next()).unwrap_or_default();
        drive(host, disk)
    });
    Health { version: None, drives: Some(drives.take(DRIVES).collect()), can_write: None }
}

/// `server` is the server's host and port.
fn drive(server: &str, disk: &Disk) -> Drive {
    // A drive that is offline has no path of its own.
    let path = match disk.endpoint.rsplit_once('/') {
        Some((_, name)) if disk.path.is_empty() => format!("/{name}"),
        _ => disk.path.clone(),
    };
    let host = server.rsplit_once(':').map_or(server, |(host, _)| host);
    let heal_info = disk.heal_info.as_ref();
    let healing = Healing {
        // What was written since it began needs no healing.
        restored: heal_info.map_or(0, |info| info.items_healed.saturating_add(info.items_skipped)),
        total: heal_info.map_or(0, |info| info.objects_total_count),
    };
    Drive {
        server: host.split('.').next().unwrap_or_default().to_owned(),
        path,
        is_online: disk.state == ONLINE,
        healing: disk.healing.then_some(healing),
        total: disk.totalspace,
        available: disk.availspace,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn drives_of_all_servers_are_listed() {
        let info = json!({"mode": "online", "servers": [
            {"state": "online", "endpoint": "t-objectstorage-0.t-objectstorage-pods.default.svc:9000",
             "version": "2025-10-15T17:29:55Z", "drives": [
                {"path": "/data1", "state": "ok", "healing": true, "totalspace": 100, "availspace": 40, "usedspace": 60,
                 "heal_info": {"items_healed": 30, "items_skipped": 5, "items_failed": 1, "objects_total_count": 1000}}]},
            {"state": "offline", "endpoint": "t-objectstorage-1.t-objectstorage-pods.default.svc:9000", "drives": [
                {"endpoint": "http://t-objectstorage-1.t-objectstorage-pods.default.svc:9000/data1", "state": "offline"}]},
        ]});
        let health = health(&serde_json::from_value(info).unwrap());
        assert_eq!(health.version.as_deref(), Some("2025-10-15T17:29:55Z"));
        let drives = health.drives.unwrap();
        assert_eq!(drives[0].server, "t-objectstorage-0");
        assert_eq!((drives[0].is_online, drives[0].available), (true, 40));
        assert_eq!(drives[0].healing, Some(Healing { restored: 35, total: 1000 }));
        assert_eq!((drives[1].is_online, drives[1].server.as_str()), (false, "t-objectstorage-1"));
        assert_eq!((drives[1].path.as_str(), drives[1].healing), ("/data1", None));
    }

    #[test]
    fn drives_alone_name_their_servers_too() {
        let info = json!({"Backend": {}, "Disks": [
            {"endpoint": "http://t-objectstorage-0.t-objectstorage-pods.default.svc:9000/data1", "path": "/data1",
             "state": "ok", "healing": true, "totalspace": 100, "availspace": 40},
            {"endpoint": "http://t-objectstorage-1.t-objectstorage-pods.default.svc:9000/data1", "state": "offline"},
            {"endpoint": "/data2", "path": "/data2", "state": "ok"},
        ]});
        let health = health_of_drives(&serde_json::from_value(info).unwrap());
        let drives = health.drives.unwrap();
        let shown = |drive: &Drive| format!("{}{} {}", drive.server, drive.path, drive.is_online);
        let shown: Vec<String> = drives.iter().map(shown).collect();
        assert_eq!(shown, ["t-objectstorage-0/data1 true", "t-objectstorage-1/data1 false", "/data2 true"]);
        assert_eq!((drives[0].healing, health.version), (Some(Healing::default()), None));
    }

    #[test]
    fn drives_beyond_the_most_are_not_kept() {
        let server = format!(r#"{{"drives": [{{}}{}]}}"#, ",{}".repeat(2 * DRIVES));
        let info = serde_json::from_str(&format!(r#"{{"servers": [{server}]}}"#)).unwrap();
        assert_eq!(health(&info).drives.unwrap().len(), 256);
    }

    #[test]
    fn answer_without_servers_has_no_drives() {
        let info = |text| health(&serde_json::from_str(text).unwrap());
        assert_eq!(info("{}").drives, Some(Vec::new()));
        assert_eq!(info(r#"{"servers": null}"#).version, None);
    }
}
