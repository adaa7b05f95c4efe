//! Docker's config.json: credentials for registries, from the file itself or from a credential helper.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use base64::Engine as _;
use serde::Deserialize;

use super::helper;
use crate::error::{Error, Kind, Result};
use crate::store::read_bounded;

/// The key under which docker keeps Docker Hub's credentials.
const HUB_KEY: &str = "https://index.docker.io/v1/";
const LARGEST_FILE: u64 = 4 << 20;

/// A text that never shows in logs, errors or debug output.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Hide `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

/// How to log in to one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user name and a password.
    Password {
        /// The user's name.
        username: String,
        /// The password or access token.
        password: Secret,
    },
    /// A refresh token of the OAuth2 flow.
    IdentityToken(Secret),
    /// A bearer token to send as it is.
    RegistryToken(Secret),
}

/// The part of config.json that says who logs in where.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ConfigFile {
    auths: HashMap<String, AuthEntry>,
    creds_store: String,
    cred_helpers: HashMap<String, String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct AuthEntry {
    auth: Secret,
    username: String,
    password: Secret,
    identitytoken: Secret,
    registrytoken: Secret,
}

/// A log-in, and where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// How to log in.
    pub credentials: Credentials,
    /// `config.json`, `helper NAME`: for people.
    pub origin: String,
}

/// The credentials for `registry` (`docker.io`, `host:5000`): of `given`, the text of `DOCKER_AUTH_CONFIG`, or else of
/// docker's config.json in `directory`. None when there is no file or no entry. Blocks while a credential helper runs.
///
/// # Errors
/// What is no JSON, an entry that is damaged, a helper that fails.
pub fn find(given: Option<&Secret>, directory: &Path, registry: &str) -> Result<Option<Found>> {
    if let Some(text) = given {
        let file: ConfigFile = serde_json::from_str(text.reveal()).map_err(|cause| {
            // serde's words can quote what it has read.
            Error::failed(format!("DOCKER_AUTH_CONFIG is not valid JSON (line {})", cause.line()))
                .hint("correct or unset it")
        })?;
        let entry = file.entry(registry).map(|entry| entry.credentials(registry)).transpose()?.flatten();
        if let Some(credentials) = entry {
            return Ok(Some(Found { credentials, origin: "DOCKER_AUTH_CONFIG".into() }));
        }
    }
    ConfigFile::read(directory)?.find(registry)
}

/// The key under which docker keeps the log-in for `registry`.
pub(super) fn key(registry: &str) -> &str {
    if registry == "docker.io" { HUB_KEY } else { registry }
}

impl ConfigFile {
    pub(super) fn read(directory: &Path) -> Result<Self> {
        let path = directory.join("config.json");
        let text = match read_bounded(&path, LARGEST_FILE) {
            Ok(text) => text,
            Err(error) if error.kind == Kind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        serde_json::from_slice(&text).map_err(|cause| {
            // serde's words can quote what it has read.
            let (line, column) = (cause.line(), cause.column());
            Error::failed(format!(
                "read {}: not docker's form at line {line}, column {column}",
                path.display()
            ))
            .hint("correct the file, or name another directory with DOCKER_CONFIG")
        })
    }

    /// The helper that keeps the log-in for `registry`.
    pub(super) fn helper(&self, registry: &str) -> Option<&str> {
        let own = self.cred_helpers.get(registry).or_else(|| self.cred_helpers.get(key(registry)));
        own.or(Some(&self.creds_store)).map(String::as_str).filter(|name| !name.is_empty())
    }

    fn find(&self, registry: &str) -> Result<Option<Found>> {
        if let Some(helper) = self.helper(registry)
            && let Some(credentials) = helper::get(helper, key(registry))?
        {
            return Ok(Some(Found { credentials, origin: format!("helper {helper}") }));
        }
        let entry = self.entry(registry).map(|entry| entry.credentials(registry)).transpose()?.flatten();
        Ok(entry.map(|credentials| Found { credentials, origin: "config.json".into() }))
    }

    fn entry(&self, registry: &str) -> Option<&AuthEntry> {
        let key = key(registry);
        self.auths.get(key).or_else(|| {
            self.auths.iter().find(|(name, _)| host_of(name) == host_of(key)).map(|(_, entry)| entry)
        })
    }
}

impl AuthEntry {
    fn credentials(&self, registry: &str) -> Result<Option<Credentials>> {
        if !self.registrytoken.reveal().is_empty() {
            return Ok(Some(Credentials::RegistryToken(self.registrytoken.clone())));
        }
        if !self.identitytoken.reveal().is_empty() {
            return Ok(Some(Credentials::IdentityToken(self.identitytoken.clone())));
        }
        if self.auth.reveal().is_empty() {
            let given = !self.username.is_empty();
            return Ok(given.then(|| Credentials::Password {
                username: self.username.clone(),
                password: self.password.clone(),
            }));
        }
        let credentials = decode(&self.auth).ok_or_else(|| {
            Error::failed(format!("the entry for {registry} in docker's config.json is not valid base64"))
        })?;
        Ok(Some(credentials))
    }
}

/// `user:password` in base64.
pub(super) fn decode(both: &Secret) -> Option<Credentials> {
    let decoded = base64::engine::general_purpose::STANDARD.decode(both.reveal().trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (username, password) = text.split_once(':')?;
    let password = Secret::new(password.trim_end_matches('\0'));
    Some(Credentials::Password { username: username.into(), password })
}

/// The host of a config.json key, which may be a whole address.
pub(super) fn host_of(key: &str) -> &str {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(username: &str, password: &str) -> Option<Credentials> {
        Some(Credentials::Password { username: username.into(), password: Secret::new(password) })
    }

    #[test]
    fn entries_are_found_by_host() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(
            directory.path().join("config.json"),
            r#"{"auths": {
                "https://index.docker.io/v1/": {"auth": "aHViOnNlY3JldDp4"},
                "host:5000": {"username": "u", "password": "p"},
                "https://old.example/v1/": {"auth": "YTpi"},
                "token.example": {"identitytoken": "t"},
                "empty.example": {}
            }, "detachKeys": "ctrl-x"}"#,
        )
        .unwrap();
        let find =
            |registry: &str| find(None, directory.path(), registry).unwrap().map(|found| found.credentials);
        assert_eq!(find("docker.io"), password("hub", "secret:x"));
        assert_eq!(find("host:5000"), password("u", "p"));
        assert_eq!(find("old.example"), password("a", "b"));
        assert_eq!(find("token.example"), Some(Credentials::IdentityToken(Secret::new("t"))));
        assert_eq!(find("empty.example"), None);
        assert_eq!(find("none.example"), None);
    }

    #[test]
    fn no_file_is_no_credentials() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(find(None, directory.path(), "docker.io").unwrap(), None);
    }

    #[test]
    fn the_environment_comes_first_and_its_secrets_stay_unsaid() {
        let directory = tempfile::tempdir().unwrap();
        let file = r#"{"auths": {"h:1": {"username": "file", "password": "p"}, "h:2": {"username": "file", "password": "p"}}}"#;
        std::fs::write(directory.path().join("config.json"), file).unwrap();
        let given = Secret::new(r#"{"auths": {"h:1": {"username": "given", "password": "q"}}}"#);
        let find = |registry: &str| find(Some(&given), directory.path(), registry).unwrap().unwrap();
        assert_eq!(
            (Some(find("h:1").credentials), find("h:1").origin.as_str()),
            (password("given", "q"), "DOCKER_AUTH_CONFIG")
        );
        assert_eq!(
            (Some(find("h:2").credentials), find("h:2").origin.as_str()),
            (password("file", "p"), "config.json")
        );
        let error = super::find(Some(&Secret::new("hunter2")), directory.path(), "h:1").unwrap_err();
        assert!(!error.message.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_broken_file_is_named() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config.json"), "{").unwrap();
        let error = find(None, directory.path(), "docker.io").unwrap_err();
        assert!(error.message.contains("config.json"), "{error}");
    }

    #[test]
    fn secrets_do_not_print() {
        let shown = format!("{:?} {}", password("u", "hunter2"), Secret::new("hunter2"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
