//! Clients of the products' HTTP APIs.

use reqwest::{Client, ClientBuilder};

use crate::process::install_crypto;

/// A client that asks without a detour: a proxy would see passwords, and could not reach pods.
pub fn client() -> Client {
    // It fails only where a machine has no idea of TLS, and then the default does, too.
    builder().build().unwrap_or_default()
}

/// The same, with more to say about it.
pub fn builder() -> ClientBuilder {
    // Whether reqwest speaks TLS is decided by whoever else is built into the program, and then it wants a provider.
    install_crypto();
    Client::builder().no_proxy()
}
