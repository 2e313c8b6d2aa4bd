//! The arguments that all controllers share.

use std::{net::SocketAddr, num::ParseIntError, time::Duration};

use clap::builder::NonEmptyStringValueParser;

use super::log;

/// How a controller process runs; flattened into each controller's own arguments.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Process")]
// The name of its group would collide with that of other structs called `Args`.
#[group(skip)]
pub struct Args {
    /// What to log: a level, or a list of `target=level` such as `info,kube=debug`.
    #[arg(long, value_name = "FILTER", env = "TEMPORAL_STACK_LOG", default_value = "info")]
    pub log_level: String,

    /// How to log: one line of text or one JSON object per event.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub log_format: log::Format,

    /// Where to serve `/livez`, `/readyz` and `/metrics`; port 0 takes a free one, and `[::]` is every IPv4 and IPv6 address.
    #[arg(long, value_name = "ADDRESS", default_value = "[::]:8080")]
    pub admin_addr: SocketAddr,

    /// Serve the custom resources of this namespace only; repeat it or separate several by commas.
    ///
    /// Without it the whole cluster is served, which requires a `ClusterRole`; with it a `Role` in each namespace suffices.
    #[arg(long, value_name = "NAMESPACE", value_delimiter = ',')]
    pub namespace: Vec<String>,

    /// Whether to wait for this controller's Lease before changing anything.
    ///
    /// `off` is for running from a shell, when no other instance serves the same objects.
    #[arg(long, value_enum, value_name = "WHETHER", default_value_t)]
    pub lease: LeaseMode,

    /// The namespace of the Lease; by default the pod's own, or outside a cluster that of the kubeconfig's context.
    ///
    /// Only one of the instances that share it leads, whatever they serve: instances for different namespaces need different ones.
    #[arg(long, value_name = "NAMESPACE", value_parser = NonEmptyStringValueParser::new())]
    pub lease_namespace: Option<String>,

    /// How many seconds running passes may take to end after SIGTERM before they are cancelled.
    ///
    /// Keep it 5 s below the pod's `terminationGracePeriodSeconds`, so that time remains to release the Lease.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub drain_timeout: Duration,

    /// The context of the kubeconfig to use; its current one by default.
    ///
    /// The kubeconfig is found as by kubectl, through `KUBECONFIG` or in `~/.kube/config`. Without a kubeconfig and without this
    /// option, the pod's service account is used.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
}

impl Args {
    /// Which namespaces `--namespace` asks for; blank entries count as absent.
    pub fn scope(&self) -> Scope {
        let mut namespaces: Vec<String> = self
            .namespace
            .iter()
            .map(|namespace| namespace.trim().to_owned())
            .filter(|namespace| !namespace.is_empty())
            .collect();
        namespaces.sort();
        namespaces.dedup();
        if namespaces.is_empty() { Scope::Cluster } else { Scope::Namespaces(namespaces) }
    }
}

/// Which namespaces a controller serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of them, including future ones.
    Cluster,
    /// These, sorted and each once; never empty.
    Namespaces(Vec<String>),
}

/// Whether a controller takes turns with others of its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LeaseMode {
    /// It leads only while it holds its Lease.
    #[default]
    On,
    /// It leads at once.
    Off,
}

fn seconds(text: &str) -> Result<Duration, ParseIntError> {
    text.parse().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    /// Looks after something.
    #[derive(Debug, Parser)]
    struct Controller {
        #[command(flatten)]
        process: Args,
    }

    fn parse(arguments: &[&str]) -> Args {
        let arguments = std::iter::once("controller").chain(arguments.iter().copied());
        Controller::try_parse_from(arguments).unwrap().process
    }

    #[test]
    fn no_argument_is_needed_in_a_pod() {
        let args = parse(&[]);
        assert_eq!(args.log_format, log::Format::Plain);
        assert_eq!(args.admin_addr, SocketAddr::from(([0; 8], 8080)));
        assert_eq!(args.scope(), Scope::Cluster);
        assert_eq!(args.lease, LeaseMode::On);
        assert_eq!(args.lease_namespace, None);
        assert_eq!(args.drain_timeout, Duration::from_secs(10));
        assert_eq!(args.context, None);
    }

    #[test]
    fn deployed_policies_open_only_the_admin_port() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/controllers");
        let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
        let port = format!("port: {}}}", parse(&[]).admin_addr.port());
        for name in ["database", "queue", "ipfs", "storage", "temporal"] {
            let policy = read(&format!("{name}/network-policy.yaml"));
            let pods = format!("podSelector:\n    matchLabels:\n      app.kubernetes.io/name: {name}-controller\n");
            let label = format!("app.kubernetes.io/name: {name}-controller\n");
            assert!(policy.contains(&pods) && read(&format!("{name}/deployment.yaml")).contains(&label), "{policy}");
            assert!(policy.matches("port:").count() == 1 && policy.contains(&port), "{policy}");
            assert!(policy.contains("namespaceSelector:"), "{policy}");
            assert!(read(&format!("{name}/kustomization.yaml")).contains("- network-policy.yaml\n"));
            assert!(read("kustomization.yaml").contains(&format!("- {name}/network-policy.yaml\n")));
        }
    }

    #[test]
    fn repeated_and_listed_namespaces_are_read() {
        let args = parse(&["--namespace", "b,a", "--namespace=b", "--namespace", "c"]);
        let namespaces = ["a", "b", "c"].map(String::from).to_vec();
        assert_eq!(args.scope(), Scope::Namespaces(namespaces));
    }

    #[test]
    fn blank_namespace_counts_as_absent() {
        assert_eq!(parse(&["--namespace="]).scope(), Scope::Cluster);
    }

    #[test]
    fn other_arguments_are_read_as_documented() {
        let args = parse(&["--log-format=json", "--lease=off", "--drain-timeout=3", "--admin-addr=127.0.0.1:0"]);
        assert_eq!(args.log_format, log::Format::Json);
        assert_eq!(args.lease, LeaseMode::Off);
        assert_eq!(args.drain_timeout, Duration::from_secs(3));
        assert_eq!(args.admin_addr, SocketAddr::from(([127, 0, 0, 1], 0)));
    }

    #[test]
    fn every_option_is_explained() {
        use clap::CommandFactory;
        let command = Controller::command();
        assert_eq!(command.get_about().unwrap().to_string(), "Looks after something");
        for option in command.get_arguments() {
            assert!(option.get_help().is_some(), "{option}");
        }
    }
}
