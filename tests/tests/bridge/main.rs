//! The bridge between what Temporal sends and real Kubos and IPFS Clusters, on the loopback of this machine.
//!
//! Each request is as Temporal's clients of 2020 send it, and each answer is decoded as strictly as they do it ([`client`]).

#![allow(clippy::disallowed_methods, reason = "tests trust what they ask, and see more of it than a controller would")]
#![expect(clippy::expect_used, reason = "a test fails by a panic")]

mod bridge;
mod call;
mod client;
mod ending;
mod latency;
mod memory;
mod object_stat;
mod passing;
mod peers;
mod pin;
mod pin_status;
mod products;
mod publish;

/// A file of that length whose blocks differ.
fn file(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(next).collect()
}

/// Prints a measured number as others do: `what: number unit`.
fn measured(what: &str, number: f64, unit: &str) {
    println!("{what}: {number:.3} {unit}");
}
