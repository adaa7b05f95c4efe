//! Log-ins and searches: what a registry says, and what is kept of it.

use crate::config::Config;
use crate::config::credentials::{self, Credentials, Found, Secret};
use crate::config::login::{self, Kept};
use crate::error::{Error, Result};
use crate::registry::{self, Repository};

/// What docker shows where nobody says how many.
const USUAL: usize = 25;
const MOST: usize = 100;

/// Log in to `registry` (`docker.io`, `host:5000`) and keep that: the credentials, or the identity token that the
/// registry's token server gives for them.
///
/// # Errors
/// The registry does not take them, or they cannot be kept.
pub async fn log_in(config: &Config, registry: &str, credentials: Credentials) -> Result<Kept> {
    let token = registry::log_in(config, registry, &credentials).await?;
    let kept = token.map_or(credentials, Credentials::IdentityToken);
    let (directory, registry) = (config.docker_config.clone(), registry.to_owned());
    // A helper is a process to wait for.
    let keeping = tokio::task::spawn_blocking(move || login::keep(&directory, &registry, &kept));
    keeping
        .await
        .map_err(|_| Error::failed("was interrupted"))
        .and_then(|kept| kept)
        .map_err(|error| error.context("error saving credentials"))
}

/// The log-in that is kept for `registry`.
///
/// # Errors
/// As of [`credentials::find`].
pub async fn known(config: &Config, registry: &str) -> Result<Option<Found>> {
    let (directory, registry) = (config.docker_config.clone(), registry.to_owned());
    let found = tokio::task::spawn_blocking(move || credentials::find(None, &directory, &registry));
    found.await.map_err(|_| Error::failed("looking up credentials was interrupted"))?
}

/// Forget the log-in for `registry`.
///
/// # Errors
/// As of [`login::forget`].
pub async fn log_out(config: &Config, registry: &str) -> Result<()> {
    let (directory, registry) = (config.docker_config.clone(), registry.to_owned());
    let forgotten = tokio::task::spawn_blocking(move || login::forget(&directory, &registry));
    forgotten.await.map_err(|_| Error::failed("was interrupted"))?
}

/// A name and a password.
pub fn password(username: &str, password: Secret) -> Credentials {
    Credentials::Password { username: username.to_owned(), password }
}

/// What to search for.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// The registry.
    pub registry: String,
    /// A part of a name.
    pub term: String,
    /// At most so many, before the filters; 0 is docker's usual number.
    pub limit: i64,
    /// At least so many stars.
    pub stars: i64,
    /// Docker's own selection, or all but it.
    pub official: Option<bool>,
    /// Built from sources by docker: there are none any more.
    pub automated: Option<bool>,
}

/// What `request` finds, as the registry orders it.
///
/// # Errors
/// A limit that docker refuses; the registry does not answer.
pub async fn search(config: &Config, request: &Search) -> Result<Vec<Repository>> {
    let limit = match request.limit {
        0 => USUAL,
        limit => usize::try_from(limit)
            .ok()
            .filter(|limit| (1..=MOST).contains(limit))
            .ok_or_else(|| Error::failed(format!("limit {limit} is outside the range of [1, {MOST}]")))?,
    };
    let mut found = registry::search(config, &request.registry, &request.term, limit).await?;
    found.retain(|one| {
        one.star_count >= request.stars
            && request.official.is_none_or(|wanted| one.is_official == wanted)
            && request.automated.is_none_or(|wanted| one.is_automated == wanted)
    });
    Ok(found)
}
