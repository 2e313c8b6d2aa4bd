//! `/metrics` of another process, as written by [`Metrics`](super::Metrics), read back.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use super::client::Counts;

const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// The text of a process's `/metrics`.
#[derive(Clone, Debug)]
pub struct Scrape(String);

impl Scrape {
    /// Asks the admin port of a process of this machine; blocks for the millisecond that this takes.
    ///
    /// # Errors
    ///
    /// The port is closed, or the answer is an error.
    pub fn read(admin: SocketAddr) -> io::Result<Self> {
        get(admin, "/metrics").map(Self)
    }

    /// Whether the caches of a process of this machine are warm; blocks as [`read`](Self::read) does.
    pub fn is_ready(admin: SocketAddr) -> bool {
        get(admin, "/readyz").is_ok()
    }

    /// The requests that it has sent.
    pub fn requests(&self) -> Counts {
        Counts::read(&self.0)
    }

    /// How many passes have had this result.
    pub fn passes(&self, result: &str) -> u64 {
        self.value(&format!("temporal_stack_passes_total{{result=\"{result}\"}}")).unwrap_or_default()
    }

    /// Its resident memory in bytes, if its system reports it.
    pub fn resident_memory(&self) -> Option<u64> {
        self.value("process_resident_memory_bytes")
    }

    /// The value of a counter, by its name with its labels as they are written; zero if there is none.
    pub fn count(&self, series: &str) -> u64 {
        self.value(&format!("{series} ")).unwrap_or_default()
    }

    /// The value of a series, by its name with its labels.
    fn value(&self, series: &str) -> Option<u64> {
        self.0.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }
}

/// One request per connection suffices.
fn get(admin: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(admin)?;
    stream.set_read_timeout(Some(ANSWERS_WITHIN))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200") {
        return Ok(answer);
    }
    let output = answer.lines().next().unwrap_or_default();
    Err(io::Error::other(format!("{admin} answered GET {path} with {output}")))
}
