//! Something that must answer: before a program starts, or while it runs.

use std::{fmt, str::FromStr, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Uri};
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use temporal_stack_common::{failure::deepest, greeting::Greeting};
use tokio::{net::TcpStream, time::timeout};

use crate::tls;

/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(4);
/// The schemes whose servers are greeted, and whether over TLS.
const GREETED: [(&str, Greeting, bool); 5] = [
    ("postgresql", Greeting::Postgresql, false),
    ("amqp", Greeting::Amqp, false),
    ("h2c", Greeting::Http2, false),
    ("options+http", Greeting::Http, false),
    ("options+https", Greeting::Http, true),
];
/// The remedy for a target that cannot be parsed.
const FORMS: &str = "write postgresql://host:port, amqp://…, h2c://…, options+http://…, options+https://… or tcp://host:port, or the URL http://… or post+http://…";

/// Something that must answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Accepts a connection, which in a mesh every address does.
    Connects(String),
    /// Answers the greeting of its protocol, without TLS or with any certificate.
    Greets {
        /// The scheme, for messages.
        scheme: &'static str,
        /// The protocol.
        greeting: Greeting,
        /// Whether it is spoken over TLS.
        has_tls: bool,
        /// Host and port.
        address: String,
    },
    /// Answers a request with a status below 400.
    Answers(Method, Uri),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let has_port = |address: &str| address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        if let Some((scheme, address)) = text.split_once("://").filter(|(_, address)| has_port(address)) {
            let address = address.to_owned();
            if scheme == "tcp" {
                return Ok(Self::Connects(address));
            }
            if let Some((scheme, greeting, has_tls)) = GREETED.into_iter().find(|(known, ..)| *known == scheme) {
                return Ok(Self::Greets { scheme, greeting, has_tls, address });
            }
        }
        let (method, url) = text.strip_prefix("post+").map_or((Method::GET, text), |url| (Method::POST, url));
        let uri: Uri = url.parse().map_err(|_| format!("{url} is not a URL"))?;
        if uri.scheme_str() != Some("http") || uri.host().is_none() {
            return Err(FORMS.to_owned());
        }
        Ok(Self::Answers(method, uri))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connects(address) => write!(f, "tcp://{address}"),
            Self::Greets { scheme, address, .. } => write!(f, "{scheme}://{address}"),
            Self::Answers(method, uri) => write!(f, "{method} {uri}"),
        }
    }
}

impl Target {
    /// Whether it answers now, or why not.
    pub(crate) async fn attempt(&self) -> Result<(), String> {
        timeout(PATIENCE, self.answer()).await.unwrap_or_else(|_| Err("no answer in time".to_owned()))
    }

    async fn answer(&self) -> Result<(), String> {
        match self {
            Self::Connects(address) => connect(address).await.map(drop),
            Self::Greets { greeting, has_tls: false, address, .. } => {
                let mut stream = connect(address).await?;
                greeting.exchange(&mut stream).await.map_err(|error| deepest(&error))
            }
            Self::Greets { greeting, has_tls: true, address, .. } => {
                let mut stream = tls::secured(connect(address).await?).await.map_err(|error| deepest(&error))?;
                greeting.exchange(&mut stream).await.map_err(|error| deepest(&error))
            }
            Self::Answers(method, uri) => {
                let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
                let request = Request::builder().method(method).uri(uri).body(Full::default());
                let request = request.map_err(|error| error.to_string())?;
                let answer = client.request(request).await.map_err(|error| deepest(&error))?;
                let status = answer.status();
                if status.as_u16() < 400 { Ok(()) } else { Err(format!("status {status}")) }
            }
        }
    }
}

async fn connect(address: &str) -> Result<TcpStream, String> {
    TcpStream::connect(address).await.map_err(|error| deepest(&error))
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    use super::*;

    #[test]
    fn malformed_target_is_refused_with_the_remedy() {
        for wrong in ["db:5432", "tcp://db", "https://x", "post+tcp://x:1", "tcp://db:0x", "amqp://x", "h2c://x:"] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
        for fine in ["tcp://db:1", "postgresql://db:5432", "amqp://[fd00::1]:5672", "h2c://x:1", "options+https://x:1"]
        {
            assert_eq!(fine.parse::<Target>().unwrap().to_string(), fine);
        }
        let post: Target = "post+http://127.0.0.1:5001/api/v0/id".parse().unwrap();
        assert_eq!(post.to_string(), "POST http://127.0.0.1:5001/api/v0/id");
    }

    #[tokio::test]
    async fn proxy_that_accepts_for_nobody_is_no_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            loop {
                drop(listener.accept().await);
            }
        });
        let target = |scheme: &str| format!("{scheme}://{address}").parse::<Target>().unwrap();
        assert!(target("tcp").attempt().await.is_ok(), "which shows nothing");
        for (scheme, ..) in GREETED {
            assert!(target(scheme).attempt().await.is_err(), "{scheme}");
        }
        accepting.abort();
    }

    #[tokio::test]
    async fn server_that_greets_back_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = format!("h2c://{}", listener.local_addr().unwrap()).parse::<Target>().unwrap();
        let greeting = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"\0\0\0\x04\0\0\0\0\0").await.unwrap();
            stream
        });
        assert_eq!(target.attempt().await, Ok(()));
        drop(greeting.await.unwrap());
    }
}
