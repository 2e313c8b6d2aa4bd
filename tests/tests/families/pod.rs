//! A pod, run by hand: what the kubelet does with a template, as far as the programs notice.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use e2e::{HANG, process::Process};
use k8s_openapi::{
    ByteString,
    api::{
        apps::v1::StatefulSet,
        core::v1::{ConfigMap, Container, PodSpec, Probe, Secret, Volume},
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{interval, timeout};

use crate::{
    image::Image,
    network::{Family, Network},
};

/// How often a probe is repeated.
const PERIOD: Duration = Duration::from_millis(250);

/// A pod whose containers run; all of it goes with this value.
pub(crate) struct Pod {
    spec: PodSpec,
    running: Vec<Process>,
    place: Place,
    // After the processes that use it.
    _folder: Folder,
}

/// What all containers of a pod share.
struct Place {
    name: String,
    family: Family,
    folder: PathBuf,
    network: Network,
    user: i64,
    group: i64,
    /// The Secrets that variables may be of.
    secrets: Vec<Secret>,
}

impl Pod {
    /// The first pod of the StatefulSet among these objects: its init containers have ended, its containers are started.
    pub(crate) async fn start(children: &[Value], family: Family) -> Result<Self> {
        let set: StatefulSet = all(children, "StatefulSet")?.pop().context("no StatefulSet")?;
        let set_spec = set.spec.context("a set without a spec")?;
        let spec = set_spec.template.spec.context("a template without a spec")?;
        let name = format!("{}-0", set.metadata.name.unwrap_or_default());
        let namespace = set.metadata.namespace.unwrap_or_default();
        let service = set_spec.service_name.unwrap_or_default();
        let names = [
            format!("{name}.{service}.{namespace}.svc.cluster.local"),
            format!("{name}.{service}.{namespace}.svc"),
            name.clone(),
        ];
        let security = spec.security_context.clone().unwrap_or_default();
        let user = security.run_as_user.context("no user")?;
        let group = security.fs_group.or(security.run_as_group).unwrap_or(user);

        let folder = Folder::new()?;
        let network = Network::new(family, &name, &folder.0).await?;
        let secrets = all(children, "Secret")?;
        let place = Place { name, family, folder: folder.0.clone(), network, user, group, secrets };
        fs::write(place.folder.join("hosts"), family.hosts(&names))?;
        let claims = set_spec.volume_claim_templates.iter().flatten().filter_map(|claim| claim.metadata.name.clone());
        for claim in claims {
            place.writable(&claim)?;
        }
        for volume in spec.volumes.iter().flatten() {
            place.make(volume, children)?;
        }
        for container in spec.init_containers.iter().flatten() {
            let process = place.run(container, None).await?;
            let said = process.lines();
            let status = process.ended().await?;
            ensure!(status.success(), "init container {} ended with {status}: {:#?}", container.name, said());
        }
        let mut running = Vec::new();
        for container in &spec.containers {
            running.push(place.run(container, None).await?);
        }
        Ok(Self { spec, running, place, _folder: folder })
    }

    /// Waits until all containers are ready by their own probes.
    pub(crate) async fn is_ready(&self) -> Result<()> {
        for (container, process) in self.spec.containers.iter().zip(&self.running) {
            let probes = [&container.startup_probe, &container.readiness_probe, &container.liveness_probe];
            for probe in probes.into_iter().flatten() {
                let what = format!("{}: {probe:?}", container.name);
                self.until(&what, process, async || self.place.probe(container, probe).await).await?;
            }
        }
        Ok(())
    }

    /// The TCP ports that its containers declare.
    pub(crate) fn declared(&self) -> Vec<u16> {
        let ports = self.spec.containers.iter().flat_map(|container| container.ports.iter().flatten());
        let tcp = ports.filter(|port| port.protocol.as_deref() != Some("UDP"));
        tcp.filter_map(|port| u16::try_from(port.container_port).ok()).collect()
    }

    /// Waits until a port of the pod's address accepts connections.
    pub(crate) async fn accepts(&self, port: u16) -> Result<()> {
        let process = self.running.first().context("a pod without containers")?;
        self.until(&format!("port {port}"), process, async || self.place.network.connect(port)).await
    }

    async fn until(&self, what: &str, process: &Process, attempt: impl AsyncFn() -> Result<()>) -> Result<()> {
        let mut last = None;
        let attempts = async {
            let mut turns = interval(PERIOD);
            loop {
                turns.tick().await;
                match attempt().await {
                    Ok(()) => return true,
                    Err(error) => last = Some(error),
                }
                if process.has_ended() {
                    return false;
                }
            }
        };
        if timeout(HANG, attempts).await == Ok(true) {
            return Ok(());
        }
        let said: Vec<Vec<String>> = self.running.iter().map(Process::said).collect();
        bail!("{what} does not come: {last:?}; the containers said {said:#?}")
    }
}

impl Place {
    /// Starts a container's program, or another command beside it: in the root of its image, with its volumes and variables and
    /// nothing else.
    async fn run(&self, container: &Container, beside: Option<&[String]>) -> Result<Process> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let image = Image::named(container.image.as_deref().unwrap_or_default()).await?;
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let termination = self.folder.join(format!("termination-{number}"));
        fs::write(&termination, "")?;
        fs::set_permissions(&termination, fs::Permissions::from_mode(0o666))?;
        let variables = self.variables(container, &image)?;
        let own = container.command.as_ref().unwrap_or(&image.entrypoint).iter().chain(container.args.iter().flatten());
        let command: Vec<&String> = beside.map_or_else(|| own.collect(), |beside| beside.iter().collect());
        let directory = container.working_dir.as_deref().unwrap_or("/");

        // The shell is the first process of a namespace, so that all others end with it.
        let root = image.root.display();
        let mut script = format!("set -e; root={root}; mount --bind $root $root\n");
        for directory in ["/proc", "/dev", "/etc"] {
            image.directory(directory)?;
        }
        let hosts = image.root.join("etc/hosts");
        if !hosts.exists() {
            fs::write(&hosts, "")?;
        }
        script.push_str(
            "mount -t proc proc $root/proc\nmount -t tmpfs -o mode=0755 tmpfs $root/dev\nmkdir $root/dev/shm\n",
        );
        script.push_str("for device in null zero full random urandom; do touch $root/dev/$device; mount --bind /dev/$device $root/dev/$device; done\n");
        script.push_str("ln -s /proc/self/fd $root/dev/fd; ln -s fd/1 $root/dev/stdout; ln -s fd/2 $root/dev/stderr; touch $root/dev/termination-log\n");
        writeln!(script, "mount --bind {} $root/dev/termination-log", termination.display())?;
        writeln!(script, "mount --bind {} $root/etc/hosts", self.folder.join("hosts").display())?;
        for mount in container.volume_mounts.iter().flatten() {
            let source = self.folder.join("volumes").join(&mount.name);
            let target = match &*mount.mount_path {
                // Of the file system that the script mounts.
                path if path.starts_with("/dev/") => format!("$root{path}"),
                path => image.directory(path)?.display().to_string(),
            };
            writeln!(script, "mount --bind {} {target}", source.display())?;
            if mount.read_only == Some(true) {
                writeln!(script, "mount -o remount,bind,ro {target}")?;
            }
        }
        // As `readOnlyRootFilesystem` has it.
        script.push_str("mount -o remount,bind,ro $root\n");
        let (user, group) = (self.user, self.group);
        writeln!(script, "chroot --userspec={user}:{group} --groups={group} $root \"$@\" &\nwait $!")?;

        let mut program = Command::new("nsenter");
        program.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        program.args(self.network.options());
        program.args(["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child"]);
        program.args(["sh", "-c", &script, "container"]);
        program.args(["env", "--ignore-environment", "--chdir", directory]);
        program.args(variables.iter().map(|(key, value)| format!("{key}={value}")));
        program.args(command.into_iter().map(|word| expanded(word, &variables)));
        Process::start(program, &self.folder.join(format!("{}-{number}.log", container.name)))
    }

    /// The variables of a container: those of its image, and its own, which may refer to each other.
    fn variables(&self, container: &Container, image: &Image) -> Result<Vec<(String, String)>> {
        let mut variables = image.variables.clone();
        for variable in container.env.iter().flatten() {
            let source = variable.value_from.as_ref();
            let field = source.and_then(|from| from.field_ref.as_ref()).map(|field| field.field_path.as_str());
            let value = match (field, source.and_then(|from| from.secret_key_ref.as_ref())) {
                (_, Some(key)) => self.secret(&key.name, &key.key)?,
                (Some("metadata.name"), None) => self.name.clone(),
                (Some("status.podIP"), None) => self.family.address().to_string(),
                _ => expanded(variable.value.as_deref().unwrap_or_default(), &variables),
            };
            variables.retain(|(name, _)| *name != variable.name);
            variables.push((variable.name.clone(), value));
        }
        Ok(variables)
    }

    fn secret(&self, name: &str, key: &str) -> Result<String> {
        let secret = self.secrets.iter().find(|secret| secret.metadata.name.as_deref() == Some(name));
        let value = secret.and_then(|secret| secret.data.as_ref()?.get(key));
        let ByteString(value) = value.with_context(|| format!("no {key} in Secret/{name}"))?;
        Ok(String::from_utf8(value.clone())?)
    }

    async fn probe(&self, container: &Container, probe: &Probe) -> Result<()> {
        let port = |port: &IntOrString| match port {
            IntOrString::Int(port) => u16::try_from(*port).context("no port"),
            IntOrString::String(name) => {
                let mut ports = container.ports.iter().flatten();
                let port = ports.find(|port| port.name.as_ref() == Some(name));
                port.and_then(|port| u16::try_from(port.container_port).ok()).with_context(|| format!("no port {name}"))
            }
        };
        if let Some(exec) = &probe.exec {
            let process = self.run(container, Some(exec.command.as_deref().unwrap_or_default())).await?;
            let said = process.lines();
            let status = process.ended().await?;
            ensure!(status.success(), "{exec:?} ended with {status}: {:?}", said());
        }
        if let Some(get) = &probe.http_get {
            self.network.get(port(&get.port)?, get.path.as_deref().unwrap_or("/"))?;
        }
        if let Some(socket) = &probe.tcp_socket {
            self.network.connect(port(&socket.port)?)?;
        }
        Ok(())
    }

    /// Makes what a volume is of.
    fn make(&self, volume: &Volume, children: &[Value]) -> Result<()> {
        let files: BTreeMap<String, Vec<u8>> = if let Some(source) = &volume.secret {
            let name = source.secret_name.as_deref().unwrap_or_default();
            let secret: Secret = named(children, "Secret", name)?.with_context(|| format!("no Secret/{name}"))?;
            secret.data.unwrap_or_default().into_iter().map(|(key, ByteString(value))| (key, value)).collect()
        } else if let Some(source) = &volume.config_map {
            let config_map: Option<ConfigMap> = named(children, "ConfigMap", &source.name)?;
            ensure!(config_map.is_some() || source.optional == Some(true), "no ConfigMap/{}", source.name);
            let data = config_map.and_then(|config_map| config_map.data).unwrap_or_default();
            data.into_iter().map(|(key, value)| (key, value.into_bytes())).collect()
        } else {
            ensure!(volume.empty_dir.is_some(), "a volume of an unknown kind: {volume:?}");
            return self.writable(&volume.name).map(drop);
        };
        let folder = self.writable(&volume.name)?;
        for (key, value) in files {
            let path = folder.join(key);
            fs::write(&path, value)?;
            self.give(&path, 0o440)?;
        }
        self.give(&folder, 0o750)
    }

    /// Makes an empty volume that the group of the pod may write to.
    fn writable(&self, volume: &str) -> Result<PathBuf> {
        let folder = self.folder.join("volumes").join(volume);
        fs::create_dir_all(&folder)?;
        self.give(&folder, 0o2777)?;
        Ok(folder)
    }

    fn give(&self, path: &Path, mode: u32) -> Result<()> {
        chown(path, Some(0), u32::try_from(self.group).ok())?;
        Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
    }
}

/// All objects of a kind.
fn all<K: DeserializeOwned>(children: &[Value], kind: &str) -> Result<Vec<K>> {
    let of_kind = children.iter().filter(|child| child["kind"] == kind);
    of_kind.map(|child| Ok(serde_json::from_value(child.clone())?)).collect()
}

fn named<K: DeserializeOwned>(children: &[Value], kind: &str, name: &str) -> Result<Option<K>> {
    let found = children.iter().find(|child| child["kind"] == kind && child["metadata"]["name"] == name);
    found.map(|child| Ok(serde_json::from_value(child.clone())?)).transpose()
}

/// A text with each `$(NAME)` replaced by what the variable says, as Kubernetes does it.
fn expanded(text: &str, variables: &[(String, String)]) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let reference = rest.strip_prefix('(').and_then(|inner| inner.split_once(')'));
        let value = reference.and_then(|(name, _)| variables.iter().find(|(key, _)| key == name));
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let (Some((_, after)), Some((_, value))) = (reference, value) {
            expanded.push_str(value);
            rest = after;
        } else {
            expanded.push('$');
        }
    }
    expanded + rest
}

/// A folder of one's own, until it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("pod-{:x}", rand::random::<u64>()));
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is in cargo's folder for that.
        let _ = fs::remove_dir_all(&self.0);
    }
}
