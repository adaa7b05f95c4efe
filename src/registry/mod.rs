//! Registries over HTTP: the only room that names its client. References, hosts, log-in, fetching, pushing.

mod auth;
mod check;
mod client;
mod connection;
mod endpoint;
mod error;
mod fetch;
mod login;
mod ping;
mod push;
mod reference;
mod search;
mod tls;
mod upload;

pub use check::{Candidate, check};
pub use endpoint::configured_by;
pub use error::{Cause, Failure};
pub use fetch::{BlobStream, Registry, Resolved};
pub use login::log_in;
pub use ping::{Answer, ping};
pub use push::Receiver;
pub use reference::{DOCKER_HUB, Reference, is_id_prefix};
pub use search::{Repository, search};
pub use upload::{Body, Delivery, Parcel};
