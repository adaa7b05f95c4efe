//! Registries over HTTP: the only room that names its client. References, hosts, log-in, fetching.

mod auth;
mod client;
mod endpoint;
mod error;
mod fetch;
mod ping;
mod push;
mod reference;

pub use error::{Cause, Failure};
pub use fetch::{BlobStream, Registry, Resolved};
pub use ping::{Answer, ping};
pub use push::{Body, configured_by};
pub use reference::{DOCKER_HUB, Reference, is_id_prefix};
