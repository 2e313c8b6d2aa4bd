//! Input of users: text of ConfigMaps and Secrets, and the Secrets that describe external servers.
//!
//! * **Text is cleaned once, here.** `echo` appends a line break, editors prepend a byte order mark: both are removed and
//!   reported. Characters that no host, login or password can contain (line breaks, NUL, bytes that are not UTF-8) are refused.
//! * **Common spellings of a key are read** (`SPELLINGS`), because other operators, charts and clouds write these Secrets. The
//!   first of these with a value is used: the key itself, its other spellings in the order of the list, the `uri`. Another value
//!   that differs is reported.
//! * **All errors are reported at once**, with the keys that were found. Values are never reported.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};

mod spellings;
mod text;

pub use text::{Text, clean};

use self::spellings::SPELLINGS;
use crate::{
    address,
    component::Stalled,
    condition::{CONFIG_HONOURED, Statement, reason},
    message::as_written,
};

/// How many keys of a Secret a message lists.
const LISTED: usize = 10;
/// How many spellings of one key are read: a Secret has one or two, but may have tens of thousands, whose remarks would be compared
/// with each other.
const MOST_SPELLINGS: usize = 8;

/// The values of a Secret as text; [`clean`] refuses those that are not UTF-8.
pub fn texts(secret: &Secret) -> BTreeMap<String, String> {
    let data = secret.data.iter().flatten();
    data.map(|(key, value)| (key.clone(), String::from_utf8_lossy(&value.0).into_owned())).collect()
}

/// The values of a ConfigMap as text, including those that `kubectl` stores as binary because of their encoding.
pub fn texts_of_map(map: ConfigMap) -> BTreeMap<String, String> {
    let binary = map.binary_data.into_iter().flatten();
    let binary = binary.map(|(key, value)| (key, String::from_utf8_lossy(&value.0).into_owned()));
    binary.chain(map.data.into_iter().flatten()).collect()
}

/// A Secret that the user named in the spec, while it is being read.
pub struct Given<'a> {
    name: &'a str,
    texts: BTreeMap<String, String>,
    /// The parts of the `uri`, by key.
    uri: BTreeMap<&'static str, String>,
    missing: Vec<&'static str>,
    wrong: Vec<String>,
    remarks: Vec<String>,
}

impl fmt::Debug for Given<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The result of reading a user's Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome<T> {
    /// Its content, or the error.
    pub read: Result<T, Stalled>,
    /// Values that are not used as written, a sentence each.
    pub remarks: Vec<String>,
}

/// Reads the Secret `name`, which the spec names in `field`. `keys` lists its keys for messages. `take` reads the values.
pub fn read<T>(
    field: &str,
    name: &str,
    secret: Option<&Secret>,
    keys: &str,
    take: impl FnOnce(&mut Given<'_>) -> Option<T>,
) -> Outcome<T> {
    let Some(secret) = secret else {
        let message = format!("{field}: Secret/{name} does not exist; create it with {keys}");
        return Outcome { read: Err(Stalled { reason: reason::SECRET_MISSING, message }), remarks: Vec::new() };
    };
    let mut given = Given {
        name,
        texts: texts(secret),
        uri: BTreeMap::new(),
        missing: Vec::new(),
        wrong: Vec::new(),
        remarks: Vec::new(),
    };
    let taken = take(&mut given);
    let read = match (taken, given.problems()) {
        (Some(taken), None) => Ok(taken),
        (_, problems) => {
            let problems = problems.unwrap_or_else(|| format!("incomplete; create it with {keys}"));
            let message = format!("Secret/{name}, named in {field}: {problems}");
            Err(Stalled { reason: reason::SECRET_INCOMPLETE, message })
        }
    };
    Outcome { read, remarks: given.remarks }
}

impl<T> Outcome<T> {
    /// Its content or the error, and the condition `ConfigHonoured` of an object whose provider it describes. `unused` lists the
    /// settings of the user that do not apply to an external server.
    pub fn into_result(self, secret: &str, unused: &[String]) -> (Result<T, Stalled>, Statement) {
        let mut remarks = self.remarks;
        if !unused.is_empty() {
            remarks.push(format!("ignored, because Secret/{secret} describes the server: {}", unused.join(", ")));
        }
        match self.read {
            Err(obstacle) => {
                let message = format!("Secret/{secret} cannot be used; see the condition Stalled");
                (Err(obstacle), Statement::fails(CONFIG_HONOURED, reason::REFUSED, message))
            }
            Ok(read) => {
                let source = format!("Secret/{secret}");
                (Ok(read), Statement::honoured(&format!("{source}: "), &[], &remarks, as_written(&source)))
            }
        }
    }
}

impl Given<'_> {
    /// Reads the `uri`, if it exists; its parts replace absent keys. `parse` splits it into parts, by key, or returns the error,
    /// which must not repeat the text, because it contains the password. `true` if it could be read.
    pub fn uri(
        &mut self,
        parse: impl FnOnce(&str) -> Result<BTreeMap<&'static str, String>, String>,
    ) -> Result<bool, String> {
        let Some(written) = self.written("uri") else { return Ok(false) };
        let text = written.trim().to_owned();
        self.uri = parse(&text)?;
        Ok(true)
    }

    /// A key that may be absent.
    pub fn optional(&mut self, key: &'static str) -> Option<String> {
        let written = self.written(key);
        let of_uri = self.uri.get(key).filter(|part| !part.is_empty());
        if let (Some(written), Some(of_uri)) = (&written, of_uri)
            && !(written == of_uri || (key == "host" && written.eq_ignore_ascii_case(of_uri)))
        {
            self.remarks.push(format!("the {key} in the uri differs from the key {key} and is ignored"));
        }
        written.or_else(|| of_uri.cloned())
    }

    /// A required key.
    pub fn required(&mut self, key: &'static str) -> Option<String> {
        let wrong = self.wrong.len();
        let found = self.optional(key);
        if found.is_none() && self.wrong.len() == wrong {
            self.missing.push(key);
        }
        found
    }

    /// A required host name or address. An IPv6 address may have brackets.
    pub fn host(&mut self, key: &'static str) -> Option<String> {
        let found = self.required(key)?;
        match address::host(&found) {
            Ok(host) => Some(host.to_owned()),
            Err(wrong) => {
                self.wrong(key, &wrong);
                None
            }
        }
    }

    /// A port, or the default one.
    pub fn port(&mut self, key: &'static str, usual: u16) -> u16 {
        let Some(text) = self.optional(key) else { return usual };
        text.trim().parse().ok().filter(|port| *port > 0).unwrap_or_else(|| {
            self.wrong(key, "is not a port number; set 1 to 65535");
            usual
        })
    }

    /// A key of exactly this name, which the user has chosen.
    pub fn exactly(&mut self, key: &str) -> Option<String> {
        let text = self.text(key);
        if text.is_none() && self.wrong.is_empty() {
            let found = self.found();
            self.wrong.push(format!("the key {key} is absent or empty, found {found}; set it"));
        }
        text
    }

    /// A key of exactly this name, which a program reads itself: its value cannot be cleaned.
    pub fn verbatim(&mut self, key: &'static str) -> Option<String> {
        let written = self.texts.get(key).filter(|written| !written.is_empty()).cloned();
        let Some(written) = written else {
            self.missing.push(key);
            return None;
        };
        match clean(&written) {
            Ok(cleaned) if cleaned.text == written => Some(written),
            Ok(_) => {
                self.wrong(key, "ends with a line break or begins with a byte order mark; remove it");
                None
            }
            Err(wrong) => {
                self.wrong(key, wrong);
                None
            }
        }
    }

    /// A certificate authority in PEM, which may have several lines; absent if the key is. At most `most` bytes.
    pub fn document(&mut self, key: &'static str, most: usize) -> Option<String> {
        let written = self.texts.get(key).map(|written| written.trim().to_owned())?;
        if written.is_empty() {
            return None;
        }
        if written.len() > most || !written.contains("-----BEGIN CERTIFICATE-----") {
            self.wrong(
                key,
                "is not a certificate in PEM of usual length; write the authority that has signed the server's",
            );
            return None;
        }
        Some(written)
    }

    /// Records the error in a key, with the remedy.
    pub fn wrong(&mut self, key: &str, wrong: &str) {
        self.wrong.push(format!("the key {key} {wrong}"));
    }

    /// Records a remark.
    pub fn remark(&mut self, remark: String) {
        self.remarks.push(remark);
    }

    /// The value of a key by its exact name, else by another spelling.
    fn written(&mut self, key: &'static str) -> Option<String> {
        let others = SPELLINGS.iter().find(|(name, _)| *name == key).map_or(&[] as &[&str], |(_, others)| others);
        let own = plain(key);
        let rank = |name: &str| match plain(name) {
            _ if name == key => Some(0),
            name if name == own => Some(1),
            name => others.iter().position(|other| *other == name).map(|position| position + 2),
        };
        let mut spelt: Vec<(usize, String)> =
            self.texts.keys().filter_map(|name| Some((rank(name)?, name.clone()))).collect();
        spelt.sort();
        spelt.truncate(MOST_SPELLINGS);
        let mut taken: Option<(String, String)> = None;
        for (_, name) in spelt {
            let before = self.wrong.len();
            let Some(text) = self.text(&name) else {
                if self.wrong.len() > before {
                    return None;
                }
                continue;
            };
            match &taken {
                None => {
                    if name != key {
                        self.remarks.push(format!("{name} is read as {key}"));
                    }
                    taken = Some((name, text));
                }
                Some((winner, value)) if *value != text && key != "uri" => {
                    self.remarks.push(format!("{name} differs from {winner} and is ignored"));
                }
                Some(_) => {}
            }
        }
        taken.map(|(_, text)| text)
    }

    /// The value of a key of exactly this name, cleaned; an error is recorded.
    fn text(&mut self, name: &str) -> Option<String> {
        let written = self.texts.get(name)?;
        match clean(written) {
            Ok(Text { text, remark }) => {
                let text = (!text.is_empty()).then(|| text.to_owned());
                if let (Some(remark), Some(_)) = (remark, &text) {
                    let remark = format!("the key {name} {remark}");
                    // A key may be read twice.
                    if !self.remarks.contains(&remark) {
                        self.remarks.push(remark);
                    }
                }
                text
            }
            Err(wrong) => {
                self.wrong.push(format!("the key {name} {wrong}"));
                None
            }
        }
    }

    fn problems(&mut self) -> Option<String> {
        if !self.missing.is_empty() {
            let (keys, are) = if self.missing.len() == 1 { ("key", "is") } else { ("keys", "are") };
            let missing = format!(
                "the {keys} {} {are} absent or empty, found {}; set {}",
                self.missing.join(", "),
                self.found(),
                if self.missing.len() == 1 { "it" } else { "them" }
            );
            self.wrong.insert(0, missing);
        }
        (!self.wrong.is_empty()).then(|| self.wrong.join("; "))
    }

    /// The names of the keys that the Secret has.
    fn found(&self) -> String {
        let names: Vec<&str> = self.texts.keys().take(LISTED).map(String::as_str).collect();
        match self.texts.len().saturating_sub(LISTED) {
            0 if names.is_empty() => "no key".to_owned(),
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        }
    }
}

/// A name without capitals and separators.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests;
