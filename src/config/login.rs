//! What `login` and `logout` change: docker's config.json, or what a credential helper keeps.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use serde_json::{Value, json};

use super::credentials::{ConfigFile, Credentials, host_of, key};
use super::{docker, helper};
use crate::error::Result;

/// Where a log-in is kept now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// In this file, for everybody who may read it.
    File(PathBuf),
    /// By `docker-credential-NAME`.
    Helper(String),
}

/// Keep the log-in for `registry` (`docker.io`, `host:5000`): where docker's config.json in `directory` says, or in
/// that file. Everything else in it stays. Blocks while a helper runs.
///
/// # Errors
/// A file that cannot be read or written, a helper that fails: nothing is kept then.
pub fn keep(directory: &Path, registry: &str, credentials: &Credentials) -> Result<Kept> {
    let helper = ConfigFile::read(directory)?.helper(registry).map(str::to_owned);
    if let Some(helper) = &helper {
        helper::store(helper, key(registry), credentials)?;
    }
    // With a helper an entry without secrets says that there is a log-in.
    let entry = match (&helper, credentials) {
        (Some(_), _) => json!({}),
        (None, Credentials::Password { username, password }) => {
            let both = format!("{username}:{}", password.reveal());
            json!({ "auth": base64::engine::general_purpose::STANDARD.encode(both) })
        }
        (None, Credentials::IdentityToken(token)) => json!({ "identitytoken": token.reveal() }),
        (None, Credentials::RegistryToken(token)) => json!({ "registrytoken": token.reveal() }),
    };
    let path = docker::change(directory, |config| {
        if !config.get("auths").is_some_and(Value::is_object) {
            // docker writes it first.
            config.shift_insert(0, "auths".into(), json!({}));
        }
        if let Some(auths) = config.get_mut("auths").and_then(Value::as_object_mut) {
            auths.insert(key(registry).to_owned(), entry);
        }
        true
    })?;
    Ok(match helper {
        Some(helper) => Kept::Helper(helper),
        None => Kept::File(path),
    })
}

/// Forget the log-in for `registry`, in every spelling of its name. One that is not there is forgotten.
///
/// # Errors
/// A file that cannot be read or written, a helper that fails.
pub fn forget(directory: &Path, registry: &str) -> Result<()> {
    let file = ConfigFile::read(directory)?;
    let erased = file.helper(registry).map_or(Ok(()), |helper| helper::erase(helper, key(registry)));
    if directory.join("config.json").exists() {
        docker::change(directory, |config| {
            let Some(auths) = config.get_mut("auths").and_then(Value::as_object_mut) else { return false };
            let before = auths.len();
            auths.retain(|name, _| name != key(registry) && host_of(name) != host_of(key(registry)));
            auths.len() != before
        })?;
    }
    erased
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::credentials::{Secret, find};
    use super::*;

    fn password(username: &str, password: &str) -> Credentials {
        Credentials::Password { username: username.into(), password: Secret::new(password) }
    }

    #[test]
    fn a_log_in_is_kept_and_forgotten_and_the_rest_stays() {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().join("home");
        let real = directory.path().join("real.json");
        std::fs::create_dir(&home).unwrap();
        std::fs::write(&real, r#"{"psFormat": "x", "other": {"b": 1, "a": 2}}"#).unwrap();
        std::os::unix::fs::symlink(&real, home.join("config.json")).unwrap();
        let secret = password("u", "p:q");
        let real_path = std::fs::canonicalize(&real).unwrap();
        assert_eq!(keep(&home, "host:5000", &secret).unwrap(), Kept::File(real_path));
        keep(&home, "docker.io", &Credentials::IdentityToken(Secret::new("t"))).unwrap();
        let text = std::fs::read_to_string(&real).unwrap();
        assert!(
            text.starts_with("{\n\t\"auths\": {\n\t\t\"host:5000\": {\n\t\t\t\"auth\": \"dTpwOnE=\"\n\t\t}"),
            "{text}"
        );
        assert!(text.contains("\"psFormat\": \"x\"") && text.find("\"b\"") < text.find("\"a\""), "{text}");
        assert!(home.join("config.json").is_symlink());
        assert_eq!(std::fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o600);
        let find = |registry: &str| find(None, &home, registry).unwrap().map(|found| found.credentials);
        assert_eq!(find("host:5000"), Some(secret));
        assert_eq!(find("docker.io"), Some(Credentials::IdentityToken(Secret::new("t"))));
        forget(&home, "host:5000").unwrap();
        forget(&home, "never.example").unwrap();
        assert_eq!(find("host:5000"), None);
        forget(&home, "docker.io").unwrap();
        let text = std::fs::read_to_string(&real).unwrap();
        assert!(text.contains("\"auths\": {}") && text.contains("\"other\""), "{text}");
        forget(&directory.path().join("none"), "x").unwrap();
        assert!(!directory.path().join("none").exists());
    }

    #[test]
    fn every_spelling_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        std::fs::write(&path, r#"{"auths": {"https://h.example/v1/": {}, "http://h.example": {}, "h.example": {}, "g.example": {}}}"#).unwrap();
        forget(directory.path(), "h.example").unwrap();
        let left: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(left, json!({ "auths": { "g.example": {} } }));
    }
}
