//! The command line of the bridge.

use std::{net::SocketAddr, num::ParseIntError, time::Duration};

use http::uri::Authority;
use temporal_stack_common::process::log;

/// The upstreams' addresses, and how to serve.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Host and port of Kubo's RPC.
    #[arg(long, env = "BRIDGE_KUBO", value_name = "HOST:PORT", value_parser = authority)]
    pub kubo: Authority,

    /// Host and port of IPFS Cluster's REST API.
    #[arg(long, env = "BRIDGE_CLUSTER", value_name = "HOST:PORT", value_parser = authority)]
    pub cluster: Authority,

    /// Where to accept calls for Kubo: one address or a comma-separated list, of which addresses that the machine does not have
    /// are ignored. Port 0 selects a free port. The bridge asks for no password, so keep it on the loopback.
    #[arg(
        long,
        env = "BRIDGE_LISTEN_KUBO",
        value_name = "ADDRESS",
        value_delimiter = ',',
        default_value = "127.0.0.1:5001,[::1]:5001"
    )]
    pub listen_kubo: Vec<SocketAddr>,

    /// Where to accept calls for IPFS Cluster, in the same way.
    #[arg(
        long,
        env = "BRIDGE_LISTEN_CLUSTER",
        value_name = "ADDRESS",
        value_delimiter = ',',
        default_value = "127.0.0.1:9094,[::1]:9094"
    )]
    pub listen_cluster: Vec<SocketAddr>,

    /// Where to serve `/livez`, `/readyz` and `/metrics`; `[::]` means every address of IPv4 and IPv6.
    #[arg(long, env = "BRIDGE_ADMIN_ADDR", value_name = "ADDRESS", default_value = "[::]:9080")]
    pub admin_addr: SocketAddr,

    /// After SIGTERM, end when no call has been in flight for this many seconds.
    ///
    /// Until then the bridge accepts calls: a program that ends at the same time may still send some. Use 0 if the bridge gets
    /// its SIGTERM after all its clients have ended, as an init container with `restartPolicy: Always` does.
    #[arg(long, env = "BRIDGE_QUIET", value_name = "SECONDS", default_value = "3", value_parser = seconds)]
    pub quiet: Duration,

    /// After SIGTERM, cut off calls that have not ended after this many seconds.
    ///
    /// Use less than the pod's `terminationGracePeriodSeconds`.
    #[arg(long, env = "BRIDGE_DRAIN_TIMEOUT", value_name = "SECONDS", default_value = "25", value_parser = seconds)]
    pub drain_timeout: Duration,

    /// The log filter: a level, or a list of `target=level` such as `info,temporal_stack_bridge=debug`.
    #[arg(long, value_name = "FILTER", env = "TEMPORAL_STACK_LOG", default_value = "info")]
    pub log_level: String,

    /// The log format: one line of text or one JSON object per event.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub log_format: log::Format,
}

fn authority(text: &str) -> Result<Authority, String> {
    let authority: Authority = text.parse().map_err(|_| "write host:port, without http:// and path".to_owned())?;
    if text.contains('@') {
        return Err("neither Kubo nor IPFS Cluster takes a login: write host:port".to_owned());
    }
    if authority.host().is_empty() || authority.port_u16().is_none_or(|port| port == 0) {
        return Err("host or port is missing: write for example ipfs:5001".to_owned());
    }
    Ok(authority)
}

fn seconds(text: &str) -> Result<Duration, ParseIntError> {
    text.parse().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        options: Options,
    }

    fn parse(arguments: &[&str]) -> Result<Options, String> {
        let arguments = ["bridge"].iter().chain(arguments).copied();
        Program::try_parse_from(arguments).map(|program| program.options).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_match_the_example_configuration() {
        let options = parse(&["--kubo=ipfs:5001", "--cluster=[fd00::1]:9094"]).unwrap();
        assert_eq!(options.kubo, "ipfs:5001");
        assert_eq!(options.cluster.host(), "[fd00::1]");
        let here = |port| ["127.0.0.1", "::1"].map(|host| SocketAddr::new(host.parse().unwrap(), port));
        assert_eq!(options.listen_kubo, here(5001));
        assert_eq!(options.listen_cluster, here(9094));
        assert_eq!(options.admin_addr, SocketAddr::from(([0; 8], 9080)));
        assert_eq!((options.quiet, options.drain_timeout), (Duration::from_secs(3), Duration::from_secs(25)));
    }

    #[test]
    fn malformed_address_is_refused_with_the_remedy() {
        for (value, remedy) in [
            ("http://ipfs:5001", "without http://"),
            ("ipfs", "ipfs:5001"),
            ("ipfs:0", "ipfs:5001"),
            (":5001", "ipfs:5001"),
            ("user@ipfs:5001", "host:port"),
            ("", "host:port"),
        ] {
            let error = parse(&["--cluster=a:1", &format!("--kubo={value}")]).unwrap_err();
            assert!(error.contains(remedy), "{value}: {error}");
        }
    }

    #[test]
    fn explanation_of_an_option_begins_once() {
        for option in Program::command().get_arguments() {
            let help = option.get_help().unwrap().to_string();
            let first = help.split(' ').next().unwrap();
            assert_eq!(help.split(' ').filter(|word| *word == first).count(), 1, "{option}: {help}");
        }
    }

    #[test]
    fn every_option_is_explained_and_has_a_variable() {
        let command = Program::command();
        for option in command.get_arguments() {
            assert!(option.get_help().is_some(), "{option}");
            assert!(option.get_env().is_some() || option.get_id() == "log_format", "{option}");
        }
    }
}
