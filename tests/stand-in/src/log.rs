//! The log: one line of JSON for each message, to standard error and to a file.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::stop::Stop;

/// A named log; copies write to the same file.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    name: String,
    file: Arc<File>,
}

/// What a line says beside its message.
pub(crate) type Details<'a> = [(&'a str, &'a Said<'a>)];

/// What can be said.
pub(crate) type Said<'a> = dyn Display + Sync + 'a;

impl Log {
    /// Opens a file in a directory, the current one when that is empty. A directory that is not there or cannot be written
    /// to ends the program, as it does the original.
    pub(crate) fn open(directory: &str, file: &str) -> Result<Self, Stop> {
        Self::append(&Path::new(directory).join(file)).map_err(|cause| Stop::caused("failed to start logger ", cause))
    }

    /// Opens the file of exactly this path.
    pub(crate) fn append(path: &Path) -> Result<Self, String> {
        let opened = OpenOptions::new().append(true).create(true).open(path);
        let file = opened.map_err(|error| format!("open {}: {error}", path.display()))?;
        Ok(Self { name: String::new(), file: Arc::new(file) })
    }

    /// The same log under a longer name.
    pub(crate) fn named(&self, name: &str) -> Self {
        let name = if self.name.is_empty() { name.to_owned() } else { format!("{}.{name}", self.name) };
        Self { name, file: self.file.clone() }
    }

    /// Says what happened.
    pub(crate) fn info(&self, message: &str, details: &Details<'_>) {
        self.write("info", message, details);
    }

    /// Says what should not be so.
    pub(crate) fn warn(&self, message: &str, details: &Details<'_>) {
        self.write("warn", message, details);
    }

    /// Says what went wrong.
    pub(crate) fn error(&self, message: &str, details: &Details<'_>) {
        self.write("error", message, details);
    }

    /// Says why the program ends.
    pub(crate) fn fatal(&self, message: impl Display) -> Stop {
        self.write("fatal", &message.to_string(), &[]);
        Stop::exit("")
    }

    fn write(&self, level: &str, message: &str, details: &Details<'_>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let mut line = Map::new();
        line.insert("level".to_owned(), level.into());
        line.insert("ts".to_owned(), json!(now));
        line.insert("logger".to_owned(), self.name.clone().into());
        line.insert("msg".to_owned(), message.into());
        line.extend(details.iter().map(|(key, value)| ((*key).to_owned(), Value::from(value.to_string()))));
        let line = format!("{}\n", Value::Object(line));
        eprint!("{line}");
        // A full disk stops no work: the original does not look either.
        let _ = (&*self.file).write_all(line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_directory_ends_the_program() {
        let stop = Log::open("/nowhere/at/all/", "api_service.log").unwrap_err();
        assert_eq!(stop.code, 1);
        assert!(stop.said.starts_with("failed to start logger  open /nowhere/at/all/api_service.log"), "{}", stop.said);
    }
}
