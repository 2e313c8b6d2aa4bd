//! Metrics of the real proxy, recorded after 25 uploads, and made to grow.
//!
//! The recordings hold the families about traffic, policies and the control plane; latencies of inbound requests are left out, as no
//! edge is read from them. They were made before each component had a ServiceAccount of its own: identities are those that they have
//! now. The namespace was `mesh`.

/// What the namespace was.
const NAMESPACE: &str = "mesh";
/// How long a proxy's certificate is valid, in seconds.
const LEAF: f64 = 86_400.0;

const API: &str = include_str!("../recorded/api.txt");
const IPFS: &str = include_str!("../recorded/ipfs.txt");
const QUEUE: &str = include_str!("../recorded/queue.txt");
const DATABASE: &str = include_str!("../recorded/database.txt");

/// The recording of one pod.
#[derive(Clone, Debug)]
pub struct Recording {
    text: String,
    is_idle: bool,
}

impl Recording {
    /// That of a pod by its labels: the component, and the role in Temporal. Who was not recorded has seen no traffic.
    pub fn new(component: &str, role: &str, namespace: &str) -> Self {
        let text = match (component, role) {
            ("temporal", "api") => Some(API),
            ("ipfs", _) => Some(IPFS),
            ("queue", _) => Some(QUEUE),
            ("database", _) => Some(DATABASE),
            _ => None,
        };
        let is_idle = text.is_none();
        let text = text.unwrap_or(DATABASE);
        let text = text.replace(&format!("\"{NAMESPACE}\""), &format!("\"{namespace}\""));
        Self { text: text.replace(&format!(".{NAMESPACE}."), &format!(".{namespace}.")), is_idle }
    }

    /// The text so many seconds after the proxy started, at this time in seconds since 1970. Counters have their recorded value at the
    /// start, and grow by it every second; what was denied stays denied once.
    pub fn at(&self, seconds: u64, now: f64) -> String {
        let mut text = String::with_capacity(self.text.len());
        for line in self.text.lines() {
            let Some(line) = self.line(line, seconds, now) else { continue };
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    fn line(&self, line: &str, seconds: u64, now: f64) -> Option<String> {
        if line.starts_with('#') {
            return Some(line.to_owned());
        }
        let (series, value) = line.rsplit_once(' ')?;
        let family = series.split('{').next().unwrap_or_default();
        let is_about_the_plane = family.starts_with("control_") || family.starts_with("process_");
        if self.is_idle && !is_about_the_plane {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "seconds of a test")]
        let start = now - seconds as f64;
        Some(match family {
            "control_identity_cert_expiration_timestamp_seconds" => format!("{series} {}", start + LEAF),
            "control_identity_cert_refresh_timestamp_seconds" | "process_start_time_seconds" => {
                format!("{series} {start}")
            }
            _ if !is_about_the_plane && grows(family) => format!("{series} {}", grown(value, seconds)),
            _ => line.to_owned(),
        })
    }
}

fn grows(family: &str) -> bool {
    let is_counter = ["_total", "_count", "_sum", "_bucket"].iter().any(|end| family.ends_with(end));
    is_counter && !family.contains("_deny_") && !family.contains("_terminate_")
}

fn grown(value: &str, seconds: u64) -> String {
    if let Ok(value) = value.parse::<u64>() {
        return value.saturating_mul(seconds.saturating_add(1)).to_string();
    }
    #[expect(clippy::cast_precision_loss, reason = "seconds of a test")]
    let factor = seconds as f64 + 1.0;
    value.parse::<f64>().map_or_else(|_| value.to_owned(), |value| (value * factor).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, start: &str) -> u64 {
        let line = text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no {start}"));
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    }

    #[test]
    fn counters_grow_by_their_recorded_value_each_second() {
        let recording = Recording::new("temporal", "api", "elsewhere");
        let series =
            "request_total{direction=\"outbound\",authority=\"temporal-ipfscluster.elsewhere.svc.cluster.local:5001\"";
        let (first, later) = (recording.at(0, 1e9), recording.at(9, 1e9));
        let one = value(&first, series);
        assert!(one > 0);
        assert_eq!(value(&later, series), 10 * one);
    }

    #[test]
    fn recording_names_only_the_pods_own_namespace() {
        for (component, role) in [("temporal", "api"), ("ipfs", ""), ("queue", ""), ("database", "")] {
            let text = Recording::new(component, role, "elsewhere").at(0, 1e9);
            assert!(!text.contains(".mesh.") && !text.contains("\"mesh\""), "{component}");
            assert!(text.contains("control_identity_cert_expiration_timestamp_seconds 1000086400"), "{component}");
        }
    }

    #[test]
    fn denials_stay_as_they_were() {
        let recording = Recording::new("ipfs", "", "mesh");
        let deny = "inbound_http_authz_deny_total{";
        assert_eq!(value(&recording.at(0, 1e9), deny), value(&recording.at(5, 1e9), deny));
    }

    #[test]
    fn pod_that_was_not_recorded_has_no_traffic() {
        let text = Recording::new("temporal", "krab", "mesh").at(3, 1e9);
        assert!(text.contains("control_identity_cert_refreshes_total"));
        assert!(!text.contains("\nrequest_total{") && !text.contains("\ntcp_open_total{"));
    }
}
