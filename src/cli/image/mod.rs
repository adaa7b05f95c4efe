//! The verbs of images.

pub mod cat;
pub mod diff;
pub mod files;
pub mod history;
pub mod images;
pub mod import;
pub mod inspect;
pub mod kubernetes;
pub mod load;
pub mod progress;
pub mod prune;
pub mod pull;
pub mod push;
pub mod rmi;
pub mod save;
pub mod tag;
pub mod tags;
pub mod usage;

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

/// Every platform of a flag that may be repeated, or else what the environment says.
fn every_platform(given: &[String], cx: &Context<'_>) -> Result<Vec<Platform>> {
    let said = platforms(given)?;
    if said.is_empty() { Ok(platform(None, cx)?.into_iter().collect()) } else { Ok(said) }
}

/// The platforms of a flag that may be repeated.
fn platforms(given: &[String]) -> Result<Vec<Platform>> {
    let all = given.iter().flat_map(|list| list.split(',')).filter(|text| !text.is_empty());
    let mut platforms: Vec<Platform> = Vec::new();
    for text in all {
        let platform = image::platform(text).map_err(told)?;
        if !platforms.contains(&platform) {
            platforms.push(platform);
        }
    }
    Ok(platforms)
}
