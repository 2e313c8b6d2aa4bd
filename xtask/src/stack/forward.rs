//! `kubectl port-forward`, for as long as it is needed.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Stdio};

use anyhow::{Context as _, Result};

use crate::kubectl::Kubectl;

/// A port of this machine that leads to a Service; it is closed when this is dropped.
#[derive(Debug)]
pub struct Forward {
    child: Child,
    /// Where to connect.
    pub address: SocketAddr,
}

impl Forward {
    /// Opens a port that leads to a Service's.
    pub fn open(kubectl: &Kubectl, namespace: &str, service: &str, port: u16) -> Result<Self> {
        let mut command = kubectl.process();
        command.args(["port-forward", "--address=127.0.0.1", "--namespace", namespace]);
        command.args([format!("service/{service}"), format!(":{port}")]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().context("cannot start kubectl port-forward")?;
        let mut lines = BufReader::new(child.stdout.take().context("kubectl port-forward has no output")?).lines();
        let line = lines.next().transpose()?;
        let local = line.as_deref().and_then(local_port);
        let Some(local) = local else {
            child.kill().ok();
            child.wait().ok();
            anyhow::bail!(
                "kubectl port-forward failed: it opened no port to Service/{service} in namespace {namespace}"
            );
        };
        // It prints a line for each connection, and ends if its output is closed.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, address: SocketAddr::from((Ipv4Addr::LOCALHOST, local)) })
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The port in `Forwarding from 127.0.0.1:40123 -> 6767`.
fn local_port(line: &str) -> Option<u16> {
    line.strip_prefix("Forwarding from 127.0.0.1:")?.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubectl_line_has_the_port() {
        assert_eq!(local_port("Forwarding from 127.0.0.1:40123 -> 6767"), Some(40123));
        assert_eq!(local_port("error: unable to forward port"), None);
    }
}
