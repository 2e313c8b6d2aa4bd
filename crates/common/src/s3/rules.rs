//! What a bucket does with its objects in time: object lock and expiration.

use super::{client::Client, code::Code, failure::Failure, xml::Element};
use crate::http::Method;

/// The ID of our lifecycle rule; rules with other IDs are kept.
const RULE: &str = "temporal-stack-expiration";
/// The most bytes of lifecycle rules: some two hundred.
const RULES: usize = 64 << 10;
const DAYS_OF_A_YEAR: u32 = 365;

/// How new objects of a bucket are locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Who may remove them earlier.
    pub mode: Mode,
    /// For how many days.
    pub days: u32,
}

/// Whether and how a bucket locks objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locking {
    /// It was created without object lock.
    Off,
    /// It was created with object lock, and has this rule.
    On(Option<Lock>),
}

/// Who may remove locked objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Those with a special permission.
    Governance,
    /// Nobody.
    Compliance,
}

impl Mode {
    /// As S3 writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Governance => "GOVERNANCE",
            Self::Compliance => "COMPLIANCE",
        }
    }
}

type Result<T> = std::result::Result<T, Failure>;

impl Client {
    /// How the bucket locks new objects; `None` if it does not.
    pub async fn lock(&self, bucket: &str) -> Result<Option<Lock>> {
        match self.locking(bucket).await? {
            Locking::Off => Ok(None),
            Locking::On(lock) => Ok(lock),
        }
    }

    /// Whether the bucket can lock objects, and how it locks new ones.
    pub async fn locking(&self, bucket: &str) -> Result<Locking> {
        let answer = match self.call(Self::on_bucket(Method::GET, bucket, "object-lock")).await {
            Ok(answer) => answer,
            Err(failure) if failure.is(&Code::ObjectLockConfigurationNotFoundError) => return Ok(Locking::Off),
            Err(failure) => return Err(failure),
        };
        let document = self.document(&answer)?;
        let Some(rule) = document.child("Rule").and_then(|rule| rule.child("DefaultRetention")) else {
            return Ok(Locking::On(None));
        };
        let mode =
            [Mode::Governance, Mode::Compliance].into_iter().find(|mode| rule.text("Mode") == Some(mode.as_str()));
        let number = |name| rule.text(name).and_then(|text| text.parse::<u32>().ok());
        let days = number("Days").or_else(|| number("Years").map(|years| years.saturating_mul(DAYS_OF_A_YEAR)));
        match (mode, days) {
            (Some(mode), Some(days)) => Ok(Locking::On(Some(Lock { mode, days }))),
            _ => Err(self.unreadable(&answer, "the default retention has no valid mode or duration")),
        }
    }

    /// Sets how the bucket locks new objects: only a bucket that was created with object lock accepts it.
    pub async fn set_lock(&self, bucket: &str, lock: &Lock) -> Result<()> {
        let retention = [Element::leaf("Mode", lock.mode.as_str()), Element::leaf("Days", lock.days)];
        let rule = Element::new("Rule", [Element::new("DefaultRetention", retention)]);
        let document = Element::new("ObjectLockConfiguration", [Element::leaf("ObjectLockEnabled", "Enabled"), rule]);
        self.send_xml(Self::on_bucket(Method::PUT, bucket, "object-lock"), &document).await?;
        Ok(())
    }

    /// After how many days our rule removes objects; `None` without such a rule.
    pub async fn expiration(&self, bucket: &str) -> Result<Option<u32>> {
        let rules = self.rules(bucket).await?;
        let ours = rules.iter().find(|rule| is_ours(rule) && rule.text("Status") == Some("Enabled"));
        let days = ours.and_then(|rule| rule.child("Expiration")).and_then(|expiration| expiration.text("Days"));
        Ok(days.and_then(|days| days.parse().ok()))
    }

    /// Sets or removes our rule: objects go after so many days, and versions as many days after they were replaced.
    pub async fn set_expiration(&self, bucket: &str, days: Option<u32>) -> Result<()> {
        let before = self.rules(bucket).await?;
        let mut rules: Vec<Element> = before.iter().filter(|rule| !is_ours(rule)).cloned().collect();
        if days.is_none() && rules.len() == before.len() {
            return Ok(());
        }
        rules.extend(days.map(rule));
        let on_bucket = |method| Self::on_bucket(method, bucket, "lifecycle");
        if rules.is_empty() {
            self.call(on_bucket(Method::DELETE)).await?;
        } else {
            self.send_xml(on_bucket(Method::PUT), &Element::new("LifecycleConfiguration", rules)).await?;
        }
        Ok(())
    }

    async fn rules(&self, bucket: &str) -> Result<Vec<Element>> {
        match self.call(Self::on_bucket(Method::GET, bucket, "lifecycle").with_limit(RULES)).await {
            Ok(answer) => Ok(self.document(&answer)?.children_named("Rule").cloned().collect()),
            Err(failure) if failure.is(&Code::NoSuchLifecycleConfiguration) => Ok(Vec::new()),
            Err(failure) => Err(failure),
        }
    }
}

fn is_ours(rule: &Element) -> bool {
    rule.text("ID") == Some(RULE)
}

fn rule(days: u32) -> Element {
    Element::new(
        "Rule",
        [
            Element::leaf("ID", RULE),
            Element::leaf("Status", "Enabled"),
            Element::new("Filter", [Element::leaf("Prefix", "")]),
            Element::new("Expiration", [Element::leaf("Days", days)]),
            Element::new("NoncurrentVersionExpiration", [Element::leaf("NoncurrentDays", days)]),
        ],
    )
}
