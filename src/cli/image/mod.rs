//! The verbs of images.

pub mod convert;
pub mod images;
pub mod import;
pub mod inspect;
pub mod load;
pub mod progress;
pub mod prune;
pub mod pull;
pub mod push;
mod registry_args;
pub mod rmi;
pub mod save;
mod send;
pub mod tag;

use super::{Context, errors};
use crate::engine::image;
use crate::error::{Error, Kind, Result};
use crate::image::platform::Platform;

/// The engine's error as docker prints it: a name that is no name is docker's own error, and ends with 1.
fn told(error: Error) -> Error {
    match error.kind {
        Kind::Usage => Error { kind: Kind::Failed, ..error },
        _ => errors::from_engine(error),
    }
}

/// `--platform`, or what the environment says.
fn platform(given: Option<&str>, cx: &Context<'_>) -> Result<Option<Platform>> {
    let text =
        given.or_else(|| cx.environment.set("DOCKER_DEFAULT_PLATFORM")).filter(|text| !text.is_empty());
    text.map(image::platform).transpose().map_err(told)
}

/// The one platform of a flag that may be repeated.
fn one_platform(given: &[String]) -> Result<Option<Platform>> {
    let mut all = given.iter().flat_map(|list| list.split(',')).filter(|text| !text.is_empty());
    let first = all.next().map(image::platform).transpose().map_err(told)?;
    if all.next().is_some() {
        return Err(Error::failed("more than one --platform is not supported")
            .hint("leave it out for all platforms, or call once for each"));
    }
    Ok(first)
}
