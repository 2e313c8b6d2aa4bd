//! HTTP clients of the tests, which trust what they ask.

use reqwest::{Client, ClientBuilder};
use temporal_stack_common::process::install_crypto;

/// A client that asks without a proxy, with more to say about it.
pub fn builder() -> ClientBuilder {
    install_crypto();
    Client::builder().no_proxy()
}
