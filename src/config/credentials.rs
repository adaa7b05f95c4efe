//! Docker's config.json: credentials for registries, from the file itself or from a credential helper.

use std::collections::HashMap;
use std::fmt;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use serde::Deserialize;

use crate::error::{Error, Kind, Result};
use crate::store::read_bounded;

/// The key under which docker keeps Docker Hub's credentials.
const HUB_KEY: &str = "https://index.docker.io/v1/";
/// What a credential helper says when it has nothing.
const NOT_FOUND: &str = "credentials not found in native keychain";
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
struct ConfigFile {
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

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperReply {
    username: String,
    secret: Secret,
}

/// The credentials for `registry` (`docker.io`, `host:5000`) in the directory of docker's config.json. None
/// when there is no file or no entry. Blocks while a credential helper runs.
pub fn find(directory: &Path, registry: &str) -> Result<Option<Credentials>> {
    let path = directory.join("config.json");
    let text = match read_bounded(&path, LARGEST_FILE) {
        Ok(text) => text,
        Err(error) if error.kind == Kind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let file: ConfigFile = serde_json::from_slice(&text).map_err(|cause| {
        Error::failed(format!("read {}: {cause}", path.display()))
            .hint("correct the file, or name another directory with DOCKER_CONFIG")
    })?;
    file.find(registry)
}

impl ConfigFile {
    fn find(&self, registry: &str) -> Result<Option<Credentials>> {
        let key = if registry == "docker.io" { HUB_KEY } else { registry };
        let helper = self
            .cred_helpers
            .get(registry)
            .or_else(|| self.cred_helpers.get(key))
            .or((!self.creds_store.is_empty()).then_some(&self.creds_store));
        if let Some(helper) = helper
            && let Some(found) = ask_helper(helper, key)?
        {
            return Ok(Some(found));
        }
        let entry = self.auths.get(key).or_else(|| {
            self.auths.iter().find(|(name, _)| host_of(name) == host_of(key)).map(|(_, entry)| entry)
        });
        entry.map(|entry| entry.credentials(registry)).transpose().map(Option::flatten)
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
        let invalid =
            || Error::failed(format!("the entry for {registry} in docker's config.json is not valid base64"));
        let decoded = base64::engine::general_purpose::STANDARD
            .decode(self.auth.reveal().trim())
            .map_err(|_| invalid())?;
        let text = String::from_utf8(decoded).map_err(|_| invalid())?;
        let (username, password) = text.split_once(':').ok_or_else(invalid)?;
        let password = Secret::new(password.trim_end_matches('\0'));
        Ok(Some(Credentials::Password { username: username.into(), password }))
    }
}

/// The host of a config.json key, which may be a whole address.
fn host_of(key: &str) -> &str {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

fn ask_helper(helper: &str, registry: &str) -> Result<Option<Credentials>> {
    if !helper.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
        return Err(Error::failed(format!(
            "invalid credential helper name {helper:?} in docker's config.json"
        )));
    }
    let program = format!("docker-credential-{helper}");
    let failed = |cause: std::io::Error| {
        Error::failed(format!("cannot run {program}: {}", crate::error::reason(&cause)))
            .hint("install the credential helper, or remove it from docker's config.json")
    };
    let mut child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read its input still answers or fails below.
        let _ = stdin.write_all(registry.as_bytes());
    }
    let output = child.wait_with_output().map_err(failed)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        if said.trim() == NOT_FOUND {
            return Ok(None);
        }
        return Err(Error::failed(format!("{program} get {registry}: {}", said.trim())));
    }
    let reply: HelperReply = serde_json::from_slice(&output.stdout)
        .map_err(|_| Error::failed(format!("{program} answered something that is not its protocol")))?;
    if reply.username == "<token>" {
        return Ok(Some(Credentials::IdentityToken(reply.secret)));
    }
    Ok(Some(Credentials::Password { username: reply.username, password: reply.secret }))
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
        let find = |registry: &str| find(directory.path(), registry).unwrap();
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
        assert_eq!(find(directory.path(), "docker.io").unwrap(), None);
    }

    #[test]
    fn a_broken_file_is_named() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config.json"), "{").unwrap();
        let error = find(directory.path(), "docker.io").unwrap_err();
        assert!(error.message.contains("config.json"), "{error}");
    }

    #[test]
    fn secrets_do_not_print() {
        let shown = format!("{:?} {}", password("u", "hunter2"), Secret::new("hunter2"));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
