//! Next steps with a stack that is Ready: addresses and commands that work where `up` was run.

use std::fmt::Write as _;

use super::DATA;
use super::access::{BINDING, Service};
use super::facts::{Facts, HttpServer};
use super::objects::ADMIN;
use crate::deploy::STAND_IN;

impl Facts {
    /// The directions.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut add = |paragraph: String| {
            // Writing to a String cannot fail.
            writeln!(text, "{}\n", paragraph.trim_end()).ok();
        };
        if self.image.contains(STAND_IN) {
            add(format!(
                "Stand-in: {} runs in the place of Temporal, because no\n\
                 registry of packages has Temporal's image. To use it: cargo xtask up --image temporal=REF",
                self.image
            ));
        }
        if !self.first.is_empty() {
            add(format!("Use kubectl with this cluster:\n{}", indented(&self.first)));
        }
        add(self.addresses());
        add(format!("Check that the API answers:\n{}", indented(&self.call())));
        add(format!("Print the password of the first account, {}:\n{}", self.admin, indented(&[self.password()])));
        let (kubectl, kinds, namespace) = (&self.kubectl, &self.data_kinds, &self.namespace);
        add(format!(
            "Back up these Secrets and ConfigMaps together with the volumes, which cannot be used without them:\n{}",
            indented(&self.kept)
        ));
        let list = format!("{kubectl} get {kinds} --namespace {namespace} \\\n        {DATA}");
        add(format!("List all data:\n{}", indented(&[list])));
        text
    }

    fn addresses(&self) -> String {
        let named = [("Temporal's API", "", Some(&self.api)), ("IPFS gateway", "/ipfs/CID", self.gateway.as_ref())];
        let named = named.into_iter().filter_map(|(name, path, server)| Some((name, path, server?)));
        let line = |(name, path, server): (&str, &str, &HttpServer)| match &server.address {
            Some(address) => format!("    {name:<18}{}://{address}{path}", server.url.scheme()),
            None => format!("    {name:<18}{}", self.forward(server)),
        };
        let lines: Vec<String> = named.map(line).collect();
        let title = if self.api.address.is_some() {
            "Addresses on this machine:"
        } else {
            "Addresses, through these commands:"
        };
        format!("{title}\n{}", lines.join("\n"))
    }

    fn forward(&self, server: &HttpServer) -> String {
        let Some(Service { name, namespace, port }) = Service::from_url(&server.url) else {
            return server.url.to_string();
        };
        format!("{} port-forward --namespace {namespace} service/{name} {port} &", self.kubectl)
    }

    /// A call of the API. The controller's certificate is for these addresses, too.
    fn call(&self) -> Vec<String> {
        let Self { kubectl, namespace, api, .. } = self;
        let base = match (&api.address, Service::from_url(&api.url)) {
            (Some(address), _) => format!("{}://{address}", api.url.scheme()),
            (None, Some(Service { port, .. })) => format!("{}://localhost:{port}", api.url.scheme()),
            (None, None) => api.url.as_str().trim_end_matches('/').to_owned(),
        };
        if api.url.scheme() != "https" {
            return vec![format!("curl -H 'X-Forwarded-Proto: https' {base}/v2/systems/check")];
        }
        if !self.has_ca {
            return vec![format!("curl {base}/v2/systems/check")];
        }
        let ca = format!("{kubectl} get secret {BINDING} --namespace {namespace}");
        vec![
            format!("{ca} -o jsonpath='{{.data.ca\\.crt}}' | base64 -d > temporal-ca.crt"),
            format!("curl --cacert temporal-ca.crt {base}/v2/systems/check"),
        ]
    }

    fn password(&self) -> String {
        let (kubectl, namespace) = (&self.kubectl, &self.namespace);
        format!("{kubectl} get secret {ADMIN} --namespace {namespace} -o jsonpath='{{.data.password}}' | base64 -d")
    }
}

fn indented(lines: &[String]) -> String {
    lines.iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        let server =
            |url: &str, address: &str| HttpServer { url: url.parse().unwrap(), address: Some(address.to_owned()) };
        Facts {
            first: vec!["export KUBECONFIG=/node/admin.kubeconfig".to_owned()],
            kubectl: "kubectl".to_owned(),
            namespace: "default".to_owned(),
            image: "localhost/temporal-stack/temporal-stand-in:0.1.0".to_owned(),
            api: server("https://temporal-api.default.svc:6767", "10.96.0.7:6767"),
            has_ca: true,
            gateway: Some(server("http://temporal-gateway.default.svc:8080", "10.96.0.8:8080")),
            admin: "admin".to_owned(),
            data_kinds: super::super::ALL_DATA.to_owned(),
            kept: ["Secret/temporal-krab", "Secret/temporal-cookie", "ConfigMap/temporal-members"]
                .map(str::to_owned)
                .to_vec(),
        }
    }

    #[test]
    fn local_node_has_addresses_of_services() {
        let text = facts().text();
        assert!(text.contains("https://10.96.0.7:6767\n"), "{text}");
        assert!(text.contains("http://10.96.0.8:8080/ipfs/CID\n"), "{text}");
        let call = "curl --cacert temporal-ca.crt https://10.96.0.7:6767/v2/systems/check\n";
        assert!(text.contains(call), "{text}");
        assert!(
            text.contains("    Secret/temporal-krab\n    Secret/temporal-cookie\n    ConfigMap/temporal-members\n"),
            "{text}"
        );
    }

    #[test]
    fn all_data_are_listed_by_one_command() {
        let text = facts().text();
        assert!(text.contains("get persistentvolumeclaims,secrets,configmaps "), "{text}");
        assert!(text.contains("Back up these Secrets and ConfigMaps"), "{text}");
    }

    #[test]
    fn stand_in_is_named_first() {
        assert!(facts().text().starts_with("Stand-in: "));
        let real = Facts { image: "rtradetech/temporal:v2.8.0".to_owned(), ..facts() };
        assert!(!real.text().contains("Stand-in"));
    }

    #[test]
    fn other_cluster_has_forwarded_ports() {
        let mut facts = Facts { kubectl: "kubectl --context far".to_owned(), first: Vec::new(), ..facts() };
        facts.api.address = None;
        let text = facts.text();
        let forward = "kubectl --context far port-forward --namespace default service/temporal-api 6767 &";
        assert!(text.contains(forward), "{text}");
        assert!(text.contains(" https://localhost:6767/v2/systems/check\n"), "{text}");
        assert!(!text.contains("export KUBECONFIG"), "{text}");
    }

    #[test]
    fn api_without_tls_gets_the_forwarded_header() {
        let mut facts = facts();
        facts.api.url = "http://temporal-api.default.svc:6767".parse().unwrap();
        let text = facts.text();
        assert!(text.contains("-H 'X-Forwarded-Proto: https' http://10.96.0.7:6767/v2"), "{text}");
        assert!(!text.contains("ca.crt"), "{text}");
    }
}
