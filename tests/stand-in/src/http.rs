//! Calls as the original's clients make them: no proxy, and a redirect is an answer.

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};

/// A client in the making.
pub(crate) fn client() -> ClientBuilder {
    // Another program of the workspace may have made reqwest speak TLS, and then it wants to know how. The second one to say is
    // told that it is known.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().redirect(Policy::none()).no_proxy()
}
