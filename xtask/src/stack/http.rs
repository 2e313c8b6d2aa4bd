//! The HTTP client of the demo. What servers answer is not trusted: its length is limited, and its names cannot change a URL.

use std::io::Read as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use reqwest::blocking::{Client, ClientBuilder, RequestBuilder};
use reqwest::redirect::Policy;
use reqwest::{Certificate, StatusCode};
use serde_json::Value;
use temporal_stack_common::http::Path;

use super::access::Reached;

/// An upload is answered when Kubo has stored it.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);

/// The longest answer that is JSON, in bytes.
const LONGEST_JSON: u64 = 1 << 20;
/// The longest file, in bytes.
const LONGEST_FILE: u64 = 64 << 20;

/// A client, and the prefix of its URLs. If `ca` is given, certificates are checked against it alone.
pub(super) fn client(at: &Reached, ca: Option<&[u8]>) -> Result<(Client, String)> {
    // The client of `common` is asynchronous.
    temporal_stack_common::process::install_crypto();
    let mut builder: ClientBuilder = Client::builder().timeout(ANSWERS_WITHIN).no_proxy().redirect(Policy::none());
    if let (Some(address), Some(host)) = (at.address, at.url.host_str()) {
        builder = builder.resolve(host, address);
    }
    if let Some(ca) = ca {
        builder = builder
            .tls_certs_only(Certificate::from_pem_bundle(ca).context("ca.crt of the binding invalid: it is not PEM")?);
    }
    let client = builder.build().context("cannot create an HTTP client")?;
    Ok((client, at.url.as_str().trim_end_matches('/').to_owned()))
}

/// A URL below a base. A name that would change its path is encoded, or refused where that does not help.
pub(super) fn below(base: &str, names: &[&str]) -> Result<String> {
    Ok(format!("{base}/{}", Path::from_segments(names)?.path()))
}

/// The status and the JSON of an answer; other text as a string.
pub(super) fn answer(request: RequestBuilder) -> Result<(StatusCode, Value)> {
    let (status, bytes) = read(request, LONGEST_JSON)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
}

/// The status and the content of a file.
pub(super) fn file(request: RequestBuilder) -> Result<(StatusCode, Vec<u8>)> {
    read(request, LONGEST_FILE)
}

fn read(request: RequestBuilder, longest: u64) -> Result<(StatusCode, Vec<u8>)> {
    let answer = request.send()?;
    let (status, mut bytes) = (answer.status(), Vec::new());
    answer.take(longest + 1).read_to_end(&mut bytes).context("answer incomplete: the connection was closed early")?;
    if bytes.len() as u64 > longest {
        bail!("answer too long: it has more than {} MiB; check the server behind the address", longest >> 20);
    }
    Ok((status, bytes))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn names_of_servers_do_not_change_the_path() {
        let url = below("http://h:1", &["pins", "a/../b?c#d"]).unwrap();
        assert_eq!(url, "http://h:1/pins/a%2F..%2Fb%3Fc%23d");
        for name in ["", ".", ".."] {
            assert!(below("http://h:1", &["pins", name]).is_err(), "{name:?}");
        }
    }

    #[test]
    fn endless_answer_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let at = Reached::at(format!("http://{address}").parse().unwrap(), address);
        let serving = std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            // An answer before the request would be a violation of the protocol.
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            while sent.is_ok() {
                sent = stream.write_all(&vec![b'a'; 1 << 16]);
            }
        });
        let (client, base) = client(&at, None).unwrap();
        let error = answer(client.get(base)).unwrap_err().to_string();
        assert!(error.contains("more than 1 MiB"), "{error}");
        serving.join().unwrap();
    }
}
