//! The certificate of a proxy, as its metrics have it.
//!
//! A proxy asks for the next one when 70 % of the time have passed, and again until it gets one. So a certificate that is much older
//! shows that the identity service does not sign, or that the proxy does not reach it, long before connections fail.

use k8s_openapi::jiff::Timestamp;

use super::text::{Line, believed, parse};

/// The metric with its end, in recent and in earlier releases.
const EXPIRES: [&str; 2] =
    ["control_identity_cert_expiration_timestamp_seconds", "identity_cert_expiration_timestamp_seconds"];
/// The metric with the time at which it was issued; earlier releases have none.
const REFRESHED: &str = "control_identity_cert_refresh_timestamp_seconds";
/// From this part of its time on, in percent, a certificate should have been renewed.
const LATE: f64 = 85.0;

/// The certificate of a proxy, in seconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Leaf {
    expires: Option<f64>,
    refreshed: Option<f64>,
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    /// It should have been renewed.
    Late,
    /// It has expired.
    Expired,
}

impl Leaf {
    /// A certificate that was issued then.
    #[cfg(test)]
    pub(crate) fn new(refreshed: Option<Timestamp>, expires: Timestamp) -> Self {
        let seconds = |time: Timestamp| time.as_duration().as_secs_f64();
        Self { expires: Some(seconds(expires)), refreshed: refreshed.map(seconds) }
    }

    /// Takes what a line says of it; `None` if the line is about something else.
    pub(super) fn read(&mut self, name: &[u8], line: &[u8]) -> Option<()> {
        let place = if EXPIRES.iter().any(|known| known.as_bytes() == name) {
            &mut self.expires
        } else if name == REFRESHED.as_bytes() {
            &mut self.refreshed
        } else {
            return None;
        };
        if let Line::Value(_, value) = parse(line) {
            *place = believed(value);
        }
        Some(())
    }

    /// What is wrong with it at this time.
    pub(crate) fn trouble(&self, now: Timestamp) -> Option<Trouble> {
        let (now, expires) = (now.as_duration().as_secs_f64(), self.expires?);
        // A proxy that has no certificate yet reports zero.
        if expires <= 0.0 {
            return None;
        }
        if expires <= now {
            return Some(Trouble::Expired);
        }
        let refreshed = self.refreshed.filter(|refreshed| (1.0..expires).contains(refreshed))?;
        let late = refreshed + (expires - refreshed) * LATE / 100.0;
        (now >= late).then_some(Trouble::Late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn leaf(lines: &[&str]) -> Leaf {
        let mut leaf = Leaf::default();
        for line in lines {
            let _ = leaf.read(super::super::text::name(line.as_bytes()), line.as_bytes());
        }
        leaf
    }

    #[test]
    fn certificate_is_late_some_time_after_it_should_have_been_renewed() {
        let leaf = Leaf::new(Some(at("2026-11-29T12:00:00Z")), at("2026-11-30T12:00:00Z"));
        for (now, trouble) in [
            ("2026-11-29T12:00:00Z", None),
            // When it is renewed, and what a slow control plane may take.
            ("2026-11-30T04:48:00Z", None),
            ("2026-11-30T08:00:00Z", None),
            ("2026-11-30T08:30:00Z", Some(Trouble::Late)),
            ("2026-11-30T12:00:00Z", Some(Trouble::Expired)),
        ] {
            assert_eq!(leaf.trouble(at(now)), trouble, "{now}");
        }
    }

    #[test]
    fn release_without_the_time_of_issue_is_only_seen_to_expire() {
        let leaf = leaf(&["identity_cert_expiration_timestamp_seconds 1795996138.0"]);
        assert_eq!(leaf.trouble(at("2026-11-29T20:00:00Z")), None);
        assert_eq!(leaf.trouble(at("2026-12-01T00:00:00Z")), Some(Trouble::Expired));
    }

    #[test]
    fn nonsense_is_no_trouble() {
        let now = at("2026-11-30T12:00:00Z");
        let expires = "control_identity_cert_expiration_timestamp_seconds";
        for lines in [
            vec![],
            vec![format!("{expires} 0")],
            vec![format!("{expires} NaN")],
            vec![format!("{expires} -5")],
            vec![format!("{expires} 4e9"), format!("{REFRESHED} 5e9")],
            vec![format!("{expires} 4e9"), format!("{REFRESHED} 0")],
        ] {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            assert_eq!(leaf(&lines).trouble(now), None, "{lines:?}");
        }
    }
}
