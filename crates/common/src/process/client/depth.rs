//! Leaves values that are nested too deeply out of the answers of the API server.
//!
//! kube parses a list as one text, and a watch line by line, with `serde_json`, which refuses a text of more than 127 levels. The API
//! server stores 10,000 levels where a schema keeps unknown fields. So one such object would fail the list of its kind for all
//! namespaces, before `DeserializeGuard` sees it, and its line in a watch would be lost. Here it loses only the values that nobody
//! needs, and is reported like any other mistake.
//!
//! # Cost
//!
//! Each byte is compared once: with two characters inside of a string, where most of a text is, with five outside. The bytes have
//! just arrived and are in the CPU's caches, and the parser does more with each of them. Nothing is allocated or copied unless
//! something is left out, and no more than the current piece is held, so the size of an answer does not matter.

use http::Response;
use http_body::Body;
use http_body_util::BodyExt;
use kube::client::DynBody;
use tower::BoxError;

/// Bytes of a body.
type Piece = <DynBody as Body>::Data;

/// The deepest level of an answer that is passed on: a list or an object below is replaced by `null`. It leaves the parser, and
/// what wraps the text again, room below 127; an object whose own levels are this many is refused long before.
const DEEPEST: usize = 100;

/// The same answer without what is nested deeper than [`DEEPEST`].
pub(crate) fn bounded<B>(answer: Response<B>) -> Response<Box<DynBody>>
where
    B: Body<Data = Piece, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    answer.map(|body| {
        let mut depth = Depth::default();
        let body = body.map_frame(move |frame| frame.map_data(|piece| depth.cut(piece)));
        Box::new(body.map_err(Into::into)) as Box<DynBody>
    })
}

/// The place in a JSON text, or in a series of them.
#[derive(Debug, Default)]
struct Depth {
    level: usize,
    is_in_text: bool,
    is_escaped: bool,
}

impl Depth {
    /// The next piece without what is too deep.
    fn cut(&mut self, piece: Piece) -> Piece {
        let mut kept = Vec::new();
        // Where the part begins that is passed on; its end while a value is left out.
        let mut begin = if self.level > DEEPEST { piece.len() } else { 0 };
        for (index, byte) in piece.iter().enumerate() {
            if self.is_in_text {
                match byte {
                    _ if self.is_escaped => self.is_escaped = false,
                    b'\\' => self.is_escaped = true,
                    b'"' => self.is_in_text = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.is_in_text = true,
                b'{' | b'[' => {
                    if self.level == DEEPEST {
                        kept.extend_from_slice(&piece[begin..index]);
                        kept.extend_from_slice(b"null");
                        begin = piece.len();
                    }
                    self.level += 1;
                }
                b'}' | b']' => {
                    self.level = self.level.saturating_sub(1);
                    if self.level == DEEPEST {
                        begin = index + 1;
                    }
                }
                _ => {}
            }
        }
        if begin == 0 {
            return piece;
        }
        kept.extend_from_slice(&piece[begin..]);
        kept.into()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::StreamExt;
    use http::Request;
    use kube::{Client, client::Body};
    use serde_json::Value;
    use tower::service_fn;

    use super::*;

    /// What is left of a text that arrives in pieces of this size.
    fn cut(text: &str, size: usize) -> String {
        let mut depth = Depth::default();
        let pieces = text.as_bytes().chunks(size).flat_map(|piece| depth.cut(Piece::copy_from_slice(piece)));
        String::from_utf8(pieces.collect()).unwrap()
    }

    /// Lists within lists, so many.
    fn nested(levels: usize) -> String {
        "[".repeat(levels) + &"]".repeat(levels)
    }

    #[test]
    fn value_that_is_too_deep_becomes_null_in_any_pieces() {
        let deepest = "[".repeat(DEEPEST) + "null" + &"]".repeat(DEEPEST);
        let siblings = format!("{}{{\"a\":[1]}},\"[\\\"]\",2,[]{}", "[".repeat(DEEPEST), "]".repeat(DEEPEST));
        let left = format!("{}null,\"[\\\"]\",2,null{}", "[".repeat(DEEPEST), "]".repeat(DEEPEST));
        for (text, expected) in [
            (nested(DEEPEST), nested(DEEPEST)),
            (nested(DEEPEST + 1), deepest.clone()),
            (nested(10_000), deepest),
            (siblings, left),
            ("{\"type\":\"[[[\\\\\"}\n{}\n".to_owned(), "{\"type\":\"[[[\\\\\"}\n{}\n".to_owned()),
            (String::new(), String::new()),
        ] {
            for size in [1, 2, 3, 7, 64, 100_000] {
                let left = cut(&text, size);
                assert!(left == expected, "{left} of {text} in pieces of {size}");
            }
        }
    }

    #[test]
    fn usual_piece_is_not_copied() {
        let piece = Piece::from(nested(DEEPEST));
        assert_eq!(Depth::default().cut(piece.clone()).as_ptr(), piece.as_ptr());
    }

    #[tokio::test]
    async fn list_and_watch_with_a_deep_object_parse() {
        let item = |name: &str, levels: usize| format!("{{\"name\":\"{name}\",\"deep\":{}}}", nested(levels));
        let list = format!("{{\"items\":[{},{}]}}", item("a", 200), item("b", 5));
        let event = |item: &str| format!("{{\"type\":\"ADDED\",\"object\":{item}}}\n");
        let lines = event(&item("a", 200)) + &event(&item("b", 5));
        let service = service_fn(move |request: Request<Body>| {
            let text = if request.uri().path() == "/list" { list.clone() } else { lines.clone() };
            async move { Ok::<_, Infallible>(bounded(Response::new(axum::body::Body::from(text)))) }
        });
        let client = Client::new(service, "default");
        let asked = |path: &str| Request::get(path).body(Vec::new()).unwrap();

        let list: Value = client.request(asked("/list")).await.unwrap();
        assert_eq!([&list["items"][0]["name"], &list["items"][1]["name"]], ["a", "b"]);
        let events: Vec<_> = client.request_events::<Value>(asked("/watch")).await.unwrap().collect().await;
        assert!(events.len() == 2 && events.iter().all(Result::is_ok));
    }
}
