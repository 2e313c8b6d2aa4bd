//! An answer of newline-delimited JSON, cut into lines as it comes, and the check that it is whole.
//!
//! IPFS Cluster begins to answer before it knows whether it can finish. If it cannot, it says so after the last line, in the
//! HTTP trailer `X-Stream-Error`, which is there and empty when all went well.

use std::{mem, time::Duration};

use futures::{Stream, stream};
use http_body_util::BodyExt;
use reqwest::{Body, Response, header};
use temporal_stack_common::failure::deepest;

use super::Failure;

/// How long a peer may be silent in the middle of a list.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a line may be. A pin takes well below a kilobyte, and IPFS Cluster takes none of more than some.
const LONGEST: usize = 1 << 20;
/// The trailer with what went wrong.
const ERROR: &str = "x-stream-error";

/// Why there is no next line.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The answer ended too early.
    Cut(String),
    /// A line is too long to be one.
    Endless,
}

impl Trouble {
    pub(super) fn into_failure(self, address: String, request: String) -> Failure {
        match self {
            Self::Cut(cause) => Failure::Cut { address, request, cause },
            Self::Endless => {
                Failure::Unreadable { address, request, cause: format!("a line of more than {LONGEST} bytes") }
            }
        }
    }
}

/// What has come of an answer and is not taken yet.
pub(super) struct Lines {
    body: Body,
    buffer: Vec<u8>,
    /// Where the next line begins.
    start: usize,
    /// How far was looked for its end.
    seen: usize,
    has_ended: bool,
    /// Whether the answer says that the trailer is to come.
    awaits_trailer: bool,
}

impl Lines {
    pub(super) fn new(answer: Response) -> Self {
        let announced = answer.headers().get_all(header::TRAILER).iter();
        let is_announced = announced.filter_map(|value| value.to_str().ok()).any(is_error_trailer);
        // An empty answer announces it, too, and has no place for it.
        let has_body = answer.status() != reqwest::StatusCode::NO_CONTENT;
        Self {
            body: answer.into(),
            buffer: Vec::new(),
            start: 0,
            seen: 0,
            has_ended: false,
            awaits_trailer: is_announced && has_body,
        }
    }

    /// The lines; the stream ends after the first trouble.
    pub(super) fn into_stream(
        self,
        failure: impl Fn(Trouble) -> Failure + Send,
    ) -> impl Stream<Item = Result<Vec<u8>, Failure>> + Send {
        stream::unfold((Some(self), failure), |(lines, failure)| async move {
            let mut lines = lines?;
            match lines.next().await {
                Ok(Some(line)) => Some((Ok(line), (Some(lines), failure))),
                Ok(None) => None,
                Err(trouble) => Some((Err(failure(trouble)), (None, failure))),
            }
        })
    }

    async fn next(&mut self) -> Result<Option<Vec<u8>>, Trouble> {
        loop {
            if let Some(line) = self.take() {
                if !line.trim_ascii().is_empty() {
                    return Ok(Some(line));
                }
            } else if self.has_ended {
                let rest = mem::take(&mut self.buffer).split_off(self.start);
                (self.start, self.seen) = (0, 0);
                return Ok(Some(rest).filter(|rest| !rest.trim_ascii().is_empty()));
            } else if self.buffer.len() - self.start > LONGEST {
                return Err(Trouble::Endless);
            } else {
                self.read().await?;
            }
        }
    }

    /// The next line, if all of it has come.
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
    async fn read(&mut self) -> Result<(), Trouble> {
        self.buffer.drain(..self.start);
        self.seen -= self.start;
        self.start = 0;
        let frame = tokio::time::timeout(SILENCE, self.body.frame())
            .await
            .map_err(|_| Trouble::Cut(format!("nothing came for {} s", SILENCE.as_secs())))?;
        let frame = match frame {
            // The connection ended before the last chunk.
            Some(Err(error)) => return Err(Trouble::Cut(deepest(&error))),
            Some(Ok(frame)) => frame,
            None if self.awaits_trailer => {
                return Err(Trouble::Cut(
                    "the trailer X-Stream-Error is missing, which says whether the list is whole; a proxy on the way \
                     must pass trailers on"
                        .to_owned(),
                ));
            }
            None => {
                self.has_ended = true;
                return Ok(());
            }
        };
        match frame.into_data() {
            Ok(data) => self.buffer.extend_from_slice(&data),
            Err(frame) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                self.awaits_trailer &= !trailers.contains_key(ERROR);
                // There are two of them if something goes wrong at the very end: an empty one, and what it was.
                let said = trailers.get_all(ERROR).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
                if let Some(cause) = said.map(|cause| cause.trim().to_owned()).find(|cause| !cause.is_empty()) {
                    return Err(Trouble::Cut(cause));
                }
            }
        }
        Ok(())
    }
}

fn is_error_trailer(announced: &str) -> bool {
    announced.split(',').any(|name| name.trim().eq_ignore_ascii_case(ERROR))
}
