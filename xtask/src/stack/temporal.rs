//! Temporal's HTTP API: the few calls of the demo.

use anyhow::{Context as _, Result, bail};
use reqwest::StatusCode;
use reqwest::blocking::Client;
use reqwest::blocking::multipart::{Form, Part};
use serde_json::json;
use temporal_stack_common::failure::printable;

use super::access::Reached;
use super::http::{answer, client};

/// Without it, an API without TLS answers every request with a redirect to https.
const BEHIND_TLS: (&str, &str) = ("X-Forwarded-Proto", "https");

/// The API, as used by an account.
#[derive(Debug)]
pub struct Api {
    client: Client,
    base: String,
    token: String,
}

impl Api {
    /// Logs in. If `ca` is given, the certificate of the API is checked against it alone.
    pub fn log_in(at: &Reached, ca: Option<&[u8]>, username: &str, password: &str) -> Result<Self> {
        let (client, base) = client(at, ca)?;
        let credentials = json!({"username": username, "password": password});
        let request =
            client.post(format!("{base}/v2/auth/login")).header(BEHIND_TLS.0, BEHIND_TLS.1).json(&credentials);
        let (status, answer) = answer(request)?;
        if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
            bail!(
                "login refused for {username}: the password in its Secret is not the account's; if it was changed through the API, \
             update the Secret"
            );
        }
        let token = answer["token"]
            .as_str()
            .with_context(|| format!("login failed: {status} without a token: {}", printable(&answer.to_string())))?;
        Ok(Self { client, base, token: token.to_owned() })
    }

    /// Uploads a file, to be kept for a month, and returns its CID.
    pub fn upload(&self, name: &str, bytes: Vec<u8>) -> Result<String> {
        let form = Form::new().text("hold_time", "1").part("file", Part::bytes(bytes).file_name(name.to_owned()));
        let request =
            self.client.post(format!("{}/v2/ipfs/public/file/add", self.base)).header(BEHIND_TLS.0, BEHIND_TLS.1);
        let (status, answer) = answer(request.bearer_auth(&self.token).multipart(form))?;
        let cid = answer["response"].as_str().filter(|cid| status.is_success() && is_cid(cid));
        Ok(cid.with_context(|| format!("upload failed: {status}: {}", printable(&answer.to_string())))?.to_owned())
    }
}

/// Whether a text can be a CID: all of their encodings that Temporal uses have letters and digits only.
fn is_cid(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use super::*;

    /// Gives these answers, one a connection, and returns the requests.
    fn server(answers: &'static [(&str, &str)]) -> (Reached, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let url = format!("http://temporal-api.default.svc:{}", address.port()).parse().unwrap();
        let serve = move |(status, body): &(&str, &str)| {
            let mut reader = BufReader::new(listener.accept().unwrap().0);
            let mut request = String::new();
            while !request.ends_with("\r\n\r\n") {
                reader.read_line(&mut request).unwrap();
            }
            let length = request.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
            let mut rest = vec![0; length.parse().unwrap()];
            reader.read_exact(&mut rest).unwrap();
            let headers = format!("content-length: {}\r\nconnection: close", body.len());
            write!(reader.into_inner(), "HTTP/1.1 {status}\r\n{headers}\r\n\r\n{body}").unwrap();
            request + &String::from_utf8_lossy(&rest)
        };
        let requests = std::thread::spawn(move || answers.iter().map(serve).collect());
        (Reached::at(url, address), requests)
    }

    #[test]
    fn upload_is_what_the_api_of_2020_reads() {
        let (at, requests) =
            server(&[("200 OK", r#"{"token": "t0ken"}"#), ("200 OK", r#"{"code": 200, "response": "bafk"}"#)]);
        let api = Api::log_in(&at, None, "admin", "secret").unwrap();
        assert_eq!(api.upload("demo", b"hello".to_vec()).unwrap(), "bafk");
        let requests = requests.join().unwrap();
        assert!(requests[0].starts_with("POST /v2/auth/login "), "{}", requests[0]);
        assert!(requests[0].ends_with(r#"{"password":"secret","username":"admin"}"#), "{}", requests[0]);
        assert!(requests[1].starts_with("POST /v2/ipfs/public/file/add "), "{}", requests[1]);
        let parts = [
            "authorization: Bearer t0ken",
            "name=\"hold_time\"\r\n\r\n1\r\n",
            "name=\"file\"; filename=\"demo\"",
            "hello",
        ];
        for part in parts {
            assert!(requests[1].contains(part), "{part}: {}", requests[1]);
        }
        assert!(requests.iter().all(|request| request.contains("x-forwarded-proto: https\r\n")), "{requests:?}");
    }

    #[test]
    fn upload_without_a_cid_in_its_answer_fails() {
        for response in [r#""../..""#, r#""bafk\u001b[2J""#, r#""""#, "7"] {
            let body: &'static str = format!(r#"{{"code": 200, "response": {response}}}"#).leak();
            let answers = vec![("200 OK", r#"{"token": "t0ken"}"#), ("200 OK", body)].leak();
            let (at, _) = server(answers);
            let api = Api::log_in(&at, None, "admin", "secret").unwrap();
            let error = api.upload("demo", b"hello".to_vec()).unwrap_err().to_string();
            assert!(error.starts_with("upload failed: 200 OK"), "{error}");
        }
    }

    #[test]
    fn refused_login_names_the_likely_cause() {
        let (at, _) = server(&[("401 Unauthorized", "{}")]);
        let error = Api::log_in(&at, None, "admin", "secret").unwrap_err().to_string();
        assert!(error.contains("changed through the API"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
