//! Registries over HTTP: the only room that names its client. References, hosts, log-in, fetching, pushing.

mod auth;
mod client;
mod endpoint;
mod error;
mod fetch;
mod ping;
mod push;
mod reference;
mod upload;

pub use error::{Cause, Failure};
pub use fetch::{BlobStream, Registry, Resolved};
pub use ping::{Answer, ping};
pub use push::{Receiver, configured_by};
pub use reference::{DOCKER_HUB, Reference, is_id_prefix};
pub use upload::{Body, Delivery, Parcel};
