//! What users have written: text of ConfigMaps and Secrets, and the Secrets of servers that run elsewhere.
//!
//! * **Text is cleaned once, here.** `echo` ends it with a line break, editors begin it with a byte order mark: both are left
//!   out, and reported. What no host, login or password can have within (line breaks, NUL, bytes that are not UTF-8) is refused.
//! * **Common spellings of a key are read** ([`SPELLINGS`]), because other operators, charts and clouds write these Secrets.
//!   The first of these that has a value wins: the key itself, its other spellings in the order of the list, the `uri`.
//!   A value that loses and differs is reported.
//! * **Everything that is wrong is reported at once**, with the keys that were found. Values never are.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};

use crate::{
    address,
    component::Progress,
    condition::{CONFIG_HONOURED, Statement, reason},
};

/// Other spellings of a key, without capitals and separators: `db-name`, `DB_NAME` and `dbName` are one.
const SPELLINGS: &[(&str, &[&str])] = &[
    ("host", &["hostname", "server", "pghost", "dbhost", "databasehost", "postgreshost", "rabbitmqhost"]),
    ("port", &["pgport", "dbport", "databaseport", "postgresport", "rabbitmqport"]),
    (
        "username",
        &[
            "user",
            "login",
            "pguser",
            "dbuser",
            "dbusername",
            "databaseuser",
            "databaseusername",
            "postgresuser",
            "postgresusername",
            "rabbitmquser",
            "rabbitmqusername",
            "rabbitmqdefaultuser",
            "defaultuser",
        ],
    ),
    (
        "password",
        &[
            "pass",
            "pgpassword",
            "dbpassword",
            "databasepassword",
            "postgrespassword",
            "rabbitmqpassword",
            "rabbitmqdefaultpass",
            "defaultpass",
        ],
    ),
    ("database", &["dbname", "db", "databasename", "pgdatabase", "postgresdb", "postgresdatabase"]),
    ("virtual-host", &["vhost", "rabbitmqvhost", "rabbitmqdefaultvhost"]),
    (
        "uri",
        &[
            "url",
            "connectionstring",
            "connectionuri",
            "connectionurl",
            "databaseuri",
            "databaseurl",
            "postgresuri",
            "postgresurl",
            "amqpuri",
            "amqpurl",
            "rabbitmquri",
            "rabbitmqurl",
        ],
    ),
    ("email", &["mail"]),
];

/// How many keys of a Secret a message lists.
const LISTED: usize = 10;
/// What a text has that replaces bytes which are not UTF-8.
const NOT_UTF_8: char = '\u{fffd}';
/// What editors put before a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A text as it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    /// Without what is left out.
    pub text: &'a str,
    /// What the user should know of it.
    pub remark: Option<&'static str>,
}

/// Cleans a text that a user has written; `Err` is what is wrong with it and what to do.
pub fn clean(written: &str) -> Result<Text<'_>, &'static str> {
    let text = written.strip_prefix(BYTE_ORDER_MARK).unwrap_or(written);
    let has_mark = text.len() < written.len();
    let whole = text;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.contains(NOT_UTF_8) {
        return Err("is not UTF-8 text; write it as UTF-8");
    }
    if text.contains(['\n', '\r']) {
        return Err("has a line break within; write it on one line");
    }
    let is_invisible =
        |c: char| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}' | '\u{2029}' | BYTE_ORDER_MARK);
    if text.contains(is_invisible) {
        return Err("has a control or invisible character within; remove it");
    }
    let remark = match (has_mark, text.len() < whole.len()) {
        (true, _) => Some("begins with a byte order mark, which is left out"),
        (_, true) => Some("ends with a line break, which is left out"),
        _ if text.trim().len() < text.len() => {
            Some("begins or ends with a space, which is kept; remove it if it is a mistake")
        }
        _ => None,
    };
    Ok(Text { text, remark })
}

/// The values of a Secret as text; [`clean`] refuses those that are not UTF-8.
pub fn texts(secret: &Secret) -> BTreeMap<String, String> {
    let data = secret.data.iter().flatten();
    data.map(|(key, value)| (key.clone(), String::from_utf8_lossy(&value.0).into_owned())).collect()
}

/// The values of a ConfigMap as text, with those that `kubectl` takes for binary because of their encoding.
pub fn texts_of_map(map: ConfigMap) -> BTreeMap<String, String> {
    let binary = map.binary_data.into_iter().flatten();
    let binary = binary.map(|(key, value)| (key, String::from_utf8_lossy(&value.0).into_owned()));
    binary.chain(map.data.into_iter().flatten()).collect()
}

/// A Secret that a user has made and named in the spec, while it is being read.
pub struct Given<'a> {
    name: &'a str,
    texts: BTreeMap<String, String>,
    /// What the `uri` says, by the key of each part.
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

/// What came of a Secret that a user has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome<T> {
    /// What it says; else what is wrong with it.
    pub read: Result<T, Progress>,
    /// What was not taken as it is written, a sentence each.
    pub remarks: Vec<String>,
}

/// Reads the Secret `name`, which the spec names in `field`. `keys` says how to make it. `take` takes what it needs.
pub fn read<T>(
    field: &str,
    name: &str,
    secret: Option<&Secret>,
    keys: &str,
    take: impl FnOnce(&mut Given<'_>) -> Option<T>,
) -> Outcome<T> {
    let Some(secret) = secret else {
        let message = format!("{field}: there is no Secret/{name}; make it with {keys}");
        return Outcome {
            read: Err(Progress::Stalled { reason: reason::SECRET_MISSING, message }),
            remarks: Vec::new(),
        };
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
            let problems = problems.unwrap_or_else(|| format!("it is incomplete; make it with {keys}"));
            let message = format!("Secret/{name}, named in {field}: {problems}");
            Err(Progress::Stalled { reason: reason::SECRET_INCOMPLETE, message })
        }
    };
    Outcome { read, remarks: given.remarks }
}

impl<T> Outcome<T> {
    /// What it says, what is wrong with it, and the condition `ConfigHonoured` of an object whose provider it describes. `unused`
    /// names what the user has configured and a server that runs elsewhere cannot be told.
    pub fn into_parts(self, secret: &str, unused: &[&str]) -> (Option<T>, Option<Progress>, Statement) {
        let mut remarks = self.remarks;
        if !unused.is_empty() {
            remarks.push(format!("not used, because Secret/{secret} describes the server: {}", unused.join(", ")));
        }
        match self.read {
            Err(obstacle) => {
                let message = format!("Secret/{secret} cannot be used; see the condition Stalled");
                (None, Some(obstacle), Statement::fails(CONFIG_HONOURED, reason::REFUSED, message))
            }
            Ok(read) if remarks.is_empty() => {
                let message = format!("Secret/{secret} was taken as it is written");
                (Some(read), None, Statement::holds(CONFIG_HONOURED, reason::AS_WRITTEN, message))
            }
            Ok(read) => {
                let message = format!("Secret/{secret}: {}", remarks.join("; "));
                (Some(read), None, Statement::holds(CONFIG_HONOURED, reason::ADAPTED, message))
            }
        }
    }
}

impl Given<'_> {
    /// Reads the `uri`, if there is one; its parts stand in for keys that are absent. `parse` splits it into parts, by the key of
    /// each, or says what is wrong; it must not repeat the text, which has the password. `true` if it could be read.
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
            self.remarks.push(format!("the uri has another {key} than the key {key}, which is used"));
        }
        written.or_else(|| of_uri.cloned())
    }

    /// A key that must be there.
    pub fn required(&mut self, key: &'static str) -> Option<String> {
        let wrong = self.wrong.len();
        let found = self.optional(key);
        if found.is_none() && self.wrong.len() == wrong {
            self.missing.push(key);
        }
        found
    }

    /// A host name or address that must be there. An address of IPv6 may stand in brackets.
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

    /// A port, or the usual one.
    pub fn port(&mut self, key: &'static str, usual: u16) -> u16 {
        let Some(text) = self.optional(key) else { return usual };
        text.trim().parse().ok().filter(|port| *port > 0).unwrap_or_else(|| {
            self.wrong(key, "is no port number; set it to 1 to 65535");
            usual
        })
    }

    /// A key under exactly this name, which the user has chosen.
    pub fn exactly(&mut self, key: &str) -> Option<String> {
        let text = self.text(key);
        if text.is_none() && self.wrong.is_empty() {
            let found = self.found();
            self.wrong.push(format!("the key {key} is absent or empty, found {found}; set it"));
        }
        text
    }

    /// A key under exactly this name, which a program reads by itself: nothing can be left out of its value.
    pub fn verbatim(&mut self, key: &'static str) -> Option<String> {
        let written = self.texts.get(key).filter(|written| !written.is_empty()).cloned();
        let Some(written) = written else {
            self.missing.push(key);
            return None;
        };
        match clean(&written) {
            Ok(cleaned) if cleaned.text == written => Some(written),
            Ok(_) => {
                self.wrong(key, "ends with a line break or begins with a byte order mark; write it without");
                None
            }
            Err(wrong) => {
                self.wrong(key, wrong);
                None
            }
        }
    }

    /// Notes what is wrong with a key, and what to do.
    pub fn wrong(&mut self, key: &str, wrong: &str) {
        self.wrong.push(format!("the key {key} {wrong}"));
    }

    /// Notes what the user should know.
    pub fn remark(&mut self, remark: String) {
        self.remarks.push(remark);
    }

    /// The value of a key by its own name, else by another spelling.
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
                    self.remarks.push(format!("{winner} and {name} differ, and {winner} is used"));
                }
                Some(_) => {}
            }
        }
        taken.map(|(_, text)| text)
    }

    /// The value of a key of exactly this name, cleaned; what is wrong with it is noted.
    fn text(&mut self, name: &str) -> Option<String> {
        let written = self.texts.get(name)?;
        match clean(written) {
            Ok(Text { text, remark }) => {
                let text = (!text.is_empty()).then(|| text.to_owned());
                if let (Some(remark), Some(_)) = (remark, &text) {
                    let remark = format!("the key {name} {remark}");
                    // A key may be asked for twice.
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
