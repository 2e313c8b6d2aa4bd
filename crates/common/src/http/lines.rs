//! An answer of newline-delimited JSON, cut into lines as it comes, and the check that it is whole.
//!
//! Some programs start an answer before they know whether they can finish it. If they cannot, they report it after the last line,
//! in an HTTP trailer that is present and empty on success.

use std::{mem, time::Duration};

use futures::{Stream, stream};
use http_body_util::BodyExt;
use reqwest::{Body, Response, header};
use tokio::time::{Instant, timeout_at};

use super::{answer::MISTAKEN, failure::Failure};
use crate::failure::{deepest, printable};

/// How long a server may be silent in the middle of a list.
const SILENCE: Duration = Duration::from_secs(30);

/// The limits of a list: its lines, its total size, and its times.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Until the list begins.
    pub begins_within: Duration,
    /// Until it has ended.
    pub ends_within: Duration,
    /// A line, in bytes.
    pub line: usize,
    /// All lines, in bytes.
    pub all: usize,
    /// The trailer with what went wrong.
    pub trailer: &'static str,
}

/// The received part of an answer that is not consumed yet.
pub struct Lines {
    body: Body,
    bounds: Bounds,
    until: Instant,
    address: String,
    request: String,
    buffer: Vec<u8>,
    /// The total number of bytes received.
    came: usize,
    /// Where the next line begins.
    start: usize,
    /// How far its end has been searched for.
    seen: usize,
    has_ended: bool,
    /// Whether the answer announces the trailer.
    awaits_trailer: bool,
}

impl Lines {
    pub(super) fn new(answer: Response, bounds: Bounds, until: Instant, address: String, request: String) -> Self {
        let announced = answer.headers().get_all(header::TRAILER).iter();
        let is_error = |names: &str| names.split(',').any(|name| name.trim().eq_ignore_ascii_case(bounds.trailer));
        let is_announced = announced.filter_map(|value| value.to_str().ok()).any(is_error);
        // An empty answer announces it, too, but cannot have one.
        let has_body = answer.status() != reqwest::StatusCode::NO_CONTENT;
        Self {
            body: answer.into(),
            bounds,
            until,
            address,
            request,
            buffer: Vec::new(),
            came: 0,
            start: 0,
            seen: 0,
            has_ended: false,
            awaits_trailer: is_announced && has_body,
        }
    }

    /// The lines; the stream ends after the first failure.
    pub fn into_stream(self) -> impl Stream<Item = Result<Vec<u8>, Failure>> + Send {
        stream::unfold(Some(self), |lines| async move {
            let mut lines = lines?;
            match lines.next().await {
                Ok(Some(line)) => Some((Ok(line), Some(lines))),
                Ok(None) => None,
                Err(failure) => Some((Err(failure), None)),
            }
        })
    }

    async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            if self.buffer.len() - self.start > self.bounds.line {
                self.check_line()?;
            }
            if let Some(line) = self.take() {
                if !line.trim_ascii().is_empty() {
                    return Ok(Some(line));
                }
            } else if self.has_ended {
                let rest = mem::take(&mut self.buffer).split_off(self.start);
                (self.start, self.seen) = (0, 0);
                return Ok(Some(rest).filter(|rest| !rest.trim_ascii().is_empty()));
            } else {
                self.read().await?;
            }
        }
    }

    /// The next line, or what has come of it, must not be longer than a line may be.
    fn check_line(&self) -> Result<(), Failure> {
        let begun = &self.buffer[self.start..];
        if begun.iter().take(self.bounds.line + 1).any(|&byte| byte == b'\n') {
            return Ok(());
        }
        Err(self.too_large(self.bounds.line, "no list has a line of that length; check the server"))
    }

    /// The next line, if it is complete.
    fn take(&mut self) -> Option<Vec<u8>> {
        let Some(length) = self.buffer[self.seen..].iter().position(|&byte| byte == b'\n') else {
            self.seen = self.buffer.len();
            return None;
        };
        let end = self.seen + length;
        let line = self.buffer[self.start..end].to_vec();
        (self.start, self.seen) = (end + 1, end + 1);
        Some(line)
    }

    /// Waits for more.
    async fn read(&mut self) -> Result<(), Failure> {
        self.buffer.drain(..self.start);
        self.seen -= self.start;
        self.start = 0;
        let silent = Instant::now() + SILENCE;
        let frame = timeout_at(silent.min(self.until), self.body.frame()).await.map_err(|_| {
            if silent < self.until {
                return self.cut(format!("nothing received for {} s", SILENCE.as_secs()));
            }
            let (address, request) = (self.address.clone(), self.request.clone());
            Failure::Slow { address, request, seconds: self.bounds.ends_within.as_secs() }
        })?;
        let frame = match frame {
            // The connection ended before the last chunk.
            Some(Err(error)) => return Err(self.cut(deepest(&error))),
            Some(Ok(frame)) => frame,
            None if self.awaits_trailer => {
                return Err(self.cut(format!(
                    "trailer {} missing, so the list may be incomplete; configure proxies between controller and server to pass trailers",
                    self.bounds.trailer
                )));
            }
            None => {
                self.has_ended = true;
                return Ok(());
            }
        };
        match frame.into_data() {
            Ok(data) => {
                self.came = self.came.saturating_add(data.len());
                if self.came > self.bounds.all {
                    return Err(self.too_large(self.bounds.all, MISTAKEN));
                }
                self.buffer.extend_from_slice(&data);
            }
            Err(frame) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                self.awaits_trailer &= !trailers.contains_key(self.bounds.trailer);
                // After a late error there are two of them: an empty one, and the error.
                let said = trailers.get_all(self.bounds.trailer).iter();
                let mut said = said.map(|value| printable(&String::from_utf8_lossy(value.as_bytes())));
                if let Some(cause) = said.find(|cause| !cause.is_empty()) {
                    return Err(self.cut(cause));
                }
            }
        }
        Ok(())
    }

    fn cut(&self, cause: String) -> Failure {
        Failure::Cut { address: self.address.clone(), request: self.request.clone(), cause }
    }

    fn too_large(&self, limit: usize, cause: &'static str) -> Failure {
        Failure::TooLarge { address: self.address.clone(), request: self.request.clone(), limit, cause }
    }
}
