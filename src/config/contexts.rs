//! docker's contexts: a file each below ~/.docker/contexts/meta, and the current one's name in config.json.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::docker;
use crate::error::{Error, Kind, Result};
use crate::store::{make_directory, read_bounded, write_atomic};

/// The context that is always there: what the environment and the defaults say.
pub const DEFAULT: &str = "default";
const LARGEST_FILE: u64 = 1 << 20;

/// One context, with whatever docker and others keep in its file.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    meta: Map<String, Value>,
}

impl Stored {
    /// A new one.
    pub fn new(name: &str, description: &str, host: &str) -> Self {
        let mut stored = Self { meta: Map::new() };
        stored.meta.insert("Name".into(), name.into());
        stored.meta.insert("Metadata".into(), json!({}));
        stored.meta.insert("Endpoints".into(), json!({}));
        stored.describe(description);
        stored.point_at(host);
        stored
    }

    /// What a file of docker's says.
    ///
    /// # Errors
    /// JSON that is not docker's.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let meta: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(|cause| Error::failed(cause.to_string()))?;
        if !meta.get("Name").is_some_and(Value::is_string) {
            return Err(Error::failed("a context's file has no Name"));
        }
        Ok(Self { meta })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.meta.get("Name").and_then(Value::as_str).unwrap_or_default()
    }

    /// The same under another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.meta.insert("Name".into(), name.into());
        self
    }

    /// What it is for.
    pub fn description(&self) -> &str {
        self.text("/Metadata/Description")
    }

    /// `ssh://…` or `unix://…`; empty where none was given.
    pub fn host(&self) -> &str {
        self.text("/Endpoints/docker/Host")
    }

    /// Say what it is for.
    pub fn describe(&mut self, description: &str) {
        let Some(metadata) = self.object("Metadata") else { return };
        match description {
            "" => drop(metadata.shift_remove("Description")),
            _ => drop(metadata.insert("Description".into(), description.into())),
        }
    }

    /// Choose another endpoint.
    pub fn point_at(&mut self, host: &str) {
        let Some(endpoints) = self.object("Endpoints") else { return };
        let endpoint = match host {
            "" => json!({ "SkipTLSVerify": false }),
            _ => json!({ "Host": host, "SkipTLSVerify": false }),
        };
        endpoints.insert("docker".into(), endpoint);
    }

    /// As docker inspects it, but for where it is stored.
    pub fn to_json(&self) -> Map<String, Value> {
        self.meta.clone()
    }

    /// The file's content.
    pub fn bytes(&self) -> Vec<u8> {
        Value::Object(self.meta.clone()).to_string().into_bytes()
    }

    fn text(&self, pointer: &str) -> &str {
        let mut parts = pointer.split('/').skip(1);
        let first = parts.next().and_then(|key| self.meta.get(key));
        parts.fold(first, |value, key| value?.get(key)).and_then(Value::as_str).unwrap_or_default()
    }

    fn object(&mut self, key: &str) -> Option<&mut Map<String, Value>> {
        let entry = self.meta.entry(key).or_insert_with(|| json!({}));
        if !entry.is_object() {
            *entry = json!({});
        }
        entry.as_object_mut()
    }
}

/// The contexts below one docker configuration directory.
#[derive(Debug, Clone)]
pub struct Contexts {
    directory: PathBuf,
}

impl Contexts {
    /// Those of the configuration directory `~/.docker`.
    pub fn of(docker_config: &Path) -> Self {
        Self { directory: docker_config.to_path_buf() }
    }

    /// The directories that docker shows for the context `name`: of its file and of its certificates.
    pub fn places(&self, name: &str) -> (PathBuf, PathBuf) {
        let digest = Sha256::digest(name.as_bytes());
        let id: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let contexts = self.directory.join("contexts");
        (contexts.join("meta").join(&id), contexts.join("tls").join(&id))
    }

    /// docker's list of the certificates that the context `name` has: `{"docker": ["ca.pem"]}`.
    pub fn certificates(&self, name: &str) -> Value {
        let names = |path: &Path| -> Vec<String> {
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
            let mut names: Vec<String> =
                entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
            names.sort();
            names
        };
        let tls = self.places(name).1;
        let endpoints = names(&tls).into_iter().map(|endpoint| {
            let files = names(&tls.join(&endpoint));
            (endpoint, Value::from(files))
        });
        Value::Object(endpoints.collect())
    }

    /// The context `name`.
    ///
    /// # Errors
    /// [`Kind::NotFound`] in docker's words; a file that is not docker's.
    pub fn get(&self, name: &str) -> Result<Stored> {
        let path = self.places(name).0.join("meta.json");
        match read_bounded(&path, LARGEST_FILE) {
            Ok(bytes) => Stored::parse(&bytes).map_err(|error| damaged(&path, &error)),
            Err(error) if error.kind == Kind::NotFound => Err(Error::not_found(format!(
                "context {name:?}: context not found: open {}: no such file or directory",
                path.display()
            ))
            .hint("list them with `wharfie context ls`")),
            Err(error) => Err(error),
        }
    }

    /// Every context but the default one, by name.
    ///
    /// # Errors
    /// A file that cannot be read or is not docker's.
    pub fn list(&self) -> Result<Vec<Stored>> {
        let directory = self.directory.join("contexts/meta");
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(cause) => return Err(Error::io("read", &directory, cause)),
        };
        let mut found = Vec::new();
        for entry in entries.flatten() {
            let path = entry.path().join("meta.json");
            match read_bounded(&path, LARGEST_FILE) {
                Ok(bytes) => found.push(Stored::parse(&bytes).map_err(|error| damaged(&path, &error))?),
                Err(error) if error.kind == Kind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        found.sort_by(|one, other| natural(one.name(), other.name()));
        Ok(found)
    }

    /// Write the context's file.
    ///
    /// # Errors
    /// A directory that cannot be made or written.
    pub fn put(&self, context: &Stored) -> Result<()> {
        let directory = self.places(context.name()).0;
        make_directory(&directory, 0o700)?;
        write_atomic(&directory.join("meta.json"), &context.bytes(), 0o600)
    }

    /// Remove the context's files; one that is not there is removed.
    ///
    /// # Errors
    /// A directory that cannot be removed.
    pub fn remove(&self, name: &str) -> Result<()> {
        let (meta, tls) = self.places(name);
        for directory in [meta, tls] {
            match std::fs::remove_dir_all(&directory) {
                Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", &directory, cause));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The current context's name as config.json says it; None for the default one.
    ///
    /// # Errors
    /// A config.json that cannot be read.
    pub fn current(&self) -> Result<Option<String>> {
        let config = docker::as_map(&self.directory.join("config.json"))?;
        let name = config.get("currentContext").and_then(Value::as_str).map(str::to_owned);
        Ok(name.filter(|name| !name.is_empty() && name != DEFAULT))
    }

    /// Make `name` the current one (None: the default one). Everything else in config.json stays.
    ///
    /// # Errors
    /// A config.json that cannot be read or written: it is left as it was then.
    pub fn use_context(&self, name: Option<&str>) -> Result<()> {
        docker::change(&self.directory, |config| {
            let before = match name {
                Some(name) => config.insert("currentContext".into(), name.into()),
                None => config.shift_remove("currentContext"),
            };
            before.as_ref().and_then(Value::as_str) != name
        })
        .map(drop)
    }
}

/// Whether docker takes `name` for a new context.
///
/// # Errors
/// docker's words.
pub fn check_name(name: &str) -> Result<()> {
    if name == DEFAULT {
        return Err(Error::failed("\"default\" is a reserved context name"));
    }
    let mut letters = name.chars();
    let first = letters.next().is_some_and(|letter| letter.is_ascii_alphanumeric());
    let rest = |letter: char| letter.is_ascii_alphanumeric() || "_.+-".contains(letter);
    if !first || name.len() < 2 || !letters.all(rest) {
        return Err(Error::failed(format!(
            "context name {name:?} is invalid, names are validated against regexp \"^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$\""
        )));
    }
    Ok(())
}

fn damaged(path: &Path, error: &Error) -> Error {
    Error::failed(format!("failed to read metadata: parsing {}: {}", path.display(), error.message))
        .hint("remove that file's directory")
}

/// Names in the order of people: n2 before n10.
pub fn natural(one: &str, other: &str) -> Ordering {
    let (mut a, mut b) = (one, other);
    loop {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        match (digits(a), digits(b)) {
            (0, _) | (_, 0) => match (a.chars().next(), b.chars().next()) {
                (Some(x), Some(y)) if x == y => (a, b) = (&a[x.len_utf8()..], &b[y.len_utf8()..]),
                (x, y) => return x.cmp(&y).then_with(|| one.cmp(other)),
            },
            (x, y) => {
                let (left, right) = (a[..x].trim_start_matches('0'), b[..y].trim_start_matches('0'));
                match left.len().cmp(&right.len()).then_with(|| left.cmp(right)) {
                    Ordering::Equal => (a, b) = (&a[x..], &b[y..]),
                    order => return order,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn files_are_dockers_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let contexts = Contexts::of(directory.path());
        assert!(contexts.list().unwrap().is_empty());
        contexts.put(&Stored::new("n1", "first node", "ssh://root@n1")).unwrap();
        let path = directory
            .path()
            .join("contexts/meta/676b8bb84ce7267dd520deca4811c8f10a53e636352f06987f42fe425acedd80/meta.json");
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            r#"{"Name":"n1","Metadata":{"Description":"first node"},"Endpoints":{"docker":{"Host":"ssh://root@n1","SkipTLSVerify":false}}}"#
        );
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let stored = contexts.get("n1").unwrap();
        assert_eq!(
            (stored.name(), stored.description(), stored.host()),
            ("n1", "first node", "ssh://root@n1")
        );
        contexts.remove("n1").unwrap();
        contexts.remove("n1").unwrap();
        assert_eq!(contexts.get("n1").unwrap_err().kind, Kind::NotFound);
    }

    #[test]
    fn only_the_current_name_changes_in_config_json() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        std::fs::write(&path, r#"{"auths": {"r": {"auth": "c2VjcmV0"}}, "psFormat": "x"}"#).unwrap();
        let contexts = Contexts::of(directory.path());
        contexts.use_context(Some("n1")).unwrap();
        assert_eq!(contexts.current().unwrap().as_deref(), Some("n1"));
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "{\n\t\"auths\": {\n\t\t\"r\": {\n\t\t\t\"auth\": \"c2VjcmV0\"\n\t\t}\n\t},\n\t\"psFormat\": \"x\",\n\t\"currentContext\": \"n1\"\n}"
        );
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        contexts.use_context(None).unwrap();
        assert_eq!(contexts.current().unwrap(), None);
        std::fs::write(&path, "{").unwrap();
        assert!(contexts.use_context(Some("n1")).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{");
    }

    #[test]
    fn names() {
        for name in ["n1", "aX_.-+b", "10"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["a", "", "_x", "b ad", "../x", "default"] {
            assert!(check_name(name).is_err(), "{name}");
        }
        let mut sorted = ["n10", "n2", "a", "n2b", "n02"];
        sorted.sort_by(|one, other| natural(one, other));
        assert_eq!(sorted, ["a", "n02", "n2", "n2b", "n10"]);
    }
}
