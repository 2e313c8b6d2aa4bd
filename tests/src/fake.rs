//! Products that are none: some answer as the real ones do, as far as a controller asks, and some as an enemy would.

pub mod cloud_native_pg;
mod harm;
mod ipfs;
mod postgres;
mod rabbit;
pub mod rook;
pub mod s3;
mod visitors;

pub use cloud_native_pg::CloudNativePg;
pub use harm::{Harm, Server};
pub use ipfs::Ipfs;
pub use postgres::Postgres;
pub use rabbit::Rabbit;
pub use rook::Rook;
pub use s3::S3;
pub use visitors::Visited;

/// Whether a request came by way of an enemy's redirect.
pub(crate) const FOREIGN: &str = "foreign-redirect";
