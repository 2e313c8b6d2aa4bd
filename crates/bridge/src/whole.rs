//! Answers that are read as a whole, because they are translated.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, response::Parts};
use http_body_util::BodyExt as _;

use crate::{answer::Answer, failure::Failure};

/// The trailer in which Kubo and IPFS Cluster report at the end of an answer that it is incomplete; empty on success.
const STREAM_ERROR: &str = "x-stream-error";

/// Reads an answer to its end, which must come within `limit` bytes.
///
/// # Errors
///
/// It is cut off, longer, or reports an error at its end.
pub(crate) async fn read(answer: Answer, limit: usize) -> Result<(Parts, Bytes), Failure> {
    let (parts, mut body) = answer.into_parts();
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::broken(&error))?;
        match frame.into_data() {
            Ok(data) if bytes.len() + data.len() > limit => return Err(Failure::TooLong(limit)),
            Ok(data) => bytes.extend_from_slice(&data),
            Err(frame) => {
                if let Some(message) = frame.trailers_ref().and_then(stream_error) {
                    return Err(Failure::Stream(message));
                }
            }
        }
    }
    Ok((parts, bytes.freeze()))
}

fn stream_error(trailers: &HeaderMap) -> Option<String> {
    let message = trailers.get(STREAM_ERROR).filter(|message| !message.is_empty())?;
    Some(String::from_utf8_lossy(message.as_bytes()).into_owned())
}
