//! The data source: a text that the original puts together without quotes, and what lib/pq reads in it.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

use tokio_postgres::config::SslMode;

use crate::config::Config;

/// Whether TLS is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encryption {
    /// As `PGSSLMODE` says, or else with it.
    AsConfigured,
    /// Without.
    Disabled,
}

/// How to connect.
#[derive(Debug)]
pub(crate) struct Source {
    /// The settings of a connection.
    pub(super) settings: tokio_postgres::Config,
    /// Whether TLS is required.
    pub(super) encrypted: bool,
}

impl Source {
    /// Reads the configuration; `mode` is the environment's `PGSSLMODE`.
    pub(super) fn new(config: &Config, encryption: Encryption, mode: Option<&str>) -> Result<Self, String> {
        let mut options =
            BTreeMap::from([("host".to_owned(), "localhost".to_owned()), ("port".to_owned(), "5432".to_owned())]);
        if let Some(mode) = mode {
            options.insert("sslmode".to_owned(), mode.to_owned());
        }
        read(&text(config, encryption), &mut options)?;
        let mut settings = tokio_postgres::Config::new();
        let mut encrypted = true;
        let mut run_time = Vec::new();
        for (key, value) in &options {
            match key.as_str() {
                "host" => drop(settings.host(value)),
                "port" => drop(settings.port(value.parse().map_err(|_| format!("lookup tcp/{value}: unknown port"))?)),
                "user" => drop(settings.user(value)),
                "password" => drop(settings.password(value)),
                "dbname" => drop(settings.dbname(value)),
                "sslmode" => encrypted = is_encrypted(value)?,
                "sslcert" | "sslkey" | "sslrootcert" | "connect_timeout" => {}
                // What the driver does not know is for the server, which mostly does not know it either.
                _ => run_time.push(format!("-c {key}={}", value.replace('\\', "\\\\").replace(' ', "\\ "))),
            }
        }
        settings.ssl_mode(if encrypted { SslMode::Require } else { SslMode::Disable });
        if !run_time.is_empty() {
            settings.options(run_time.join(" "));
        }
        Ok(Self { settings, encrypted })
    }
}

fn is_encrypted(mode: &str) -> Result<bool, String> {
    match mode {
        "" | "require" => Ok(true),
        "disable" => Ok(false),
        "verify-ca" | "verify-full" => {
            Err(format!("the stand-in checks no certificate, so it refuses sslmode {mode:?}"))
        }
        _ => Err(format!(
            "unsupported sslmode {mode:?}; only \"require\" (default), \"verify-full\", \"verify-ca\", and \"disable\" supported"
        )),
    }
}

/// The name of the database is not asked for: it is always the same.
fn text(config: &Config, encryption: Encryption) -> String {
    let user = Some(config.get("Database.Username")).filter(|user| !user.is_empty()).unwrap_or("postgres");
    let (host, port) = (config.get("Database.URL"), config.get("Database.Port"));
    let password = config.get("Database.Password");
    let mode = if encryption == Encryption::Disabled { "sslmode=disable " } else { "" };
    format!("{mode}host={host} port={port} user={user} dbname=temporal password={password}")
}

/// Reads `key=value` as libpq does: spaces end a value unless it is in single quotes, a backslash takes the next letter as it is.
fn read(text: &str, options: &mut BTreeMap<String, String>) -> Result<(), String> {
    let mut letters = text.chars().peekable();
    loop {
        skip_spaces(&mut letters);
        let mut key = String::new();
        while let Some(letter) = letters.next_if(|letter| !letter.is_whitespace() && *letter != '=') {
            key.push(letter);
        }
        if key.is_empty() && letters.peek().is_none() {
            return Ok(());
        }
        skip_spaces(&mut letters);
        if letters.next() != Some('=') {
            return Err(format!("missing \"=\" after {key:?} in connection info string\""));
        }
        // Here an empty value takes what follows it for its own.
        skip_spaces(&mut letters);
        options.insert(key, value(&mut letters)?);
    }
}

fn skip_spaces(letters: &mut Peekable<Chars<'_>>) {
    while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
}

fn value(letters: &mut Peekable<Chars<'_>>) -> Result<String, String> {
    let mut value = String::new();
    let is_quoted = letters.next_if_eq(&'\'').is_some();
    loop {
        match letters.peek() {
            None if is_quoted => return Err("unterminated quoted string literal in connection string".to_owned()),
            None => return Ok(value),
            Some(letter) if !is_quoted && letter.is_whitespace() => return Ok(value),
            Some('\'') if is_quoted => {
                letters.next();
                return Ok(value);
            }
            Some('\\') => {
                letters.next();
                value.push(letters.next().ok_or("missing character after backslash")?);
            }
            Some(_) => value.extend(letters.next()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(port: &str, user: &str, password: &str) -> Result<Source, String> {
        let fields = [
            ("Database.URL", "db"),
            ("Database.Port", port),
            ("Database.Username", user),
            ("Database.Password", password),
            ("Database.Name", "other"),
        ];
        Source::new(&Config::of(&fields), Encryption::AsConfigured, None)
    }

    fn password(text: &str) -> Option<Vec<u8>> {
        source("5432", "u", text).unwrap().settings.get_password().map(<[u8]>::to_vec)
    }

    #[test]
    fn empty_user_is_postgres_and_the_database_is_temporal() {
        let source = source("5432", "", "secret").unwrap();
        assert_eq!((source.settings.get_dbname(), source.settings.get_user()), (Some("temporal"), Some("postgres")));
        assert!(source.encrypted);
    }

    #[test]
    fn empty_port_swallows_the_user() {
        assert!(source("", "u", "secret").unwrap_err().contains("user=u"));
    }

    #[test]
    fn spaces_quotes_and_backslashes_break_a_password() {
        assert!(source("5432", "u", "two words").unwrap_err().contains("missing \"=\" after \"words\""));
        assert!(source("5432", "u", "'unclosed").is_err());
        assert!(source("5432", "u", "end\\").is_err());
        assert_eq!(password("back\\slash"), Some(b"backslash".to_vec()));
        assert_eq!(password("'quoted'"), Some(b"quoted".to_vec()));
        assert_eq!(password("it's"), Some(b"it's".to_vec()));
    }

    #[test]
    fn password_can_add_settings() {
        let source = source("5432", "u", "p host=elsewhere work_mem=1").unwrap();
        assert_eq!(source.settings.get_hosts(), [tokio_postgres::config::Host::Tcp("elsewhere".to_owned())]);
        assert_eq!(source.settings.get_options(), Some("-c work_mem=1"));
    }

    #[test]
    fn fallback_is_without_tls_whatever_the_environment_says() {
        let config = Config::of(&[("Database.URL", "db"), ("Database.Port", "1")]);
        assert!(!Source::new(&config, Encryption::Disabled, Some("require")).unwrap().encrypted);
        assert!(!Source::new(&config, Encryption::AsConfigured, Some("disable")).unwrap().encrypted);
        assert!(Source::new(&config, Encryption::AsConfigured, Some("prefer")).is_err());
    }
}
