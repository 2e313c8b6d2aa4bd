//! What a user does next with a stack that is Ready: lines to read, and commands to copy that work from where `up` was typed.

use std::fmt::Write as _;

use super::DATA;
use super::access::{BINDING, Service};
use super::facts::{Facts, Place};
use super::objects::ADMIN;
use crate::deploy::STAND_IN;

impl Facts {
    /// The directions.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut say = |paragraph: String| {
            // A String takes whatever is written.
            writeln!(text, "{}\n", paragraph.trim_end()).ok();
        };
        if self.image.contains(STAND_IN) {
            say(format!(
                "This is not Temporal itself: {} stands in for it, because no registry of packages\n\
                 has Temporal's image. `cargo xtask up --image temporal=REF` uses the real one.",
                self.image
            ));
        }
        if !self.first.is_empty() {
            say(format!("For kubectl:\n{}", indented(&self.first)));
        }
        say(self.addresses());
        say(format!("Ask it whether it is there:\n{}", indented(&self.call())));
        say(format!("The password of the first account, {}:\n{}", self.admin, indented(&[self.password()])));
        let (kubectl, namespace) = (&self.kubectl, &self.namespace);
        say(format!(
            "Back up these Secrets together with the volumes, which cannot be opened without them:\n{}",
            indented(&self.secrets)
        ));
        let list = format!("{kubectl} get persistentvolumeclaims,secrets --namespace {namespace} \\\n        {DATA}");
        say(format!("All that is data:\n{}", indented(&[list])));
        text
    }

    fn addresses(&self) -> String {
        let named = [("Temporal's API", "", Some(&self.api)), ("the IPFS gateway", "/ipfs/CID", self.gateway.as_ref())];
        let named = named.into_iter().filter_map(|(name, path, place)| Some((name, path, place?)));
        let line = |(name, path, place): (&str, &str, &Place)| match &place.address {
            Some(address) => format!("    {name:<18}{}://{address}{path}", place.url.scheme()),
            None => format!("    {name:<18}{}", self.forward(place)),
        };
        let lines: Vec<String> = named.map(line).collect();
        let title =
            if self.api.address.is_some() { "Reached from this machine:" } else { "Reached from here through:" };
        format!("{title}\n{}", lines.join("\n"))
    }

    fn forward(&self, place: &Place) -> String {
        let Some(Service { name, namespace, port }) = Service::of(&place.url) else { return place.url.to_string() };
        format!("{} port-forward --namespace {namespace} service/{name} {port} &", self.kubectl)
    }

    /// A call of the API. The certificate that the controller makes is for these addresses, too.
    fn call(&self) -> Vec<String> {
        let Self { kubectl, namespace, api, .. } = self;
        let base = match (&api.address, Service::of(&api.url)) {
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
        let place = |url: &str, address: &str| Place { url: url.parse().unwrap(), address: Some(address.to_owned()) };
        Facts {
            first: vec!["export KUBECONFIG=/node/admin.kubeconfig".to_owned()],
            kubectl: "kubectl".to_owned(),
            namespace: "default".to_owned(),
            image: "localhost/temporal-stack/temporal-stand-in:0.1.0".to_owned(),
            api: place("https://temporal-api.default.svc:6767", "10.96.0.7:6767"),
            has_ca: true,
            gateway: Some(place("http://temporal-gateway.default.svc:8080", "10.96.0.8:8080")),
            admin: "admin".to_owned(),
            secrets: vec!["temporal-krab".to_owned(), "temporal-cookie".to_owned()],
        }
    }

    #[test]
    fn on_the_node_services_are_reached_by_their_addresses() {
        let text = facts().text();
        assert!(text.contains("https://10.96.0.7:6767\n"), "{text}");
        assert!(text.contains("http://10.96.0.8:8080/ipfs/CID\n"), "{text}");
        let call = "curl --cacert temporal-ca.crt https://10.96.0.7:6767/v2/systems/check\n";
        assert!(text.contains(call), "{text}");
        assert!(text.contains("    temporal-krab\n    temporal-cookie\n"), "{text}");
    }

    #[test]
    fn that_something_stands_in_for_temporal_is_said_first() {
        assert!(facts().text().starts_with("This is not Temporal itself"));
        let real = Facts { image: "rtradetech/temporal:v2.8.0".to_owned(), ..facts() };
        assert!(!real.text().contains("stands in"));
    }

    #[test]
    fn elsewhere_ports_are_forwarded() {
        let mut facts = Facts { kubectl: "kubectl --context far".to_owned(), first: Vec::new(), ..facts() };
        facts.api.address = None;
        let text = facts.text();
        let forward = "kubectl --context far port-forward --namespace default service/temporal-api 6767 &";
        assert!(text.contains(forward), "{text}");
        assert!(text.contains(" https://localhost:6767/v2/systems/check\n"), "{text}");
        assert!(!text.contains("export KUBECONFIG"), "{text}");
    }

    #[test]
    fn without_tls_the_header_says_that_something_before_it_speaks_tls() {
        let mut facts = facts();
        facts.api.url = "http://temporal-api.default.svc:6767".parse().unwrap();
        let text = facts.text();
        assert!(text.contains("-H 'X-Forwarded-Proto: https' http://10.96.0.7:6767/v2"), "{text}");
        assert!(!text.contains("ca.crt"), "{text}");
    }
}
