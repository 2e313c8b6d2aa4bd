//! The keys and certificates of a local cluster, and the kubeconfigs made from them.

use std::fs;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose as Purpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use time::OffsetDateTime;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const VALID: u32 = 365;
/// Leaf certificates older than this are renewed when a cluster starts.
const RENEWED_AFTER: Duration = Duration::from_secs(180 * 24 * 60 * 60);

/// An authority for one purpose, so that no client of the API server is a client of etcd.
#[derive(Debug)]
pub struct Authority {
    dir: PathBuf,
    name: &'static str,
    issuer: Issuer<'static, KeyPair>,
}

/// The subject of a certificate.
#[derive(Debug, Clone, Default)]
pub struct Subject<'a> {
    /// The common name: the user for the API server.
    pub name: &'a str,
    /// The organisation: the group for the API server.
    pub group: Option<&'a str>,
    /// The host names of a server; none for a client.
    pub hosts: &'a [&'a str],
    /// The addresses of a server.
    pub addresses: &'a [Ipv4Addr],
}

impl Authority {
    /// The authority of that name, created on first use; its key lasts as long as the cluster's state.
    pub fn open(dir: &Path, name: &'static str) -> Result<Self> {
        let key_file = dir.join(format!("{name}.key"));
        let key = if key_file.exists() {
            KeyPair::from_pem(&fs::read_to_string(&key_file)?)
                .with_context(|| format!("{} invalid: it is not a PEM key", key_file.display()))?
        } else {
            fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
            KeyPair::generate()?
        };
        let mut params = CertificateParams::default();
        params.distinguished_name = distinguished(name, None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        (params.not_before, params.not_after) = validity(10 * VALID);
        let certificate = dir.join(format!("{name}.crt"));
        if !certificate.exists() || !key_file.exists() {
            fs::write(&certificate, params.self_signed(&key)?.pem())?;
            write_secret(&key_file, &key.serialize_pem())?;
        }
        Ok(Self { dir: dir.to_owned(), name, issuer: Issuer::new(params, key) })
    }

    /// The authority's own certificate.
    pub fn certificate(&self) -> PathBuf {
        self.dir.join(format!("{}.crt", self.name))
    }

    /// The authority's key.
    pub fn key(&self) -> PathBuf {
        self.dir.join(format!("{}.key", self.name))
    }

    /// A certificate and its key, as files named `file`, renewed if they are missing or old.
    pub fn issue(&self, file: &str, subject: &Subject<'_>) -> Result<(PathBuf, PathBuf)> {
        let files = (self.dir.join(format!("{file}.crt")), self.dir.join(format!("{file}.key")));
        if is_fresh(&files.0) && files.1.exists() {
            return Ok(files);
        }
        let mut params = CertificateParams::default();
        params.distinguished_name = distinguished(subject.name, subject.group);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![Purpose::ClientAuth];
        for host in subject.hosts {
            params.subject_alt_names.push(SanType::DnsName((*host).try_into()?));
        }
        for address in subject.addresses {
            params.subject_alt_names.push(SanType::IpAddress((*address).into()));
        }
        if !params.subject_alt_names.is_empty() {
            params.extended_key_usages.push(Purpose::ServerAuth);
        }
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = validity(VALID);
        let key = KeyPair::generate()?;
        write_secret(&files.1, &key.serialize_pem())?;
        fs::write(&files.0, params.signed_by(&key, &self.issuer)?.pem())?;
        Ok(files)
    }

    /// A kubeconfig file for a client of the API server at `server`, valid for any user who may read it.
    pub fn kubeconfig(&self, file: &Path, server: &str, cluster: &str, subject: &Subject<'_>) -> Result<()> {
        let (certificate, key) = self.issue(&subject.name.replace(':', "-"), subject)?;
        let data = |path: &Path| -> Result<String> { Ok(STANDARD.encode(fs::read(path)?)) };
        let (authority, certificate, key) = (data(&self.certificate())?, data(&certificate)?, data(&key)?);
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: {cluster}\n\
             clusters:\n- name: {cluster}\n  cluster:\n    server: {server}\n    certificate-authority-data: {authority}\n\
             users:\n- name: {cluster}\n  user:\n    client-certificate-data: {certificate}\n    client-key-data: {key}\n\
             contexts:\n- name: {cluster}\n  context:\n    cluster: {cluster}\n    user: {cluster}\n"
        );
        if fs::read_to_string(file).is_ok_and(|old| old == text) {
            return Ok(());
        }
        write_secret(file, &text)
    }
}

/// The key pair that service account tokens are signed with: the private key's file, and the public key's.
pub fn signing_key(dir: &Path) -> Result<(PathBuf, PathBuf)> {
    let files = (dir.join("service-account.key"), dir.join("service-account.pub"));
    if !files.0.exists() || !files.1.exists() {
        let key = KeyPair::generate()?;
        fs::write(&files.1, key.public_key_pem())?;
        write_secret(&files.0, &key.serialize_pem())?;
    }
    Ok(files)
}

fn distinguished(name: &str, group: Option<&str>) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    if let Some(group) = group {
        distinguished.push(DnType::OrganizationName, group);
    }
    distinguished
}

fn validity(days: u32) -> (OffsetDateTime, OffsetDateTime) {
    // An hour ago: the clock of a machine that was suspended may still be set back.
    let from = SystemTime::now() - Duration::from_secs(60 * 60);
    (from.into(), (from + DAY * days).into())
}

fn is_fresh(file: &Path) -> bool {
    let made = fs::metadata(file).and_then(|metadata| metadata.modified());
    made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age < RENEWED_AFTER))
}

fn write_secret(file: &Path, text: &str) -> Result<()> {
    let new = file.with_extension("new");
    let opened = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new);
    let mut opened = opened.with_context(|| format!("cannot write {}", new.display()))?;
    opened.write_all(text.as_bytes())?;
    fs::rename(&new, file).with_context(|| format!("cannot write {}", file.display()))
}
