//! Pure: a request and an image configuration go in, a runtime specification comes out. No I/O.

pub mod beside;
pub mod capabilities;
pub mod cdi;
pub mod cgroups;
pub mod devices;
pub mod exec;
pub mod health;
pub mod mounts;
pub mod namespaces;
pub mod plain;
pub mod process;
pub mod request;
pub mod resources;
pub mod seccomp;
mod seccomp_rules;
pub mod spec;
pub mod special;
pub mod tmpfs;
pub mod update;
pub mod user;

use crate::{Error, Result};

/// The outcome of one of oci-spec's builders. They fail only where a required field is missing: a fault of
/// ours, told as an error all the same.
fn built<T>(outcome: Result<T, oci_spec::OciSpecError>) -> Result<T> {
    outcome.map_err(|cause| Error::failed(format!("cannot build the runtime specification: {cause}")))
}
